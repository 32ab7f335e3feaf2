//! Patterns over the dotted segments of a name.
//!
//! | part | stands for |
//! |---|---|
//! | `word` | that segment |
//! | `*` | any one segment |
//! | `**` | one or more segments, as few as fit; at the end, all that remain |
//! | `***` | at the end: all that remain, perhaps none |
//! | `@` | a listener: an address with its port, or any one segment |
//! | `$` | the tag: any one segment |
//! | `$!word` | the tag: any one segment but that |
//! | `$@` | the tag: a listener other than `admin` |
//! | `$word` | the tag: a segment of letters, digits, `_` and `-` |
//! | `$tls` | the tag: a TLS version, which holds a dot |
//! | `$names` | the tag: one or more segments, as many as fit |
//! | `$worker` | a segment `worker_<number>`, whose number is the tag |
//! | `$version` | a segment `v<digit>`, whose digit is the tag |
//! | `$partition` | a segment `__partition_id=<seven characters>`, whose characters are the tag |
//!
//! The tag leaves the name together with the dot after it, or with the dot before it where the name may end with it.

use std::ops::Range;

#[derive(Clone, Debug)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    /// The third segment of all names that the pattern can fit, if it is always the same. Nearly all names are told
    /// apart by it, so it is compared before anything else.
    third: Option<&'static str>,
    /// Whether the name may end with the tag.
    ends: bool,
    removes_before: usize,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Word(&'static str),
    One,
    Some,
    Rest,
    Listener,
    Take(Take),
}

#[derive(Clone, Copy, Debug)]
enum Take {
    Segment,
    Not(&'static str),
    Listener,
    Word,
    Tls,
    Names,
    /// What follows these characters in the segment, if it passes the test.
    After(&'static str, fn(&str) -> bool),
}

/// A name and the places of its dots.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    text: &'a str,
    dots: &'a [usize],
    third: &'a str,
}

/// Where a tag was found.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) value: Range<usize>,
    pub(super) removed: Range<usize>,
}

impl<'a> Name<'a> {
    pub(super) fn new(text: &'a str, dots: &'a [usize]) -> Name<'a> {
        let mut name = Name { text, dots, third: "" };
        if name.segments() > 2 {
            name.third = name.segment(2);
        }
        name
    }

    /// The first segment.
    pub(super) fn root(self) -> &'a str {
        self.segment(0)
    }

    fn segments(self) -> usize {
        self.dots.len() + 1
    }

    fn start(self, segment: usize) -> usize {
        segment.checked_sub(1).and_then(|before| self.dots.get(before)).map_or(0, |dot| dot + 1)
    }

    /// Where the segment ends: the place of its dot, or the name's end.
    fn end(self, segment: usize) -> usize {
        self.dots.get(segment).copied().unwrap_or(self.text.len())
    }

    fn range(self, segments: Range<usize>) -> &'a str {
        self.text
            .get(self.start(segments.start)..self.end(segments.end.saturating_sub(1)))
            .unwrap_or_default()
    }

    fn segment(self, segment: usize) -> &'a str {
        self.range(segment..segment + 1)
    }
}

impl Pattern {
    pub(super) fn new(text: &'static str, removes_before: usize) -> Pattern {
        let mut parts: Vec<Part> = Vec::new();
        for word in text.split('.') {
            match word {
                "*" => parts.push(Part::One),
                "**" => parts.push(Part::Some),
                "***" => parts.push(Part::Rest),
                "@" => parts.push(Part::Listener),
                "$" => parts.push(Part::Take(Take::Segment)),
                "$@" => parts.push(Part::Take(Take::Listener)),
                "$word" => parts.push(Part::Take(Take::Word)),
                "$tls" => parts.push(Part::Take(Take::Tls)),
                "$names" => parts.push(Part::Take(Take::Names)),
                "$worker" => parts.push(Part::Take(Take::After("worker_", is_number))),
                "$version" => parts.push(Part::Take(Take::After("v", |v| is_number(v) && v.len() == 1))),
                "$partition" => {
                    parts.push(Part::Take(Take::After("__partition_id=", |id| is_word(id) && id.len() == 7)));
                }
                word => parts.push(match word.strip_prefix("$!") {
                    Some(word) => Part::Take(Take::Not(word)),
                    None => Part::Word(word),
                }),
            }
        }
        let ends = matches!(parts.last(), Some(Part::Take(_) | Part::Rest));
        if let Some(last) = parts.last_mut().filter(|last| matches!(last, Part::Some)) {
            *last = Part::One;
            parts.push(Part::Rest);
        }
        let third = match parts.as_slice() {
            [Part::Word(_), Part::Word(_) | Part::One | Part::Take(Take::Segment), Part::Word(third), ..] => {
                Some(*third)
            }
            _ => None,
        };
        Pattern { parts, third, ends, removes_before }
    }

    /// The first segment of all names that the pattern can fit, if it is always the same.
    pub(super) fn root(&self) -> Option<&'static str> {
        match self.parts.first() {
            Some(Part::Word(word)) => Some(word),
            _ => None,
        }
    }

    pub(super) fn find(&self, name: Name<'_>) -> Option<Found> {
        if self.third.is_some_and(|third| third != name.third) {
            return None;
        }
        let mut taken = None;
        find(&self.parts, name, 0, &mut taken)?;
        let (segments, skip): (Range<usize>, usize) = taken?;
        let value = name.start(segments.start) + skip..name.end(segments.end - 1);
        let first = segments.start.saturating_sub(self.removes_before);
        let removed = if self.ends {
            name.start(first).saturating_sub(1)..value.end
        } else if self.removes_before > 0 {
            name.start(first)..value.end + 1
        } else {
            value.start..value.end + 1
        };
        Some(Found { value, removed })
    }
}

/// Whether the parts fit the name from this segment on; the segments of the tag, and the characters before it in the
/// first of them, end up in `taken`.
fn find(parts: &[Part], name: Name<'_>, at: usize, taken: &mut Option<(Range<usize>, usize)>) -> Option<()> {
    let left = name.segments() - at;
    let Some((part, rest)) = parts.split_first() else { return (left == 0).then_some(()) };
    if let Part::Rest = part {
        return Some(());
    }
    if left == 0 {
        return None;
    }
    match *part {
        Part::Word(word) => (name.segment(at) == word).then(|| find(rest, name, at + 1, taken))?,
        Part::One | Part::Rest => find(rest, name, at + 1, taken),
        Part::Some => (1..=left).find_map(|n| find(rest, name, at + n, taken)),
        Part::Listener => lengths_of_listener(name, at).find_map(|n| find(rest, name, at + n, taken)),
        Part::Take(take) => {
            let mut with = |n: usize, skip: usize| {
                find(rest, name, at + n, taken)?;
                *taken = Some((at..at + n, skip));
                Some(())
            };
            let segment = name.segment(at);
            match take {
                Take::Segment => (!segment.is_empty()).then(|| with(1, 0))?,
                Take::Not(word) => (!segment.is_empty() && segment != word).then(|| with(1, 0))?,
                Take::Listener => {
                    lengths_of_listener(name, at).filter(|_| segment != "admin").find_map(|n| with(n, 0))
                }
                Take::Word => segment.bytes().all(|b| is_word_byte(b) || b == b'-').then(|| with(1, 0))?,
                Take::Tls => (left >= 2 && is_tls_version(name.range(at..at + 2))).then(|| with(2, 0))?,
                Take::Names => (1..=left).rev().find_map(|n| with(n, 0)),
                Take::After(prefix, test) => {
                    segment.strip_prefix(prefix).filter(|value| test(value))?;
                    with(1, prefix.len())
                }
            }
        }
    }
}

/// How many segments a listener may have that begins with this one: four for an IPv4 address with its port, else one.
fn lengths_of_listener(name: Name<'_>, at: usize) -> impl Iterator<Item = usize> {
    let octet = |text: &str| is_number(text) && text.len() <= 3;
    let is_address = name.segments() - at >= 4
        && (at..at + 3).all(|i| octet(name.segment(i)))
        && name.segment(at + 3).split_once('_').is_some_and(|(last, port)| octet(last) && is_number(port));
    is_address.then_some(4).into_iter().chain([1])
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_word_byte)
}

fn is_word_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn is_tls_version(text: &str) -> bool {
    text.strip_prefix("TLSv").and_then(|version| version.split_once('.')).is_some_and(|(major, minor)| {
        is_number(major) && major.len() == 1 && is_number(minor) && minor.len() == 1
    })
}
