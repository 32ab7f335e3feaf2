//! What is to be written to the client: a head, and behind it a part of the body, in one write.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::encode;

/// Parts of a body up to this size are copied behind what is before them; larger ones are written where they are.
const COPIED: usize = 4 * 1024;

/// While no more than this waits to be written, more is taken.
const ROOM: usize = 16 * 1024;

/// Buffers that grew beyond this are not kept.
const KEPT: usize = 64 * 1024;

thread_local! {
    /// The buffer of whichever connection of this thread writes next; an idle connection has none.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes on their way to the client.
#[derive(Debug, Default)]
pub(super) struct Output {
    front: Vec<u8>,
    written: usize,
    /// A large part of a body, behind `front`.
    data: Bytes,
    /// What belongs behind `data`.
    back: &'static [u8],
}

impl Output {
    /// The place for a head.
    pub(super) fn front(&mut self) -> &mut Vec<u8> {
        if self.front.capacity() == 0 {
            self.front = SPARE.take();
        }
        &mut self.front
    }

    /// Adds a part of a body whose length the head has told.
    pub(super) fn data(&mut self, data: Bytes) {
        if data.len() <= COPIED {
            self.front().extend_from_slice(&data);
        } else {
            self.data = data;
        }
    }

    /// Adds a part of a chunked body.
    pub(super) fn chunk(&mut self, data: Bytes) {
        if data.is_empty() {
            // This would be the end.
            return;
        }
        encode::chunk_size(self.front(), data.len());
        if data.len() <= COPIED {
            self.front.extend_from_slice(&data);
            self.front.extend_from_slice(b"\r\n");
        } else {
            self.data = data;
            self.back = b"\r\n";
        }
    }

    /// Adds the end of a chunked body.
    pub(super) fn last_chunk(&mut self) {
        if self.data.is_empty() && self.back.is_empty() {
            self.front().extend_from_slice(b"0\r\n\r\n");
        } else {
            self.back = match self.back {
                b"\n" => b"\n0\r\n\r\n",
                _ => b"\r\n0\r\n\r\n",
            };
        }
    }

    /// Whether more may be added: only the end of a body goes behind a large part of it.
    pub(super) fn has_room(&self) -> bool {
        self.data.is_empty() && self.back.is_empty() && self.front.len() < ROOM
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written == self.front.len() && self.data.is_empty() && self.back.is_empty()
    }

    /// Writes once, and says how much of it was taken.
    pub(super) fn poll_write<I: AsyncWrite + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let front = self.front.get(self.written..).unwrap_or_default();
        let written = if self.data.is_empty() && self.back.is_empty() {
            ready!(Pin::new(io).poll_write(cx, front))?
        } else {
            let parts = [IoSlice::new(front), IoSlice::new(&self.data), IoSlice::new(self.back)];
            let empty = usize::from(front.is_empty());
            ready!(Pin::new(io).poll_write_vectored(cx, parts.get(empty..).unwrap_or(&parts)))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(written))
    }

    fn advance(&mut self, written: usize) {
        let of_front = written.min(self.front.len() - self.written);
        self.written += of_front;
        let of_data = (written - of_front).min(self.data.len());
        self.data.advance(of_data);
        self.back = self.back.get(written - of_front - of_data..).unwrap_or_default();
        if self.data.is_empty() {
            // An empty rest would hold the whole allocation.
            self.data = Bytes::new();
        }
        if self.written == self.front.len() {
            self.front.clear();
            self.written = 0;
        }
    }

    /// Gives the buffer away once it is empty: the connection may be idle for long.
    pub(super) fn release(&mut self) {
        if self.is_empty() && self.front.capacity() > 0 {
            let buffer = std::mem::take(&mut self.front);
            if buffer.capacity() <= KEPT {
                SPARE.set(buffer);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn holds(&self) -> usize {
        self.front.capacity() + self.data.len()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes `step` bytes at a time, across the parts.
    struct Sink {
        taken: Vec<u8>,
        step: usize,
        writes: usize,
    }

    impl AsyncWrite for Sink {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let length = bytes.len().min(self.step);
            self.taken.extend_from_slice(&bytes[..length]);
            self.writes += 1;
            Poll::Ready(Ok(length))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all = parts.iter().flat_map(|part| part.iter().copied()).take(self.step).collect::<Vec<_>>();
            self.taken.extend_from_slice(&all);
            self.writes += 1;
            Poll::Ready(Ok(all.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn write(output: &mut Output, step: usize) -> (Vec<u8>, usize) {
        let mut sink = Sink { taken: Vec::new(), step, writes: 0 };
        while !output.is_empty() {
            assert!(output.poll_write(&mut sink, &mut Context::from_waker(Waker::noop())).is_ready());
        }
        (sink.taken, sink.writes)
    }

    #[test]
    fn parts_are_written_in_order_whatever_the_socket_takes() {
        for (size, step) in [(3, 1), (3, 1000), (5000, 1), (5000, 7), (5000, 4999), (5000, 100_000)] {
            let body = vec![b'x'; size];
            let expected = [format!("head{size:x}\r\n").as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
            let mut output = Output::default();
            output.front().extend_from_slice(b"head");
            output.chunk(Bytes::from(body.clone()));
            output.chunk(Bytes::new());
            output.last_chunk();
            let (taken, writes) = write(&mut output, step);
            assert!(taken == expected, "{size} {step}");
            assert!(step < expected.len() || writes == 1, "{writes} writes");
        }
    }

    #[test]
    fn the_end_may_come_when_half_of_a_chunk_is_written() {
        for stop in 0..5012 {
            let mut output = Output::default();
            output.chunk(Bytes::from(vec![b'x'; 5000]));
            let mut sink = Sink { taken: Vec::new(), step: stop, writes: 0 };
            if stop > 0 {
                assert!(output.poll_write(&mut sink, &mut Context::from_waker(Waker::noop())).is_ready());
            }
            output.last_chunk();
            let (rest, _) = write(&mut output, 100_000);
            let all = [sink.taken, rest].concat();
            assert!(
                all.starts_with(b"1388\r\nx") && all.ends_with(b"x\r\n0\r\n\r\n") && all.len() == 5013,
                "{stop}"
            );
        }
    }

    #[test]
    fn an_idle_connection_has_no_buffer() {
        let mut output = Output::default();
        output.front().extend_from_slice(b"head");
        output.data(Bytes::from(vec![b'x'; 5000]));
        assert!(!output.has_room());
        output.release();
        assert!(output.holds() > 5000, "not before it is written");
        write(&mut output, 100_000);
        output.release();
        assert_eq!(output.holds(), 0);
        output.front();
        assert!(output.holds() > 0, "the buffer is used again");
    }
}
