//! Writes a configuration in its canonical v3 form.
//!
//! The text is read as [`load`](crate::load) reads it, so that every leniency is understood, and the message that
//! comes of it is written out: names in snake case, enum values by their name, durations as protobuf's JSON writes
//! them, lists as lists, aliases expanded, every `Any` with its full `@type`, and nothing that is at the default of
//! its type unless presence means something. A file of the v1 format is upgraded first. Fields that Nuncio does not support stay, because the output is for Envoy
//! too.
//!
//! In a message `name` stands first, because that is what one looks for, and the other fields follow in the order of
//! their numbers, which a new version of the API never changes. The entries of maps are sorted by their keys, whose
//! order has no meaning.

use std::{collections::HashMap, fmt, sync::Arc};

use crate::{
    error::{ConfigErrors, ErrorKind, Issues, Warning},
    load::{BOOTSTRAP, root_place},
    parse::parse_source,
    path::Path,
    source::{LoadOptions, Source},
    v1,
    walker::walk,
};

mod lossy;
mod value;
mod yaml;

/// How a converted configuration is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// YAML, with comments where something was lost.
    #[default]
    Yaml,
    /// JSON, which has no comments.
    Json,
}

/// A configuration in its canonical form.
#[derive(Clone)]
pub struct Converted {
    /// The text. It holds the secrets of the file that it was made from.
    pub text: String,
    /// What the author of the file should know.
    pub warnings: Vec<Warning>,
}

/// The text may hold private keys, so only its length is shown.
impl fmt::Debug for Converted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Converted")
            .field("bytes", &self.text.len())
            .field("warnings", &self.warnings)
            .finish()
    }
}

/// What to say at places in the output, by the path of the field.
type Notes = HashMap<String, Vec<String>>;

/// Converts a bootstrap to its canonical form. Converting the result again changes nothing.
///
/// # Errors
///
/// Everything that makes the text unreadable: syntax, unknown fields, values of a wrong type. Whether the configuration
/// makes sense, and whether Nuncio supports it, is not asked.
///
/// ```
/// use nuncio_config::{Format, LoadOptions, Source, convert};
///
/// let file = Source::new("envoy.yaml", "staticResources: {clusters: {type: strict_dns, connectTimeout: 0.25s, name: a}}");
/// let converted = convert(&file, Format::Yaml, &LoadOptions::default())?;
/// assert_eq!(
///     converted.text,
///     "static_resources:\n  clusters:\n  - name: a\n    type: STRICT_DNS\n    connect_timeout: 0.250s\n"
/// );
/// # Ok::<(), nuncio_config::ConfigErrors>(())
/// ```
pub fn convert(
    source: &Source,
    format: Format,
    options: &LoadOptions<'_>,
) -> Result<Converted, ConfigErrors> {
    let name: Arc<str> = Arc::from(source.name.as_str());
    let names = [Arc::clone(&name)];
    let mut issues = Issues::default();
    let mut notes = Notes::new();
    let text = write(source, &name, format, options, &mut issues, &mut notes);
    match (text, issues.has_errors()) {
        (Some(text), false) => Ok(Converted { text, warnings: issues.finish(&names)? }),
        _ => Err(issues.into_errors(&names)),
    }
}

/// `None` if an error says why there is nothing to write.
fn write(
    source: &Source,
    name: &Arc<str>,
    format: Format,
    options: &LoadOptions<'_>,
    issues: &mut Issues,
    notes: &mut Notes,
) -> Option<String> {
    let tree = match parse_source(source, &options.limits) {
        Ok(tree) => tree,
        Err(error) => {
            issues.error(root_place(name, error.mark), error.kind, error.message);
            return None;
        }
    };
    let upgraded = v1::is_v1(&tree).then(|| v1::upgrade(&tree, name, &options.limits, issues));
    let v3 = upgraded.as_ref().unwrap_or(&tree);
    let descriptor = nuncio_api::descriptors().get_message_by_name(BOOTSTRAP)?;
    let mut own = *options;
    if upgraded.is_some() {
        own.limits = v1::limits_after(&options.limits);
    }
    let message = walk(&descriptor, None, v3, name, &own, issues);
    if issues.has_errors() {
        return None;
    }
    let mut writer = value::Writer { format, notes };
    let Some(value) = writer.message(&message, &Path::ROOT) else {
        issues.error(root_place(name, tree.mark), ErrorKind::Limit, "nested too deeply");
        return None;
    };
    if upgraded.is_some() {
        lossy::note(notes, issues.warnings(), (&tree, v3), &value, options.limits.nodes);
    }
    match format {
        Format::Yaml => Some(yaml::write(&value, notes)),
        Format::Json => serde_json::to_string_pretty(&value).ok().map(|text| yaml::escaped(&text) + "\n"),
    }
}

#[cfg(test)]
mod tests;
