//! Classes of characters and escapes.

use regex_automata::meta::Regex;

use super::{Invalid, invalid};

const POSIX: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// The general categories that RE2 knows.
const CATEGORIES: &[&str] = &[
    "Any", "C", "Cc", "Cf", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd",
    "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp",
    "Zs",
];

/// Skips the class at the start of `text`.
pub(super) fn skip(text: &[u8]) -> Result<&[u8], Invalid> {
    let mut rest = text.get(1..).unwrap_or_default();
    rest = rest.strip_prefix(b"^").unwrap_or(rest);
    let mut first = true;
    loop {
        match rest {
            [] => return Err(invalid("a bracket \"[\" is not closed", text)),
            [b']', after @ ..] if !first => return Ok(after),
            _ => {}
        }
        first = false;
        if let Some(after) = posix(rest)? {
            rest = after;
        } else if let Some(after) = skip_group(rest)? {
            rest = after;
        } else {
            rest = range(rest)?;
        }
    }
}

/// Skips `[:name:]`.
fn posix(text: &[u8]) -> Result<Option<&[u8]>, Invalid> {
    let Some(inner) = text.strip_prefix(b"[:") else { return Ok(None) };
    let Some(end) = inner.windows(2).position(|pair| pair == b":]") else { return Ok(None) };
    let name = inner.get(..end).unwrap_or_default();
    let known = name.strip_prefix(b"^").unwrap_or(name);
    if !POSIX.iter().any(|posix| posix.as_bytes() == known) {
        let written = text.get(..end + 4).unwrap_or_default();
        return Err(invalid("there is no such class of characters", written));
    }
    Ok(inner.get(end + 2..))
}

/// Skips a class that is written as an escape: `\d`, `\pL`, `\p{Greek}`.
pub(super) fn skip_group(text: &[u8]) -> Result<Option<&[u8]>, Invalid> {
    match text {
        [b'\\', b'd' | b'D' | b's' | b'S' | b'w' | b'W', rest @ ..] => Ok(Some(rest)),
        [b'\\', b'p' | b'P', rest @ ..] => {
            let (name, rest) = match rest {
                [b'{', inner @ ..] => {
                    let end = inner.iter().position(|byte| *byte == b'}');
                    let Some(end) = end else {
                        return Err(invalid("a class of Unicode is not closed", text));
                    };
                    (inner.get(..end).unwrap_or_default(), inner.get(end + 1..).unwrap_or_default())
                }
                [_, after @ ..] => (rest.get(..1).unwrap_or_default(), after),
                [] => return Err(invalid("a class of Unicode has no name", text)),
            };
            if is_unicode_class(name.strip_prefix(b"^").unwrap_or(name)) {
                Ok(Some(rest))
            } else {
                Err(invalid("there is no such class of Unicode", name))
            }
        }
        _ => Ok(None),
    }
}

/// Whether a name is a general category or a script, in exactly RE2's spelling.
fn is_unicode_class(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    if CATEGORIES.contains(&name) {
        return true;
    }
    let capital = name.starts_with(|first: char| first.is_ascii_uppercase());
    let plain = name.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_');
    // Both follow the same tables of Unicode, so the scripts that the one knows the other knows, too.
    capital && plain && name.len() > 1 && Regex::new(&format!("\\p{{Script={name}}}")).is_ok()
}

/// Skips one character, or two with a hyphen between them.
fn range(text: &[u8]) -> Result<&[u8], Invalid> {
    let (low, rest) = character(text)?;
    match rest {
        [b'-', after @ ..] if !matches!(after, [] | [b']', ..]) => {
            let (high, after) = character(after)?;
            if high < low {
                let written = text.get(..text.len() - after.len()).unwrap_or_default();
                return Err(invalid("a range of characters ends before it begins", written));
            }
            Ok(after)
        }
        _ => Ok(rest),
    }
}

fn character(text: &[u8]) -> Result<(u32, &[u8]), Invalid> {
    match text {
        [b'\\', ..] => escaped(text),
        [byte, rest @ ..] => Ok((u32::from(*byte), rest)),
        [] => Err(invalid("a bracket \"[\" is not closed", text)),
    }
}

/// Reads an escape that stands for one character.
pub(super) fn escaped(text: &[u8]) -> Result<(u32, &[u8]), Invalid> {
    let bad = || invalid("RE2 does not know the escape sequence", text.get(..2).unwrap_or(text));
    let Some((&letter, rest)) = text.get(1..).and_then(<[u8]>::split_first) else {
        return Err(invalid("the expression ends in a backslash", b""));
    };
    match letter {
        // An octal number. One digit alone would refer back to a group.
        b'1'..=b'7' if !matches!(rest.first(), Some(b'0'..=b'7')) => Err(bad()),
        b'0'..=b'7' => {
            let more = rest.iter().take(2).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
            let digits = text.get(1..2 + more).unwrap_or_default();
            let code = digits.iter().fold(0, |code, digit| code * 8 + u32::from(digit.saturating_sub(b'0')));
            if code > 0xff { Err(bad()) } else { Ok((code, rest.get(more..).unwrap_or_default())) }
        }
        b'x' => hexadecimal(rest).ok_or_else(bad),
        b'n' | b'r' | b't' | b'a' | b'f' | b'v' => Ok((u32::from(letter), rest)),
        _ if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Ok((u32::from(letter), rest)),
        _ => Err(bad()),
    }
}

/// `41` or `{41}`, no more than a byte.
fn hexadecimal(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = match text.strip_prefix(b"{") {
        Some(inner) => {
            let end = inner.iter().position(|byte| *byte == b'}')?;
            (inner.get(..end)?, inner.get(end + 1..)?)
        }
        None => text.split_at_checked(2)?,
    };
    if digits.is_empty() {
        return None;
    }
    let code = digits.iter().try_fold(0_u32, |code, digit| {
        let code = code * 16 + char::from(*digit).to_digit(16)?;
        (code <= 0xff).then_some(code)
    })?;
    Some((code, rest))
}
