//! Which streams of a connection there are and what the frames that have passed say of them.

use std::collections::VecDeque;

use super::frames::Frame;

/// Codes of RFC 9113, 7.
const NO_ERROR: u32 = 0;
const REFUSED_STREAM: u32 = 7;

/// How many heads may wait at most to be accepted or refused. The codec refuses those over the limit of streams, so
/// that only heads which it does not answer at all, behind its GOAWAY, could be more.
const MOST_WAITING: usize = 4096;

/// What became of a stream that the codec did not hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Its head is malformed.
    Malformed,
    /// Its head is over the limit; the codec has answered 431.
    TooLarge,
    /// There were too many streams.
    TooMany,
}

/// Why a stream that the codec has handed over ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The client reset it.
    ByClient,
    /// What the client sent on it was malformed.
    Malformed,
    /// What the client sent on the connection was.
    Broken,
}

/// What the frames say, as numbers to be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) goaway_sent: u64,
    pub(super) rx_reset: u64,
    pub(super) trailers: u64,
    pub(super) tx_reset: u64,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The streams that have not ended, in the order of their ids.
    streams: VecDeque<Entry>,
    /// The highest stream that the client has begun.
    last: u32,
    /// The highest stream that is answered, once a GOAWAY has said so.
    limit: Option<u32>,
    /// Whether a stream may have been refused since that was last asked.
    refused: bool,
    /// Whether the codec has ended the connection because of what the client sent.
    broken: bool,
    seen: Seen,
}

#[derive(Debug)]
struct Entry {
    id: u32,
    accepted: bool,
    reset_by_client: bool,
    refused: Option<Refused>,
}

impl Ledger {
    /// A frame came from the client.
    pub(super) fn received(&mut self, frame: Frame) {
        match frame {
            Frame::Headers { stream } if stream > self.last => {
                self.last = stream;
                let answered = self.limit.is_none_or(|limit| stream <= limit);
                if answered && stream % 2 == 1 && self.streams.len() < MOST_WAITING {
                    self.streams.push_back(Entry {
                        id: stream,
                        accepted: false,
                        reset_by_client: false,
                        refused: None,
                    });
                }
            }
            Frame::Headers { .. } => self.seen.trailers += 1,
            Frame::Reset { stream, .. } => {
                if let Some(entry) = self.find(stream) {
                    entry.reset_by_client = true;
                    self.seen.rx_reset += 1;
                }
            }
            Frame::GoAway { .. } | Frame::Other => {}
        }
    }

    /// The codec has written a frame.
    pub(super) fn sent(&mut self, frame: Frame) {
        match frame {
            Frame::Headers { stream } => {
                self.refuse(stream, Refused::TooLarge);
            }
            Frame::Reset { stream, code } => {
                self.seen.tx_reset += 1;
                let refused = if code == REFUSED_STREAM { Refused::TooMany } else { Refused::Malformed };
                self.refuse(stream, refused);
            }
            Frame::GoAway { last, code } => {
                // The first of the two that end a connection gently names no stream. Envoy counts the second, and none
                // that tells an error.
                self.seen.goaway_sent += u64::from(code == NO_ERROR && last != u32::MAX >> 1);
                self.limit = Some(last);
                self.broken |= code != NO_ERROR;
            }
            Frame::Other => {}
        }
    }

    /// The codec has handed over a stream.
    pub(super) fn accept(&mut self, id: u32) {
        match self.streams.binary_search_by_key(&id, |entry| entry.id) {
            Ok(index) => {
                if let Some(entry) = self.streams.get_mut(index) {
                    entry.accepted = true;
                }
            }
            // There was no room for it while it waited.
            Err(index) => {
                let entry = Entry { id, accepted: true, reset_by_client: false, refused: None };
                self.streams.insert(index, entry);
            }
        }
    }

    /// Why a stream that was handed over is no more.
    pub(super) fn why_lost(&mut self, id: u32) -> Lost {
        if self.find(id).is_some_and(|entry| entry.reset_by_client) {
            Lost::ByClient
        } else if self.broken {
            Lost::Broken
        } else {
            Lost::Malformed
        }
    }

    /// A stream that was handed over has ended.
    pub(super) fn end(&mut self, id: u32) {
        if let Ok(index) = self.streams.binary_search_by_key(&id, |entry| entry.id) {
            self.streams.remove(index);
        }
    }

    /// A stream that was refused. To be asked when the codec has handed over all that it has.
    pub(super) fn take_refused(&mut self) -> Option<Refused> {
        if !self.refused {
            return None;
        }
        let index = self.streams.iter().position(|entry| !entry.accepted && entry.refused.is_some());
        self.refused = index.is_some();
        self.streams.remove(index?)?.refused
    }

    /// Whether there is a stream that was neither handed over nor refused.
    pub(super) fn take_waiting(&mut self) -> bool {
        let index = self.streams.iter().position(|entry| !entry.accepted);
        index.is_some_and(|index| self.streams.remove(index).is_some())
    }

    /// What is to be counted since this was last asked.
    pub(super) fn take_seen(&mut self) -> Seen {
        std::mem::take(&mut self.seen)
    }

    /// The codec answers a stream by itself. It may still hand it over: then it has only ended it.
    fn refuse(&mut self, id: u32, refused: Refused) {
        if let Some(entry) = self.find(id).filter(|entry| !entry.accepted) {
            entry.refused.get_or_insert(refused);
            self.refused = true;
        }
    }

    fn find(&mut self, id: u32) -> Option<&mut Entry> {
        let index = self.streams.binary_search_by_key(&id, |entry| entry.id).ok()?;
        self.streams.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_streams_are_told_from_those_that_were_handed_over() {
        let mut ledger = Ledger::default();
        for stream in [1, 3, 5, 7] {
            ledger.received(Frame::Headers { stream });
        }
        ledger.sent(Frame::Reset { stream: 1, code: 1 });
        // Its body is malformed, which the codec found out before it was asked for the stream.
        ledger.sent(Frame::Reset { stream: 3, code: 1 });
        ledger.sent(Frame::Headers { stream: 5 });
        ledger.sent(Frame::Reset { stream: 5, code: 1 });
        ledger.sent(Frame::Reset { stream: 7, code: 7 });
        ledger.accept(3);
        let refused: Vec<_> = std::iter::from_fn(|| ledger.take_refused()).collect();
        assert_eq!(refused, [Refused::Malformed, Refused::TooLarge, Refused::TooMany]);
        assert_eq!(ledger.why_lost(3), Lost::Malformed);
        ledger.end(3);
        assert!(ledger.streams.is_empty() && !ledger.take_waiting());
        assert_eq!(ledger.take_seen(), Seen { tx_reset: 4, ..Seen::default() });
    }

    #[test]
    fn streams_are_lost_by_who_ended_them() {
        let mut ledger = Ledger::default();
        for stream in [1, 3] {
            ledger.received(Frame::Headers { stream });
            ledger.accept(stream);
        }
        // Trailers.
        ledger.received(Frame::Headers { stream: 1 });
        ledger.received(Frame::Reset { stream: 1, code: 8 });
        // There is no such stream.
        ledger.received(Frame::Reset { stream: 9, code: 8 });
        assert_eq!((ledger.why_lost(1), ledger.why_lost(3)), (Lost::ByClient, Lost::Malformed));
        ledger.sent(Frame::GoAway { last: 3, code: 1 });
        assert_eq!((ledger.why_lost(1), ledger.why_lost(3)), (Lost::ByClient, Lost::Broken));
        assert_eq!(ledger.take_seen(), Seen { rx_reset: 1, trailers: 1, ..Seen::default() });
    }

    #[test]
    fn streams_behind_a_goaway_and_of_ill_numbers_are_not_kept() {
        let mut ledger = Ledger::default();
        ledger.sent(Frame::GoAway { last: u32::MAX >> 1, code: 0 });
        ledger.received(Frame::Headers { stream: 2 });
        ledger.received(Frame::Headers { stream: 5 });
        ledger.received(Frame::Headers { stream: 3 });
        ledger.sent(Frame::GoAway { last: 5, code: 0 });
        ledger.received(Frame::Headers { stream: 7 });
        assert_eq!(ledger.streams.iter().map(|entry| entry.id).collect::<Vec<_>>(), [5]);
        assert_eq!(ledger.take_seen(), Seen { goaway_sent: 1, trailers: 1, ..Seen::default() });
        for stream in (9..30_000).step_by(2) {
            ledger.limit = None;
            ledger.received(Frame::Headers { stream });
        }
        assert_eq!(ledger.streams.len(), MOST_WAITING);
    }
}
