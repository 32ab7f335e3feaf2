//! hyper's HTTP/2 codec as a source of streams: the service that it calls, and the bodies that it takes and gives.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use nuncio_service::{Body, BoxError, Request, RequestProgress, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    clock::ResponseClock,
    refusal,
    stream::{Overdue, Stream, StreamService},
};
use crate::local_reply::LocalReply;

pin_project! {
    /// A request on its way through the filters.
    #[project = StreamFutureProj]
    pub(crate) enum StreamFuture<F> {
        Filters { #[pin] future: F, stream: Option<HyperStream> },
        Refused { response: Option<http::Response<DownstreamBody>> },
    }
}

/// A stream and its clock.
#[derive(Debug)]
pub(crate) struct HyperStream {
    account: Stream,
    clock: Arc<ResponseClock>,
    state: Arc<super::state::ConnectionState>,
    idle: Option<std::time::Duration>,
    start: Instant,
    failed: bool,
}
/// A response body on its way to the client.
#[derive(Debug)]
pub(crate) struct DownstreamBody {
    body: Body,
    stream: Option<HyperStream>,
    /// Why there is no more, until the codec has written what there was.
    failure: Option<BoxError>,
}

/// A request body on its way to the filters.
#[derive(Debug)]
struct RequestBody {
    body: Incoming,
    progress: Arc<RequestProgress>,
}

impl<S> hyper::service::Service<http::Request<Incoming>> for StreamService<S>
where
    S: Service<Request, Response = Response, Error = LocalReply> + Clone,
{
    type Response = http::Response<DownstreamBody>;
    type Error = BoxError;
    type Future = StreamFuture<S::Future>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let start = Instant::now();
        let refusal = refusal::of_http2_headers(request.headers(), self.shared.max_headers_count);
        let mut progress = None;
        let http = request.map(|body| {
            if body.is_end_stream() {
                return Body::Empty;
            }
            let counted = Arc::clone(progress.insert(Arc::default()));
            Body::Stream(Box::pin(RequestBody { body, progress: counted }))
        });
        let (account, request) = self.begin(start, http, progress);
        let mut stream = HyperStream {
            account,
            state: Arc::clone(&self.state),
            clock: self.state.make_clock(),
            start,
            idle: self.shared.stream_idle_timeout,
            failed: false,
        };
        if let Some(refusal) = refusal {
            let response = self.refuse(refusal, request.info, &mut stream.account);
            return StreamFuture::Refused { response: stream.answer(Ok(response)) };
        }
        // The filters are always ready: what may have to wait (a connection, a circuit breaker) does so, or fails,
        // within the call.
        let future = self.filters.clone().call(request);
        StreamFuture::Filters { future, stream: Some(stream) }
    }
}

impl<F> Future for StreamFuture<F>
where
    F: Future<Output = Result<Response, LocalReply>>,
{
    type Output = Result<http::Response<DownstreamBody>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const POLLED_AGAIN: &str = "a stream was polled after its end";
        match self.project() {
            StreamFutureProj::Filters { future, stream } => {
                let result = ready!(future.poll(cx));
                match stream.take() {
                    Some(stream) => {
                        Poll::Ready(stream.answer(result).ok_or_else(|| "the client has gone".into()))
                    }
                    None => Poll::Ready(Err(POLLED_AGAIN.into())),
                }
            }
            StreamFutureProj::Refused { response } => Poll::Ready(response.take().ok_or(POLLED_AGAIN.into())),
        }
    }
}

impl HyperStream {
    /// The response's head is there; the body takes the account along.
    fn answer(mut self, result: Result<Response, LocalReply>) -> Option<http::Response<DownstreamBody>> {
        let http = self.account.answer(result)?;
        let deadline = self.account.response_deadline().map(|deadline| self.state.ms(deadline));
        self.clock.end_by(deadline);
        self.clock.offer(self.state.ms(self.start));
        Some(http.map(|body| DownstreamBody { body, stream: Some(self), failure: None }))
    }
}

impl Drop for HyperStream {
    fn drop(&mut self) {
        if !self.account.is_complete() && !self.failed {
            let now = Instant::now();
            let blocked = self.state.write_due().is_some_and(|deadline| now >= deadline);
            let overdue = self.clock.overdue(self.idle, self.state.ms(now));
            if let Some(overdue) = overdue.or_else(|| blocked.then_some(Overdue::Idle)) {
                self.account.give_up(overdue);
            }
        }
        self.clock.ask();
    }
}

impl http_body::Body for DownstreamBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(stream) = &this.stream {
            stream.clock.ask();
        }
        if let Some(failure) = this.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        let Some(stream) = &mut this.stream else { return Poll::Ready(frame) };
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                stream.failed = true;
                stream.account.fail(&error);
                this.failure = Some(error);
                // The codec forgets what it has not written when it hears of a failure, so it gets to write first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => {
                stream.account.finish();
                return Poll::Ready(None);
            }
        };
        stream.account.sent(frame.data_ref().map_or(0, Bytes::len));
        if frame.is_trailers() || this.body.is_end_stream() {
            stream.account.finish();
        } else {
            stream.clock.offer(stream.state.ms(Instant::now()));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.failure.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            this.progress.read(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        if frame.is_none() || (matches!(frame, Some(Ok(_))) && this.body.is_end_stream()) {
            this.progress.end();
        }
        Poll::Ready(frame.map(|result| result.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
