//! The socket as the codec sees it: bytes are counted, the head being read is kept until it is understood, and the
//! codec's own error replies are exchanged for Envoy's.
//!
//! hyper answers a request that it cannot parse by itself, with a bare status. Nothing else it writes is like that
//! answer (every response of ours carries more headers), so it is recognised by its bytes, held back, and the
//! reply of [`refusal`](super::refusal) is written in its place.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::state::ConnectionState;

/// What hyper 1 writes for a request that it cannot parse, by status. Pinned by a test.
const OWN_REPLIES: [(&[u8], u16); 3] = [
    (b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", 400),
    (b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", 414),
    (b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", 431),
];

/// A downstream socket.
#[derive(Debug)]
pub(crate) struct DownstreamIo<I> {
    io: I,
    /// Bytes read while the codec was being chosen.
    prefix: Bytes,
    /// A reply that takes the place of hyper's own.
    reply: Bytes,
    state: Arc<ConnectionState>,
    http1: bool,
    /// How long the end of the connection may take (`delayed_close_timeout`).
    linger_limit: Duration,
    linger: Option<Linger>,
}

/// A connection that has been shut down on our side and waits for the client to do the same.
#[derive(Debug)]
struct Linger {
    timer: Pin<Box<Sleep>>,
    discarded: usize,
}

/// How much is read and thrown away of what a client still sends after the last response.
const MAX_DISCARDED: usize = 1 << 20;

impl<I> DownstreamIo<I> {
    pub(crate) fn new(
        io: I,
        prefix: Bytes,
        http1: bool,
        linger_limit: Duration,
        state: Arc<ConnectionState>,
    ) -> Self {
        if http1 {
            state.head_bytes(&prefix);
        }
        Self { io, prefix, reply: Bytes::new(), state, http1, linger_limit, linger: None }
    }

    /// Whether `buf` is the answer to an HTTP/1.0 request, which always is a refusal. hyper answers in the version
    /// of the request, Envoy in its own.
    fn answers_http10(&self, buf: &[u8]) -> bool {
        // A body may begin like that as well.
        self.http1 && buf.starts_with(b"HTTP/1.0 ") && self.state.take_low_version()
    }

    /// How much of `buf` comes before an error reply of hyper's own at its end, and that reply's status.
    fn own_reply(&self, buf: &[u8]) -> Option<(usize, u16)> {
        // A response to a request that is still being answered is ours, and so is the rest of a body, which may read
        // like the codec's reply. (A refusal behind a body that the client is slow to take stays the codec's own.)
        if !self.http1
            || self.state.active_streams() > 0
            || !buf.ends_with(b"\r\ncontent-length: 0\r\n\r\n")
            || self.state.may_write_body()
        {
            return None;
        }
        OWN_REPLIES.iter().find_map(|(reply, status)| Some((buf.strip_suffix(*reply)?.len(), *status)))
    }
}

impl<I: AsyncWrite + Unpin> DownstreamIo<I> {
    /// Writes to the socket and counts what it took.
    fn poll_socket(
        &mut self,
        write: impl FnOnce(Pin<&mut I>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = write(Pin::new(&mut self.io));
        self.state.wrote(&written);
        let written = ready!(written)?;
        self.state.stats().downstream_cx_tx_bytes_total.increment(written as u64);
        Poll::Ready(Ok(written))
    }

    /// Writes what is left of the exchanged reply.
    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.reply.has_remaining() {
            let reply = self.reply.clone();
            let written = ready!(self.poll_socket(|io| io.poll_write(cx, &reply)))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.reply.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + Unpin> DownstreamIo<I> {
    /// Gives the client time to read what it was sent: a socket that is dropped with unread bytes resets the
    /// connection, and the reset may overtake the response.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.linger_limit;
        let linger = self
            .linger
            .get_or_insert_with(|| Linger { timer: Box::pin(tokio::time::sleep(limit)), discarded: 0 });
        loop {
            let mut buffer = [0; 4096];
            let mut buffer = ReadBuf::new(&mut buffer);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    linger.discarded += buffer.filled().len();
                    if linger.discarded > MAX_DISCARDED {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        ready!(linger.timer.as_mut().poll(cx));
        self.state.stats().downstream_cx_delayed_close_timeout.increment(1);
        Poll::Ready(())
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for DownstreamIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.has_remaining() {
            let length = self.prefix.len().min(buf.remaining());
            let bytes = self.prefix.split_to(length);
            buf.put_slice(&bytes);
            if self.prefix.is_empty() {
                // An empty rest would hold the whole allocation for the connection's life.
                self.prefix = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        if result.is_err() {
            // A reset, or over TLS an end without its announcement.
            self.state.remote_closed();
        }
        result?;
        let read = buf.filled().get(before..).unwrap_or_default();
        if read.is_empty() {
            self.state.remote_closed();
        } else {
            self.state.read_bytes(read.len());
            if self.http1 {
                self.state.head_bytes(read);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for DownstreamIo<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_reply(cx))?;
        if self.answers_http10(buf) {
            self.reply = self.state.low_version_reply();
            return Poll::Ready(Ok(buf.len()));
        }
        match self.own_reply(buf) {
            Some((0, status)) => {
                self.reply = self.state.refuse(status);
                return Poll::Ready(Ok(buf.len()));
            }
            Some((before, _)) => {
                let head = buf.get(..before).unwrap_or(buf);
                return self.poll_socket(|io| io.poll_write(cx, head));
            }
            None => {}
        }
        self.poll_socket(|io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        ready!(self.poll_reply(cx))?;
        if bufs.first().is_some_and(|first| self.answers_http10(first)) {
            self.reply = self.state.low_version_reply();
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        self.poll_socket(|io| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_reply(cx))?;
        // The codec flushes when it has written all that it holds.
        self.state.all_written();
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.state.wrote(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(self.poll_reply(cx))?;
            let shut_down = Pin::new(&mut self.io).poll_shutdown(cx);
            self.state.wrote(&shut_down);
            ready!(shut_down)?;
        }
        if self.state.has_unread() && !self.state.is_remote_closed() && !self.linger_limit.is_zero() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
