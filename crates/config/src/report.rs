//! The compatibility report: what becomes of each field that a configuration uses, by the table in
//! [`support`](crate::support).
//!
//! ```
//! use nuncio_config::{LoadOptions, Source, report::report, support::Support};
//!
//! let file = Source::new("envoy.yaml", "stats_sinks: [{name: a}]\nadmin: {profile_path: /p}\n");
//! let report = report(&[file], &LoadOptions::default(), |_| Vec::new());
//! assert!(!report.is_supported());
//! assert_eq!(report.uses()[0].support, Support::Unsupported);
//! assert_eq!(report.uses()[0].places[0].to_string(), "envoy.yaml:1:14: stats_sinks");
//! ```

mod text;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage as _, Value};
use serde_json::json;

use crate::{
    error::{ConfigError, ErrorKind, Issues, Warning},
    load::{Read, lower_all, names},
    model::{Bootstrap, Place},
    path::Path,
    places::Places,
    redact::unpack,
    render::{JSON_VERSION, place_json, problem_json},
    source::{LoadOptions, Source},
    support::{self, Support},
};

/// How many places of a use are kept.
const PLACES: usize = 10;

/// How many places of a use are looked at to find the first ones. Beyond, uses are only counted.
const SORTED: usize = 1000;

/// What becomes of everything that a configuration uses. Its `Display` is a text for people.
#[derive(Clone, Debug)]
pub struct Report {
    file: String,
    uses: Vec<Use>,
    errors: Vec<ConfigError>,
    error_count: usize,
    warnings: Vec<Warning>,
}

/// A field, an extension or a value that a configuration uses, at one place or at many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// What is used.
    pub what: What,
    /// What becomes of it. For a value, [`Support::Guard`] may also mean that nothing is left to run without it.
    pub support: Support,
    /// Where it is used: the first ten places, in the order of the texts.
    pub places: Vec<Place>,
    /// At how many places it is used.
    pub count: usize,
}

/// What a configuration uses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A field of a message of Envoy's API. One that is set to its default value says nothing and is not there.
    Field {
        /// The full name of the message.
        message: String,
        /// The name of the field.
        field: String,
    },
    /// An extension, by the full name of the message that configures it.
    Extension {
        /// The full name.
        name: String,
    },
    /// A value that is not supported of a field that is.
    Value {
        /// What is not supported about it.
        message: String,
    },
}

/// Finds out what becomes of everything that the sources use. `check` may find more mistakes, as in
/// [`load_and_check`](crate::load_and_check).
///
/// Where something is wrong with a text, the rest of it is in the report. Fields in those that are not supported, or
/// that have no effect, are not listed one by one. It does not matter whether the options allow what is not supported.
pub fn report(
    sources: &[Source],
    options: &LoadOptions<'_>,
    check: impl FnOnce(&Bootstrap) -> Vec<ConfigError>,
) -> Report {
    let names = names(sources);
    let strict = LoadOptions { allow_unsupported: false, ..*options };
    let mut issues = Issues::default();
    let mut uses = Uses::default();
    let lowered = lower_all(sources, &names, &strict, &mut issues, |read| uses.collect(read));
    if let Some((bootstrap, _)) = &lowered {
        check(bootstrap).into_iter().for_each(|error| issues.found_later(error));
    }
    let errors = issues.into_errors(&names);
    let is_value = |error: &&ConfigError| {
        error.kind == ErrorKind::Unsupported && !uses.refused.contains(&error.place.path)
    };
    let values: Vec<&ConfigError> = errors.errors().iter().filter(is_value).collect();
    let always = if values.is_empty() { HashSet::new() } else { refused_always(sources, &names, options) };
    for error in values {
        let is_always = always.contains(&(Arc::clone(&error.place.path), error.message.clone()));
        let support = if is_always { Support::Guard } else { Support::Unsupported };
        uses.add(What::Value { message: error.message.clone() }, support, error.place.clone());
    }
    let mistakes: Vec<ConfigError> =
        errors.errors().iter().filter(|error| error.kind != ErrorKind::Unsupported).cloned().collect();
    Report {
        file: sources.first().map(|source| source.name.clone()).unwrap_or_default(),
        error_count: errors.count() - (errors.errors().len() - mistakes.len()),
        uses: uses.sorted(&names),
        warnings: errors.warnings().to_vec(),
        errors: mistakes,
    }
}

/// The places and the messages of the values that are refused even where what is not supported is let pass.
fn refused_always(
    sources: &[Source],
    names: &[Arc<str>],
    options: &LoadOptions<'_>,
) -> HashSet<(Arc<str>, String)> {
    let lenient = LoadOptions { allow_unsupported: true, ..*options };
    let mut issues = Issues::default();
    lower_all(sources, names, &lenient, &mut issues, |_| ());
    let errors = issues.into_errors(names);
    let refused = errors.errors().iter().filter(|error| error.kind == ErrorKind::Unsupported);
    refused.map(|error| (Arc::clone(&error.place.path), error.message.clone())).collect()
}

impl Report {
    /// Everything that is used: what is not supported first, then what has no effect, then what is honoured; in the
    /// order of the texts.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// What is wrong with the configuration apart from what is not supported.
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }

    /// What is worth a warning.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Forgets the warnings that are not wanted.
    pub fn retain_warnings(&mut self, is_wanted: impl FnMut(&Warning) -> bool) {
        self.warnings.retain(is_wanted);
    }

    /// Whether nothing is wrong and everything that is used is honoured, or has no effect for a good reason.
    pub fn is_supported(&self) -> bool {
        self.error_count == 0 && self.uses.iter().all(|used| !used.is_refused())
    }

    /// How many uses there are of a kind.
    pub fn count(&self, is_wanted: impl Fn(Support) -> bool) -> usize {
        self.uses.iter().filter(|used| is_wanted(used.support)).count()
    }

    /// The report as one object. `version`, `errors` and `warnings` are as in [`render::json`](crate::render::json),
    /// without the errors about what is not supported.
    ///
    /// ```json
    /// {
    ///   "version": 1,
    ///   "file": "envoy.yaml",
    ///   "summary": {"supported": false, "unsupported": 1, "refused_always": 0, "no_effect": 0, "honoured": 12,
    ///               "errors": 0, "warnings": 0},
    ///   "fields": [
    ///     {
    ///       "message": "envoy.config.bootstrap.v3.Bootstrap", "field": "stats_sinks",
    ///       "support": "unsupported", "refused_always": false, "reason": null, "count": 1,
    ///       "places": [{"file": "envoy.yaml", "line": 1, "column": 14, "end_column": 15}]
    ///     }
    ///   ],
    ///   "extensions": [],
    ///   "values": [],
    ///   "errors": [],
    ///   "warnings": []
    /// }
    /// ```
    ///
    /// `support` is `honoured`, `no_effect` or `unsupported`, and `reason` says why something has no effect. What is
    /// `refused_always` is not let pass by `allow_unsupported`: it guards security, or nothing is left to run without
    /// it, which may be so for values. Extensions have a `name`, and values a `message`, in the place of `message` and `field`. `places` has the first ten.
    pub fn to_json(&self) -> serde_json::Value {
        let errors: Vec<_> = self.errors.iter().map(|error| problem_json(&error.into())).collect();
        let warnings: Vec<_> = self.warnings.iter().map(|warning| problem_json(&warning.into())).collect();
        let all = |is_wanted: fn(&What) -> bool| -> Vec<serde_json::Value> {
            self.uses.iter().filter(|used| is_wanted(&used.what)).map(Use::to_json).collect()
        };
        json!({
            "version": JSON_VERSION,
            "file": self.file,
            "summary": {
                "supported": self.is_supported(),
                "unsupported": self.count(is_refused),
                "refused_always": self.count(|support| support == Support::Guard),
                "no_effect": self.count(|support| matches!(support, Support::NoEffect(_))),
                "honoured": self.count(|support| support == Support::Honoured),
                "errors": self.error_count,
                "warnings": self.warnings.len(),
            },
            "fields": all(|what| matches!(what, What::Field { .. })),
            "extensions": all(|what| matches!(what, What::Extension { .. })),
            "values": all(|what| matches!(what, What::Value { .. })),
            "errors": errors,
            "warnings": warnings,
        })
    }
}

impl Use {
    /// Whether a configuration with it is refused.
    pub fn is_refused(&self) -> bool {
        is_refused(self.support)
    }

    fn to_json(&self) -> serde_json::Value {
        let (support, reason) = match self.support {
            Support::Honoured => ("honoured", None),
            Support::NoEffect(reason) => ("no_effect", Some(reason)),
            Support::Unsupported | Support::Guard => ("unsupported", None),
        };
        let mut object = match &self.what {
            What::Field { message, field } => json!({"message": message, "field": field}),
            What::Extension { name } => json!({"name": name}),
            What::Value { message } => json!({"message": message}),
        };
        let places: Vec<_> = self.places.iter().map(place_json).collect();
        let rest = json!({
            "support": support,
            "refused_always": self.support == Support::Guard,
            "reason": reason,
            "count": self.count,
            "places": places,
        });
        if let (Some(object), serde_json::Value::Object(rest)) = (object.as_object_mut(), rest) {
            object.extend(rest);
        }
        object
    }
}

fn is_refused(support: Support) -> bool {
    matches!(support, Support::Unsupported | Support::Guard)
}

/// What has been found so far.
#[derive(Default)]
struct Uses {
    by_name: HashMap<What, Use>,
    /// The paths of the fields and extensions that are not supported.
    refused: HashSet<Arc<str>>,
    /// The support of fields, by their full names.
    known: HashMap<String, Support>,
}

impl Uses {
    fn collect(&mut self, read: &Read<'_>) {
        self.message(&read.message, &read.places, &Path::ROOT);
    }

    fn add(&mut self, what: What, support: Support, place: Place) {
        let new = Use { what: what.clone(), support, places: Vec::new(), count: 0 };
        let used = self.by_name.entry(what).or_insert(new);
        used.count += 1;
        // Of what is refused at several places, the strictest word counts.
        if support == Support::Guard {
            used.support = support;
        }
        if used.places.len() < SORTED {
            used.places.push(place);
        }
    }

    fn found(&mut self, what: What, support: Support, place: Place) {
        if is_refused(support) {
            self.refused.insert(Arc::clone(&place.path));
        }
        self.add(what, support, place);
    }

    fn message(&mut self, message: &DynamicMessage, places: &Places<'_>, path: &Path<'_>) {
        let descriptor = message.descriptor();
        match descriptor.full_name() {
            "google.protobuf.Any" => self.extension(message, places, path),
            // Of free-form data and of what stands for a scalar, only the field that it is in says something.
            _ if descriptor.package_name() == "google.protobuf" => {}
            name => {
                for (field, value) in message.fields() {
                    let at = path.field(field.name());
                    let support = self.support(name, &field);
                    let what = What::Field { message: name.to_owned(), field: field.name().to_owned() };
                    self.found(what, support, places.locate(&at));
                    if support == Support::Honoured {
                        self.content(value, places, &at);
                    }
                }
            }
        }
    }

    fn content(&mut self, value: &Value, places: &Places<'_>, at: &Path<'_>) {
        match value {
            Value::Message(inner) => self.message(inner, places, at),
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.content(item, places, &at.index(index));
                }
            }
            Value::Map(map) => {
                for (key, item) in map {
                    if let Some(key) = key.as_str() {
                        self.content(item, places, &at.key(key));
                    }
                }
            }
            _ => {}
        }
    }

    fn extension(&mut self, any: &DynamicMessage, places: &Places<'_>, path: &Path<'_>) {
        // Without a type there is no extension, which is a mistake or is not.
        let Some(payload) = unpack(any) else { return };
        let descriptor = payload.descriptor();
        let support = support::of_extension(descriptor.full_name());
        let what = What::Extension { name: descriptor.full_name().to_owned() };
        self.found(what, support, places.locate(path));
        if support == Support::Honoured {
            self.message(&payload, places, path);
        }
    }

    fn support(&mut self, message: &str, field: &FieldDescriptor) -> Support {
        if let Some(known) = self.known.get(field.full_name()) {
            return *known;
        }
        let support = support::of_field(message, field.name());
        self.known.insert(field.full_name().to_owned(), support);
        support
    }

    fn sorted(self, names: &[Arc<str>]) -> Vec<Use> {
        let order = |place: &Place| {
            let source = names.iter().position(|name| *name == place.source);
            (source, place.line, place.column)
        };
        let mut uses: Vec<Use> = self.by_name.into_values().collect();
        for used in &mut uses {
            used.places.sort_by_key(order);
            used.places.truncate(PLACES);
        }
        uses.sort_by_cached_key(|used| {
            let class = match used.support {
                Support::Guard | Support::Unsupported => 0,
                Support::NoEffect(_) => 1,
                Support::Honoured => 2,
            };
            let name = match &used.what {
                What::Field { message, field } => format!("{message}.{field}"),
                What::Extension { name: text } | What::Value { message: text } => text.clone(),
            };
            (class, used.places.first().map(order), name)
        });
        uses
    }
}
