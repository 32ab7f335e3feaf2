//! Which parts of a text are secrets.
//!
//! What is wrong with a text may be that a field's name is mistyped or stands in the wrong place, so the types of its
//! fields are not asked: a value is hidden if any field of its name, or nearly of its name, is sensitive in Envoy's
//! API. That hides more than the dumps of the admin server do, never less.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use granit_parser::{Event, Parser, Span};

use self::names::{is_name_of_a_field, is_of_header, is_secret_header};
use crate::{redact::looks_secret, source::Limits};

pub(crate) use self::names::{Hiding, hiding_of};

mod names;

/// What may not be shown of a text.
#[derive(Debug)]
pub(super) struct Hidden {
    /// In the order of the text, apart from each other; `None` if nothing of the text may be shown.
    ranges: Option<Vec<Range<usize>>>,
}

impl Hidden {
    pub(super) fn of(text: &str) -> Self {
        let limits = Limits::default();
        if text.len() > limits.bytes {
            return Self { ranges: None };
        }
        let options = granit_parser::options! {
            emit_comments: true,
            block_nesting_limit: limits.depth,
            flow_nesting_limit: limits.depth,
        };
        let mut scan = Scan::default();
        for event in Parser::new_from_str_with_options(text, options) {
            let Ok((event, span)) = event else {
                // What comes after the error is not known, and what came before it may be something else than it seems.
                return Self { ranges: if mentions_secrets(text) { None } else { scan.ranges() } };
            };
            scan.event(&event, &span);
        }
        Self { ranges: scan.ranges() }
    }

    /// The ranges that have a part in `line`; `None` if the line may not be shown at all.
    pub(super) fn within(&self, line: &Range<usize>) -> Option<&[Range<usize>]> {
        let ranges = self.ranges.as_deref()?;
        let first = ranges.partition_point(|range| range.end <= line.start);
        let end = ranges.partition_point(|range| range.start < line.end);
        ranges.get(first..end.max(first))
    }
}

/// A part of the text, with the lines that it is in.
#[derive(Clone, Debug)]
struct Part {
    bytes: Range<usize>,
    lines: Range<usize>,
}

/// A map or list whose end has not been seen.
struct Open {
    is_map: bool,
    hiding: Hiding,
    /// Of a map: what becomes of the value that comes next; `None` if a key comes next.
    value: Option<Hiding>,
    /// The last key, and whether the map is the entry of a header that carries a secret.
    key: String,
    is_header: bool,
    /// What the header of the entry carries, while its name has not been seen.
    carried: Vec<Part>,
    /// It is a key itself.
    is_key: bool,
    anchor: usize,
    /// Where its values start in the trail.
    trail: usize,
}

/// A value behind an anchor.
enum Trail {
    Scalar(Part),
    Alias(usize),
}

#[derive(Default)]
struct Scan {
    open: Vec<Open>,
    hidden: Vec<Part>,
    comments: Vec<Part>,
    /// All values in anchored ones, in the order of the text.
    trail: Vec<Trail>,
    /// Where in the trail the values of an anchor are, and what it hides as a key.
    anchors: HashMap<usize, (Range<usize>, Hiding)>,
    /// How many of the open values have anchors.
    anchored: usize,
    /// A secret is behind an anchor in itself, so where it ends was not known when it was needed.
    lost: bool,
    /// The anchors whose values are hidden already, so that aliases for aliases cost nothing.
    gone: HashSet<usize>,
    names: Names,
}

impl Scan {
    fn event(&mut self, event: &Event<'_>, span: &Span) {
        let Some(bytes) = span.byte_range() else { return };
        let part = Part { bytes, lines: span.start.line()..span.end.line() + 1 };
        match event {
            Event::Scalar(text, _, anchor, _) => self.scalar(text, part, *anchor),
            Event::SequenceStart(_, anchor, _) => self.start(false, *anchor),
            Event::MappingStart(_, anchor, _) => self.start(true, *anchor),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(id) => self.alias(*id),
            Event::Comment(text, _) => {
                if mentions_secrets(text) {
                    self.hidden.push(part);
                } else {
                    self.comments.push(part);
                }
            }
            _ => {}
        }
    }

    /// Whether a key comes next.
    fn key_is_due(&self) -> bool {
        self.open.last().is_some_and(|open| open.is_map && open.value.is_none())
    }

    /// What becomes of the value that comes now.
    fn hiding(&mut self) -> Hiding {
        match self.open.last_mut() {
            Some(open) if open.is_map => open.value.take().unwrap_or(open.hiding),
            Some(open) => open.hiding,
            None => Hiding::Nothing,
        }
    }

    fn scalar(&mut self, text: &str, part: Part, anchor: usize) {
        let key_is_due = self.key_is_due();
        let of_name = if key_is_due || anchor != 0 { self.names.hiding_of(text) } else { Hiding::Nothing };
        if anchor != 0 {
            let at = self.trail.len();
            self.anchors.insert(anchor, (at..at + 1, of_name));
        }
        if anchor != 0 || self.anchored > 0 {
            self.trail.push(Trail::Scalar(part.clone()));
        }
        let hidden = if key_is_due {
            self.key(of_name, text);
            self.open.last().is_some_and(|open| open.hiding != Hiding::Nothing) && !is_name_of_a_field(text)
        } else {
            let hiding = self.hiding();
            self.header(text, &part);
            hiding != Hiding::Nothing
        };
        if hidden || looks_secret(text) {
            self.hidden.push(part);
        }
    }

    fn key(&mut self, of_name: Hiding, name: &str) {
        if let Some(open) = self.open.last_mut() {
            let of_name = if open.is_header && is_of_header(name) { Hiding::Everything } else { of_name };
            open.value = Some(open.hiding.inside(of_name, name));
            name.clone_into(&mut open.key);
        }
    }

    /// A value in a map, which may be a header's name or what a header carries, in any order.
    fn header(&mut self, text: &str, part: &Part) {
        let Some(open) = self.open.last_mut().filter(|open| open.is_map) else { return };
        if matches!(&*open.key, "key" | "name") && is_secret_header(text) {
            open.is_header = true;
            self.hidden.append(&mut open.carried);
        } else if is_of_header(&open.key) {
            open.carried.push(part.clone());
        }
    }

    fn start(&mut self, is_map: bool, anchor: usize) {
        let is_key = self.key_is_due();
        let hiding = if is_key { Hiding::Everything } else { self.hiding() };
        let hiding = match hiding {
            Hiding::Text if is_map => Hiding::Nothing,
            hiding => hiding,
        };
        self.anchored += usize::from(anchor != 0);
        self.open.push(Open {
            is_map,
            hiding,
            value: None,
            key: String::new(),
            is_header: false,
            carried: Vec::new(),
            is_key,
            anchor,
            trail: self.trail.len(),
        });
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        if open.anchor != 0 {
            self.anchored -= 1;
            self.anchors.insert(open.anchor, (open.trail..self.trail.len(), Hiding::Everything));
        }
        if open.is_key {
            self.key(Hiding::Everything, "");
        }
    }

    fn alias(&mut self, id: usize) {
        if self.anchored > 0 {
            self.trail.push(Trail::Alias(id));
        }
        if self.key_is_due() {
            let of_name = self.anchors.get(&id).map_or(Hiding::Everything, |(_, of_name)| *of_name);
            self.key(of_name, "");
        } else if self.hiding() != Hiding::Nothing {
            self.hide_anchored(id);
        }
    }

    fn hide_anchored(&mut self, id: usize) {
        let mut ids = vec![id];
        while let Some(id) = ids.pop() {
            if !self.gone.insert(id) {
                continue;
            }
            let Some((range, _)) = self.anchors.get(&id) else {
                self.lost = true;
                return;
            };
            for value in self.trail.get(range.clone()).unwrap_or_default() {
                match value {
                    Trail::Scalar(part) => self.hidden.push(part.clone()),
                    Trail::Alias(id) => ids.push(*id),
                }
            }
        }
    }

    /// What is hidden, in order; `None` if that is not known.
    fn ranges(mut self) -> Option<Vec<Range<usize>>> {
        if self.lost {
            return None;
        }
        self.hidden.sort_by_key(|part| part.bytes.start);
        // A comment beside a secret is likely to be about it, or to be an older one.
        let lines: HashSet<usize> =
            self.hidden.iter().flat_map(|part| [part.lines.start, part.lines.end - 1]).collect();
        let beside = self.comments.into_iter().filter(|comment| lines.contains(&comment.lines.start));
        self.hidden.extend(beside);
        self.hidden.sort_by_key(|part| part.bytes.start);
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for Part { bytes, .. } in self.hidden {
            match ranges.last_mut() {
                _ if bytes.is_empty() => {}
                Some(last) if bytes.start <= last.end => last.end = last.end.max(bytes.end),
                _ => ranges.push(bytes),
            }
        }
        Some(ranges)
    }
}

/// What was found out about names, because it takes time.
#[derive(Default)]
struct Names(HashMap<String, Hiding>);

impl Names {
    /// More names are not looked at; what they stand for is hidden.
    const MOST: usize = 20_000;

    fn hiding_of(&mut self, name: &str) -> Hiding {
        if let Some(known) = self.0.get(name) {
            return *known;
        }
        if self.0.len() >= Self::MOST {
            return Hiding::Everything;
        }
        let hiding = hiding_of(name);
        self.0.insert(name.to_owned(), hiding);
        hiding
    }
}

/// Whether there may be a secret in a text of unknown structure: a word in it is the name of a field that holds
/// secrets, or may be written with escapes.
fn mentions_secrets(text: &str) -> bool {
    /// Shorter names are everyday words, and count only where they are keys.
    const TELLING: usize = 8;
    if looks_secret(text) || ["\\u", "\\U", "\\x"].iter().any(|escape| text.contains(escape)) {
        return true;
    }
    let mut names = Names::default();
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let word = rest.get(start..).unwrap_or_default();
        let (word, after) = word.split_at(word.find(|letter| !is_word(letter)).unwrap_or(word.len()));
        rest = after;
        let is_key = after.trim_start_matches(['"', '\'']).trim_start().starts_with(':');
        if (is_key || word.len() >= TELLING) && names.hiding_of(word) != Hiding::Nothing {
            return true;
        }
    }
    false
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '-')
}
