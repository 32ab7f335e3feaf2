//! A problem with the line of the text that it is about, and a caret under the place.

use std::{cell::OnceCell, ops::Range};

use annotate_snippets::{
    AnnotationKind, Group, Level, Renderer as Drawing, Snippet,
    renderer::{AnsiColor, DecorStyle, Style},
};

use super::{Problem, Severity, secrets::Hidden};
use crate::{
    error::{position, sentence},
    lines::Lines,
    model::Place,
    redact::REDACTED,
    source::Source,
};

/// Under a problem of a text of which no line may be shown.
const HIDDEN: &str =
    "  (its line is not shown: the text cannot be read, and names a field that holds secrets)\n";

/// Columns where nobody says how many there are.
const WIDTH: usize = 100;

/// Shows problems with the lines of their texts. Secrets in those lines are masked: the values of fields that Envoy's
/// API calls sensitive, of fields with nearly such a name, and whatever looks like a private key. Of a text that cannot
/// be parsed no line is shown if such a field may be in it.
#[derive(Debug)]
pub struct Renderer<'s> {
    sources: Vec<Text<'s>>,
    coloured: bool,
    width: usize,
}

/// A source, and what is only needed once a line of it is shown.
#[derive(Debug)]
struct Text<'s> {
    source: &'s Source,
    read: OnceCell<(Lines<'s>, Hidden)>,
}

/// What stands under a problem.
enum Below {
    Excerpt(Excerpt),
    /// The line may hold a secret.
    Hidden,
    /// There is no such line.
    Nothing,
}

/// A line as it is shown, and the part of it that the caret stands under.
struct Excerpt {
    line: String,
    place: Range<usize>,
}

impl<'s> Renderer<'s> {
    /// Without colour, 100 columns wide.
    pub fn new(sources: &'s [Source]) -> Self {
        let text = |source| Text { source, read: OnceCell::new() };
        Self { sources: sources.iter().map(text).collect(), coloured: false, width: WIDTH }
    }

    /// Whether to use the colours of an ANSI terminal.
    #[must_use]
    pub fn coloured(self, coloured: bool) -> Self {
        Self { coloured, ..self }
    }

    /// How many columns there are; at least 40 and at most 400. Longer lines are cut around the place.
    #[must_use]
    pub fn width(self, width: usize) -> Self {
        Self { width: width.clamp(40, 400), ..self }
    }

    /// The problem as one line (`file:line:column: path: message`), and under it the line of the text, or that it may
    /// not be shown. Ends with a line end.
    pub fn problem(&self, problem: &Problem<'_>) -> String {
        let mut shown = self.heading(problem);
        shown.push('\n');
        match self.below(problem.place) {
            Below::Excerpt(excerpt) => self.draw(&mut shown, excerpt, problem),
            Below::Hidden => shown.push_str(HIDDEN),
            Below::Nothing => {}
        }
        shown
    }

    fn draw(&self, shown: &mut String, excerpt: Excerpt, problem: &Problem<'_>) {
        let Excerpt { line, place } = excerpt;
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let annotation = AnnotationKind::Primary.span(place);
        let snippet = Snippet::source(line).line_start(problem.place.line as usize).annotation(annotation);
        let drawing = if self.coloured { Drawing::styled() } else { Drawing::plain() };
        let drawing = drawing.decor_style(DecorStyle::Ascii).term_width(self.width);
        shown.push_str(&drawing.render(&[Group::with_level(level).element(snippet)]));
        shown.push('\n');
    }

    fn heading(&self, problem: &Problem<'_>) -> String {
        // What a file holds must not steer the terminal.
        let visible = |text: &str| -> String {
            text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
        };
        let place = visible(&position(problem.place).to_string());
        let rest = visible(&sentence(problem.place, problem.message).to_string());
        let label = problem.label();
        let styles = [Style::new().bold(), Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()))];
        let [bold, yellow] = if self.coloured { styles } else { Default::default() };
        let yellow = if label.is_empty() { Style::new() } else { yellow };
        format!("{bold}{place}:{bold:#} {yellow}{label}{yellow:#}{rest}")
    }

    fn below(&self, place: &Place) -> Below {
        let of_place = |text: &&Text<'_>| *text.source.name == *place.source;
        let Some(Text { source, read }) = self.sources.iter().find(of_place) else { return Below::Nothing };
        let text = source.text.as_str();
        let (lines, hidden) = read.get_or_init(|| (Lines::new(text), Hidden::of(text)));
        // A caret under half a line says where as well as a longer one.
        let width = place.width.min(u32::try_from(self.width / 2).unwrap_or(u32::MAX));
        let line = lines.line(place.line).zip(lines.span(place.line, place.column, width));
        let Some((line, span)) = line else { return Below::Nothing };
        let Some(masks) = hidden.within(&line) else { return Below::Hidden };
        let near = near(text, &line, &span, self.width);
        Below::Excerpt(Excerpt::new(text, &near, span, masks))
    }
}

impl Excerpt {
    /// The text of `line` with the masks in it replaced.
    fn new(text: &str, line: &Range<usize>, span: Range<usize>, masks: &[Range<usize>]) -> Self {
        let mut parts: Vec<(Range<usize>, bool)> = Vec::new();
        let mut at = line.start;
        for mask in masks {
            let (start, end) = (mask.start.clamp(at, line.end), mask.end.clamp(at, line.end));
            parts.extend([(at..start, false), (start..end, true)]);
            at = end;
        }
        parts.push((at..line.end, false));
        let mut shown = String::new();
        let mut place: Range<usize> = 0..0;
        for (part, masked) in parts.into_iter().filter(|(part, _)| !part.is_empty()) {
            let from = shown.len();
            shown.push_str(if masked { REDACTED } else { text.get(part.clone()).unwrap_or_default() });
            let inside = |at: usize| (from + at.saturating_sub(part.start)).min(shown.len());
            if part.contains(&span.start) || part.end == span.start {
                place = if masked { from..shown.len() } else { inside(span.start)..inside(span.end) };
            }
        }
        Self { line: shown, place }
    }
}

/// The part of a long line that can be shown around a place. It is more than fits, so that whoever draws it sees that
/// it is cut.
fn near(text: &str, line: &Range<usize>, span: &Range<usize>, width: usize) -> Range<usize> {
    let before = text.get(line.start..span.start).unwrap_or_default();
    let after = text.get(span.start..line.end).unwrap_or_default();
    let start = before.char_indices().rev().nth(2 * width).map_or(0, |(at, _)| at);
    let end = after.char_indices().nth(2 * width).map_or(after.len(), |(at, _)| at);
    line.start + start..span.start + end
}
