//! The HTTP/1 codec: one connection, one task, one request after the other.
//!
//! The connection alone reads and writes its socket. It polls the filters' future and the response's body in place,
//! feeds the request's body to whoever holds it ([`body`]), and looks for a client that goes away or sends its next
//! requests early. Between two requests it holds no buffer.

mod body;
mod chunked;
mod encode;
mod head;
mod output;
mod transfer;

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::BytesMut;
use http::StatusCode;
use http_body::Body as _;
use nuncio_service::{Body, Drain, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use self::{
    body::{Received, Upload},
    head::{BodyLength, Head, HeadReader, Limits},
    output::Output,
    transfer::Transfer,
};
use super::{
    input,
    linger::Linger,
    refusal::Refusal,
    state::ConnectionState,
    stream::{Stream, StreamService},
    watch::{End, Watch},
};
use crate::local_reply::LocalReply;

/// How much of the next requests is read while one is being answered.
const READ_AHEAD: usize = 16 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

struct Http1<'a, I> {
    io: I,
    /// Read and not yet understood.
    received: BytesMut,
    reader: HeadReader,
    limits: Limits,
    output: Output,
    /// The body of the request under way.
    upload: Option<Upload>,
    state: &'a ConnectionState,
    watch: Watch<'a>,
    linger: Linger,
    /// Since when the client has taken nothing of what it was sent.
    blocked: Option<Instant>,
    /// Whether there was as much to read as fitted.
    sends_much: bool,
    /// Whether an interim response is on its way.
    interim: bool,
    /// Whether the connection ends with the response under way.
    closing: bool,
    /// Whether it must end at once.
    over: bool,
    /// Why the head that is being read is not waited for any more.
    overdue: Option<Refusal>,
}

/// What becomes of a connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// The next request may come.
    Next,
    /// It ends gently.
    Close,
    /// There is nobody to say anything to, or no time.
    Drop,
}

/// Serves a connection of which `received` has been read.
pub(super) async fn serve<I, S>(io: I, received: BytesMut, service: &StreamService<S>, drain: &Drain)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request, Response = Response, Error = LocalReply> + Clone,
{
    let shared = &*service.shared;
    let mut connection = Http1 {
        io,
        received,
        reader: HeadReader::default(),
        limits: Limits { bytes: shared.max_request_headers_bytes, lines: shared.max_headers_count },
        output: Output::default(),
        upload: None,
        state: &service.state,
        watch: Watch::new(shared, &service.state, drain, false),
        linger: Linger::new(shared.delayed_close_timeout),
        blocked: None,
        sends_much: false,
        interim: false,
        closing: false,
        over: false,
        overdue: None,
    };
    while let Some(head) = poll_fn(|cx| connection.poll_head(cx)).await {
        match connection.exchange(head, service).await {
            After::Next => {}
            After::Close => break,
            After::Drop => return,
        }
    }
    if !connection.over {
        poll_fn(|cx| connection.poll_close(cx)).await;
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Http1<'_, I> {
    /// The next head, or why there is none; `None` when the connection is to end.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Head, Refusal>>> {
        loop {
            if !self.received.is_empty() {
                match self.reader.take(&mut self.received, self.limits) {
                    // Empty lines between requests begin none.
                    Ok(None) if self.received.is_empty() => {}
                    Ok(None) => self.state.begin_head(),
                    Ok(Some(head)) => return Poll::Ready(Some(Ok(head))),
                    Err(refusal) => return Poll::Ready(Some(Err(refusal))),
                }
            }
            if self.closing && self.received.is_empty() {
                return Poll::Ready(None);
            }
            match self.poll_read(cx, false) {
                Poll::Ready(Ok(())) => continue,
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => self.release(),
            }
            let was_closing = self.closing;
            if self.poll_watch(cx).is_ready() {
                return Poll::Ready(self.overdue.take().map(Err));
            }
            if self.closing == was_closing {
                return Poll::Pending;
            }
        }
    }

    /// Gives buffers away: the connection may be idle for long.
    fn release(&mut self) {
        self.output.release();
        if self.received.is_empty() {
            // Even without room it can hold on to what has been taken from it.
            self.received = BytesMut::new();
        }
    }

    /// One request and its response.
    async fn exchange<S>(&mut self, head: Result<Head, Refusal>, service: &StreamService<S>) -> After
    where
        S: Service<Request, Response = Response, Error = LocalReply> + Clone,
    {
        let (mut stream, request, refusal) = self.begin(head, service);
        let result = match refusal {
            Some(refusal) => Some(Ok(service.refuse(refusal, request.info, &mut stream))),
            None => {
                // The filters are always ready: what may have to wait (a connection, a circuit breaker) does so, or
                // fails, within the call.
                let mut future = pin!(service.filters.clone().call(request));
                // An empty rest would hold the whole of what was read while the request runs.
                self.release();
                poll_fn(|cx| self.poll_filters(cx, future.as_mut())).await
            }
        };
        let Some(response) = result.and_then(|result| stream.answer(result)) else {
            self.state.ended();
            return After::Drop;
        };
        let mut transfer = self.respond(&mut stream, response);
        let mut stream = Some(stream);
        let after = poll_fn(|cx| self.poll_response(cx, &mut stream, &mut transfer)).await;
        self.upload = None;
        after
    }

    /// Begins the stream of a head, or of what was not understood.
    fn begin<S>(
        &mut self,
        head: Result<Head, Refusal>,
        service: &StreamService<S>,
    ) -> (Stream, Request, Option<Refusal>) {
        let start = Instant::now();
        let head = match head {
            Ok(head) => head,
            Err(refusal) => {
                let (stream, request) = service.begin(start, http::Request::new(Body::Empty), None);
                return (stream, request, Some(refusal));
            }
        };
        let length = match head.length {
            BodyLength::None => {
                let (stream, request) = service.begin(start, head.request.map(|()| Body::Empty), None);
                self.expect(head.expects_continue);
                return (stream, request, None);
            }
            BodyLength::Known(length) => Some(length),
            BodyLength::Chunked => None,
        };
        let progress = Arc::default();
        let (upload, body) = body::channel(length, Arc::clone(&progress));
        self.upload = Some(upload);
        let http = head.request.map(|()| Body::Stream(Box::pin(body)));
        let (stream, request) = service.begin(start, http, Some(progress));
        self.expect(head.expects_continue);
        (stream, request, None)
    }

    /// Tells a client that waits for it that its body is wanted. Envoy does before anything else is known.
    fn expect(&mut self, expects_continue: bool) {
        if expects_continue {
            self.state.stats().charge_status(StatusCode::CONTINUE);
            self.output.front().extend_from_slice(CONTINUE);
            self.interim = true;
        }
    }

    /// What the filters make of the request; `None` if there is nobody left to tell.
    fn poll_filters<F: Future>(
        &mut self,
        cx: &mut Context<'_>,
        mut future: Pin<&mut F>,
    ) -> Poll<Option<F::Output>> {
        self.attend();
        loop {
            if self.interim && self.poll_interim(cx).is_err() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(result) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            match self.poll_client(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => return self.poll_watch(cx).map(|()| None),
            }
        }
    }

    /// Writes an interim response as far as the socket takes it; what is left goes out with the response.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.poll_write(cx, None) {
                Poll::Ready(written) => written?,
                Poll::Pending => return Ok(()),
            }
        }
        let flushed = self.poll_flush(cx, None);
        self.interim = flushed.is_pending();
        if let Poll::Ready(flushed) = flushed { flushed } else { Ok(()) }
    }

    /// Puts the response's head where it will be written from.
    fn respond(&mut self, stream: &mut Stream, response: http::Response<Body>) -> Transfer {
        let (head, body) = response.into_parts();
        // Nobody knows what follows a switch of protocols that was not asked for.
        let closes = stream.closes() || head.status == StatusCode::SWITCHING_PROTOCOLS;
        let framing = encode::response_head(
            self.output.front(),
            head.status,
            &head.headers,
            stream.is_head(),
            body.size_hint().exact(),
            self.closing && !closes,
        );
        self.closing |= closes;
        Transfer::begin(body, framing, stream)
    }

    /// Moves the response's body to the client, and what is left of the request's body to the filters.
    fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Option<Stream>,
        transfer: &mut Transfer,
    ) -> Poll<After> {
        self.attend();
        loop {
            match self.poll_transfer(cx, stream, transfer) {
                Poll::Ready(Ok(after)) => return Poll::Ready(after),
                Poll::Ready(Err(_)) => return Poll::Ready(After::Drop),
                Poll::Pending => {}
            }
            match self.poll_client(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(After::Drop),
                Poll::Pending => break,
            }
        }
        ready!(self.poll_watch(cx));
        if let (Some(stream), Some(since)) = (stream, self.blocked)
            && let Some((due, overdue)) = stream.give_up_at(since)
            && !stream.is_complete()
            && !transfer.cut_off
            && Instant::now() >= due
        {
            stream.give_up(overdue);
        }
        Poll::Ready(After::Drop)
    }

    fn poll_transfer(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Option<Stream>,
        transfer: &mut Transfer,
    ) -> Poll<io::Result<After>> {
        let mut waiting = false;
        loop {
            // A head and what is at hand of the body go out together.
            while !transfer.ended && !waiting && self.output.has_room() {
                match Pin::new(&mut transfer.body).poll_frame(cx) {
                    Poll::Ready(frame) => transfer.take(frame, &mut self.output, stream.as_mut()),
                    Poll::Pending => waiting = true,
                }
            }
            if !self.output.is_empty() {
                match self.poll_write(cx, stream.as_ref()) {
                    Poll::Ready(written) => written?,
                    Poll::Pending => {
                        self.settle(stream, transfer);
                        return Poll::Pending;
                    }
                }
                continue;
            }
            let flushed = self.poll_flush(cx, stream.as_ref());
            if flushed.is_pending() {
                self.settle(stream, transfer);
            }
            ready!(flushed)?;
            if transfer.ended {
                return Poll::Ready(Ok(self.finish(stream.take(), transfer)));
            }
            if waiting {
                return Poll::Pending;
            }
        }
    }

    /// The response has been handed over to its end, and only the client's socket holds it up.
    fn settle(&mut self, stream: &mut Option<Stream>, transfer: &Transfer) {
        if transfer.ended && !transfer.cut_off && stream.take().is_some() {
            let since = self.blocked;
            self.blocked = None;
            self.note_blocked(since.is_some(), None);
            self.state.begin_tail();
        }
    }

    /// The response has been written to its end.
    fn finish(&mut self, stream: Option<Stream>, transfer: &Transfer) -> After {
        if transfer.cut_off {
            return After::Drop;
        }
        let has_request = self.upload.as_ref().is_none_or(Upload::has_ended);
        drop(stream);
        self.state.end_tail();
        if self.closing || !has_request { After::Close } else { After::Next }
    }

    /// Reads what the client sends meanwhile. Ready when the request's body has moved, and when the client is gone.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut starved = false;
            if let Some(upload) = &mut self.upload {
                match upload.receive(&mut self.received, cx.waker()) {
                    Received::Moved => return Poll::Ready(Ok(())),
                    Received::Held => return Poll::Pending,
                    Received::Starved => starved = true,
                    Received::Over => {}
                }
            }
            if !starved && self.received.len() >= READ_AHEAD {
                return Poll::Pending;
            }
            ready!(self.poll_read(cx, starved))?;
        }
    }

    /// What the body's holder wakes is what runs already.
    fn attend(&self) {
        if let Some(upload) = &self.upload {
            upload.attend();
        }
    }

    /// Reads once, of a body as much as its client sends at once. The client's end is an error.
    fn poll_read(&mut self, cx: &mut Context<'_>, body: bool) -> Poll<io::Result<()>> {
        let much = body && self.sends_much;
        let read = ready!(input::poll_read(&mut self.io, &mut self.received, much, cx));
        // A part of a body holds all that was read at once, so little is not read into a large buffer.
        self.sends_much = read.as_ref().is_ok_and(|read| *read >= input::SCRATCH);
        match read {
            Ok(read) if read > 0 => {
                self.state.read_bytes(read);
                Poll::Ready(Ok(()))
            }
            read => {
                // A reset, or over TLS an end without its announcement, is one as well.
                self.state.remote_closed();
                Poll::Ready(read.and(Err(io::ErrorKind::UnexpectedEof.into())))
            }
        }
    }

    /// Writes once.
    fn poll_write(&mut self, cx: &mut Context<'_>, stream: Option<&Stream>) -> Poll<io::Result<()>> {
        let written = self.output.poll_write(&mut self.io, cx);
        self.note_blocked(written.is_pending(), stream);
        Poll::Ready(match ready!(written) {
            Ok(written) => {
                self.state.stats().downstream_cx_tx_bytes_total.increment(written as u64);
                Ok(())
            }
            Err(error) => {
                self.state.remote_closed();
                Err(error)
            }
        })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, stream: Option<&Stream>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.note_blocked(flushed.is_pending(), stream);
        if let Poll::Ready(Err(_)) = flushed {
            self.state.remote_closed();
        }
        flushed
    }

    /// Notes whether the socket took what it was given, and how long it may take nothing.
    fn note_blocked(&mut self, blocked: bool, stream: Option<&Stream>) {
        if blocked == self.blocked.is_some() {
            return;
        }
        self.blocked = blocked.then(Instant::now);
        let due = self.blocked.and_then(|since| match stream {
            Some(stream) => stream.give_up_at(since).map(|(due, _)| due),
            None => Some(since + self.watch.tail_timeout()?),
        });
        self.state.wait_for_client(due);
    }

    /// Ready when the connection must end at once.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match ready!(self.watch.poll(cx)) {
                End::Gently => self.closing = true,
                End::HeadOverdue(refusal) => {
                    self.overdue = Some(refusal);
                    return Poll::Ready(());
                }
                End::AtOnce => {
                    self.over = true;
                    self.state.ended();
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Ends the connection on our side, and gives the client time to read what it was sent.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_watch(cx).is_ready() {
            return Poll::Ready(());
        }
        if !self.linger.has_begun() {
            if self.received.is_empty() && !self.state.is_remote_closed() {
                // A request that was sent before its client knew of the end must not reset the connection.
                let _ = self.poll_read(cx, false);
            }
            let shut_down = Pin::new(&mut self.io).poll_shutdown(cx);
            self.note_blocked(shut_down.is_pending(), None);
            if ready!(shut_down).is_err() {
                return Poll::Ready(());
            }
        }
        if self.state.has_unread() || !self.received.is_empty() {
            return self.linger.poll(&mut self.io, self.state, cx);
        }
        Poll::Ready(())
    }
}
