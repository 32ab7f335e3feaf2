//! The router filter: sends the routed request to its cluster, watches the clock, and makes a response of whatever
//! comes of it. The end of the filter chain.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use nuncio_cluster::{Cluster, ResponseFuture, UpstreamError, UpstreamResponse};
use nuncio_config::model::HttpConnectionManager;
use nuncio_service::{Body, BoxError, Response, ResponseFlags, StreamInfo};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    headers::{X_ENVOY_OVERLOADED, X_ENVOY_UPSTREAM_CANARY, X_ENVOY_UPSTREAM_SERVICE_TIME},
    layers::route::RoutedRequest,
    local_reply::LocalReply,
    stats::HttpStats,
    timeouts::{Expired, Timeouts},
};

/// See the module.
#[derive(Debug, Clone)]
pub struct RouterFilter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stats: Arc<HttpStats>,
    stream_idle_timeout: Option<Duration>,
    request_timeout: Option<Duration>,
}

pin_project! {
    /// The future of [`RouterFilter`].
    pub struct RouterFuture {
        #[pin]
        upstream: Option<ResponseFuture>,
        exchange: Option<Exchange>,
    }

    impl PinnedDrop for RouterFuture {
        fn drop(this: Pin<&mut Self>) {
            // The client has gone; the log still tells where its request was.
            if let (Some(upstream), Some(exchange)) = (&this.upstream, &this.exchange) {
                exchange.info.log_upstream_host(upstream.host());
            }
        }
    }
}

/// What belongs to one request while it is upstream.
#[derive(Debug)]
struct Exchange {
    shared: Arc<Shared>,
    cluster: Cluster,
    info: Box<StreamInfo>,
    timeouts: Timeouts,
}

/// A response body under the clocks of its stream.
struct TimedBody {
    body: Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError> + Send>>,
    timeouts: Timeouts,
    shared: Arc<Shared>,
    cluster: Cluster,
    host: std::net::SocketAddr,
    /// What the time of the response is recorded under, until it is: whether the request is internal, and whether the
    /// host is a canary.
    timed_as: Option<(bool, bool)>,
    done: bool,
}

/// A response was cut off by a clock.
#[derive(Debug, thiserror::Error)]
#[error("the response took too long")]
pub(crate) struct TimedOut {
    pub(crate) flags: ResponseFlags,
    pub(crate) details: &'static str,
}

impl RouterFilter {
    /// The router filter of one connection manager.
    pub fn new(config: &HttpConnectionManager, stats: Arc<HttpStats>) -> Self {
        let shared = Shared {
            stats,
            stream_idle_timeout: config.stream_idle_timeout,
            request_timeout: config.request_timeout,
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Service<RoutedRequest> for RouterFilter {
    type Response = Response;
    type Error = LocalReply;
    type Future = RouterFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LocalReply>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, routed: RoutedRequest) -> RouterFuture {
        let Some((cluster, timeout)) = routed.target().map(|target| (target.cluster.clone(), target.timeout))
        else {
            return RouterFuture { upstream: None, exchange: None };
        };
        let nuncio_service::Request { http, mut info } = routed.request;
        info.cluster = Some(Arc::clone(cluster.name()));
        info.log_head(&http);
        let timeouts = Timeouts::new(
            info.start,
            timeout,
            self.shared.stream_idle_timeout,
            self.shared.request_timeout,
            info.progress.clone(),
        );
        let upstream = cluster.request(http);
        let exchange = Exchange { shared: Arc::clone(&self.shared), cluster, info, timeouts };
        RouterFuture { upstream: Some(upstream), exchange: Some(exchange) }
    }
}

impl Future for RouterFuture {
    type Output = Result<Response, LocalReply>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (Some(mut upstream), Some(exchange)) =
            (this.upstream.as_mut().as_pin_mut(), this.exchange.as_mut())
        else {
            return Poll::Pending;
        };
        let result = upstream.as_mut().poll(cx);
        for status in upstream.as_mut().get_mut().take_interim() {
            exchange.cluster.charge_response(status, exchange.info.internal, false);
        }
        let result = match result {
            Poll::Ready(result) => Ok(result),
            Poll::Pending => {
                let expired = ready!(exchange.timeouts.poll(cx));
                exchange.info.upstream_host = upstream.host();
                Err(expired)
            }
        };
        let Some(exchange) = this.exchange.take() else { return Poll::Pending };
        // Ends the exchange upstream where there still is one.
        this.upstream.set(None);
        Poll::Ready(match result {
            Ok(Ok(response)) => Ok(exchange.respond(response)),
            Ok(Err(error)) => Err(exchange.fail(&error)),
            Err(expired) => Err(exchange.expire(expired)),
        })
    }
}

impl Exchange {
    fn respond(mut self, upstream: UpstreamResponse) -> Response {
        let UpstreamResponse { mut response, host } = upstream;
        let mut info = self.info;
        info.upstream_host = Some(host);
        info.response_code_details = "via_upstream";
        // A response that comes before its request is complete says nothing about the upstream's speed.
        let elapsed = self.timeouts.request_end().map(|end| Instant::now().saturating_duration_since(end));
        if let Some(elapsed) = elapsed {
            let ms = HeaderValue::from(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            response.headers_mut().insert(X_ENVOY_UPSTREAM_SERVICE_TIME, ms);
            info.upstream_service_time = Some(elapsed);
        }
        info.response_deadline = self.timeouts.route_deadline();
        let canary = response.headers().get(X_ENVOY_UPSTREAM_CANARY).is_some_and(|value| value == "true");
        self.cluster.charge_response(response.status(), info.internal, canary);
        // All of it is there already.
        let body_has_ended = response.body().is_end_stream() || !matches!(response.body(), Body::Stream(_));
        if let Some(elapsed) = elapsed.filter(|_| body_has_ended) {
            self.cluster.charge_time(info.internal, canary, elapsed);
        }
        let http = response.map(|body| match body {
            Body::Stream(body) => Body::Stream(Box::pin(TimedBody {
                body,
                timeouts: self.timeouts,
                shared: self.shared,
                cluster: self.cluster,
                host,
                timed_as: (!body_has_ended).then_some((info.internal, canary)),
                done: false,
            })),
            whole => whole,
        });
        Response { http, info }
    }

    fn fail(mut self, error: &UpstreamError) -> LocalReply {
        self.info.upstream_host = error.host();
        self.info.upstream_failure = error.transport_failure_reason();
        if error.is_request_body()
            && self.info.progress.as_ref().is_some_and(|progress| progress.is_malformed())
        {
            self.shared.stats.downstream_cx_protocol_error.increment(1);
            return LocalReply::new(self.info, StatusCode::BAD_REQUEST, "http1.codec_error")
                .body("Bad Request")
                .flags(ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR)
                .close();
        }
        let status = error.status();
        if !error.is_request_body() {
            self.cluster.charge_response(status, self.info.internal, false);
        }
        let mut reply =
            LocalReply::new(self.info, status, error.details()).body(error.body()).flags(error.flags());
        if error.is_overflow() {
            reply.headers.insert(X_ENVOY_OVERLOADED, HeaderValue::from_static("true"));
        }
        reply
    }

    fn expire(self, expired: Expired) -> LocalReply {
        let request_complete = self.info.progress.as_ref().is_none_or(|progress| progress.has_ended());
        let stats = &self.shared.stats;
        match expired {
            Expired::Route => {
                self.cluster.charge_timeout(self.info.upstream_host);
                self.cluster.charge_response(StatusCode::GATEWAY_TIMEOUT, self.info.internal, false);
                LocalReply::new(self.info, StatusCode::GATEWAY_TIMEOUT, "response_timeout")
                    .body("upstream request timeout")
                    .flags(ResponseFlags::UPSTREAM_REQUEST_TIMEOUT)
            }
            Expired::Idle => {
                stats.downstream_rq_idle_timeout.increment(1);
                let status =
                    if request_complete { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::REQUEST_TIMEOUT };
                LocalReply::new(self.info, status, "stream_idle_timeout")
                    .body("stream timeout")
                    .flags(ResponseFlags::STREAM_IDLE_TIMEOUT)
            }
            Expired::Request => {
                stats.downstream_rq_timeout.increment(1);
                LocalReply::new(self.info, StatusCode::REQUEST_TIMEOUT, "request_overall_timeout")
                    .body("request timeout")
                    .close()
            }
        }
    }
}

impl TimedBody {
    /// The response has ended well. One that comes before its request is complete says nothing about the host's speed.
    fn charge_time(&mut self) {
        if let Some((internal, canary)) = self.timed_as.take()
            && let Some(end) = self.timeouts.request_end()
        {
            self.cluster.charge_time(internal, canary, end.elapsed());
        }
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        // Whoever gives up a response that the client does not take does not know the cluster.
        if !self.done
            && !self.body.is_end_stream()
            && self.timeouts.route_deadline().is_some_and(|deadline| Instant::now() >= deadline)
        {
            self.cluster.charge_timeout(Some(self.host));
        }
    }
}

impl http_body::Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = this.body.as_mut().poll_frame(cx) {
            let ended = match &frame {
                Some(Ok(frame)) => frame.is_trailers() || this.body.is_end_stream(),
                Some(Err(_)) => {
                    this.timed_as = None;
                    false
                }
                None => true,
            };
            if ended {
                this.charge_time();
            } else if matches!(frame, Some(Ok(_))) {
                this.timeouts.touch();
            }
            return Poll::Ready(frame);
        }
        let expired = ready!(this.timeouts.poll(cx));
        this.done = true;
        let (flags, details) = match expired {
            Expired::Route => {
                this.cluster.charge_timeout(Some(this.host));
                (ResponseFlags::UPSTREAM_REQUEST_TIMEOUT, "response_timeout")
            }
            Expired::Idle => {
                this.shared.stats.downstream_rq_idle_timeout.increment(1);
                (ResponseFlags::STREAM_IDLE_TIMEOUT, "stream_idle_timeout")
            }
            Expired::Request => {
                this.shared.stats.downstream_rq_timeout.increment(1);
                (ResponseFlags::default(), "request_overall_timeout")
            }
        };
        Poll::Ready(Some(Err(Box::new(TimedOut { flags, details }))))
    }

    fn is_end_stream(&self) -> bool {
        self.done || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
