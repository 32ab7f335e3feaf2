//! Says what is known about one field or message of Envoy's API: its type, its default, its rules, and what becomes of
//! it here. All of it comes from the descriptors and the tables in [`support`](crate::support).

use std::fmt::Write as _;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use crate::{
    facts::{self, Facts},
    support::{self, Support},
};

mod find;
mod old_names;

pub use find::NotFound;
use find::Target;

/// Lines are broken before this column.
const WIDTH: usize = 100;
const LABEL: usize = 12;

/// What is known about a field or a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    title: String,
    rows: Vec<(&'static str, String)>,
    /// The fields of the message, and a word on each.
    fields: Option<(String, Vec<[String; 3]>)>,
}

/// Explains what `path` leads to.
///
/// A path starts at the bootstrap (`static_resources.clusters.connect_timeout`; indices and keys in brackets, as errors
/// have them, are passed over), or at a message by its full name or the part after its package, where that is unique
/// (`Cluster.connect_timeout`). Behind a `typed_config` stands the name of the extension's message
/// (`filters.typed_config.HttpConnectionManager.stat_prefix`), which may be left out where only one extension that is
/// supported there has such a field. Of a path that begins with `…`, as errors shorten long ones, only the end counts.
///
/// # Errors
///
/// A sentence that says which part of the path leads nowhere, and what may have been meant.
///
/// ```
/// let explanation = nuncio_config::explain("Cluster.connect_timeout")?;
/// assert_eq!(
///     explanation.to_text(false),
///     "envoy.config.cluster.v3.Cluster.connect_timeout\n\
///      \x20 type      duration in seconds such as 1.5s\n\
///      \x20 default   5s\n\
///      \x20 rules     must be greater than 0s\n\
///      \x20 support   honoured\n\
///      \x20 also      may be written connectTimeout\n"
/// );
/// # Ok::<(), nuncio_config::NotFound>(())
/// ```
pub fn explain(path: &str) -> Result<Explanation, NotFound> {
    Ok(match find::find(path)? {
        Target::Message(message) => of_message(&message),
        Target::Field(field) => of_field(&field),
    })
}

fn of_message(message: &MessageDescriptor) -> Explanation {
    let mut rows = vec![("type", "message".to_owned())];
    if message.full_name().starts_with("envoy.extensions.") && message.parent_message().is_none() {
        let support = match support::of_extension(message.full_name()) {
            // The messages inside an extension stand in packages of extensions, too.
            Support::Unsupported if support::messages().any(|name| name == message.full_name()) => {
                Support::Honoured
            }
            support => support,
        };
        rows.push(("support", facts::support_in_words(support)));
    }
    Explanation { title: message.full_name().to_owned(), rows, fields: fields_of(message) }
}

fn of_field(field: &FieldDescriptor) -> Explanation {
    let facts = Facts::of(field);
    let mut rows = vec![("type", facts::type_in_words(field))];
    if let Kind::Enum(of) = facts::value_kind(field) {
        rows.push(("values", values(&of, facts.refused)));
    }
    if !facts.refused.is_empty() {
        rows.push(("refused", format!("{}, which is not supported", facts.refused.join(", "))));
    }
    if facts::holds_extension(field) {
        rows.push(("supported", support::extensions_in(field.full_name()).join(", ")));
    }
    rows.extend(facts.default.clone().map(|default| ("default", default)));
    let rules = facts.rules_in_words();
    if !rules.is_empty() {
        rows.push(("rules", rules.join("; ")));
    }
    if let Some(oneof) = facts::oneof(field) {
        let members: Vec<String> = oneof.fields().map(|member| member.name().to_owned()).collect();
        let how_many = if facts::is_required_oneof(&oneof) { "exactly one" } else { "at most one" };
        rows.push(("one of", format!("{how_many} of {}", members.join(", "))));
    }
    rows.extend(facts.support.map(|support| ("support", facts::support_in_words(support))));
    if facts.deprecated {
        rows.push(("deprecated", "Envoy's API may lose it; it is accepted with a warning".to_owned()));
    }
    if field.json_name() != field.name() {
        rows.push(("also", format!("may be written {}", field.json_name())));
    }
    let fields = facts::message_below(field).and_then(|message| fields_of(&message));
    Explanation { title: field.full_name().to_owned(), rows, fields }
}

fn values(of: &EnumDescriptor, refused: &[&str]) -> String {
    let mut names = facts::enum_names(of);
    names.retain(|name| !refused.contains(&name.as_str()));
    format!("{}; in any case, or the number", names.join(", "))
}

/// `None` for a message without fields.
fn fields_of(message: &MessageDescriptor) -> Option<(String, Vec<[String; 3]>)> {
    let rows: Vec<[String; 3]> = facts::fields(message)
        .iter()
        .map(|field| {
            let facts = Facts::of(field);
            let mut state = match facts.support {
                None => String::new(),
                Some(Support::Honoured) => "honoured".to_owned(),
                Some(Support::NoEffect(_)) => "no effect".to_owned(),
                Some(Support::Unsupported) => "refused".to_owned(),
                Some(Support::Guard) => "always refused".to_owned(),
            };
            for (holds, word) in [(facts.required, "required"), (facts.deprecated, "deprecated")] {
                if holds {
                    state = if state.is_empty() { word.to_owned() } else { format!("{state}, {word}") };
                }
            }
            let of = facts::type_in_words(field);
            [field.name().to_owned(), of.replace(" in seconds such as 1.5s", ""), state]
        })
        .collect();
    (!rows.is_empty()).then(|| (message.full_name().to_owned(), rows))
}

impl Explanation {
    /// As text of several lines, with the titles in bold if `bold`.
    pub fn to_text(&self, bold: bool) -> String {
        let (on, off) = if bold { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        let mut text = format!("{on}{}{off}\n", self.title);
        let widest = self.rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
        let indent = (widest + 5).min(LABEL + 3);
        for (label, words) in &self.rows {
            let _ = write!(text, "  {label:<0$}", indent - 2);
            wrap(&mut text, words, indent);
        }
        if let Some((message, fields)) = &self.fields {
            let _ = writeln!(text, "\n{on}fields of {message}{off}");
            let name = fields.iter().map(|[name, ..]| name.len()).max().unwrap_or_default();
            let state = fields.iter().map(|[.., state]| state.len()).max().unwrap_or_default();
            for [field, of, words] in fields {
                let line = format!("  {field:<name$}  {words:<state$}  {of}");
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
        text
    }
}

/// Appends words, broken into lines that start at the column `indent`.
fn wrap(text: &mut String, words: &str, indent: usize) {
    let mut column = indent;
    for (index, word) in words.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 {
            if column + 1 + length > WIDTH {
                text.push('\n');
                text.extend(std::iter::repeat_n(' ', indent));
                column = indent;
            } else {
                text.push(' ');
                column += 1;
            }
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests;
