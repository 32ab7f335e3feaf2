//! Sets of bytes, and the named ones that RE2 knows, as far as they reach into Latin-1.

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByteSet([u128; 2]);

impl ByteSet {
    pub(super) const ALL: Self = Self([u128::MAX; 2]);

    pub(super) fn of(ranges: &[(u8, u8)]) -> Self {
        let mut set = Self::default();
        for (from, to) in ranges {
            set.insert(*from, *to);
        }
        set
    }

    pub(super) fn insert(&mut self, from: u8, to: u8) {
        let [low, high] = &mut self.0;
        for byte in from..=to {
            *if byte < 128 { &mut *low } else { &mut *high } |= 1 << (byte % 128);
        }
    }

    pub(super) fn contains(self, byte: u8) -> bool {
        let [low, high] = self.0;
        (if byte < 128 { low } else { high }) >> (byte % 128) & 1 == 1
    }

    pub(super) fn union(self, other: Self) -> Self {
        let ([low, high], [other_low, other_high]) = (self.0, other.0);
        Self([low | other_low, high | other_high])
    }

    pub(super) fn complement(self) -> Self {
        let [low, high] = self.0;
        Self([!low, !high])
    }

    /// With both cases of every ASCII letter. RE2 folds no other letters when it reads Latin-1.
    pub(super) fn folded(self) -> Self {
        let mut set = self;
        for byte in b'A'..=b'Z' {
            let lower = byte.to_ascii_lowercase();
            if self.contains(byte) || self.contains(lower) {
                set.insert(byte, byte);
                set.insert(lower, lower);
            }
        }
        set
    }

    /// Its runs of neighbours, ascending.
    pub(super) fn ranges(self) -> Vec<(u8, u8)> {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for byte in (0..=u8::MAX).filter(|byte| self.contains(*byte)) {
            match ranges.last_mut() {
                Some((_, to)) if *to + 1 == byte => *to = byte,
                _ => ranges.push((byte, byte)),
            }
        }
        ranges
    }
}

/// `\d`, `\s` or `\w`, by their letter. Unlike `[[:space:]]`, `\s` is without the vertical tab.
pub(super) fn perl(letter: u8) -> Option<ByteSet> {
    let ranges: &[(u8, u8)] = match letter {
        b'd' => &[(b'0', b'9')],
        b's' => &[(b'\t', b'\n'), (0x0c, b'\r'), (b' ', b' ')],
        b'w' => WORD,
        _ => return None,
    };
    Some(ByteSet::of(ranges))
}

const WORD: &[(u8, u8)] = &[(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')];

/// The class that is written `[:name:]`.
pub(super) fn posix(name: &[u8]) -> Option<ByteSet> {
    let ranges: &[(u8, u8)] = match name {
        b"alnum" => &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')],
        b"alpha" => &[(b'A', b'Z'), (b'a', b'z')],
        b"ascii" => &[(0, 0x7f)],
        b"blank" => &[(b'\t', b'\t'), (b' ', b' ')],
        b"cntrl" => &[(0, 0x1f), (0x7f, 0x7f)],
        b"digit" => &[(b'0', b'9')],
        b"graph" => &[(b'!', b'~')],
        b"lower" => &[(b'a', b'z')],
        b"print" => &[(b' ', b'~')],
        b"punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
        b"space" => &[(b'\t', b'\r'), (b' ', b' ')],
        b"upper" => &[(b'A', b'Z')],
        b"word" => WORD,
        b"xdigit" => &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')],
        _ => return None,
    };
    Some(ByteSet::of(ranges))
}

/// The general category or script that is written `\p{name}`. Of the scripts only those that Latin-1 has.
pub(super) fn unicode(name: &[u8]) -> Option<ByteSet> {
    let all = |names: &[&[u8]]| names.iter().filter_map(|name| unicode(name)).reduce(ByteSet::union);
    let ranges: &[(u8, u8)] = match name {
        b"Any" => return Some(ByteSet::ALL),
        b"C" => return all(&[b"Cc", b"Cf"]),
        b"Cc" => &[(0, 0x1f), (0x7f, 0x9f)],
        b"Cf" => &[(0xad, 0xad)],
        b"L" => return all(&[b"Lu", b"Ll", b"Lo"]),
        b"Ll" => &[(b'a', b'z'), (0xb5, 0xb5), (0xdf, 0xf6), (0xf8, 0xff)],
        b"Lo" => &[(0xaa, 0xaa), (0xba, 0xba)],
        b"Lu" => &[(b'A', b'Z'), (0xc0, 0xd6), (0xd8, 0xde)],
        b"N" => return all(&[b"Nd", b"No"]),
        b"Nd" => &[(b'0', b'9')],
        b"No" => &[(0xb2, 0xb3), (0xb9, 0xb9), (0xbc, 0xbe)],
        b"P" => return all(&[b"Pc", b"Pd", b"Ps", b"Pe", b"Pi", b"Pf", b"Po"]),
        b"Pc" => &[(b'_', b'_')],
        b"Pd" => &[(b'-', b'-')],
        b"Ps" => &[(b'(', b'('), (b'[', b'['), (b'{', b'{')],
        b"Pe" => &[(b')', b')'), (b']', b']'), (b'}', b'}')],
        b"Pi" => &[(0xab, 0xab)],
        b"Pf" => &[(0xbb, 0xbb)],
        b"Po" => return Some(other_punctuation()),
        b"S" => return all(&[b"Sc", b"Sk", b"Sm", b"So"]),
        b"Sc" => &[(b'$', b'$'), (0xa2, 0xa5)],
        b"Sk" => &[(b'^', b'^'), (b'`', b'`'), (0xa8, 0xa8), (0xaf, 0xaf), (0xb4, 0xb4), (0xb8, 0xb8)],
        b"Sm" => return Some(mathematical()),
        b"So" => &[(0xa6, 0xa6), (0xa9, 0xa9), (0xae, 0xae), (0xb0, 0xb0)],
        b"Z" | b"Zs" => &[(b' ', b' '), (0xa0, 0xa0)],
        b"Co" | b"Cs" | b"Lm" | b"Lt" | b"M" | b"Mc" | b"Me" | b"Mn" | b"Nl" | b"Zl" | b"Zp" => &[],
        b"Latin" => return Some(latin()),
        b"Common" => return Some(latin().complement()),
        _ => return None,
    };
    Some(ByteSet::of(ranges))
}

fn latin() -> ByteSet {
    ByteSet::of(&[
        (b'A', b'Z'),
        (b'a', b'z'),
        (0xaa, 0xaa),
        (0xba, 0xba),
        (0xc0, 0xd6),
        (0xd8, 0xf6),
        (0xf8, 0xff),
    ])
}

fn other_punctuation() -> ByteSet {
    let mut set = ByteSet::of(&[(0xa1, 0xa1), (0xa7, 0xa7), (0xb6, 0xb7), (0xbf, 0xbf)]);
    for byte in b"!\"#%&'*,./:;?@\\" {
        set.insert(*byte, *byte);
    }
    set
}

fn mathematical() -> ByteSet {
    let mut set = ByteSet::of(&[(0xac, 0xac), (0xb1, 0xb1), (0xd7, 0xd7), (0xf7, 0xf7)]);
    for byte in b"+<=>|~" {
        set.insert(*byte, *byte);
    }
    set
}
