//! Interim responses (1xx) of a host. The codec drops them without a word, so they are found in what it reads: they
//! are counted, and a host that sends nothing else is stopped.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::pool::{MOST_INTERIM, dial::CountedStream};

/// A response is to come, so what is read begins with a head.
const EXPECTED: u8 = 1;
/// Interim responses have been found and not been taken yet.
const FOUND: u8 = 2;
/// There were more of them than any host needs.
const TOO_MANY: u8 = 4;

/// What a connection and the stream within its codec share.
#[derive(Default)]
pub(super) struct Interim {
    state: AtomicU8,
    scanner: Mutex<Scanner>,
}

impl Interim {
    /// A request is sent, so that a response is to come.
    pub(super) fn expect(&self) {
        *self.scanner.lock().unwrap_or_else(PoisonError::into_inner) = Scanner::default();
        self.state.store(EXPECTED, Ordering::Relaxed);
    }

    /// Moves those that have come since it was last asked.
    pub(super) fn take(&self, into: &mut Vec<StatusCode>) {
        if self.state.load(Ordering::Relaxed) & FOUND != 0 {
            into.append(&mut self.scanner.lock().unwrap_or_else(PoisonError::into_inner).found);
            self.state.fetch_and(!FOUND, Ordering::Relaxed);
        }
    }

    /// Whether the connection was given up for their number.
    pub(super) fn were_too_many(&self) -> bool {
        self.state.load(Ordering::Relaxed) & TOO_MANY != 0
    }

    fn scan(&self, bytes: &[u8]) -> io::Result<()> {
        if self.state.load(Ordering::Relaxed) & EXPECTED == 0 {
            return Ok(());
        }
        let mut scanner = self.scanner.lock().unwrap_or_else(PoisonError::into_inner);
        let done = bytes.iter().any(|byte| scanner.is_done_after(*byte));
        let mut state = if done { 0 } else { EXPECTED };
        if !scanner.found.is_empty() {
            state |= FOUND;
        }
        let too_many = scanner.count > MOST_INTERIM;
        if too_many {
            state |= TOO_MANY;
        }
        self.state.store(state, Ordering::Relaxed);
        if too_many { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
    }
}

/// Reads heads just far enough to know where the next one begins. Whether they are well formed is for the codec.
#[derive(Default)]
struct Scanner {
    place: Place,
    status: u16,
    found: Vec<StatusCode>,
    count: u32,
}

#[derive(Clone, Copy)]
enum Place {
    /// So many bytes into a status line, before or within its code.
    StatusLine(u8),
    /// Behind the code of an interim response; whether the line is empty so far.
    Rest { line_is_empty: bool },
}

impl Default for Place {
    fn default() -> Self {
        Self::StatusLine(0)
    }
}

/// The code's place in a status line: behind `HTTP/1.1` and a blank.
const CODE: u8 = 9;

impl Scanner {
    /// Whether the response's own head has begun.
    fn is_done_after(&mut self, byte: u8) -> bool {
        match self.place {
            // The codec skips empty lines in front of a head.
            Place::StatusLine(0) if matches!(byte, b'\r' | b'\n') => {}
            Place::StatusLine(at) if at < CODE => self.place = Place::StatusLine(at + 1),
            Place::StatusLine(at) => {
                self.status =
                    if at == CODE { 0 } else { self.status * 10 } + u16::from(byte.wrapping_sub(b'0'));
                if at < CODE + 2 {
                    self.place = Place::StatusLine(at + 1);
                } else if self.status == 101 || !(100..200).contains(&self.status) {
                    return true;
                } else {
                    self.place = Place::Rest { line_is_empty: false };
                }
            }
            Place::Rest { line_is_empty: true } if byte == b'\n' => {
                self.found.extend(StatusCode::from_u16(self.status));
                self.count += 1;
                self.place = Place::StatusLine(0);
            }
            Place::Rest { line_is_empty } if byte == b'\r' => self.place = Place::Rest { line_is_empty },
            Place::Rest { .. } => self.place = Place::Rest { line_is_empty: byte == b'\n' },
        }
        false
    }
}

/// A connection's stream, as its codec has it.
pub(super) struct WatchedStream {
    pub(super) stream: CountedStream,
    pub(super) interim: Arc<Interim>,
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.interim.scan(buffer.filled().get(before..).unwrap_or_default()))
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in `read`, whole and byte by byte, and whether the response itself has begun.
    fn check(read: &str, expected: &[u16], done: bool) {
        for size in [1, 7, read.len().max(1)] {
            let interim = Interim::default();
            interim.expect();
            let mut found = Vec::new();
            for part in read.as_bytes().chunks(size) {
                interim.scan(part).unwrap();
                interim.take(&mut found);
            }
            assert_eq!(found, expected, "{read:?} by {size}");
            assert_eq!(interim.state.load(Ordering::Relaxed) & EXPECTED == 0, done, "{read:?} by {size}");
        }
    }

    #[test]
    fn interim_responses_are_found_however_they_are_cut() {
        check("", &[], false);
        check("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", &[], true);
        check("HTTP/1.1 100 Continue\r\n\r\n", &[100], false);
        check("HTTP/1.1 100 Continue\r\n\r", &[], false);
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200", &[100], true);
        check("\r\n\nHTTP/1.0 102\n\nHTTP/1.1 103 Hints\na: b\r\nc: d\n\nHTTP/1.1 404", &[102, 103], true);
        check("HTTP/1.1 101 Switching Protocols\r\n\r\n", &[], true);
        check("HTTP/1.1 1xx Odd\r\n\r\n", &[], true);
        check("HTTP/1.1 099 Low\r\n\r\n", &[], true);
        check("no response at all\r\n", &[], true);
        check("\0\u{ff}", &[], false);
    }

    #[test]
    fn too_many_end_the_connection() {
        let interim = Interim::default();
        interim.expect();
        let one = b"HTTP/1.1 100 Continue\r\n\r\n";
        for _ in 0..MOST_INTERIM {
            interim.scan(one).unwrap();
        }
        assert!(!interim.were_too_many());
        interim.scan(one).unwrap_err();
        assert!(interim.were_too_many());
        interim.expect();
        assert!(!interim.were_too_many());
        interim.scan(one).unwrap();
    }
}
