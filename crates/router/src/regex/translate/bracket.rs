//! Escapes and classes in brackets.

use super::Translator;
use crate::regex::classes::{ByteSet, perl, posix, unicode};

impl Translator<'_> {
    /// `\d` and its like or `\p`, from behind the backslash.
    pub(super) fn named_class(&mut self) -> Result<Option<ByteSet>, Wrong> {
        let Some((letter, rest)) = self.rest.split_first() else { return Ok(None) };
        let fold = |set: ByteSet| if self.group.flags.ignore_case { set.folded() } else { set };
        if let Some(set) = perl(letter.to_ascii_lowercase()) {
            self.rest = rest;
            let set = fold(set);
            return Ok(Some(if letter.is_ascii_uppercase() { set.complement() } else { set }));
        }
        if !matches!(letter, b'p' | b'P') {
            return Ok(None);
        }
        let mut negated = *letter == b'P';
        let (name, rest) = match rest.strip_prefix(b"{") {
            Some(rest) => {
                let end = rest.iter().position(|byte| *byte == b'}').ok_or(Wrong::Class)?;
                (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default())
            }
            None => rest.split_at_checked(1).ok_or(Wrong::Class)?,
        };
        let name = name.strip_prefix(b"^").inspect(|_| negated = !negated).unwrap_or(name);
        let set = fold(unicode(name).ok_or(Wrong::Unicode)?);
        self.rest = rest;
        Ok(Some(if negated { set.complement() } else { set }))
    }

    /// The byte that an escape stands for, from behind the backslash.
    pub(super) fn escaped_byte(&mut self) -> Result<u8, Wrong> {
        let (letter, rest) = self.rest.split_first().ok_or(Wrong::Escape)?;
        let (byte, rest) = match letter {
            b'a' => (0x07, rest),
            b'f' => (0x0c, rest),
            b'n' => (b'\n', rest),
            b'r' => (b'\r', rest),
            b't' => (b'\t', rest),
            b'v' => (0x0b, rest),
            b'0'..=b'7' => {
                let digits = self.rest.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                // A single digit other than 0 would be a reference to a group.
                if *letter != b'0' && digits < 2 {
                    return Err(Wrong::Escape);
                }
                let (digits, rest) = self.rest.split_at_checked(digits).ok_or(Wrong::Escape)?;
                (number(digits, 8).ok_or(Wrong::Escape)?, rest)
            }
            b'x' => {
                let (digits, rest) = match rest.strip_prefix(b"{") {
                    Some(rest) => {
                        let end = rest.iter().position(|byte| *byte == b'}').ok_or(Wrong::Escape)?;
                        (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default())
                    }
                    None => rest.split_at_checked(2).ok_or(Wrong::Escape)?,
                };
                (number(digits, 16).ok_or(Wrong::Escape)?, rest)
            }
            byte if byte.is_ascii() && !byte.is_ascii_alphanumeric() => (*byte, rest),
            _ => return Err(Wrong::Escape),
        };
        self.rest = rest;
        Ok(byte)
    }

    /// A class in brackets, from behind the first one.
    pub(super) fn bracket(&mut self) -> Result<ByteSet, Wrong> {
        let negated = self.rest.strip_prefix(b"^").inspect(|rest| self.rest = rest).is_some();
        let mut set = ByteSet::default();
        let mut first = true;
        loop {
            let (byte, after) = self.rest.split_first().ok_or(Wrong::Unclosed)?;
            if *byte == b']' && !first {
                self.rest = after;
                break;
            }
            first = false;
            set = set.union(self.member(*byte, after)?);
        }
        Ok(if negated { set.complement() } else { set })
    }

    /// A range, a named class or a single byte within brackets.
    fn member(&mut self, byte: u8, after: &[u8]) -> Result<ByteSet, Wrong> {
        let ignore_case = self.group.flags.ignore_case;
        let fold = |set: ByteSet| if ignore_case { set.folded() } else { set };
        if byte == b'['
            && let Some(name) = after.strip_prefix(b":")
            && let Some(end) = name.windows(2).position(|two| two == b":]")
        {
            let (name, rest) = (name.get(..end).unwrap_or_default(), name.get(end + 2..).unwrap_or_default());
            let (negated, name) = name.strip_prefix(b"^").map_or((false, name), |name| (true, name));
            let set = fold(posix(name).ok_or(Wrong::Class)?);
            // The slice is taken anew, because `rest` must live as long as the pattern.
            self.rest = self.rest.get(self.rest.len() - rest.len()..).unwrap_or_default();
            return Ok(if negated { set.complement() } else { set });
        }
        if byte == b'\\' {
            let start = self.rest;
            self.rest = self.rest.get(1..).unwrap_or_default();
            if let Some(set) = self.named_class()? {
                return Ok(set);
            }
            self.rest = start;
        }
        let from = self.bracket_byte()?;
        let to = match self.rest {
            [b'-', next, ..] if *next != b']' => {
                self.rest = self.rest.get(1..).unwrap_or_default();
                self.bracket_byte()?
            }
            _ => from,
        };
        if to < from { Err(Wrong::Class) } else { Ok(fold(ByteSet::of(&[(from, to)]))) }
    }

    fn bracket_byte(&mut self) -> Result<u8, Wrong> {
        let (byte, rest) = self.rest.split_first().ok_or(Wrong::Unclosed)?;
        self.rest = rest;
        if *byte == b'\\' { self.escaped_byte() } else { Ok(*byte) }
    }
}

/// What is wrong at a place whose text the caller has.
pub(super) enum Wrong {
    Escape,
    Class,
    Unicode,
    Unclosed,
}

impl Wrong {
    pub(super) fn describe(&self, at: &[u8]) -> String {
        let end = at.len().min(16);
        let text = String::from_utf8_lossy(at.get(..end).unwrap_or_default()).into_owned();
        match self {
            Self::Escape => format!("invalid escape sequence at {text:?}"),
            Self::Class => format!("invalid character class at {text:?}"),
            Self::Unicode => {
                format!(
                    "at {text:?}: only general categories, Latin, Common and Any have characters in Latin-1"
                )
            }
            Self::Unclosed => format!("a ] is missing for {text:?}"),
        }
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u8> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let value = u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()?;
    u8::try_from(value).ok()
}
