//! The socket of an HTTP/2 connection as its codec sees it: bytes are counted, and a client that takes nothing is
//! noticed.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::{linger::Linger, state::ConnectionState};

/// A downstream socket.
#[derive(Debug)]
pub(crate) struct DownstreamIo<I> {
    io: I,
    /// Bytes read while the codec was being chosen.
    prefix: Bytes,
    state: Arc<ConnectionState>,
    /// How long the client may take nothing.
    idle_timeout: Option<Duration>,
    blocked: bool,
    linger: Linger,
}

impl<I> DownstreamIo<I> {
    pub(crate) fn new(
        io: I,
        prefix: Bytes,
        idle_timeout: Option<Duration>,
        linger: Duration,
        state: Arc<ConnectionState>,
    ) -> Self {
        Self { io, prefix, state, idle_timeout, blocked: false, linger: Linger::new(linger) }
    }

    /// Notes whether the socket took what it was given.
    fn wrote<T>(&mut self, result: &Poll<T>) {
        if result.is_pending() != self.blocked {
            self.blocked = !self.blocked;
            let due = self.idle_timeout.filter(|_| self.blocked).map(|idle| Instant::now() + idle);
            self.state.wait_for_client(due);
        }
    }
}

impl<I: AsyncWrite + Unpin> DownstreamIo<I> {
    /// Writes to the socket and counts what it took.
    fn poll_socket(
        &mut self,
        write: impl FnOnce(Pin<&mut I>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = write(Pin::new(&mut self.io));
        self.wrote(&written);
        let written = ready!(written)?;
        self.state.stats().downstream_cx_tx_bytes_total.increment(written as u64);
        Poll::Ready(Ok(written))
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
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for DownstreamIo<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_socket(|io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_socket(|io| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.wrote(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.linger.has_begun() {
            let shut_down = Pin::new(&mut this.io).poll_shutdown(cx);
            this.wrote(&shut_down);
            ready!(shut_down)?;
        }
        if this.state.has_unread() {
            ready!(this.linger.poll(&mut this.io, &this.state, cx));
        }
        Poll::Ready(Ok(()))
    }
}
