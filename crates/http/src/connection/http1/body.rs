//! A request's body between the connection that reads it and the filters that ask for it.
//!
//! The connection puts one part into a slot and reads on when that has been taken, so a slow upstream holds back the
//! client. What has come already is taken in without being asked for: a request that is complete is known to be.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use nuncio_service::{BoxError, RequestProgress};

use super::chunked::{ChunkDecoder, Decoded, Malformed};

/// The connection's end of a request's body.
#[derive(Debug)]
pub(super) struct Upload {
    decoder: Decoder,
    slot: Arc<Mutex<Slot>>,
    progress: Arc<RequestProgress>,
    /// A part that has to wait for the one before to be taken.
    next: Option<Bytes>,
    /// How the body has ended, as far as it has come.
    end: Option<Result<(), Malformed>>,
}

/// The filters' end of it.
#[derive(Debug)]
pub(super) struct RequestBody {
    slot: Arc<Mutex<Slot>>,
    /// What is still to come, if the client has said so.
    left: Option<u64>,
    /// Whether anything has come of it. Before that a body is not said to be empty: the client has announced one, and
    /// the upstream is told so.
    begun: bool,
}

#[derive(Debug, Default)]
struct Slot {
    part: Option<Bytes>,
    end: Option<Result<(), Malformed>>,
    /// Who waits for a part.
    taker: Option<Waker>,
    /// Who waits for the part to be taken.
    giver: Option<Waker>,
    /// Whether nobody will ask for more.
    abandoned: bool,
}

#[derive(Debug)]
enum Decoder {
    Length(u64),
    Chunked(ChunkDecoder),
}

/// What came of taking bytes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A part or the end was handed over.
    Moved,
    /// The part before has not been taken.
    Held,
    /// More bytes are wanted.
    Starved,
    /// The body has ended, or cannot be read on.
    Over,
}

/// A body of this length, or a chunked one.
pub(super) fn channel(length: Option<u64>, progress: Arc<RequestProgress>) -> (Upload, RequestBody) {
    let slot = Arc::new(Mutex::default());
    let decoder = match length {
        Some(length) => Decoder::Length(length),
        None => Decoder::Chunked(ChunkDecoder::default()),
    };
    (
        Upload { decoder, slot: Arc::clone(&slot), progress, next: None, end: None },
        RequestBody { slot, left: length, begun: false },
    )
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    // A slot is whole after every statement.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upload {
    /// Hands over what `bytes` hold of the body. `waker` is woken when there is room for more.
    pub(super) fn receive(&mut self, bytes: &mut BytesMut, waker: &Waker) -> Received {
        let mut slot = lock(&self.slot);
        if slot.end.is_some() {
            return Received::Over;
        }
        if slot.part.is_some() || slot.abandoned {
            slot.giver = Some(waker.clone());
            return Received::Held;
        }
        slot.part = self.next.take();
        // What follows a part at once may be the end, which is to be known early.
        while self.end.is_none() && self.next.is_none() {
            match self.decoder.decode(bytes) {
                Ok(Decoded::Data(part)) => {
                    self.progress.read(part.len() as u64);
                    *(if slot.part.is_none() { &mut slot.part } else { &mut self.next }) = Some(part);
                }
                Ok(Decoded::Starved) if slot.part.is_none() => {
                    return Received::Starved;
                }
                Ok(Decoded::Starved) => break,
                Ok(Decoded::End) => self.end = Some(Ok(())),
                Err(malformed) => {
                    self.progress.break_off();
                    self.end = Some(Err(malformed));
                }
            }
        }
        if self.next.is_none() {
            slot.end = self.end;
        }
        let taker = slot.taker.take();
        drop(slot);
        if self.end == Some(Ok(())) && !self.progress.has_ended() {
            self.progress.end();
        }
        if let Some(taker) = taker {
            taker.wake();
        }
        Received::Moved
    }

    /// Whether the body has come to its end.
    pub(super) fn has_ended(&self) -> bool {
        self.end == Some(Ok(()))
    }

    /// The connection is about to look for itself.
    pub(super) fn attend(&self) {
        lock(&self.slot).giver = None;
    }
}

impl Decoder {
    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Decoded, Malformed> {
        match self {
            Self::Chunked(chunks) => chunks.decode(bytes),
            Self::Length(0) => Ok(Decoded::End),
            Self::Length(_) if bytes.is_empty() => Ok(Decoded::Starved),
            Self::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= length as u64;
                Ok(Decoded::Data(bytes.split_to(length).freeze()))
            }
        }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let mut slot = lock(&this.slot);
        this.begun |= slot.part.is_some() || slot.end.is_some();
        if let Some(part) = slot.part.take() {
            this.left = this.left.map(|left| left.saturating_sub(part.len() as u64));
            let giver = slot.giver.take();
            drop(slot);
            if let Some(giver) = giver {
                giver.wake();
            }
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        match slot.end {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(Malformed)) => {
                Poll::Ready(Some(Err(
                    io::Error::new(io::ErrorKind::InvalidData, "malformed chunked body").into()
                )))
            }
            None => {
                match &mut slot.taker {
                    Some(taker) => taker.clone_from(cx.waker()),
                    taker => *taker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let slot = lock(&self.slot);
        self.begun && slot.part.is_none() && slot.end == Some(Ok(()))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        slot.abandoned = true;
        slot.part = None;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    use http_body::Body as _;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(body: &mut RequestBody, waker: &Waker) -> Poll<Option<Result<Bytes, String>>> {
        Pin::new(body).poll_frame(&mut Context::from_waker(waker)).map(|frame| {
            frame
                .map(|frame| frame.map(|frame| frame.into_data().unwrap()).map_err(|error| error.to_string()))
        })
    }

    #[test]
    fn one_part_waits_at_a_time_and_each_side_wakes_the_other() {
        let (taken, given) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        let (taker, giver) = (Waker::from(Arc::clone(&taken)), Waker::from(Arc::clone(&given)));
        let woken = || (taken.0.load(Ordering::Relaxed), given.0.load(Ordering::Relaxed));
        let progress = Arc::new(RequestProgress::default());
        let (mut upload, mut body) = channel(Some(6), Arc::clone(&progress));
        let mut bytes = BytesMut::new();
        assert_eq!(body.size_hint().exact(), Some(6));
        assert!(poll(&mut body, &taker).is_pending());
        assert_eq!(upload.receive(&mut bytes, &giver), Received::Starved);
        bytes.extend_from_slice(b"abc");
        assert_eq!(upload.receive(&mut bytes, &giver), Received::Moved);
        assert_eq!(woken(), (1, 0));
        bytes.extend_from_slice(b"defGET");
        assert_eq!(upload.receive(&mut bytes, &giver), Received::Held);
        assert_eq!((progress.bytes(), progress.has_ended()), (3, false));
        assert_eq!(poll(&mut body, &taker), Poll::Ready(Some(Ok(Bytes::from("abc")))));
        assert_eq!((woken(), body.size_hint().exact()), ((1, 1), Some(3)));
        assert_eq!(upload.receive(&mut bytes, &giver), Received::Moved);
        assert_eq!((progress.bytes(), progress.has_ended(), &bytes[..]), (6, true, &b"GET"[..]));
        assert_eq!(upload.receive(&mut bytes, &giver), Received::Over);
        assert!(!body.is_end_stream());
        assert_eq!(poll(&mut body, &taker), Poll::Ready(Some(Ok(Bytes::from("def")))));
        assert!(body.is_end_stream());
        assert_eq!(poll(&mut body, &taker), Poll::Ready(None));
    }

    #[test]
    fn a_body_whose_framing_is_wrong_fails_behind_what_was_right() {
        let progress = Arc::new(RequestProgress::default());
        let (mut upload, mut body) = channel(None, Arc::clone(&progress));
        let mut bytes = BytesMut::from(&b"3\r\nabc\r\nzz"[..]);
        let waker = Waker::noop();
        assert_eq!(upload.receive(&mut bytes, waker), Received::Moved);
        assert_eq!(poll(&mut body, waker), Poll::Ready(Some(Ok(Bytes::from("abc")))));
        assert_eq!(poll(&mut body, waker), Poll::Ready(Some(Err("malformed chunked body".to_owned()))));
        assert_eq!(upload.receive(&mut bytes, waker), Received::Over);
        assert!(progress.is_malformed() && !progress.has_ended() && !body.is_end_stream());
    }

    #[test]
    fn the_end_is_known_before_what_is_before_it_was_taken() {
        let progress = Arc::new(RequestProgress::default());
        let (mut upload, mut body) = channel(None, Arc::clone(&progress));
        let mut bytes = BytesMut::from(&b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"[..]);
        let waker = Waker::noop();
        assert_eq!(upload.receive(&mut bytes, waker), Received::Moved);
        assert_eq!((progress.bytes(), upload.receive(&mut bytes, waker)), (2, Received::Held));
        assert_eq!(poll(&mut body, waker), Poll::Ready(Some(Ok(Bytes::from("a")))));
        assert_eq!(upload.receive(&mut bytes, waker), Received::Moved);
        assert_eq!((progress.bytes(), progress.has_ended()), (3, false));
        assert_eq!(poll(&mut body, waker), Poll::Ready(Some(Ok(Bytes::from("b")))));
        assert_eq!(upload.receive(&mut bytes, waker), Received::Moved);
        assert!(progress.has_ended() && !body.is_end_stream());
        assert_eq!(poll(&mut body, waker), Poll::Ready(Some(Ok(Bytes::from("c")))));
        assert!(body.is_end_stream());
    }

    #[test]
    fn a_body_that_was_announced_is_not_empty_before_it_is_asked_for() {
        let (mut upload, mut body) = channel(None, Arc::default());
        let mut bytes = BytesMut::from(&b"0\r\n\r\n"[..]);
        assert_eq!(upload.receive(&mut bytes, Waker::noop()), Received::Moved);
        assert!(!body.is_end_stream());
        assert_eq!(poll(&mut body, Waker::noop()), Poll::Ready(None));
        assert!(body.is_end_stream());
    }

    #[test]
    fn nothing_is_taken_in_for_a_body_that_nobody_wants() {
        let progress = Arc::new(RequestProgress::default());
        let (mut upload, body) = channel(Some(10), Arc::clone(&progress));
        let mut bytes = BytesMut::from(&b"abc"[..]);
        assert_eq!(upload.receive(&mut bytes, Waker::noop()), Received::Moved);
        drop(body);
        bytes.extend_from_slice(b"def");
        assert_eq!(upload.receive(&mut bytes, Waker::noop()), Received::Held);
        assert!(lock(&upload.slot).part.is_none(), "what nobody wants is not kept");
        assert!(!progress.has_ended());
    }
}
