//! A connection's socket with what belongs to it: byte counts, and an end for peers that stop reading.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

use crate::stats::AdminStats;

/// What a connection's socket and its requests share.
#[derive(Default)]
pub(crate) struct ConnectionState {
    /// Bytes received since the last request ended.
    buffered: AtomicU64,
    /// Whether the peer closed its end.
    closed_by_peer: AtomicBool,
}

impl ConnectionState {
    pub(crate) fn request_ended(&self, stats: &AdminStats) {
        stats.consumed(self.buffered.swap(0, Ordering::Relaxed));
    }

    pub(crate) fn closed_by_peer(&self) -> bool {
        self.closed_by_peer.load(Ordering::Relaxed)
    }
}

/// A socket that counts, and whose writes fail once none has made progress for the write timeout.
pub(crate) struct Counted {
    stream: TcpStream,
    state: Arc<ConnectionState>,
    stats: Arc<AdminStats>,
    write_timeout: Duration,
    /// Runs while a write waits for the peer.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Counted {
    pub(crate) fn new(
        stream: TcpStream,
        state: Arc<ConnectionState>,
        stats: Arc<AdminStats>,
        write_timeout: Duration,
    ) -> Self {
        Self { stream, state, stats, write_timeout, stalled: None }
    }

    fn wrote(&mut self, result: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(result) => {
                self.stalled = None;
                if let Ok(bytes) = result {
                    self.stats.sent(bytes as u64);
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                let deadline = Instant::now() + self.write_timeout;
                let sleep = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                ready!(sleep.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (before, room) = (buf.filled().len(), buf.remaining());
        let result = ready!(Pin::new(&mut this.stream).poll_read(cx, buf));
        let received = (buf.filled().len() - before) as u64;
        if result.is_err() || (received == 0 && room > 0) {
            this.state.closed_by_peer.store(true, Ordering::Relaxed);
        }
        if received > 0 {
            this.stats.received(received);
            this.state.buffered.fetch_add(received, Ordering::Relaxed);
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.wrote(result, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.wrote(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
