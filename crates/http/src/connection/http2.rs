//! HTTP/2 connections from clients. One task drives the codec and all streams of a connection: a stream's frames go
//! out with the next poll of the codec, without a switch between tasks, and all streams end with their connection.

mod exchange;
mod frames;
mod io;
mod ledger;
mod request_body;
mod response;
mod wire;

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, Stream as _};
use h2::{RecvStream, server};
use http::{HeaderMap, StatusCode, header};
use nuncio_service::{Body, Drain, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use self::{
    exchange::{Exchange, Reset, StreamHandle},
    io::DownstreamIo,
    ledger::{Refused, Seen},
    request_body::RequestBody,
    wire::{SharedLedger, Wire},
};
use super::{
    Shared, refusal,
    stream::StreamService,
    watch::{End, Watch},
};
use crate::local_reply::LocalReply;

/// `%RESPONSE_CODE_DETAILS%` of a malformed head. Envoy has another word for a header that must not be; the codec does
/// not tell one from the other.
const MALFORMED_HEAD: &str = "http2.violation.of.messaging.rule";
/// The same of a request whose connection ended because of what the client sent. Envoy appends nghttp2's words.
const CODEC_ERROR: &str = "codec_error";

/// Serves one connection to its end. `prefix` was read of it before.
pub(super) async fn serve<I, S>(io: I, prefix: Bytes, service: StreamService<S>, drain: &Drain)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request, Response = Response, Error = LocalReply> + Clone,
{
    let (shared, state) = (Arc::clone(&service.shared), Arc::clone(&service.state));
    let mut watch = Watch::new(&shared, &state, drain, true);
    let io = DownstreamIo::new(
        io,
        prefix,
        shared.stream_idle_timeout,
        shared.delayed_close_timeout,
        Arc::clone(&state),
    );
    let ledger = SharedLedger::default();
    let handshake = builder(&shared).handshake(Wire::new(io, ledger.clone()));
    let mut driver = Driver {
        codec: Codec::Handshake(handshake),
        asked_to_end: false,
        streams: FuturesUnordered::new(),
        resets: Vec::new(),
        ledger,
        service,
    };
    let ended = poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = driver.poll(cx) {
                return Poll::Ready(Some(result));
            }
            match watch.poll(cx) {
                Poll::Ready(End::Gently) => driver.ask_to_end(),
                // Only HTTP/1 has heads that begin before their stream.
                Poll::Ready(End::AtOnce | End::HeadOverdue(_)) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    driver.finish(ended);
}

fn builder(shared: &Shared) -> server::Builder {
    let settings = shared.http2;
    // As the codec counts: with 32 bytes more for each header and pseudo-header (RFC 9113, 6.5.2).
    let most_head_bytes = shared.max_request_headers_bytes + 32 * (shared.max_headers_count + 4);
    let mut builder = server::Builder::new();
    builder
        .initial_window_size(settings.initial_stream_window_size)
        .initial_connection_window_size(settings.initial_connection_window_size)
        .max_concurrent_streams(settings.max_concurrent_streams)
        // Parts of a body may be on their way to each stream that was answered early; those of a stream that the codec
        // has forgotten count as the client's errors.
        .max_concurrent_reset_streams(settings.max_concurrent_streams.max(50) as usize)
        .max_header_list_size(u32::try_from(most_head_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(shared.buffer_limit);
    builder
}

enum Codec<I> {
    Handshake(server::Handshake<Wire<I>, Bytes>),
    Open(server::Connection<Wire<I>, Bytes>),
}

struct Driver<I, S: Service<Request>> {
    codec: Codec<I>,
    asked_to_end: bool,
    streams: FuturesUnordered<Exchange<S::Future>>,
    /// Streams to be reset once the codec has had its turn.
    resets: Vec<Reset>,
    ledger: SharedLedger,
    service: StreamService<S>,
}

impl<I, S> Driver<I, S>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request, Response = Response, Error = LocalReply> + Clone,
{
    /// Ready when the connection has ended. What a stream hands to the codec has the codec woken, and so this task:
    /// it is written when that runs again, together with what other streams have handed over by then.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let polled = self.poll_codec(cx);
        self.note_frames();
        if polled.is_ready() {
            return polled;
        }
        for (mut stream, reason) in self.resets.drain(..).flatten() {
            stream.send_reset(reason);
        }
        while let Poll::Ready(Some(reset)) = Pin::new(&mut self.streams).poll_next(cx) {
            self.service.shared.stats.http2.streams_active.decrement(1.0);
            if reset.is_some() {
                self.resets.push(reset);
            }
        }
        if !self.resets.is_empty() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Reads and writes frames, and begins the streams that clients have begun.
    fn poll_codec(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            match &mut self.codec {
                Codec::Handshake(handshake) => match Pin::new(handshake).poll(cx) {
                    Poll::Ready(Ok(mut connection)) => {
                        if self.asked_to_end {
                            connection.graceful_shutdown();
                        }
                        self.codec = Codec::Open(connection);
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                },
                Codec::Open(connection) => {
                    let accepted = pin!(connection.accept()).poll(cx);
                    match accepted {
                        Poll::Ready(Some(Ok((request, respond)))) => self.begin(request, respond),
                        Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                        Poll::Ready(None) => return Poll::Ready(Ok(())),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            }
        }
    }

    fn begin(&mut self, request: http::Request<RecvStream>, mut respond: server::SendResponse<Bytes>) {
        let start = Instant::now();
        let shared = &self.service.shared;
        self.ledger.open().accept(respond.stream_id().as_u32());
        shared.stats.http2.streams_active.increment(1.0);
        let (mut head, body) = request.into_parts();
        head.extensions.clear();
        let refusal =
            refusal::of_http2_head(&head, shared.max_headers_count, shared.max_request_headers_bytes);
        let mut progress = None;
        let body = if body.is_end_stream() {
            Body::Empty
        } else {
            let counted = Arc::clone(progress.insert(Arc::default()));
            Body::Stream(Box::pin(RequestBody::new(body, counted, length(&head.headers))))
        };
        let expects_continue = refusal.is_none() && expects_continue(&head.headers);
        let (mut account, request) =
            self.service.begin(start, http::Request::from_parts(head, body), progress);
        if expects_continue {
            let mut response = http::Response::new(());
            *response.status_mut() = StatusCode::CONTINUE;
            // Fails only where the stream has ended.
            if respond.send_informational(response).is_ok() {
                shared.stats.charge_status(StatusCode::CONTINUE);
            }
        }
        let handle = |account| StreamHandle::new(account, respond, self.ledger.clone());
        self.streams.push(match refusal {
            Some(refusal) => {
                match refusal {
                    refusal::HTTP2_HEADER => {
                        shared.stats.downstream_cx_protocol_error.increment(1);
                        shared.stats.http2.rx_messaging_error.increment(1);
                    }
                    refusal::HTTP2_TOO_LARGE => shared.stats.http2.header_list_size_too_large.increment(1),
                    _ => shared.stats.http2.header_overflow.increment(1),
                }
                let response = self.service.refuse(refusal, request.info, &mut account);
                Exchange::answered(response, handle(account))
            }
            // The filters are always ready: what may have to wait (a connection, a circuit breaker) does so, or
            // fails, within the call.
            None => Exchange::filters(self.service.filters.clone().call(request), handle(account)),
        });
    }

    /// Counts what the frames have told since they were last asked, and the streams that the codec has refused.
    fn note_frames(&mut self) {
        let stats = &self.service.shared.stats.http2;
        let mut ledger = self.ledger.open();
        let seen = ledger.take_seen();
        if seen != Seen::default() {
            let Seen { goaway_sent, rx_reset, trailers, tx_reset } = seen;
            stats.goaway_sent.increment(goaway_sent);
            stats.rx_reset.increment(rx_reset);
            stats.trailers.increment(trailers);
            stats.tx_reset.increment(tx_reset);
        }
        while let Some(refused) = ledger.take_refused() {
            match refused {
                Refused::Malformed => {
                    stats.rx_messaging_error.increment(1);
                    self.service.shared.stats.downstream_cx_protocol_error.increment(1);
                    drop(self.service.refused_head(MALFORMED_HEAD, None));
                }
                Refused::TooLarge => {
                    stats.header_list_size_too_large.increment(1);
                    let refusal = refusal::HTTP2_TOO_LARGE;
                    drop(self.service.refused_head(refusal.details, Some(refusal.status)));
                }
                Refused::TooMany => stats.stream_refused_errors.increment(1),
            }
        }
    }

    /// Has the connection end after the streams that there are.
    fn ask_to_end(&mut self) {
        self.asked_to_end = true;
        if let Codec::Open(connection) = &mut self.codec {
            connection.graceful_shutdown();
        }
    }

    /// The connection has ended, by itself or because its time is over.
    fn finish(mut self, ended: Option<Result<(), h2::Error>>) {
        let stats = &self.service.shared.stats;
        let state = &self.service.state;
        let broken = ended.is_some_and(|result| result.is_err_and(|error| error.is_library()));
        // A head that cannot be decoded ends the connection.
        let undecoded = (broken && self.ledger.open().take_waiting())
            .then(|| self.service.refused_head(CODEC_ERROR, None));
        state.ended();
        drop(undecoded);
        if broken {
            stats.downstream_cx_protocol_error.increment(1);
        }
        let overdue = state.write_due().is_some_and(|due| Instant::now() >= due);
        if broken || overdue {
            for exchange in Pin::new(&mut self.streams).iter_pin_mut() {
                exchange.end_early(overdue);
            }
        }
        stats.http2.streams_active.decrement(self.streams.len() as f64);
    }
}

/// Whether the client waits for `100 Continue` before it sends the request's body.
fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// The length of the request's body, where the client has said it.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
