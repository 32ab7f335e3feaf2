//! A parsed document in which every value knows where it was written.

use std::{borrow::Cow, fmt, rc::Rc};

/// Where something stands in a source: line and column from 1, the column in characters, and how many characters it
/// is wide. Every value and every key has one, so it takes eight bytes: 26 bits each for line and column, enough for
/// the largest text that is read by default, and 12 for the width. What is larger counts as the largest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(u64);

impl Mark {
    const WIDTH_BITS: u32 = 12;
    const COLUMN_BITS: u32 = 26;
    pub(crate) const START: Mark = Mark::new(1, 1, 0);

    /// A width of 0 says that only the start is known.
    pub(crate) const fn new(line: usize, column: usize, width: usize) -> Self {
        const fn at_most(number: usize, bits: u32) -> u64 {
            let most = (1 << bits) - 1;
            if number as u64 > most { most } else { number as u64 }
        }
        let line = at_most(line, u64::BITS - Self::COLUMN_BITS - Self::WIDTH_BITS);
        let column = at_most(column, Self::COLUMN_BITS);
        let width = at_most(width, Self::WIDTH_BITS);
        Self(line << (Self::COLUMN_BITS + Self::WIDTH_BITS) | column << Self::WIDTH_BITS | width)
    }

    pub(crate) fn line(self) -> u32 {
        self.part(Self::COLUMN_BITS + Self::WIDTH_BITS, u64::BITS - Self::COLUMN_BITS - Self::WIDTH_BITS)
    }

    pub(crate) fn column(self) -> u32 {
        self.part(Self::WIDTH_BITS, Self::COLUMN_BITS)
    }

    pub(crate) fn width(self) -> u32 {
        self.part(0, Self::WIDTH_BITS)
    }

    fn part(self, shift: u32, bits: u32) -> u32 {
        // Each part has fewer than 32 bits.
        (self.0 >> shift & ((1 << bits) - 1)) as u32
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}+{}", self.line(), self.column(), self.width())
    }
}

#[derive(Debug)]
pub(crate) struct Node<'t> {
    pub(crate) mark: Mark,
    pub(crate) value: Value<'t>,
}

#[derive(Debug)]
pub(crate) enum Value<'t> {
    Scalar(Scalar<'t>),
    List(Vec<Node<'t>>),
    Map(Vec<Entry<'t>>),
    /// A value with an anchor, or an alias for one. Aliases are not expanded, so that a small file cannot become a
    /// large tree; whoever walks counts what it visits.
    Shared(Rc<Node<'t>>),
}

impl<'t> Value<'t> {
    /// A list that takes no more room than its items. Most lists and maps have one or two, and would keep room for
    /// four.
    pub(crate) fn list(mut items: Vec<Node<'t>>) -> Self {
        items.shrink_to_fit();
        Self::List(items)
    }

    /// A map that takes no more room than its entries.
    pub(crate) fn map(mut entries: Vec<Entry<'t>>) -> Self {
        entries.shrink_to_fit();
        Self::Map(entries)
    }
}

#[derive(Debug)]
pub(crate) struct Scalar<'t> {
    pub(crate) text: Cow<'t, str>,
    /// Quoted, or a block scalar: never a number, boolean or null.
    pub(crate) quoted: bool,
}

#[derive(Debug)]
pub(crate) struct Entry<'t> {
    pub(crate) mark: Mark,
    pub(crate) key: Cow<'t, str>,
    pub(crate) value: Node<'t>,
}

impl<'t> Node<'t> {
    /// The value behind anchors and aliases.
    pub(crate) fn resolved(&self) -> &Value<'t> {
        let mut value = &self.value;
        while let Value::Shared(node) = value {
            value = &node.value;
        }
        value
    }

    pub(crate) fn entries(&self) -> Option<&[Entry<'t>]> {
        match self.resolved() {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub(crate) fn scalar(&self) -> Option<&Scalar<'t>> {
        match self.resolved() {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.scalar().is_some_and(|scalar| scalar.plain() == Some(Plain::Null))
    }

    /// The entry of a map with exactly this key.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry<'t>> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }
}

/// What a plain scalar means before the type of its field is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plain {
    Null,
    Bool(bool),
    Int(i64),
    /// Anything else, fractions included: text until a field says otherwise.
    Text,
}

impl Scalar<'_> {
    /// How a scalar without quotes reads; `None` for one with quotes.
    pub(crate) fn plain(&self) -> Option<Plain> {
        if self.quoted {
            return None;
        }
        let text = &*self.text;
        if is_null(text) {
            return Some(Plain::Null);
        }
        Some(match boolean(text) {
            Some(value) => Plain::Bool(value),
            None => integer(text).map_or(Plain::Text, Plain::Int),
        })
    }
}

/// Whether a scalar without quotes and without a tag says that there is nothing.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The YAML 1.1 words, in lower case, upper case, or with a capital first letter.
fn boolean(text: &str) -> Option<bool> {
    let mut letters = text.chars();
    let first_upper = letters.next()?.is_ascii_uppercase();
    let rest = letters.as_str();
    let all_lower = rest.bytes().all(|byte| byte.is_ascii_lowercase());
    let all_upper = rest.bytes().all(|byte| byte.is_ascii_uppercase());
    if !(all_lower || first_upper && all_upper) || text.len() > 5 {
        return None;
    }
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "true" | "on" => Some(true),
        "n" | "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// Decimal, `0x` hexadecimal, or octal with a leading zero.
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if !digits.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Plain) {
        let scalar = Scalar { text: text.into(), quoted: false };
        assert_eq!(scalar.plain(), Some(expected), "{text:?}");
    }

    #[test]
    fn plain_scalars_read_as_in_envoy() {
        for null in ["", "~", "null", "Null", "NULL"] {
            check(null, Plain::Null);
        }
        for yes in ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"] {
            check(yes, Plain::Bool(true));
        }
        for no in ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"] {
            check(no, Plain::Bool(false));
        }
        for (text, value) in
            [("0", 0), ("-0", 0), ("+5", 5), ("-12", -12), ("0x1F", 31), ("0644", 420), ("00", 0)]
        {
            check(text, Plain::Int(value));
        }
        for text in
            ["oN", "yES", "nULL", "089", "0o17", "0x", "1.5", "1e3", "--1", "9223372036854775808", "-", "1_0"]
        {
            check(text, Plain::Text);
        }
    }

    #[test]
    fn a_mark_keeps_its_parts() {
        #[track_caller]
        fn check(given: [usize; 3], expected: [u32; 3]) {
            let mark = Mark::new(given[0], given[1], given[2]);
            assert_eq!([mark.line(), mark.column(), mark.width()], expected);
        }
        check([1, 2, 3], [1, 2, 3]);
        check([1 << 25, 3 << 24, 4095], [1 << 25, 3 << 24, 4095]);
        check([usize::MAX; 3], [(1 << 26) - 1, (1 << 26) - 1, 4095]);
        assert!(Mark::new(2, 1, 0) > Mark::new(1, 9, 9), "marks are in the order of the text");
        assert_eq!((size_of::<Mark>(), size_of::<Node<'_>>(), size_of::<Entry<'_>>()), (8, 40, 72));
    }

    #[test]
    fn a_quoted_scalar_is_text() {
        assert_eq!(Scalar { text: "true".into(), quoted: true }.plain(), None);
    }
}
