//! Shows what is wrong with a configuration: as one line each, with the line of the text that it is about, or as JSON.
//!
//! ```
//! use nuncio_config::{LoadOptions, Source, load, render::Renderer};
//!
//! let file = Source::new("envoy.yaml", "static_resources:\n  clusters:\n  - nam: backend\n");
//! let sources = [file];
//! let errors = load(&sources, &LoadOptions::default()).unwrap_err();
//! let renderer = Renderer::new(&sources);
//! assert_eq!(
//!     renderer.problem(&(&errors.errors()[0]).into()),
//!     "envoy.yaml:3:5: static_resources.clusters[0]: unknown field \"nam\" in envoy.config.cluster.v3.Cluster \
//!      (did you mean \"name\"?)\n  \
//!        |\n\
//!      3 |   - nam: backend\n  \
//!        |     ^^^\n"
//! );
//! ```

mod json;
mod pretty;
pub(crate) mod secrets;

use std::fmt;

pub(crate) use self::json::{place_json, problem_json};
pub use self::{
    json::{JSON_VERSION, json},
    pretty::Renderer,
};
use crate::{
    error::{ConfigError, ErrorKind, Warning, WarningKind, position, sentence},
    model::Place,
};

/// An error or a warning, to be shown. Its `Display` is the form of one line: `file:line:column: path: message`, with
/// `warning: ` after the place of a warning.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'p> {
    /// Whether it keeps the configuration from being run.
    pub severity: Severity,
    /// The name of its [`ErrorKind`] or [`WarningKind`], in snake case.
    pub kind: &'static str,
    /// Where it is.
    pub place: &'p Place,
    /// The sentence, without the place.
    pub message: &'p str,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The configuration cannot be run.
    Error,
    /// It can be run, and its author should know.
    Warning,
}

impl<'p> From<&'p ConfigError> for Problem<'p> {
    fn from(error: &'p ConfigError) -> Self {
        let kind = match error.kind {
            ErrorKind::Syntax => "syntax",
            ErrorKind::Limit => "limit",
            ErrorKind::Unknown => "unknown",
            ErrorKind::Type => "type",
            ErrorKind::Rule => "rule",
            ErrorKind::Semantic => "semantic",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Machine => "machine",
        };
        Self { severity: Severity::Error, kind, place: &error.place, message: &error.message }
    }
}

impl<'p> From<&'p Warning> for Problem<'p> {
    fn from(warning: &'p Warning) -> Self {
        let kind = match warning.kind {
            WarningKind::Deprecated => "deprecated",
            WarningKind::NameOnly => "name_only",
            WarningKind::Unknown => "unknown",
            WarningKind::Unsupported => "unsupported",
            WarningKind::Lossy => "lossy",
            WarningKind::Doubtful => "doubtful",
        };
        Self { severity: Severity::Warning, kind, place: &warning.place, message: &warning.message }
    }
}

impl Problem<'_> {
    fn label(&self) -> &'static str {
        match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        }
    }
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", position(self.place), self.label(), sentence(self.place, self.message))
    }
}

/// The problems of both sorts, in the order of the texts.
pub fn in_order<'p>(
    sources: &[crate::Source],
    errors: &'p [ConfigError],
    warnings: &'p [Warning],
) -> Vec<Problem<'p>> {
    let errors = errors.iter().map(Problem::from);
    let mut problems: Vec<Problem<'p>> = errors.chain(warnings.iter().map(Problem::from)).collect();
    problems.sort_by_key(|Problem { place, .. }| {
        let source = sources.iter().position(|source| *source.name == *place.source).unwrap_or(usize::MAX);
        (source, place.line, place.column)
    });
    problems
}
