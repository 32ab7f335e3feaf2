//! JSON text to a [`Node`] tree.
//!
//! A file whose name ends in `.json` is JSON and no YAML, as in Envoy: a number is a number, a comment is a mistake.
//! The reader takes the liberties that Envoy's takes: strings in single quotes, plain words as keys, a comma after
//! the last element, and line ends in strings.

use std::borrow::Cow;

use super::{ParseError, too_deep};
use crate::{
    source::Limits,
    tree::{Entry, Mark, Node, Scalar, Value},
};

/// Parses one text.
pub(super) fn parse<'t>(text: &'t str, limits: &Limits) -> Result<Node<'t>, ParseError> {
    let mut reader = Reader { text, at: 0, line: 1, column: 1, limits, nodes: 0, depth: 0 };
    reader.blank();
    let root = reader.value()?;
    reader.blank();
    match reader.peek() {
        None => Ok(root),
        Some(_) => Err(reader.expected("the end of the text")),
    }
}

struct Reader<'t, 'l> {
    text: &'t str,
    /// How many bytes have been read.
    at: usize,
    line: usize,
    column: usize,
    limits: &'l Limits,
    nodes: usize,
    depth: usize,
}

impl<'t> Reader<'t, '_> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        if letter == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(letter)
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.next();
        }
        is_there
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let start = self.at;
        while self.peek().is_some_and(&belongs) {
            self.next();
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn blank(&mut self) {
        self.take_while(|letter| matches!(letter, ' ' | '\t' | '\r' | '\n'));
    }

    fn here(&self) -> Mark {
        Mark::new(self.line, self.column, 0)
    }

    /// From a place to here, if that is in one line.
    fn since(&self, line: usize, column: usize) -> Mark {
        let width = if line == self.line { self.column.saturating_sub(column) } else { 0 };
        Mark::new(line, column, width)
    }

    fn expected(&self, what: &str) -> ParseError {
        let found = match self.peek() {
            None => "the end of the text".to_owned(),
            Some('\u{feff}') => "a byte order mark".to_owned(),
            Some(letter @ ('#' | '/')) => format!("{letter:?}; JSON has no comments"),
            Some(letter) => format!("{letter:?}"),
        };
        ParseError::syntax(self.here(), format!("not valid JSON: expected {what}, found {found}"))
    }

    fn value(&mut self) -> Result<Node<'t>, ParseError> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            let message = format!("more than {} values", self.limits.nodes);
            return Err(ParseError::limit(self.here(), message));
        }
        let (line, column) = (self.line, self.column);
        let value = match self.peek() {
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::array)?,
            Some(quote @ ('"' | '\'')) => Value::Scalar(Scalar { text: self.string(quote)?, quoted: true }),
            Some('-' | '0'..='9') => self.number()?,
            Some('a'..='z' | 'A'..='Z' | '_') => self.word()?,
            _ => return Err(self.expected("a value")),
        };
        // Only what stands in one line and has no inner structure is shown as a whole.
        let mark = match value {
            Value::Scalar(_) => self.since(line, column),
            _ => Mark::new(line, column, 1),
        };
        Ok(Node { mark, value })
    }

    /// The one way down, so it is here that levels are counted.
    fn nested(
        &mut self,
        read: impl Fn(&mut Self) -> Result<Value<'t>, ParseError>,
    ) -> Result<Value<'t>, ParseError> {
        if self.depth >= self.limits.depth {
            return Err(too_deep(self.here(), self.limits));
        }
        self.next();
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Value<'t>, ParseError> {
        let mut entries = Vec::new();
        loop {
            self.blank();
            if self.take('}') {
                break;
            }
            let (line, column) = (self.line, self.column);
            let key = match self.peek() {
                Some(quote @ ('"' | '\'')) => self.string(quote)?,
                Some(letter) if letter.is_ascii_alphabetic() || letter == '_' => {
                    self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '_').into()
                }
                _ => return Err(self.expected("a key in quotes")),
            };
            let mark = self.since(line, column);
            self.blank();
            if !self.take(':') {
                return Err(self.expected("':'"));
            }
            self.blank();
            let value = self.value()?;
            entries.push(Entry { mark, key, value });
            self.blank();
            if !self.take(',') && self.peek() != Some('}') {
                return Err(self.expected("',' or '}'"));
            }
        }
        Ok(Value::map(entries))
    }

    fn array(&mut self) -> Result<Value<'t>, ParseError> {
        let mut items = Vec::new();
        loop {
            self.blank();
            if self.take(']') {
                break;
            }
            items.push(self.value()?);
            self.blank();
            if !self.take(',') && self.peek() != Some(']') {
                return Err(self.expected("',' or ']'"));
            }
        }
        Ok(Value::list(items))
    }

    fn number(&mut self) -> Result<Value<'t>, ParseError> {
        let (start, mark) = (self.at, self.here());
        self.take_while(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.' | '_'));
        let text = self.text.get(start..self.at).unwrap_or_default();
        if is_number(text) {
            Ok(Value::Scalar(Scalar { text: text.into(), quoted: false }))
        } else {
            Err(ParseError::syntax(mark, format!("not valid JSON: {text:?} is not a number")))
        }
    }

    fn word(&mut self) -> Result<Value<'t>, ParseError> {
        let mark = self.here();
        let text = self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if matches!(text, "true" | "false" | "null") {
            Ok(Value::Scalar(Scalar { text: text.into(), quoted: false }))
        } else {
            let message =
                format!("not valid JSON: expected a value, found {text:?}; a string stands in quotes");
            Err(ParseError::syntax(mark, message))
        }
    }

    fn string(&mut self, quote: char) -> Result<Cow<'t, str>, ParseError> {
        let open = self.here();
        self.next();
        let start = self.at;
        // Most strings have no escapes and are borrowed.
        let plain = self.take_while(|letter| letter != quote && letter != '\\');
        if self.take(quote) {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = self.text.get(start..self.at).unwrap_or_default().to_owned();
        loop {
            let mark = self.here();
            match self.next() {
                None => return Err(ParseError::syntax(open, "not valid JSON: this string has no end")),
                Some(letter) if letter == quote => return Ok(Cow::Owned(text)),
                Some('\\') => text.push(self.escape(mark)?),
                Some(letter) => text.push(letter),
            }
        }
    }

    /// What stands after a backslash.
    fn escape(&mut self, mark: Mark) -> Result<char, ParseError> {
        let letter = match self.next() {
            Some(letter @ ('"' | '\'' | '\\' | '/')) => Some(letter),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('u') => match self.hex(4) {
                // A letter beyond the first 65,536 is written as two halves.
                Some(high @ 0xd800..=0xdbff) if self.take('\\') && self.take('u') => self
                    .hex(4)
                    .filter(|low| (0xdc00..=0xdfff).contains(low))
                    .and_then(|low| char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))),
                Some(code) => char::from_u32(code),
                None => None,
            },
            Some('U') => self.hex(8).and_then(char::from_u32),
            _ => None,
        };
        letter.ok_or_else(|| ParseError::syntax(mark, "not valid JSON: this escape stands for no character"))
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let mut code = 0u32;
        for _ in 0..digits {
            code = code << 4 | self.next()?.to_digit(16)?;
        }
        Some(code)
    }
}

/// The numbers of JSON: no leading zero, no plus, digits on both sides of the point.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(is_digits)
}
