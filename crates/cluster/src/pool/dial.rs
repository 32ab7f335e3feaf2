//! Opening a TCP connection to a host, and the stream that counts what it carries.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{ConnectionLife, HostHandle};
use crate::error::{ConnectFailure, Kind};

/// Connects within the cluster's connect timeout. Success and failure are counted in `life`.
pub(crate) async fn dial(life: &mut ConnectionLife) -> Result<CountedStream, Kind> {
    let handle = Arc::clone(life.handle());
    let address = handle.host.description.address;
    let connected =
        tokio::time::timeout(handle.context.settings.connect_timeout, TcpStream::connect(address)).await;
    match connected {
        Ok(Ok(stream)) => {
            // Without it only speed is lost, so a socket that refuses is used all the same.
            let _ = stream.set_nodelay(true);
            life.connected();
            Ok(CountedStream { stream, handle, last_read: 0, streak: 0 })
        }
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "cannot connect");
            handle.stats().upstream_cx_connect_fail.increment(1);
            handle.cell.cx_connect_fail.add();
            life.ended_by_host = true;
            Err(Kind::ConnectFailure(ConnectFailure::of(&error)))
        }
        Err(_elapsed) => {
            handle.stats().upstream_cx_connect_fail.increment(1);
            handle.stats().upstream_cx_connect_timeout.increment(1);
            handle.cell.cx_connect_fail.add();
            Err(Kind::ConnectTimeout)
        }
    }
}

/// A TCP stream whose bytes are counted.
pub(crate) struct CountedStream {
    stream: TcpStream,
    handle: Arc<HostHandle>,
    /// Envoy's gauge of buffered bytes shows, for each connection, what the last read brought.
    last_read: usize,
    /// What has been read since the stream last had nothing to read.
    streak: usize,
}

/// How much is read in a row. A codec that makes nothing of what it reads, such as the heads of 1xx responses, would
/// otherwise keep the worker for as long as the host sends.
const LONGEST_STREAK: usize = 256 * 1024;

impl CountedStream {
    #[expect(clippy::cast_precision_loss, reason = "no read is that large")]
    fn count_read(&mut self, bytes: usize) {
        let stats = self.handle.stats();
        stats.upstream_cx_rx_bytes_total.increment(bytes as u64);
        if bytes > self.last_read {
            stats.upstream_cx_rx_bytes_buffered.increment((bytes - self.last_read) as f64);
        } else if bytes < self.last_read {
            stats.upstream_cx_rx_bytes_buffered.decrement((self.last_read - bytes) as f64);
        }
        self.last_read = bytes;
    }

    fn count_written(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.handle.stats().upstream_cx_tx_bytes_total.increment(*bytes as u64);
        }
    }
}

impl Drop for CountedStream {
    #[expect(clippy::cast_precision_loss, reason = "no read is that large")]
    fn drop(&mut self) {
        if self.last_read > 0 {
            self.handle.stats().upstream_cx_rx_bytes_buffered.decrement(self.last_read as f64);
        }
    }
}

/// Has the task polled again when all others have been, and the sockets were asked for news: a task that merely wakes
/// itself is polled dozens of times before the runtime looks at them.
fn yield_to_all<T>(cx: &mut Context<'_>) -> Poll<T> {
    if pin!(tokio::task::yield_now()).poll(cx).is_ready() {
        cx.waker().wake_by_ref();
    }
    Poll::Pending
}

impl AsyncRead for CountedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.streak >= LONGEST_STREAK {
            self.streak = 0;
            return yield_to_all(cx);
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if result.is_pending() {
            self.streak = 0;
        }
        ready!(result)?;
        let read = buffer.filled().len() - before;
        self.streak += read;
        if read > 0 {
            self.count_read(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.count_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
