//! The future of a response. Its states are named, so that a request on a pooled connection allocates nothing here;
//! only waiting for a connection is boxed.

use std::{
    fmt,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, StatusCode};
use nuncio_service::Body;

use crate::{
    cluster::HostPool,
    error::{Kind, UpstreamError},
    pool::{http1, http2},
};

/// A response and who sent it.
#[derive(Debug)]
pub struct UpstreamResponse {
    /// Head and body, as the host sent them. An error of the body is a boxed [`UpstreamError`].
    pub response: Response<Body>,
    /// The host.
    pub host: SocketAddr,
}

/// The response that is to come for a request; see [`Cluster::request`](crate::Cluster::request).
#[must_use = "nothing is sent unless it is polled"]
pub struct ResponseFuture {
    state: State,
    /// Interim responses that have not been taken yet.
    interim: Vec<StatusCode>,
}

enum State {
    Http1(http1::Exchange),
    Http1Waiting(Box<http1::Waiting>),
    Http2(http2::Exchange),
    Http2Waiting(Box<http2::Waiting>),
    Failed(Option<UpstreamError>),
}

impl ResponseFuture {
    pub(crate) fn failed(error: UpstreamError) -> Self {
        Self { state: State::Failed(Some(error)), interim: Vec::new() }
    }

    pub(crate) fn send(pool: HostPool, request: Request<Body>) -> Self {
        Self {
            state: match pool {
                HostPool::Http1(pool) => State::http1(&pool, request),
                HostPool::Http2(pool) => State::http2(&pool, request),
            },
            interim: Vec::new(),
        }
    }

    /// The interim responses (1xx) that have come since this was last asked. They are not passed on; after 100 of them
    /// the request fails.
    pub fn take_interim(&mut self) -> Vec<StatusCode> {
        std::mem::take(&mut self.interim)
    }

    /// The host that the request goes to; `None` where there was none to choose.
    pub fn host(&self) -> Option<SocketAddr> {
        let handle = match &self.state {
            State::Http1(exchange) => exchange.handle(),
            State::Http1Waiting(waiting) => waiting.pool().handle(),
            State::Http2(exchange) => return Some(exchange.host()),
            State::Http2Waiting(waiting) => waiting.pool().handle(),
            State::Failed(error) => return error.as_ref().and_then(UpstreamError::host),
        };
        Some(handle.host.description.address)
    }
}

impl State {
    fn failed(kind: Kind, host: SocketAddr) -> Self {
        Self::Failed(Some(UpstreamError::unsent(kind, Some(host))))
    }

    /// A request for which the queue has no room went to no host yet; Envoy's log names none.
    fn no_room(kind: Kind) -> Self {
        Self::Failed(Some(UpstreamError::unsent(kind, None)))
    }

    fn http1(pool: &Arc<http1::Pool>, request: Request<Body>) -> Self {
        match pool.take_idle() {
            Some(lease) => Self::begin_http1(lease, request),
            None => pool.wait(request).map_or_else(Self::no_room, Self::Http1Waiting),
        }
    }

    fn begin_http1(lease: http1::Lease, request: Request<Body>) -> Self {
        let host = lease.handle().host.description.address;
        http1::Exchange::begin(lease, request).map_or_else(|kind| Self::failed(kind, host), Self::Http1)
    }

    fn begin_http2(slot: http2::Slot, request: Request<Body>) -> Self {
        let pool = Arc::clone(slot.pool());
        match http2::Exchange::begin(slot, request) {
            Ok(exchange) => Self::Http2(exchange),
            Err(http2::NotBegun::Unsent(request)) => Self::http2(&pool, *request),
            Err(http2::NotBegun::Failed(kind)) => Self::failed(kind, pool.handle().host.description.address),
        }
    }

    fn http2(pool: &Arc<http2::Pool>, request: Request<Body>) -> Self {
        match pool.take_slot() {
            Some(slot) => Self::begin_http2(slot, request),
            None => pool.wait(request).map_or_else(Self::no_room, Self::Http2Waiting),
        }
    }
}

impl Future for ResponseFuture {
    type Output = Result<UpstreamResponse, UpstreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            this.state = match &mut this.state {
                State::Http1(exchange) => {
                    let host = exchange.handle().host.description.address;
                    match ready!(exchange.poll(cx, &mut this.interim)) {
                        http1::Outcome::Response(response) => {
                            return this.finish(Ok(UpstreamResponse { response, host }));
                        }
                        http1::Outcome::Failed(kind) => {
                            return this.finish(Err(UpstreamError::sent(kind, host)));
                        }
                        http1::Outcome::Unsent(request) => State::http1(exchange.pool(), *request),
                    }
                }
                State::Http1Waiting(waiting) => {
                    let host = waiting.pool().handle().host.description.address;
                    match ready!(waiting.poll(cx)) {
                        Ok((lease, request)) => State::begin_http1(lease, request),
                        Err(kind) => State::failed(kind, host),
                    }
                }
                State::Http2(exchange) => {
                    let host = exchange.host();
                    let result = ready!(exchange.poll(cx, &mut this.interim));
                    return this.finish(
                        result
                            .map(|response| UpstreamResponse { response, host })
                            .map_err(|kind| UpstreamError::sent(kind, host)),
                    );
                }
                State::Http2Waiting(waiting) => {
                    let pool = Arc::clone(waiting.pool());
                    match ready!(waiting.poll(cx)) {
                        Ok((slot, request)) => State::begin_http2(slot, request),
                        Err(kind) => State::failed(kind, pool.handle().host.description.address),
                    }
                }
                State::Failed(error) => {
                    let error = error.take();
                    return Poll::Ready(Err(
                        error.unwrap_or_else(|| UpstreamError::unsent(Kind::LocalReset, None))
                    ));
                }
            };
        }
    }
}

impl ResponseFuture {
    fn finish(
        &mut self,
        result: Result<UpstreamResponse, UpstreamError>,
    ) -> Poll<Result<UpstreamResponse, UpstreamError>> {
        self.state = State::Failed(None);
        Poll::Ready(result)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("host", &self.host()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    /// Each request of each connection holds one of these.
    #[test]
    fn the_future_is_small() {
        assert!(size_of::<super::ResponseFuture>() <= 256, "{}", size_of::<super::ResponseFuture>());
    }
}
