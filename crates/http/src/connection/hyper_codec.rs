//! hyper's codecs as a source of streams: the service that they call, and the bodies that they take and give.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{StatusCode, Version, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{body::Incoming, ext::ReasonPhrase};
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
    http1: bool,
    /// That of an HTTP/2 stream.
    clock: Option<Arc<ResponseClock>>,
    state: Arc<super::state::ConnectionState>,
    idle: Option<std::time::Duration>,
    start: Instant,
    failed: bool,
    refused: bool,
}
/// A response body on its way to the client.
#[derive(Debug)]
pub(crate) struct DownstreamBody {
    body: Body,
    stream: Option<HyperStream>,
    /// How many bytes are still to come, where an HTTP/1 client was told their number.
    left: Option<u64>,
    /// The last bytes, held until the body has ended: the codec asks for no more once it has all it announced, and
    /// an upstream stream that is dropped before its end would be reset.
    last: Option<Frame<Bytes>>,
    /// Why there is no more, until the codec has written what there was.
    failure: Option<BoxError>,
    /// Whether the head says `content-length: 0`.
    says_zero: bool,
}

/// A request body on its way to the filters.
#[derive(Debug)]
struct RequestBody {
    body: Incoming,
    progress: Arc<RequestProgress>,
    trailers: bool,
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
        let version = request.version();
        let http1 = version != Version::HTTP_2;
        let chunked = http1 && request.headers().contains_key(header::TRANSFER_ENCODING);
        let refusal = match self.state.take_head(chunked) {
            Some(refusal) => Some(refusal),
            None if version < Version::HTTP_11 => Some(refusal::LOW_VERSION),
            None if http1 => refusal::of_target(request.method(), request.uri())
                .or_else(|| refusal::of_headers(request.headers())),
            None => refusal::of_http2_headers(request.headers(), self.shared.max_headers_count),
        };
        let mut progress = None;
        let http = request.map(|body| {
            if body.is_end_stream() {
                return Body::Empty;
            }
            let counted = Arc::clone(progress.insert(Arc::default()));
            Body::Stream(Box::pin(RequestBody { body, progress: counted, trailers: !http1 }))
        });
        let (account, request) = self.begin(start, http, progress);
        let mut stream = HyperStream {
            account,
            state: Arc::clone(&self.state),
            clock: (!http1).then(|| self.state.make_clock()),
            http1,
            start,
            idle: self.shared.stream_idle_timeout,
            failed: false,
            refused: refusal.is_some(),
        };
        if let Some(refusal) = refusal {
            if refusal == refusal::LOW_VERSION {
                self.state.refuse_low_version();
            }
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
        let mut http = self.account.answer(result)?;
        let deadline = self.account.response_deadline().map(|deadline| self.state.ms(deadline));
        self.clock().end_by(deadline);
        self.clock().offer(self.state.ms(self.start));
        if self.http1
            && let Some(reason) = reason(http.status())
        {
            http.extensions_mut().insert(ReasonPhrase::from_static(reason.as_bytes()));
        }
        let says_zero = self.http1 && !self.account.is_head() && says_zero(&http);
        Some(http.map(|body| {
            let left = body.size_hint().exact().filter(|_| self.http1 && !self.account.is_head());
            DownstreamBody { body, stream: Some(self), left, last: None, failure: None, says_zero }
        }))
    }

    fn clock(&self) -> &ResponseClock {
        self.clock.as_deref().unwrap_or_else(|| self.state.response())
    }
}

impl Drop for HyperStream {
    fn drop(&mut self) {
        if !self.account.is_complete() && !self.failed {
            let now = Instant::now();
            let blocked = self.state.write_deadline(self.idle).is_some_and(|deadline| now >= deadline);
            let overdue = self.clock().overdue(self.idle, self.state.ms(now));
            if let Some(overdue) = overdue.or_else(|| blocked.then_some(Overdue::Idle)) {
                self.account.give_up(overdue);
            }
        }
        self.clock().ask();
    }
}

/// Whether the head says `content-length: 0`. If the codec is told that there is no body, it moves that to the end.
fn says_zero(http: &http::Response<Body>) -> bool {
    !matches!(http.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        && http.headers().get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() == b"0")
}

/// What the status line calls a status where Envoy and the codec have different words for it.
fn reason(status: StatusCode) -> Option<&'static str> {
    match status.as_u16() {
        418 => Some("Unknown"),
        599 => Some("Last Unassigned Server Error Code"),
        _ if status.canonical_reason().is_none() => Some("Unknown"),
        _ => None,
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
            stream.clock().ask();
        }
        if let Some(failure) = this.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        loop {
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
                    return Poll::Ready(this.last.take().map(Ok));
                }
            };
            let Some(data) = frame.data_ref() else {
                stream.account.finish();
                // HTTP/1 clients get no trailers, as in Envoy by default.
                let trailers = (!stream.http1).then_some(frame);
                return Poll::Ready(this.last.take().or(trailers).map(Ok));
            };
            let length = data.len();
            stream.account.sent(length);
            if stream.http1 && !stream.refused {
                stream.state.hold_body();
            }
            this.left = this.left.map(|left| left.saturating_sub(length as u64));
            if this.body.is_end_stream() {
                stream.account.finish();
            }
            let complete = stream.account.is_complete();
            if this.left == Some(0) && !complete {
                this.last = Some(frame);
                continue;
            }
            if !complete {
                stream.clock().offer(stream.state.ms(Instant::now()));
            }
            return Poll::Ready(Some(Ok(frame)));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.last.is_none() && self.failure.is_none() && !self.says_zero && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether a request's body ended because of what the client sent, rather than because it went away.
fn is_malformed(error: &hyper::Error) -> bool {
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    io.is_some_and(|io| matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
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
        if let Some(Err(error)) = &frame
            && is_malformed(error)
        {
            this.progress.break_off();
        }
        if frame.is_none() || (matches!(frame, Some(Ok(_))) && this.body.is_end_stream()) {
            this.progress.end();
        }
        match frame {
            Some(Ok(frame)) if frame.is_trailers() && !this.trailers => {
                this.progress.end();
                Poll::Ready(None)
            }
            frame => Poll::Ready(frame.map(|result| result.map_err(Into::into))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
