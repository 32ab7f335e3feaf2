//! The chunked transfer coding (RFC 9112, 7.1), read strictly: where two readers could see two ends of a body, the body
//! is refused.
//!
//! A state machine over bytes: it may be given them in any pieces. Trailers are checked and dropped, as Envoy does by
//! default.

use bytes::{Buf, Bytes, BytesMut};

/// How much of a body's framing may be extensions and blanks, all chunks together.
const MOST_EXTENSIONS: usize = 16 * 1024;

/// The longest trailer section, and its most lines.
const MOST_TRAILERS: usize = 16 * 1024;
const MOST_TRAILER_LINES: usize = 100;

/// Digits of a chunk's size: as many as a `u64` has, so nothing overflows.
const MOST_DIGITS: u8 = 16;

/// Reads one chunked body.
#[derive(Debug)]
pub(super) struct ChunkDecoder {
    state: State,
    /// Bytes that were neither a size nor data.
    extensions: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size {
        value: u64,
        digits: u8,
    },
    /// Blanks behind a size.
    Blank {
        value: u64,
    },
    Extension {
        value: u64,
    },
    SizeLf {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    Trailers,
    End,
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    Data(Bytes),
    /// More bytes are needed.
    Starved,
    /// The body has ended; what follows is the next request.
    End,
}

/// The framing is wrong; nobody knows where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Default for ChunkDecoder {
    fn default() -> Self {
        Self { state: State::Size { value: 0, digits: 0 }, extensions: 0 }
    }
}

impl ChunkDecoder {
    /// Takes what it understands from the front of `bytes`. What it leaves there it wants to see again, with more.
    pub(super) fn decode(&mut self, bytes: &mut BytesMut) -> Result<Decoded, Malformed> {
        loop {
            match self.state {
                State::Data { left } => {
                    if bytes.is_empty() {
                        return Ok(Decoded::Starved);
                    }
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    self.state = match left - length as u64 {
                        0 => State::DataCr,
                        left => State::Data { left },
                    };
                    return Ok(Decoded::Data(bytes.split_to(length).freeze()));
                }
                State::Trailers => {
                    let Some(length) = trailers(bytes)? else { return Ok(Decoded::Starved) };
                    bytes.advance(length);
                    self.state = State::End;
                }
                State::End => return Ok(Decoded::End),
                _ => {
                    let Some(byte) = bytes.first().copied() else { return Ok(Decoded::Starved) };
                    bytes.advance(1);
                    self.state = self.framing(byte)?;
                }
            }
        }
    }

    /// The state behind a byte that is no data.
    fn framing(&mut self, byte: u8) -> Result<State, Malformed> {
        Ok(match (self.state, byte) {
            (State::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits == MOST_DIGITS {
                    return Err(Malformed);
                }
                let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
                State::Size { value: value << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(Malformed),
            (State::Size { value, .. } | State::Blank { value }, b' ' | b'\t') => {
                self.count_extension()?;
                State::Blank { value }
            }
            (State::Size { value, .. } | State::Blank { value }, b';') => State::Extension { value },
            (State::Size { value, .. } | State::Blank { value } | State::Extension { value }, b'\r') => {
                State::SizeLf { value }
            }
            (State::Extension { value }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count_extension()?;
                State::Extension { value }
            }
            (State::SizeLf { value: 0 }, b'\n') => State::Trailers,
            (State::SizeLf { value }, b'\n') => State::Data { left: value },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { value: 0, digits: 0 },
            _ => return Err(Malformed),
        })
    }

    fn count_extension(&mut self) -> Result<(), Malformed> {
        self.extensions += 1;
        if self.extensions > MOST_EXTENSIONS { Err(Malformed) } else { Ok(()) }
    }
}

/// The length of the trailer section at the front of `bytes`, its empty line included, once it is complete.
fn trailers(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    match bytes {
        [b'\r', b'\n', ..] => return Ok(Some(2)),
        [] | [b'\r'] => return Ok(None),
        _ => {}
    }
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4);
    let section = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
    // Whoever takes a lone line feed for an end of line sees other trailers than whoever does not.
    let mut before = b'\n';
    for byte in section {
        if *byte == b'\n' && before != b'\r' {
            return Err(Malformed);
        }
        before = *byte;
    }
    if section.len() > MOST_TRAILERS {
        return Err(Malformed);
    }
    let Some(end) = end else { return Ok(None) };
    let mut lines = [httparse::EMPTY_HEADER; MOST_TRAILER_LINES];
    match httparse::parse_headers(section, &mut lines) {
        Ok(httparse::Status::Complete((length, _))) if length == end => Ok(Some(end)),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The data of a body that comes in pieces cut at `cuts`, and what is left behind it; `None`: refused.
    fn decode(input: &[u8], cuts: &[usize]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let (mut decoder, mut bytes, mut data) = (ChunkDecoder::default(), BytesMut::new(), Vec::new());
        let mut from = 0;
        for to in cuts.iter().copied().chain([input.len()]) {
            bytes.extend_from_slice(&input[from..to]);
            from = to;
            loop {
                match decoder.decode(&mut bytes).ok()? {
                    Decoded::Data(piece) => data.extend_from_slice(&piece),
                    Decoded::Starved => break,
                    Decoded::End => {
                        bytes.extend_from_slice(&input[from..]);
                        return Some((data, Some(bytes.to_vec())));
                    }
                }
            }
        }
        Some((data, None))
    }

    /// `expected`: the data and what follows the body; `None`: refused.
    #[track_caller]
    fn check(input: &[u8], expected: Option<(&str, &str)>) {
        let expected =
            expected.map(|(data, rest)| (data.as_bytes().to_vec(), Some(rest.as_bytes().to_vec())));
        assert_eq!(decode(input, &[]), expected, "{:?}", input.escape_ascii().to_string());
        for cut in 0..input.len().min(200) {
            assert_eq!(decode(input, &[cut]), expected, "cut at {cut}");
        }
        let cuts: Vec<_> = (0..input.len()).collect();
        assert_eq!(decode(input, &cuts), expected, "byte by byte");
    }

    #[test]
    fn bodies_are_read_to_their_end_however_they_are_cut() {
        check(b"0\r\n\r\n", Some(("", "")));
        check(b"5\r\nhello\r\n0\r\n\r\nGET", Some(("hello", "GET")));
        check(b"00A\r\nabcdefghij\r\n1\r\nk\r\n000\r\n\r\n", Some(("abcdefghijk", "")));
        check(b"3;a=\"b\"\r\nabc\r\n0;c\r\n\r\n", Some(("abc", "")));
        check(b"3 \t;a\r\nabc\r\n0 \r\n\r\n", Some(("abc", "")));
        check(b"1\r\na\r\n0\r\nx: y\r\nz:\r\n\r\nGET", Some(("a", "GET")));
        assert_eq!(decode(b"5\r\nhel", &[]), Some((b"hel".to_vec(), None)));
        assert_eq!(decode(b"ffffffffffffffff\r\nhel", &[]), Some((b"hel".to_vec(), None)));
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        for input in [
            &b"\r\n"[..],
            b"zz\r\nhello\r\n",
            b"-5\r\nhello\r\n",
            b"+5\r\nhello\r\n",
            b" 5\r\nhello\r\n",
            b"0x5\r\nhello\r\n",
            b"5\nhello\n0\n\n",
            b"5\r\rhello",
            b"5 5\r\nhello",
            b"5;a\nb\r\nhello",
            b"5;a\0b\r\nhello",
            b"5;a\rb\r\nhello",
            b"5\r\nhelloX\r\n0\r\n\r\n",
            b"5\r\nhelloX\n0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"fffffffffffffffff\r\nhello",
            b"00000000000000005\r\nhello",
            b"0\r\nx: y\n\r\n\r\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\nx : y\r\n\r\n",
            b"0\r\nx: y\r\n z\r\n\r\n",
            b"0\r\nx: \0\r\n\r\n",
            b"0\r\n\n",
        ] {
            check(input, None);
        }
    }

    #[test]
    fn framing_is_bounded() {
        let extension =
            [b"1;".to_vec(), vec![b'a'; MOST_EXTENSIONS], b"\r\na\r\n0\r\n\r\n".to_vec()].concat();
        assert_eq!(decode(&extension, &[]), Some((b"a".to_vec(), Some(Vec::new()))));
        let many = [b"1;aaaaaaaa\r\na\r\n".repeat(MOST_EXTENSIONS / 8 + 1), b"0\r\n\r\n".to_vec()].concat();
        assert_eq!(decode(&many, &[]), None);
        let blanks = [b"1".to_vec(), vec![b' '; MOST_EXTENSIONS + 1], b"\r\n".to_vec()].concat();
        assert_eq!(decode(&blanks, &[]), None);
        let trailer = [b"0\r\nx: ".to_vec(), vec![b'a'; MOST_TRAILERS]].concat();
        assert_eq!(decode(&trailer, &[]), None, "before its end");
        let lines =
            [b"0\r\n".to_vec(), b"x: y\r\n".repeat(MOST_TRAILER_LINES + 1), b"\r\n".to_vec()].concat();
        assert_eq!(decode(&lines, &[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_however_they_are_cut(
            input in proptest::collection::vec(
                proptest::sample::select(b"0123aF;x: \t\r\n\r\n\r\n\0\x80".to_vec()), 0..60),
            cut in 0_usize..60,
        ) {
            let whole = decode(&input, &[]);
            let cut = cut.min(input.len());
            prop_assert_eq!(&decode(&input, &[cut]), &whole);
            let all: Vec<_> = (0..input.len()).collect();
            prop_assert_eq!(&decode(&input, &all), &whole);
        }

        #[test]
        fn what_was_encoded_is_decoded(pieces in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 1..50), 0..6), cut in any::<prop::sample::Index>(),
        ) {
            let mut input = Vec::new();
            for piece in &pieces {
                input.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                input.extend_from_slice(piece);
                input.extend_from_slice(b"\r\n");
            }
            input.extend_from_slice(b"0\r\n\r\nrest");
            let cut = cut.index(input.len());
            prop_assert_eq!(decode(&input, &[cut]), Some((pieces.concat(), Some(b"rest".to_vec()))));
        }
    }
}
