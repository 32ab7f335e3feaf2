//! Writes YAML that every reader understands alike: plain words only where no version of YAML sees anything else in
//! them, text of several lines as block scalars, everything else in double quotes.

use std::{collections::HashSet, fmt::Write as _, net::Ipv4Addr};

use serde_json::{Map, Value as Json};

use super::Notes;
use crate::{
    path::Path,
    tree::{Plain, Scalar},
};

/// Comments are broken before this column.
const WIDTH: usize = 110;

/// A document, with a comment before each place that has notes. Notes on places that are not in the document stand at
/// its top.
pub(super) fn write(value: &Json, notes: &Notes) -> String {
    let mut writer = Writer { text: String::new(), notes, written: HashSet::new(), dashes: None };
    match value {
        Json::Object(map) if !map.is_empty() => writer.map(map, 0, &Path::ROOT),
        other => {
            writer.start_line(0, &Path::ROOT);
            writer.inline(other, 0);
        }
    }
    let Writer { text: body, written, .. } = writer;
    let mut head = Writer { text: String::new(), notes, written: HashSet::new(), dashes: None };
    let mut rest: Vec<_> = notes.iter().filter(|(path, _)| !written.contains(path.as_str())).collect();
    rest.sort();
    for (path, lines) in rest {
        for line in lines {
            let separator = if path.is_empty() { "" } else { ": " };
            head.comment(&format!("{path}{separator}{line}"), 0);
        }
    }
    head.text + &body
}

/// JSON in which characters that JSON lets stand and YAML does not are escaped, so that it can be read as YAML.
pub(super) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '\n' => text.push('\n'),
            _ if is_printable(letter) => text.push(letter),
            _ => push_escape(&mut text, letter),
        }
    }
    text
}

fn push_escape(text: &mut String, letter: char) {
    // All characters that are not printable are below U+10000.
    let _ = write!(text, "\\u{:04x}", u32::from(letter));
}

/// The form of a path by which notes are found: a document does not tell the entries of a map from fields.
pub(super) fn note_key(path: &str) -> String {
    path.replace("[\"", ".").replace("\"]", "")
}

struct Writer<'n> {
    text: String,
    notes: &'n Notes,
    /// The places whose notes have been written.
    written: HashSet<&'n str>,
    /// The column and number of dashes that open list items on the next line.
    dashes: Option<(usize, usize)>,
}

impl Writer<'_> {
    /// Comments cannot stand behind a dash, so they are written before the dashes of the line.
    fn start_line(&mut self, indent: usize, path: &Path<'_>) {
        let column = self.dashes.map_or(indent, |(column, _)| column);
        self.notes(column, path);
        self.spaces(column);
        if let Some((_, count)) = self.dashes.take() {
            self.text.push_str(&"- ".repeat(count));
        }
    }

    fn notes(&mut self, column: usize, path: &Path<'_>) {
        if self.notes.is_empty() {
            return;
        }
        let Some((path, notes)) = self.notes.get_key_value(&path.to_string()) else { return };
        self.written.insert(path);
        for note in notes {
            self.comment(note, column);
        }
    }

    fn comment(&mut self, note: &str, column: usize) {
        let mut width = 0;
        for word in note.split_whitespace() {
            let length = word.chars().count() + 1;
            if width == 0 || column + width + length > WIDTH {
                if width > 0 {
                    self.text.push('\n');
                }
                self.spaces(column);
                self.text.push('#');
                width = 1;
            }
            self.text.push(' ');
            self.text.push_str(word);
            width += length;
        }
        self.text.push('\n');
    }

    fn spaces(&mut self, count: usize) {
        self.text.extend(std::iter::repeat_n(' ', count));
    }

    fn map(&mut self, map: &Map<String, Json>, indent: usize, path: &Path<'_>) {
        for (index, (key, value)) in map.iter().enumerate() {
            let at = path.field(key);
            if index == 0
                && let Some((column, _)) = self.dashes
            {
                // What is said about an item of a list stands before its first field.
                self.notes(column, path);
            }
            self.start_line(indent, &at);
            self.scalar(key, indent, false);
            self.text.push(':');
            match value {
                Json::Object(inner) if !inner.is_empty() => {
                    self.text.push('\n');
                    self.map(inner, indent + 2, &at);
                }
                Json::Array(items) if !items.is_empty() => {
                    self.text.push('\n');
                    self.list(items, indent, &at);
                }
                other => {
                    self.text.push(' ');
                    self.inline(other, indent);
                }
            }
        }
    }

    fn list(&mut self, items: &[Json], indent: usize, path: &Path<'_>) {
        for (index, item) in items.iter().enumerate() {
            let at = path.index(index);
            self.dashes = Some(match self.dashes {
                Some((column, count)) => (column, count + 1),
                None => (indent, 1),
            });
            match item {
                Json::Object(inner) if !inner.is_empty() => self.map(inner, indent + 2, &at),
                Json::Array(inner) if !inner.is_empty() => self.list(inner, indent + 2, &at),
                other => {
                    self.start_line(indent, &at);
                    self.inline(other, indent);
                }
            }
        }
    }

    /// A value that starts on the line of its key, with the end of the line.
    fn inline(&mut self, value: &Json, indent: usize) {
        match value {
            Json::Null => self.text.push_str("null"),
            Json::Bool(value) => self.text.push_str(if *value { "true" } else { "false" }),
            Json::Number(number) => self.text.push_str(&number.to_string()),
            Json::String(text) => self.scalar(text, indent, true),
            Json::Array(_) => self.text.push_str("[]"),
            Json::Object(_) => self.text.push_str("{}"),
        }
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn scalar(&mut self, text: &str, indent: usize, may_be_block: bool) {
        if is_plain(text) {
            self.text.push_str(text);
        } else if may_be_block && fits_a_block(text) {
            self.block(text, indent + 2);
        } else {
            self.quoted(text);
        }
    }

    /// A literal block scalar, which ends with the end of a line.
    fn block(&mut self, text: &str, indent: usize) {
        let body = text.strip_suffix('\n');
        self.text.push_str(match body {
            None => "|-\n",
            Some(body) if body.ends_with('\n') => "|+\n",
            Some(_) => "|\n",
        });
        for line in body.unwrap_or(text).split('\n') {
            if !line.is_empty() {
                self.spaces(indent);
                self.text.push_str(line);
            }
            self.text.push('\n');
        }
    }

    fn quoted(&mut self, text: &str) {
        self.text.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\t' => self.text.push_str("\\t"),
                '\r' => self.text.push_str("\\r"),
                _ if is_printable(letter) => self.text.push(letter),
                _ => push_escape(&mut self.text, letter),
            }
        }
        self.text.push('"');
    }
}

/// Whether a text can stand without quotes: a word, a path, a URL, a duration or an IPv4 address.
fn is_plain(text: &str) -> bool {
    let is_word_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@+- ".contains(&byte);
    let starts_well =
        text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'_'));
    let word = starts_well
        && text.bytes().all(is_word_byte)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && Scalar { text: text.into(), quoted: false }.plain() == Some(Plain::Text);
    word || is_duration(text) || text.parse::<Ipv4Addr>().is_ok()
}

fn is_duration(text: &str) -> bool {
    let Some(number) = text.strip_suffix('s') else { return false };
    let mut parts = number.split('.');
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.next().is_some_and(is_digits) && parts.next().is_none_or(is_digits) && parts.next().is_none()
}

/// Several lines, of which a literal block keeps every character.
fn fits_a_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with(['\n', ' ', '\t'])
        && text.chars().all(|letter| matches!(letter, '\n' | '\t') || is_printable(letter))
        // Lines of nothing but blanks are read differently by different readers.
        && text.split('\n').all(|line| line.is_empty() || !line.trim_matches([' ', '\t']).is_empty())
}

/// What may stand in YAML as it is, without line breaks and marks of byte order.
fn is_printable(letter: char) -> bool {
    !letter.is_control() && !matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}
