//! Route lookup: the request leaves this layer with its route, or is answered here (no route, redirect, direct
//! response).

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{
    HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header,
    uri::{self, Authority, PathAndQuery},
};
use nuncio_cluster::{Cluster, WorkerClusters};
use nuncio_router::{Action, ClusterSpecifier, Forward, RequestHead, RouteMatch, RouteTable};
use nuncio_service::{Request, Response, ResponseFlags};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{headers::X_ENVOY_EXPECTED_RQ_TIMEOUT_MS, local_reply::LocalReply, stats::HttpStats};

/// `x-envoy-original-path`.
const X_ENVOY_ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-envoy-original-path");

/// `x-envoy-original-host`.
const X_ENVOY_ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-envoy-original-host");

/// What a worker keeps with each route, made when the configuration is loaded.
#[derive(Debug)]
pub struct RouteEntry {
    /// The route's name, if it has one.
    name: Option<Arc<str>>,
    /// Where requests go; `None` for a route that is answered here, and for one whose cluster does not exist.
    target: Option<Target>,
}

/// Where a route's requests go.
#[derive(Debug)]
pub struct Target {
    /// The cluster as this worker has it.
    pub(crate) cluster: Cluster,
    /// The route's timeout; `None`: none.
    pub(crate) timeout: Option<Duration>,
    /// The timeout in milliseconds, as upstreams are told.
    pub(crate) timeout_ms: Option<HeaderValue>,
    host_rewrite: Option<HeaderValue>,
}

/// The routes of one worker.
pub type WorkerRoutes = RouteTable<Arc<RouteEntry>>;

/// Finds for each route of `table` what this worker needs to serve it.
pub fn resolve<P>(table: &RouteTable<P>, clusters: &WorkerClusters) -> WorkerRoutes {
    let resolved = table.map(|_, route, _| {
        let target = match &route.action {
            Action::Forward(forward) => Target::new(forward, clusters),
            _ => None,
        };
        let name = Some(route.name.as_str()).filter(|name| !name.is_empty()).map(Arc::from);
        Ok::<_, Infallible>(Arc::new(RouteEntry { name, target }))
    });
    match resolved {
        Ok(routes) => routes,
        Err(never) => match never {},
    }
}

impl Target {
    /// `None` if there is no such cluster, which is known only now where `validate_clusters` is off.
    fn new(forward: &Forward, clusters: &WorkerClusters) -> Option<Self> {
        let cluster = match &forward.cluster {
            ClusterSpecifier::Name(name) => clusters.get(name)?,
            _ => return None,
        };
        let timeout = forward.effective_timeout();
        let timeout_ms =
            timeout.map(|timeout| HeaderValue::from(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)));
        let host_rewrite = forward.rewritten_host().and_then(|host| HeaderValue::from_str(host).ok());
        Some(Self { cluster, timeout, timeout_ms, host_rewrite })
    }
}

/// A request and its route.
#[derive(Debug)]
pub struct RoutedRequest {
    /// The request, rewritten as the route says.
    pub request: Request,
    /// The route's entry; its target is there.
    pub(crate) entry: Arc<RouteEntry>,
}

impl RoutedRequest {
    /// Where the request goes.
    pub(crate) fn target(&self) -> Option<&Target> {
        self.entry.target.as_ref()
    }
}

/// Makes [`RouteService`]s.
#[derive(Debug, Clone)]
pub struct RouteLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    routes: WorkerRoutes,
    stats: Arc<HttpStats>,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct RouteService<S> {
    shared: Arc<Shared>,
    inner: S,
}

pin_project! {
    /// The future of [`RouteService`].
    #[project = RouteFutureProj]
    pub enum RouteFuture<F> {
        #[doc(hidden)]
        Inner { #[pin] future: F },
        #[doc(hidden)]
        Reply { reply: Option<LocalReply> },
    }
}

impl RouteLayer {
    /// Looks routes up in `routes`.
    pub fn new(routes: WorkerRoutes, stats: Arc<HttpStats>) -> Self {
        Self { shared: Arc::new(Shared { routes, stats }) }
    }
}

impl<S> Layer<S> for RouteLayer {
    type Service = RouteService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RouteService { shared: Arc::clone(&self.shared), inner }
    }
}

impl<S> Service<Request> for RouteService<S>
where
    S: Service<RoutedRequest, Response = Response, Error = LocalReply>,
{
    type Response = Response;
    type Error = LocalReply;
    type Future = RouteFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LocalReply>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.shared.find(request) {
            Ok(routed) => RouteFuture::Inner { future: self.inner.call(routed) },
            Err(reply) => RouteFuture::Reply { reply: Some(*reply) },
        }
    }
}

impl Shared {
    /// The request with its route, or the reply that takes its place.
    fn find(&self, mut request: Request) -> Result<RoutedRequest, Box<LocalReply>> {
        if request.info.upgrade {
            return Err(Box::new(self.refuse_upgrade(request)));
        }
        self.stats.rq_total.increment(1);
        if *request.http.method() == Method::CONNECT {
            return Err(Box::new(self.refuse_connect(request)));
        }
        let found = {
            let head = request_head(&request);
            self.routes.route(&head, fastrand::u64(..)).map(|found| {
                let edit = match &found.route.action {
                    Action::Forward(forward) if found.payload.target.is_none() => {
                        Edit::NoCluster(forward.cluster_not_found)
                    }
                    Action::Forward(forward) => {
                        Edit::Forward(forwarded_path(forward, &found.route.matcher, &head))
                    }
                    Action::Redirect(redirect) => Edit::Redirect {
                        status: redirect.response_code.status(),
                        location: redirect.location(&head, &found.route.matcher),
                    },
                    Action::DirectResponse(direct) => Edit::Direct {
                        status: direct.status,
                        body: String::from_utf8_lossy(&direct.body).into_owned(),
                        location: direct.location(&head),
                    },
                    _ => Edit::NotFound,
                };
                (edit, Arc::clone(found.payload))
            })
        };
        let Ok((edit, entry)) = found else { return Err(Box::new(self.no_route(request))) };
        request.info.route_name.clone_from(&entry.name);
        let reply = match edit {
            Edit::Forward(path) => {
                if let Some(timeout) = entry.target.as_ref().and_then(|target| target.timeout_ms.clone()) {
                    request.http.headers_mut().insert(X_ENVOY_EXPECTED_RQ_TIMEOUT_MS, timeout);
                }
                if let Some(host) = entry.target.as_ref().and_then(|target| target.host_rewrite.as_ref()) {
                    rewrite_host(&mut request, host);
                }
                if let Some((path, original)) = path {
                    if let Ok(original) = HeaderValue::from_str(&original) {
                        request.http.headers_mut().insert(X_ENVOY_ORIGINAL_PATH, original);
                    }
                    edit_uri(&mut request, |parts| parts.path_and_query = Some(path));
                }
                return Ok(RoutedRequest { request, entry });
            }
            Edit::Redirect { status, location } => {
                // Envoy counts a route's redirect so, too; `rq_redirect` is for upstreams' redirects.
                self.stats.rq_direct_response.increment(1);
                with_location(LocalReply::new(request.info, status, "direct_response"), Some(location))
            }
            Edit::Direct { status, body, location } => {
                self.stats.rq_direct_response.increment(1);
                with_location(LocalReply::new(request.info, status, "direct_response").body(body), location)
            }
            Edit::NoCluster(status) => {
                self.stats.no_cluster.increment(1);
                LocalReply::new(request.info, status, "cluster_not_found")
                    .flags(ResponseFlags::NO_CLUSTER_FOUND)
            }
            Edit::NotFound => self.no_route(request),
        };
        Err(Box::new(reply))
    }

    /// There is no route for CONNECT yet.
    fn refuse_connect(&self, request: Request) -> LocalReply {
        if request.info.protocol != Version::HTTP_2 {
            self.cut_off(&request);
        }
        self.no_route(request).close()
    }

    /// No route allows an upgrade yet. Envoy names the route that would have to.
    fn refuse_upgrade(&self, mut request: Request) -> LocalReply {
        self.stats.downstream_rq_ws_on_non_ws_route.increment(1);
        self.cut_off(&request);
        let entry = self
            .routes
            .route(&request_head(&request), fastrand::u64(..))
            .map(|found| Arc::clone(found.payload));
        if let Ok(entry) = entry {
            request.info.route_name.clone_from(&entry.name);
            request.info.cluster = entry.target.as_ref().map(|target| Arc::clone(target.cluster.name()));
        }
        LocalReply::new(request.info, StatusCode::FORBIDDEN, "upgrade_failed").close()
    }

    /// Counts a request over HTTP/1 after which nobody knows what the client sends next: to Envoy it has not ended. One
    /// with a body has not ended anyhow.
    fn cut_off(&self, request: &Request) {
        if request.info.progress.is_none() {
            self.stats.downstream_rq_response_before_rq_complete.increment(1);
            self.stats.downstream_rq_rx_reset.increment(1);
        }
    }

    fn no_route(&self, request: Request) -> LocalReply {
        self.stats.no_route.increment(1);
        LocalReply::new(request.info, StatusCode::NOT_FOUND, "route_not_found")
            .flags(ResponseFlags::NO_ROUTE_FOUND)
    }
}

/// What the found route makes of the request, free of the borrow of both.
enum Edit {
    /// The new path and the one that it had, where the route rewrites it.
    Forward(Option<(PathAndQuery, String)>),
    Redirect {
        status: StatusCode,
        location: String,
    },
    Direct {
        status: StatusCode,
        body: String,
        location: Option<String>,
    },
    /// The route leads to a cluster that does not exist.
    NoCluster(StatusCode),
    NotFound,
}

fn request_head(request: &Request) -> RequestHead<'_> {
    let http = &request.http;
    let uri = http.uri();
    let authority = match http.headers().get(header::HOST) {
        Some(host) => host.to_str().unwrap_or_default(),
        None => uri.authority().map_or("", |authority| authority.as_str()),
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    RequestHead::new(http.method(), authority, path, http.headers()).scheme(request.info.connection.scheme())
}

fn forwarded_path(
    forward: &Forward,
    matched: &RouteMatch,
    head: &RequestHead<'_>,
) -> Option<(PathAndQuery, String)> {
    let path = forward.rewritten_path(matched, head.path)?;
    Some((PathAndQuery::try_from(path).ok()?, head.path.to_owned()))
}

/// Changes a part of the URI. That of an HTTP/2 request has the authority, which must stay.
fn edit_uri(request: &mut Request, edit: impl FnOnce(&mut uri::Parts)) {
    let old = request.http.uri().clone();
    let mut parts = old.clone().into_parts();
    edit(&mut parts);
    // Each part is well-formed, and none was taken away.
    *request.http.uri_mut() = Uri::from_parts(parts).unwrap_or(old);
}

fn rewrite_host(request: &mut Request, host: &HeaderValue) {
    let original = match request.http.headers().get(header::HOST) {
        Some(host) => Some(host.clone()),
        None => request.http.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()),
    };
    if let Some(original) = original {
        request.http.headers_mut().insert(X_ENVOY_ORIGINAL_HOST, original);
    }
    match Authority::try_from(host.as_bytes()) {
        Ok(authority) if request.http.uri().authority().is_some() => {
            edit_uri(request, |parts| parts.authority = Some(authority));
        }
        _ => _ = request.http.headers_mut().insert(header::HOST, host.clone()),
    }
}

fn with_location(mut reply: LocalReply, location: Option<String>) -> LocalReply {
    if let Some(location) = location
        && let Ok(location) = HeaderValue::from_str(&location)
    {
        reply.headers.insert(header::LOCATION, location);
    }
    reply
}

impl<F> Future for RouteFuture<F>
where
    F: Future<Output = Result<Response, LocalReply>>,
{
    type Output = Result<Response, LocalReply>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            RouteFutureProj::Inner { future } => future.poll(cx),
            RouteFutureProj::Reply { reply } => match reply.take() {
                Some(reply) => Poll::Ready(Err(reply)),
                None => Poll::Pending,
            },
        }
    }
}
