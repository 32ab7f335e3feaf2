//! Reading from a client without a buffer for those that say nothing.

use std::{
    cell::RefCell,
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// How much is read at once where not much is expected. Less than this was read when there was no more, which spares
/// the system call that would say so.
pub(super) const SCRATCH: usize = 16 * 1024;

thread_local! {
    /// Where all connections of this thread read to; what came is copied out, to its length.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// How much is read at once of a body that comes fast.
const MUCH: usize = 64 * 1024;

/// Reads once to the end of `bytes`, or without copying where `much` is to come. Zero: the client has sent its last.
pub(super) fn poll_read<I: AsyncRead + Unpin>(
    io: &mut I,
    bytes: &mut BytesMut,
    much: bool,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if much {
        bytes.reserve(MUCH);
        return pin!(io.read_buf(bytes)).poll(cx);
    }
    READ.with_borrow_mut(|scratch| {
        let mut scratch = ReadBuf::new(scratch);
        ready!(Pin::new(io).poll_read(cx, &mut scratch))?;
        bytes.extend_from_slice(scratch.filled());
        Poll::Ready(Ok(scratch.filled().len()))
    })
}
