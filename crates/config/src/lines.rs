//! Lines of a text, counted as the parser counts them.

use std::ops::Range;

/// Where each line of a text starts.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        // A mark for the order of bytes is no part of the first line.
        let mut starts = vec![if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 }];
        let mut bytes = text.bytes().enumerate().peekable();
        while let Some((at, byte)) = bytes.next() {
            let ends = match byte {
                b'\n' => true,
                b'\r' => bytes.peek().is_none_or(|(_, next)| *next != b'\n'),
                _ => false,
            };
            if ends {
                starts.push(at + 1);
            }
        }
        Self { text, starts }
    }

    /// The bytes of a line, counted from 1, without its end.
    pub(crate) fn line(&self, line: u32) -> Option<Range<usize>> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        let with_end = self.text.get(start..end)?;
        Some(start..start + with_end.trim_end_matches(['\r', '\n']).len())
    }

    /// The bytes of `width` characters from a column on, counted from 1, as far as they are in the line. A column
    /// beyond the line is its end.
    pub(crate) fn span(&self, line: u32, column: u32, width: u32) -> Option<Range<usize>> {
        let whole = self.line(line)?;
        let text = self.text.get(whole.clone())?;
        let (before, width) = (column.saturating_sub(1) as usize, width as usize);
        let start = nth(text, before);
        let end = start + nth(text.get(start..)?, width);
        Some(whole.start + start..whole.start + end)
    }
}

/// Where the character `nth` of the text starts; its end if it has fewer. A large text may be one line, so characters are
/// counted by blocks before they are looked at.
fn nth(text: &str, mut nth: usize) -> usize {
    const BLOCK: usize = 4096;
    let is_start = |byte: &&u8| **byte & 0b1100_0000 != 0b1000_0000;
    let mut at = 0;
    for block in text.as_bytes().chunks(BLOCK) {
        let starts = block.iter().filter(is_start).count();
        if starts > nth {
            break;
        }
        nth -= starts;
        at += block.len();
    }
    // A block may end within a character, which has been counted.
    let at = text.ceil_char_boundary(at);
    text.get(at..)
        .and_then(|rest| rest.char_indices().nth(nth))
        .map_or(text.len(), |(further, _)| at + further)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, at: [u32; 3], expected: &str) {
        let lines = Lines::new(text);
        let found = lines.span(at[0], at[1], at[2]).map(|range| &text[range]);
        assert_eq!(found, Some(expected), "{text:?} {at:?}");
    }

    #[test]
    fn a_column_is_a_character() {
        check("ab: cd\nefg", [1, 5, 2], "cd");
        check("ab: cd\nefg", [2, 2, 1], "f");
        check("ab: cd\r\nefg\r\n", [1, 5, 99], "cd");
        check("ab: cd\refg", [2, 1, 9], "efg");
        check("\u{feff}ab", [1, 1, 1], "a");
        check("日本: {語: 1}", [1, 6, 1], "語");
        check("a\n", [2, 1, 3], "");
        check("a", [1, 7, 3], "");
        let long = format!("{}x", "日".repeat(10_000));
        check(&long, [1, 10_001, 1], "x");
        check(&long, [1, 1366, 1], "日");
        check(&long, [1, 1, 10_000], &"日".repeat(10_000));
        assert_eq!(Lines::new("a\n").line(3), None);
        assert_eq!(Lines::new("a").line(0), None);
    }
}
