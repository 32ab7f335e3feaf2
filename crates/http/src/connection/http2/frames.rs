//! Finds the frames in the bytes of an HTTP/2 connection (RFC 9113, 4.1), without understanding them.
//!
//! The codec does not tell what it refuses: a malformed head, or a stream over the limit, becomes an RST_STREAM that
//! nobody but the client hears of. Its frames do tell.

const HEAD: usize = 9;
/// How much of a payload is kept: a GOAWAY's last stream and code.
const KEPT: usize = 8;

/// A frame that has passed, or begins to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Headers {
        stream: u32,
    },
    Reset {
        stream: u32,
        code: u32,
    },
    GoAway {
        last: u32,
        code: u32,
    },
    /// DATA, SETTINGS and all others.
    Other,
}

/// Reads one direction of a connection, in whatever pieces it comes.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    kept: [u8; HEAD + KEPT],
    filled: usize,
    /// How much of the payload is still to pass.
    skip: usize,
}

impl Scanner {
    /// Begins behind a connection preface of `length` bytes.
    pub(super) fn behind(length: usize) -> Self {
        Self { skip: length, ..Self::default() }
    }

    /// The next frame in `bytes`, of which it takes what it has read; `None` when they are used up.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        loop {
            let skipped = self.skip.min(bytes.len());
            *bytes = bytes.get(skipped..)?;
            self.skip -= skipped;
            if bytes.is_empty() {
                return None;
            }
            let wanted = if self.filled < HEAD { HEAD } else { HEAD + self.payload_kept() };
            let taken = (wanted - self.filled).min(bytes.len());
            let (head, rest) = bytes.split_at_checked(taken)?;
            self.kept.get_mut(self.filled..self.filled + taken)?.copy_from_slice(head);
            self.filled += taken;
            *bytes = rest;
            if self.filled >= HEAD && self.filled == HEAD + self.payload_kept() {
                self.skip = self.length() - self.payload_kept();
                self.filled = 0;
                return Some(self.frame());
            }
        }
    }

    fn length(&self) -> usize {
        let [a, b, c, ..] = self.kept;
        usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
    }

    fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.kept;
        kind
    }

    fn payload_kept(&self) -> usize {
        let wanted = match self.kind() {
            3 => 4,
            7 => KEPT,
            _ => 0,
        };
        self.length().min(wanted)
    }

    fn frame(&self) -> Frame {
        let [_, _, _, kind, _, stream @ .., _, _, _, _, _, _, _, _] = self.kept;
        let [.., a, b, c, d, e, f, g, h] = self.kept;
        // The first bit is reserved.
        let stream = u32::from_be_bytes(stream) & !(1 << 31);
        let (first, second) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        match (kind, self.length()) {
            (1, _) => Frame::Headers { stream },
            (3, 4) => Frame::Reset { stream, code: first },
            (7, KEPT..) => Frame::GoAway { last: first & !(1 << 31), code: second },
            _ => Frame::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
    }

    #[test]
    fn frames_are_found_in_whatever_pieces_they_come() {
        let bytes = [
            b"preface".to_vec(),
            frame(4, 0, b""),
            frame(1, 1 << 31 | 5, &[3; 300]),
            frame(3, 5, &8_u32.to_be_bytes()),
            frame(0, 5, &[7; 70_000]),
            frame(7, 0, b"\0\0\0\x05\0\0\0\x02why"),
            // Of a length that it cannot have.
            frame(3, 7, b"ab"),
            frame(7, 0, b"abc"),
            frame(1, 9, b"x"),
        ]
        .concat();
        let expected = [
            Frame::Other,
            Frame::Headers { stream: 5 },
            Frame::Reset { stream: 5, code: 8 },
            Frame::Other,
            Frame::GoAway { last: 5, code: 2 },
            Frame::Other,
            Frame::Other,
            Frame::Headers { stream: 9 },
        ];
        for size in [1, 2, 3, 8, 9, 10, 13, 17, 100, 1 << 20] {
            let mut scanner = Scanner::behind(7);
            let mut found = Vec::new();
            for mut piece in bytes.chunks(size) {
                while let Some(frame) = scanner.next(&mut piece) {
                    found.push(frame);
                }
            }
            assert_eq!(found, expected, "pieces of {size}");
        }
    }
}
