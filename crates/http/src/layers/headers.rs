//! The connection manager's own edits: requests that it answers itself, headers on the way in and on the way out.
//! The outermost layer, so that local replies of all others pass it.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Method, StatusCode, Version, header, uri::Authority};
use nuncio_config::model::HttpConnectionManager;
use nuncio_service::{Request, Response, StreamInfo};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    headers::{self, HeaderRules, X_REQUEST_ID},
    local_reply::LocalReply,
    stats::HttpStats,
};

/// Makes [`HeadersService`]s.
#[derive(Debug, Clone)]
pub struct HeadersLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rules: HeaderRules,
    allow_absolute_url: bool,
    request_id_in_response: bool,
    stats: Arc<HttpStats>,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct HeadersService<S> {
    shared: Arc<Shared>,
    inner: S,
}

pin_project! {
    /// The future of [`HeadersService`].
    #[project = HeadersFutureProj]
    pub enum HeadersFuture<F> {
        #[doc(hidden)]
        Inner { #[pin] future: F, edit: Edit },
        #[doc(hidden)]
        Reply { reply: Option<LocalReply>, edit: Edit },
    }
}

/// What the way out needs to know of the way in.
#[derive(Debug)]
#[doc(hidden)]
pub struct Edit {
    shared: Arc<Shared>,
    version: Version,
    request_id: Option<HeaderValue>,
}

impl HeadersLayer {
    /// The edits that `config` asks for.
    pub fn new(config: &HttpConnectionManager, stats: Arc<HttpStats>) -> Self {
        let shared = Shared {
            rules: HeaderRules::new(config),
            allow_absolute_url: config.allow_absolute_url,
            request_id_in_response: config.always_set_request_id_in_response,
            stats,
        };
        Self { shared: Arc::new(shared) }
    }
}

impl<S> Layer<S> for HeadersLayer {
    type Service = HeadersService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HeadersService { shared: Arc::clone(&self.shared), inner }
    }
}

impl<S> Service<Request> for HeadersService<S>
where
    S: Service<Request, Response = Response, Error = LocalReply>,
{
    type Response = Response;
    type Error = LocalReply;
    type Future = HeadersFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LocalReply>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let mut edit =
            Edit { shared: Arc::clone(&self.shared), version: request.info.protocol, request_id: None };
        if let Some(refused) = refuse(&mut request, &self.shared) {
            let reply = Some(refused.reply(request.info));
            return HeadersFuture::Reply { reply, edit };
        }
        // The header that says so goes no further than this.
        request.info.upgrade = request.info.protocol != Version::HTTP_2 && is_upgrade(request.http.headers());
        headers::edit_request(request.http.headers_mut(), &self.shared.rules, &mut request.info);
        request.info.log_head(&request.http);
        if self.shared.request_id_in_response {
            edit.request_id = request.http.headers().get(X_REQUEST_ID).cloned();
        }
        HeadersFuture::Inner { future: self.inner.call(request), edit }
    }
}

impl<F> Future for HeadersFuture<F>
where
    F: Future<Output = Result<Response, LocalReply>>,
{
    type Output = Result<Response, LocalReply>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (mut response, edit, local) = match self.project() {
            HeadersFutureProj::Inner { future, edit } => match ready!(future.poll(cx)) {
                Ok(response) => (response, edit, false),
                Err(reply) => (reply.into_response(), edit, true),
            },
            HeadersFutureProj::Reply { reply, edit } => match reply.take() {
                Some(reply) => (reply.into_response(), edit, true),
                None => return Poll::Pending,
            },
        };
        edit.finish(&mut response, local);
        Poll::Ready(Ok(response))
    }
}

impl Edit {
    fn finish(&mut self, response: &mut Response, local: bool) {
        let info = &mut response.info;
        // What is left of the request would be read as the next one.
        if info.progress.as_ref().is_some_and(|progress| !progress.has_ended()) {
            info.close_downstream = true;
        }
        if response.http.status() == StatusCode::NO_CONTENT {
            response.http.headers_mut().remove(header::CONTENT_LENGTH);
        }
        *response.http.version_mut() = Version::HTTP_11;
        if local && info.response_code_details.is_empty() {
            info.response_code_details = "direct_response";
        }
        let close = info.close_downstream;
        headers::edit_response(
            response.http.headers_mut(),
            &self.shared.rules,
            self.version,
            close,
            self.request_id.take(),
        );
    }
}

/// Why the connection manager answers a request itself.
struct Refused {
    status: StatusCode,
    details: &'static str,
    close: bool,
}

impl Refused {
    fn new(status: StatusCode, details: &'static str) -> Self {
        Self { status, details, close: true }
    }

    fn reply(self, info: Box<StreamInfo>) -> LocalReply {
        let reply = LocalReply::new(info, self.status, self.details);
        if self.close { reply.close() } else { reply }
    }
}

/// Checks what every request must have, and brings an absolute form into the origin form.
fn refuse(request: &mut Request, shared: &Shared) -> Option<Refused> {
    let http1 = request.info.protocol != Version::HTTP_2;
    let http = &mut request.http;
    if http.method() == Method::CONNECT {
        // It has no path that could be looked at, and the route layer has no route for it.
        return None;
    }
    // Without leave for the absolute form, the target is a path that does not begin with a slash.
    let mut not_a_path = false;
    if http1 && http.uri().authority().is_some() {
        if shared.allow_absolute_url {
            to_origin_form(http);
        } else {
            not_a_path = true;
            request.info.log_target(http.uri());
        }
    }
    if !http1 && http.headers().contains_key(header::HOST) {
        if http.uri().authority().is_some() {
            // `:authority` is what the client asked for (RFC 9113, 8.3.1); nobody behind us may see another name.
            headers::retain(http.headers_mut(), |name, _| *name != header::HOST);
        } else if http.headers().get_all(header::HOST).iter().nth(1).is_some() {
            return Some(Refused::new(StatusCode::BAD_REQUEST, "http.invalid_authority"));
        }
    }
    if http1 && headers::connection_names(http.headers(), b"host") {
        http.headers_mut().remove(header::HOST);
        request.info.log_head(http);
        return Some(Refused::new(StatusCode::BAD_REQUEST, "missing_host_header"));
    }
    let host = match http.headers().get(header::HOST) {
        Some(host) => host.as_bytes(),
        None => match http.uri().authority() {
            Some(authority) if !http1 => authority.as_str().as_bytes(),
            _ => return Some(Refused::new(StatusCode::BAD_REQUEST, "missing_host_header")),
        },
    };
    // Over HTTP/1 it has been looked at with the rest of the head.
    if !http1 && !headers::is_authority(host) {
        return Some(Refused::new(StatusCode::BAD_REQUEST, "http.invalid_authority"));
    }
    if not_a_path || !http.uri().path().starts_with('/') {
        shared.stats.downstream_rq_non_relative_path.increment(1);
        return Some(Refused {
            close: false,
            ..Refused::new(StatusCode::NOT_FOUND, "absolute_path_rejected")
        });
    }
    None
}

/// `GET http://host/path` becomes `GET /path` with `Host: host`, whatever `Host` said (RFC 9112, 3.2.2).
fn to_origin_form<B>(http: &mut http::Request<B>) {
    let uri = std::mem::take(http.uri_mut());
    let authority = uri.authority().map_or("", Authority::as_str);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Ok(host) = HeaderValue::from_str(host) {
        http.headers_mut().insert(header::HOST, host);
    }
    if let Some(path) = uri.into_parts().path_and_query {
        *http.uri_mut() = path.into();
    }
}

fn is_upgrade(headers: &http::HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|protocol| !protocol.as_bytes().eq_ignore_ascii_case(b"h2c"))
        && headers::connection_names(headers, b"upgrade")
}

#[cfg(test)]
mod tests;
