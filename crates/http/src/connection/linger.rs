//! The end of a connection whose client may still be sending: time to read what it was sent.
//!
//! A socket that is closed with unread bytes resets the connection, and the reset may overtake the last response.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    time::Sleep,
};

use super::state::ConnectionState;

/// How much is read and thrown away of what a client still sends after the last response.
const MAX_DISCARDED: usize = 1 << 20;

/// Waits, once our side is shut down, for the client to do the same.
#[derive(Debug)]
pub(crate) struct Linger {
    /// `delayed_close_timeout`.
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    discarded: usize,
}

impl Linger {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, timer: None, discarded: 0 }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.timer.is_some()
    }

    /// Ready when the client has ended its side, when it has had its time, and when it sends too much.
    pub(crate) fn poll<I: AsyncRead + Unpin>(
        &mut self,
        io: &mut I,
        state: &ConnectionState,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if self.limit.is_zero() || state.is_remote_closed() {
            return Poll::Ready(());
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        loop {
            let mut buffer = [0; 1024];
            let mut buffer = ReadBuf::new(&mut buffer);
            match Pin::new(&mut *io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.discarded += buffer.filled().len();
                    if self.discarded > MAX_DISCARDED {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        ready!(timer.as_mut().poll(cx));
        state.stats().downstream_cx_delayed_close_timeout.increment(1);
        Poll::Ready(())
    }
}
