//! One stream between the codec and the filters: a request goes in, a response comes out, and whatever becomes of
//! it is counted and logged exactly once.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{body::Incoming, ext::ReasonPhrase};
use nuncio_cluster::UpstreamError;
use nuncio_service::{
    Body, BoxError, LoggedRequest, Request, RequestProgress, Response, ResponseFlags, StreamInfo,
};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    Shared,
    clock::{Overdue, ResponseClock},
    refusal::{self, Refusal},
    state::ConnectionState,
};
use crate::{access_log::Record, headers, local_reply::LocalReply, router_filter::TimedOut, stats::whole_ms};

/// Filters answer so when the request's body ends with its client.
const GONE: ResponseFlags = ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION;

/// The service that the codec calls, once per request.
#[derive(Debug)]
pub(crate) struct StreamService<S> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Arc<ConnectionState>,
    pub(crate) connection: Arc<nuncio_service::Connection>,
    pub(crate) filters: S,
}

pin_project! {
    /// A request on its way through the filters.
    #[project = StreamFutureProj]
    pub(crate) enum StreamFuture<F> {
        Filters { #[pin] future: F, stream: Option<Stream> },
        Refused { response: Option<http::Response<DownstreamBody>> },
    }
}

/// A stream's account, settled when it is dropped.
#[derive(Debug)]
pub(crate) struct Stream {
    shared: Arc<Shared>,
    state: Arc<ConnectionState>,
    start: Instant,
    protocol: Version,
    progress: Option<Arc<RequestProgress>>,
    /// That of an HTTP/2 stream.
    clock: Option<Arc<ResponseClock>>,
    /// Kept only where there is an access log.
    logged: Option<Arc<Mutex<LoggedRequest>>>,
    /// The status and, where there is a log, the headers that were sent.
    response: Option<(StatusCode, HeaderMap)>,
    /// What the filters found out; the response brings it.
    info: Option<Box<StreamInfo>>,
    connection: Arc<nuncio_service::Connection>,
    bytes_sent: u64,
    /// Whether the request was a HEAD, whose response has no body to read to its end.
    head: bool,
    /// Whether the response was handed over to its end.
    complete: bool,
    failed: bool,
    /// Whether the request was answered in the codec's name.
    refused: bool,
}

/// A response body on its way to the client.
#[derive(Debug)]
pub(crate) struct DownstreamBody {
    body: Body,
    stream: Option<Stream>,
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
        let refusal = match self.state.begin_stream(chunked) {
            Some(refusal) => Some(refusal),
            None if version < Version::HTTP_11 => Some(refusal::LOW_VERSION),
            None if http1 => refusal::of_target(request.method(), request.uri())
                .or_else(|| refusal::of_headers(request.headers())),
            None => refusal::of_http2_headers(request.headers(), self.shared.max_headers_count),
        };
        let (stream, request) = self.begin(start, request);
        if let Some(refusal) = refusal {
            let response = self.refuse(refusal, request.info, stream);
            return StreamFuture::Refused { response: Some(response) };
        }
        // The filters are always ready: what may have to wait (a connection, a circuit breaker) does so, or fails,
        // within the call.
        let future = self.filters.clone().call(request);
        StreamFuture::Filters { future, stream: Some(stream) }
    }
}

impl<S> StreamService<S> {
    fn begin(&self, start: Instant, request: http::Request<Incoming>) -> (Stream, Request) {
        let version = request.version();
        let stats = &self.shared.stats;
        stats.downstream_rq_total.increment(1);
        stats.downstream_rq_active.increment(1);
        if version == Version::HTTP_2 {
            stats.downstream_rq_http2_total.increment(1);
        } else {
            stats.downstream_rq_http1_total.increment(1);
        }
        let mut info = Box::new(StreamInfo::new(start, Arc::clone(&self.connection), version));
        let http = request.map(|body| {
            if body.is_end_stream() {
                return Body::Empty;
            }
            let progress = Arc::new(RequestProgress::default());
            info.progress = Some(Arc::clone(&progress));
            Body::Stream(Box::pin(RequestBody { body, progress, trailers: version == Version::HTTP_2 }))
        });
        let limit = self.shared.max_requests_per_connection;
        if limit.is_some_and(|limit| self.state.total_streams() >= limit) {
            stats.downstream_cx_max_requests_reached.increment(1);
            info.close_downstream = true;
        }
        if version != Version::HTTP_2 && headers::asks_to_close(http.headers()) {
            info.close_downstream = true;
        }
        if !self.shared.access_log.is_empty() {
            info.logged = Some(Arc::default());
            info.log_head(&http);
        }
        let stream = Stream {
            shared: Arc::clone(&self.shared),
            state: Arc::clone(&self.state),
            start,
            protocol: version,
            progress: info.progress.clone(),
            clock: (version == Version::HTTP_2).then(|| self.state.make_clock()),
            logged: info.logged.clone(),
            response: None,
            info: None,
            connection: Arc::clone(&self.connection),
            bytes_sent: 0,
            head: *http.method() == Method::HEAD,
            complete: false,
            failed: false,
            refused: false,
        };
        (stream, Request { http, info })
    }

    /// Answers in the codec's name and ends the connection.
    #[cold]
    fn refuse(
        &self,
        refusal: Refusal,
        info: Box<StreamInfo>,
        mut stream: Stream,
    ) -> http::Response<DownstreamBody> {
        self.state.count_refusal();
        stream.refused = true;
        if refusal == refusal::LOW_VERSION {
            self.state.refuse_low_version();
        }
        if info.progress.is_none() {
            // Envoy counts a refusal as an answer to an incomplete request, even if nothing was to follow.
            self.shared.stats.downstream_rq_rx_reset.increment(1);
            self.shared.stats.downstream_rq_response_before_rq_complete.increment(1);
        }
        let reason = refusal.status.canonical_reason().unwrap_or("Unknown");
        let mut response = LocalReply::new(info, refusal.status, refusal.details)
            .body(reason)
            .flags(ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR)
            .close()
            .into_response();
        let version = if stream.is_http1() { Version::HTTP_11 } else { Version::HTTP_2 };
        headers::edit_response(response.http.headers_mut(), &self.shared.rules, version, true, None);
        stream.answer(response)
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
                let response = match ready!(future.poll(cx)) {
                    Ok(response) => response,
                    Err(reply) => reply.into_response(),
                };
                match stream.take() {
                    Some(stream) if response.info.flags.contains(GONE) => {
                        stream.abandon(response.info);
                        Poll::Ready(Err("the client has gone".into()))
                    }
                    Some(stream) => Poll::Ready(Ok(stream.answer(response))),
                    None => Poll::Ready(Err(POLLED_AGAIN.into())),
                }
            }
            StreamFutureProj::Refused { response } => Poll::Ready(response.take().ok_or(POLLED_AGAIN.into())),
        }
    }
}

impl Stream {
    /// The client went away while it sent its request: nobody takes an answer.
    fn abandon(mut self, mut info: Box<StreamInfo>) {
        // What ends the stream says why.
        info.flags = ResponseFlags::default();
        self.info = Some(info);
    }

    /// The response's head is there; the body takes the account along.
    fn answer(mut self, response: Response) -> http::Response<DownstreamBody> {
        let Response { mut http, info } = response;
        let status = http.status();
        self.shared.stats.charge_status(status);
        if self.progress.as_ref().is_some_and(|progress| !progress.has_ended()) {
            self.shared.stats.downstream_rq_response_before_rq_complete.increment(1);
        }
        let headers = if self.logged.is_some() { http.headers().clone() } else { HeaderMap::new() };
        self.response = Some((status, headers));
        let deadline = info.response_deadline.map(|deadline| self.state.ms(deadline));
        self.clock().end_by(deadline);
        self.clock().offer(self.state.ms(self.start));
        self.info = Some(info);
        if self.is_http1() && self.state.is_draining() && !http.headers().contains_key(header::CONNECTION) {
            self.shared.stats.downstream_cx_drain_close.increment(1);
            http.headers_mut().append(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.is_http1()
            && let Some(reason) = reason(status)
        {
            http.extensions_mut().insert(ReasonPhrase::from_static(reason.as_bytes()));
        }
        let says_zero = self.is_http1() && !self.head && says_zero(&http);
        // The codec asks an empty body for nothing.
        self.complete = self.head || http.body().is_end_stream();
        http.map(|body| {
            let left = body.size_hint().exact().filter(|_| self.is_http1() && !self.head);
            DownstreamBody { body, stream: Some(self), left, last: None, failure: None, says_zero }
        })
    }

    /// The response was cut off; whoever did it says why.
    fn fail(&mut self, error: &BoxError) {
        self.failed = true;
        let Some(info) = &mut self.info else { return };
        if let Some(error) = error.downcast_ref::<UpstreamError>() {
            info.flags.insert(error.flags());
            info.response_code_details = error.details();
        } else if let Some(timed_out) = error.downcast_ref::<TimedOut>() {
            info.flags.insert(timed_out.flags);
            info.response_code_details = timed_out.details;
        }
    }

    fn clock(&self) -> &ResponseClock {
        self.clock.as_deref().unwrap_or_else(|| self.state.response())
    }

    /// The client has not taken the response in time.
    fn give_up(&mut self, overdue: Overdue) {
        self.failed = true;
        let (flags, details) = match overdue {
            Overdue::Route => (ResponseFlags::UPSTREAM_REQUEST_TIMEOUT, "response_timeout"),
            Overdue::Idle => {
                self.shared.stats.downstream_rq_idle_timeout.increment(1);
                (ResponseFlags::STREAM_IDLE_TIMEOUT, "stream_idle_timeout")
            }
        };
        if let Some(info) = &mut self.info {
            info.flags.insert(flags);
            info.response_code_details = details;
        }
    }

    fn received(&self) -> u64 {
        self.progress.as_ref().map_or(0, |progress| progress.bytes())
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

impl Drop for Stream {
    fn drop(&mut self) {
        let now = Instant::now();
        let idle = self.shared.stream_idle_timeout;
        let blocked = self.state.write_deadline(idle).is_some_and(|deadline| now >= deadline);
        let overdue =
            self.clock().overdue(idle, self.state.ms(now)).or_else(|| blocked.then_some(Overdue::Idle));
        if let Some(overdue) = overdue
            && !self.complete
            && !self.failed
        {
            self.give_up(overdue);
        }
        self.clock().ask();
        let stats = &self.shared.stats;
        let request_complete = self.progress.as_ref().is_none_or(|progress| progress.has_ended());
        self.state.end_stream(now);
        let duration = now.saturating_duration_since(self.start);
        stats.downstream_rq_active.decrement(1);
        let mut reset = None;
        if !request_complete || !self.complete {
            stats.downstream_rq_rx_reset.increment(1);
        }
        if !request_complete {
            self.state.leave_unread();
        }
        if self.complete {
            stats.downstream_rq_time.record(whole_ms(duration));
        } else if self.failed {
            stats.downstream_rq_tx_reset.increment(1);
        } else {
            // Nobody took the response: the client reset the stream or went away.
            reset = Some(if self.protocol == Version::HTTP_2 && !self.state.is_remote_closed() {
                self.state.count_reset(duration);
                (ResponseFlags::DOWNSTREAM_REMOTE_RESET, "http2.remote_reset")
            } else {
                (ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION, "downstream_remote_disconnect")
            });
        }
        if self.shared.access_log.is_empty() {
            return;
        }
        let mut info = self.info.take().unwrap_or_else(|| {
            Box::new(StreamInfo::new(self.start, Arc::clone(&self.connection), self.protocol))
        });
        if let Some((flag, details)) = reset {
            info.flags.insert(flag);
            info.response_code_details = details;
        }
        let logged = self.logged.as_ref().map(|logged| logged.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.access_log.write(&Record {
            request: logged.as_deref().filter(|_| !self.refused),
            response: self.response.as_ref().map(|(status, headers)| (*status, headers)),
            info: &info,
            bytes_received: self.received(),
            bytes_sent: self.bytes_sent,
            duration,
        });
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
                    stream.fail(&error);
                    this.failure = Some(error);
                    // The codec forgets what it has not written when it hears of a failure, so it gets to write first.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => {
                    stream.complete = true;
                    return Poll::Ready(this.last.take().map(Ok));
                }
            };
            let Some(data) = frame.data_ref() else {
                stream.complete = true;
                // HTTP/1 clients get no trailers, as in Envoy by default.
                let trailers = (!stream.is_http1()).then_some(frame);
                return Poll::Ready(this.last.take().or(trailers).map(Ok));
            };
            let length = data.len() as u64;
            stream.bytes_sent += length;
            if stream.is_http1() && !stream.refused {
                stream.state.hold_body();
            }
            this.left = this.left.map(|left| left.saturating_sub(length));
            stream.complete |= this.body.is_end_stream();
            if this.left == Some(0) && !stream.complete {
                this.last = Some(frame);
                continue;
            }
            if !stream.complete {
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

impl Stream {
    fn is_http1(&self) -> bool {
        self.protocol != Version::HTTP_2
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
