//! What is wrong with a configuration, as values: every problem has a place, a kind and a sentence.

use std::{fmt, sync::Arc};

use crate::{model::Place, suggest::closest};

/// How many errors and how many warnings are kept. The rest is only counted, so that a hostile file cannot fill the
/// memory with complaints about itself.
const KEPT: usize = 1000;

/// How many words are compared in search of those that were meant. A typical file has a hundred names; in one with
/// ten thousand, and as many mistakes, the first mistakes get a suggestion.
const COMPARED: usize = 1_000_000;

/// Bytes of one message. What was written is repeated in it, and may be long.
const LONGEST_MESSAGE: usize = 2000;

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where the mistake is, with the path of the field.
    pub place: Place,
    /// What sort of mistake it is.
    pub kind: ErrorKind,
    /// What was expected and what was found, without the place. Never holds a secret.
    pub message: String,
}

impl ConfigError {
    /// The path of the field, for instance `static_resources.clusters[0].connect_timeout`; empty for the whole file.
    pub fn path(&self) -> &str {
        &self.place.path
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", position(&self.place), sentence(&self.place, &self.message))
    }
}

impl std::error::Error for ConfigError {}

/// What sort of mistake an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is not YAML or JSON.
    Syntax,
    /// The text is larger, deeper or more repetitive than the limits allow.
    Limit,
    /// A field or message type that Envoy's API does not have.
    Unknown,
    /// A value that cannot be read as the type of its field.
    Type,
    /// A value that breaks a validation rule of Envoy's API.
    Rule,
    /// A value that is right by itself and wrong with the rest: an unknown cluster, a name used twice, a file that
    /// cannot be read.
    Semantic,
    /// Something that Envoy has and Nuncio does not.
    Unsupported,
    /// Something that this machine refuses at the start: an address in use, a file that cannot be opened.
    Machine,
}

/// Everything that is wrong with a configuration, in the order of the files and lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    warnings: Vec<Warning>,
    omitted: usize,
}

impl ConfigErrors {
    /// The errors, by source, line and column.
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }

    /// The errors that whoever starts a configuration found, which must not be none.
    pub fn of(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by(|one, other| {
            let order = |place: &Place| (place.line, place.column);
            one.place.source.cmp(&other.place.source).then(order(&one.place).cmp(&order(&other.place)))
        });
        Self { errors, warnings: Vec::new(), omitted: 0 }
    }

    /// Forgets the warnings that are not wanted.
    pub fn retain_warnings(&mut self, is_wanted: impl FnMut(&Warning) -> bool) {
        self.warnings.retain(is_wanted);
    }

    /// What was worth a warning up to the point where loading ended.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How many errors there are, with those beyond the first 1000 that were counted but not kept. Loading ends at the
    /// next opportunity once there are that many, so there may be more.
    pub fn count(&self) -> usize {
        self.errors.len() + self.omitted
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            writeln!(f, "{error}")?;
        }
        if self.omitted > 0 {
            writeln!(f, "({} more are not shown)", self.omitted)?;
        }
        match self.count() {
            1 => f.write_str("1 error; nothing was started"),
            count => write!(f, "{count} errors; nothing was started"),
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// Something in a configuration that works today and that its author should know about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it is.
    pub place: Place,
    /// What sort of warning it is.
    pub kind: WarningKind,
    /// The sentence, without the place.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", position(&self.place), sentence(&self.place, &self.message))
    }
}

/// What sort of thing a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// A field that Envoy's API marks as deprecated.
    Deprecated,
    /// An extension that is known by its name alone, without `typed_config`. Current versions of Envoy refuse it.
    NameOnly,
    /// A field that is not known, let pass by `allow_unknown_static_fields`.
    Unknown,
    /// A field that is not honoured, let pass by `allow_unsupported`.
    Unsupported,
    /// Something in a v1 configuration that the v3 format cannot say, or not in the same way: the message tells what
    /// happens instead.
    Lossy,
    /// A value that is accepted, as in Envoy, and does not do what it seems to say.
    Doubtful,
}

/// Collects problems while a configuration is read, so that one run shows all of them.
#[derive(Debug, Default)]
pub(crate) struct Issues {
    errors: Vec<ConfigError>,
    warnings: Vec<Warning>,
    omitted: usize,
    compared: usize,
    /// The paths of values that could not be read. What later phases find there is only an echo.
    unread: Vec<Arc<str>>,
}

impl Issues {
    pub(crate) fn error(&mut self, place: Place, kind: ErrorKind, message: impl Into<String>) {
        if self.is_full() {
            self.omit();
            return;
        }
        self.errors.push(ConfigError { place, kind, message: shortened(message.into()) });
    }

    /// Whether further errors are only counted, so that it is not worth finding out where they are.
    pub(crate) fn is_full(&self) -> bool {
        self.errors.len() >= KEPT
    }

    /// Counts an error that is not kept.
    pub(crate) fn omit(&mut self) {
        self.omitted += 1;
    }

    /// The candidate that was meant instead of `found`. `None` also when so much has been compared that it would take
    /// long.
    pub(crate) fn closest<'c>(
        &mut self,
        found: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Option<&'c str> {
        if self.is_full() || self.compared >= COMPARED {
            return None;
        }
        closest(found, candidates.into_iter().inspect(|_| self.compared += 1))
    }

    /// Records that the value at `path` was dropped because of an error.
    pub(crate) fn mark_unread(&mut self, path: impl Into<Arc<str>>) {
        if self.unread.len() < KEPT {
            self.unread.push(path.into());
        }
    }

    /// An error of a later phase, unless it only echoes an earlier one: the value that it is about or a part of it
    /// could not be read, or the value has broken a rule already.
    pub(crate) fn later_error(&mut self, place: Place, kind: ErrorKind, message: impl Into<String>) {
        if self.is_full() {
            self.omit();
            return;
        }
        let unread = |unread: &Arc<str>| is_within(unread, &place.path) || is_within(&place.path, unread);
        let same = |error: &ConfigError| {
            error.place.path == place.path
                && kind == ErrorKind::Semantic
                && !matches!(error.kind, ErrorKind::Unknown | ErrorKind::Unsupported)
        };
        if !self.unread.iter().any(unread) && !self.errors.iter().any(same) {
            self.error(place, kind, message);
        }
    }

    /// An error that whoever runs the configuration has found in what could be read of it, unless it only echoes that
    /// something in there could not.
    pub(crate) fn found_later(&mut self, error: ConfigError) {
        let path = &error.place.path;
        if !self.errors.iter().any(|known| is_within(path, &known.place.path)) {
            self.later_error(error.place, error.kind, error.message);
        }
    }

    /// Whether a value that could not be read is at a path that `is_wanted`.
    pub(crate) fn any_unread(&self, is_wanted: impl Fn(&str) -> bool) -> bool {
        self.unread.iter().any(|path| is_wanted(path))
    }

    pub(crate) fn warning(&mut self, place: Place, kind: WarningKind, message: impl Into<String>) {
        if self.warnings.len() < KEPT {
            self.warnings.push(Warning { place, kind, message: shortened(message.into()) });
        }
    }

    pub(crate) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    pub(crate) fn has_error_of(&self, kind: ErrorKind) -> bool {
        self.errors.iter().any(|error| error.kind == kind)
    }

    /// Ends the collection: the warnings if there was no error.
    pub(crate) fn finish(self, sources: &[Arc<str>]) -> Result<Vec<Warning>, ConfigErrors> {
        let failed = self.has_errors();
        let ConfigErrors { errors, warnings, omitted } = self.into_errors(sources);
        if failed { Err(ConfigErrors { errors, warnings, omitted }) } else { Ok(warnings) }
    }

    /// Ends the collection after an error.
    pub(crate) fn into_errors(mut self, sources: &[Arc<str>]) -> ConfigErrors {
        let order = |place: &Place| {
            let source = sources.iter().position(|name| *name == place.source).unwrap_or(usize::MAX);
            (source, place.line, place.column)
        };
        self.warnings.sort_by_key(|warning| order(&warning.place));
        self.errors.sort_by_key(|error| order(&error.place));
        ConfigErrors { errors: self.errors, warnings: self.warnings, omitted: self.omitted }
    }
}

/// A message without its middle if it is very long: who is to blame stands at its start, and why at its end.
fn shortened(message: String) -> String {
    if message.len() <= LONGEST_MESSAGE {
        return message;
    }
    let start = message.floor_char_boundary(LONGEST_MESSAGE / 2);
    let end = message.ceil_char_boundary(message.len() - LONGEST_MESSAGE / 2);
    match (message.get(..start), message.get(end..)) {
        (Some(start), Some(end)) => format!("{start} … {end}"),
        _ => message,
    }
}

/// Whether `path` is `outer` or lies inside it.
fn is_within(outer: &str, path: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || outer.is_empty() || rest.starts_with(['.', '[']))
}

/// `file:line:column`, or the file alone for what stands in none.
pub(crate) fn position(place: &Place) -> impl fmt::Display {
    fmt::from_fn(move |f| match place.line {
        0 => f.write_str(&place.source),
        line => write!(f, "{}:{line}:{}", place.source, place.column),
    })
}

/// The message after the path of the field, if there is one.
pub(crate) fn sentence(place: &Place, message: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| match &*place.path {
        "" => f.write_str(message),
        path => write!(f, "{}: {message}", shorten(path)),
    })
}

/// A path that would fill the line is shown by its end; line and column say where it is.
fn shorten(path: &str) -> std::borrow::Cow<'_, str> {
    const LONGEST: usize = 80;
    const SEGMENTS: usize = 3;
    if path.len() <= LONGEST {
        return path.into();
    }
    let mut quoted = false;
    let dots: Vec<usize> = path
        .char_indices()
        .filter_map(|(at, letter)| {
            // The key of a map stands in quotes and may have dots of its own.
            quoted ^= letter == '"';
            (letter == '.' && !quoted).then_some(at)
        })
        .collect();
    match dots.iter().rev().nth(SEGMENTS - 1).and_then(|dot| path.get(dot + 1..)) {
        Some(end) => format!("…{end}").into(),
        None => path.into(),
    }
}
