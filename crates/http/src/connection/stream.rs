//! The account of one stream: a request goes to the filters, a response comes back, and whatever becomes of it is
//! counted and logged exactly once. The codecs feed it; it knows none of them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use http_body::Body as _;
use nuncio_cluster::UpstreamError;
use nuncio_service::{
    Body, BoxError, LoggedRequest, Request, RequestProgress, Response, ResponseFlags, StreamInfo,
};

use super::{Shared, refusal::Refusal, state::ConnectionState};
use crate::{access_log::Record, headers, local_reply::LocalReply, router_filter::TimedOut, stats::whole_ms};

/// Filters answer so when the request's body ends with its client.
const GONE: ResponseFlags = ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION;

/// Makes the streams of one connection.
#[derive(Debug)]
pub(crate) struct StreamService<S> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Arc<ConnectionState>,
    pub(crate) connection: Arc<nuncio_service::Connection>,
    pub(crate) filters: S,
}

/// A stream's account, settled when it is dropped.
#[derive(Debug)]
pub(crate) struct Stream {
    shared: Arc<Shared>,
    state: Arc<ConnectionState>,
    start: Instant,
    protocol: Version,
    progress: Option<Arc<RequestProgress>>,
    /// Kept only where there is an access log.
    logged: Option<Arc<Mutex<LoggedRequest>>>,
    /// The status and, where there is a log, the headers that were sent.
    response: Option<(StatusCode, HeaderMap)>,
    /// What the filters found out; the response brings it.
    info: Option<Box<StreamInfo>>,
    connection: Arc<nuncio_service::Connection>,
    bytes_sent: u64,
    /// Whether the request was a HEAD, whose response has no body.
    head: bool,
    /// Whether the response was handed over to its end.
    complete: bool,
    failed: bool,
    /// Why an HTTP/2 stream ended before its connection did.
    reset: Option<Reset>,
    /// Whether the request was answered in the codec's name.
    refused: bool,
}

/// Why an HTTP/2 stream ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reset {
    /// The client reset it.
    ByClient,
    /// What the client sent on it was malformed, so that the codec reset it.
    Malformed(&'static str),
}

/// Why a response is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// The route's timeout is over.
    Route,
    /// The client has taken nothing for the stream's idle timeout.
    Idle,
}

impl<S> StreamService<S> {
    /// Begins the account of a request whose head was complete at `start`, and makes the request for the filters.
    /// Where there is a body to come, `progress` is what that body counts on.
    pub(crate) fn begin(
        &self,
        start: Instant,
        http: http::Request<Body>,
        progress: Option<Arc<RequestProgress>>,
    ) -> (Stream, Request) {
        let version = http.version();
        self.state.begin_stream();
        let stats = &self.shared.stats;
        stats.downstream_rq_total.increment(1);
        stats.downstream_rq_active.increment(1);
        if version == Version::HTTP_2 {
            stats.downstream_rq_http2_total.increment(1);
        } else {
            stats.downstream_rq_http1_total.increment(1);
        }
        let mut info = Box::new(StreamInfo::new(start, Arc::clone(&self.connection), version));
        info.progress.clone_from(&progress);
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
            progress,
            logged: info.logged.clone(),
            response: None,
            info: None,
            connection: Arc::clone(&self.connection),
            bytes_sent: 0,
            head: *http.method() == Method::HEAD,
            complete: false,
            failed: false,
            reset: None,
            refused: false,
        };
        (stream, Request { http, info })
    }

    /// The account of an HTTP/2 request whose head the codec has refused, and answered if it has a `status`.
    #[cold]
    pub(crate) fn refused_head(&self, details: &'static str, status: Option<StatusCode>) -> Stream {
        let mut http = http::Request::new(Body::Empty);
        *http.version_mut() = Version::HTTP_2;
        let (mut stream, _) = self.begin(Instant::now(), http, None);
        stream.refused = true;
        stream.reset = Some(Reset::Malformed(details));
        if let Some(status) = status {
            self.shared.stats.charge_status(status);
            stream.response = Some((status, HeaderMap::new()));
        }
        stream
    }

    /// The answer to a request that is refused in the codec's name; the connection ends with it. It goes to
    /// [`Stream::answer`] like any other.
    #[cold]
    pub(crate) fn refuse(&self, refusal: Refusal, info: Box<StreamInfo>, stream: &mut Stream) -> Response {
        // The client may go on to send.
        self.state.leave_unread();
        if stream.is_http1() && refusal.flags().contains(ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR) {
            self.shared.stats.downstream_cx_protocol_error.increment(1);
        }
        stream.refused = true;
        if info.progress.is_none() {
            // Envoy counts a refusal as an answer to an incomplete request, even if nothing was to follow.
            self.shared.stats.downstream_rq_rx_reset.increment(1);
            self.shared.stats.downstream_rq_response_before_rq_complete.increment(1);
        }
        let mut response = LocalReply::new(info, refusal.status, refusal.details)
            .body(refusal.text())
            .flags(refusal.flags())
            .close()
            .into_response();
        let version = if stream.is_http1() { Version::HTTP_11 } else { Version::HTTP_2 };
        headers::edit_response(response.http.headers_mut(), &self.shared.rules, version, true, None);
        response
    }
}

impl Stream {
    /// What the filters made of the request becomes the response to send; `None` if the client went away while it
    /// sent its request, so that nobody takes an answer.
    pub(crate) fn answer(&mut self, result: Result<Response, LocalReply>) -> Option<http::Response<Body>> {
        let Response { mut http, mut info } = match result {
            Ok(response) => response,
            Err(reply) => reply.into_response(),
        };
        if info.flags.contains(GONE) {
            // What ends the stream says why.
            info.flags = ResponseFlags::default();
            self.info = Some(info);
            return None;
        }
        let status = http.status();
        self.shared.stats.charge_status(status);
        if !self.has_request() {
            self.shared.stats.downstream_rq_response_before_rq_complete.increment(1);
        }
        if self.is_http1() && self.state.is_draining() && !info.close_downstream {
            self.shared.stats.downstream_cx_drain_close.increment(1);
            info.close_downstream = true;
            http.headers_mut().append(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if !self.is_http1() && self.state.is_draining() {
            self.state.advise_to_end();
        }
        let headers = if self.logged.is_some() { http.headers().clone() } else { HeaderMap::new() };
        self.response = Some((status, headers));
        self.info = Some(info);
        self.complete = self.head || http.body().is_end_stream();
        Some(http)
    }

    /// A part of the response's body was handed over.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes_sent += bytes as u64;
    }

    /// The response was handed over to its end.
    pub(crate) fn finish(&mut self) {
        self.complete = true;
    }

    /// The response was cut off; whoever did it says why.
    pub(crate) fn fail(&mut self, error: &BoxError) {
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

    /// The client has not taken the response in time.
    pub(crate) fn give_up(&mut self, overdue: Overdue) {
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

    /// The client has reset the stream.
    pub(crate) fn reset_by_client(&mut self) {
        self.reset = Some(Reset::ByClient);
    }

    /// The codec has ended the stream, for what the client sent was malformed.
    pub(crate) fn malformed(&mut self, details: &'static str) {
        self.reset = Some(Reset::Malformed(details));
    }

    /// When a response whose client has taken nothing since `waiting_since` is to be given up, and why. While the
    /// response's body is asked for more, it looks at its own clocks.
    pub(crate) fn give_up_at(&self, waiting_since: Instant) -> Option<(Instant, Overdue)> {
        let idle = self.shared.stream_idle_timeout.map(|idle| (waiting_since + idle, Overdue::Idle));
        let route = self.response_deadline().map(|deadline| (deadline, Overdue::Route));
        [route, idle].into_iter().flatten().min_by_key(|(due, _)| *due)
    }

    /// When the response must have ended, if the route says so.
    pub(crate) fn response_deadline(&self) -> Option<Instant> {
        self.info.as_ref()?.response_deadline
    }

    /// Whether the connection of an HTTP/1 stream ends with it.
    pub(crate) fn closes(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.close_downstream)
    }

    /// Whether the request has been read to its end.
    pub(crate) fn has_request(&self) -> bool {
        self.progress.as_ref().is_none_or(|progress| progress.has_ended())
    }

    /// Whether the response was handed over to its end.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the request was a HEAD.
    pub(crate) fn is_head(&self) -> bool {
        self.head
    }

    fn is_http1(&self) -> bool {
        self.protocol != Version::HTTP_2
    }

    fn received(&self) -> u64 {
        self.progress.as_ref().map_or(0, |progress| progress.bytes())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let now = Instant::now();
        let stats = &self.shared.stats;
        let request_complete = self.has_request();
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
            reset = Some(match self.reset {
                Some(Reset::ByClient) => {
                    self.state.count_reset(duration);
                    (ResponseFlags::DOWNSTREAM_REMOTE_RESET, "http2.remote_reset")
                }
                Some(Reset::Malformed(details)) => (ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR, details),
                None => (ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION, "downstream_remote_disconnect"),
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
