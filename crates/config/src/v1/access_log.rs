//! Access logs of connection managers and of the TCP proxy.

use super::{
    fields::{Fields, extension, integer, list},
    reader::{Object, Upgrade},
    schema::{Schema, any, choice, integer as integer_key, list as list_key, object, text as text_key, word},
};
use crate::tree::{Mark, Node};

pub(super) const LOG: Schema =
    Schema::new("a v1 access log", &[word("path").required(), text_key("format"), object("filter")]);

const FILTER_TYPES: &[(&str, &str)] = &[
    ("status_code", "status_code_filter"),
    ("duration", "duration_filter"),
    ("not_healthcheck", "not_health_check_filter"),
    ("traceable_request", "traceable_filter"),
    ("runtime", "runtime_filter"),
    ("logical_and", "and_filter"),
    ("logical_or", "or_filter"),
];

/// Which type the filter has decides what else it may hold.
const FILTER: Schema = Schema::new("a v1 access log filter", &[choice("type", FILTER_TYPES).required()]);

/// A filter whose type is missing or wrong, which is all that is said of it.
const UNCLEAR: Schema = Schema::new(
    "a v1 access log filter",
    &[
        choice("type", FILTER_TYPES).required(),
        any("op"),
        any("value"),
        any("runtime_key"),
        any("key"),
        any("filters"),
    ],
);

const COMPARISON: Schema = Schema::new(
    "a v1 access log filter that compares",
    &[
        choice("type", FILTER_TYPES).required(),
        choice("op", &[(">=", "GE"), ("=", "EQ")]).required(),
        integer_key("value", 0, u32::MAX as i64).required(),
        word("runtime_key"),
    ],
);

const RUNTIME: Schema = Schema::new(
    "a v1 access log filter by the runtime",
    &[choice("type", FILTER_TYPES).required(), word("key").required()],
);

const LOGICAL: Schema = Schema::new(
    "a v1 access log filter of filters",
    &[choice("type", FILTER_TYPES).required(), list_key("filters", 2).required()],
);

pub(super) fn upgrade<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let mut payload = payload(object.mark, object.copied("path"));
    if object.text("format").is_some_and(|format| !format.is_empty()) {
        let mark = object.mark_of("format");
        let source = Fields::at(mark).with("inline_string", object.copied("format"));
        payload.set("log_format", Fields::at(mark).with("text_format_source", source.node()).node());
    }
    let mut log = extension(NAME, payload);
    if let Some(node) = object.get("filter") {
        log.set("filter", filter(up, node, object.path.field("filter")));
    }
    Some(log.node())
}

const NAME: &str = "envoy.access_loggers.file";

/// A log in the default format that takes everything.
pub(super) fn file<'t>(mark: Mark, path: Option<Node<'t>>) -> Fields<'t> {
    extension(NAME, payload(mark, path))
}

fn payload<'t>(mark: Mark, path: Option<Node<'t>>) -> Fields<'t> {
    Fields::of_type(mark, "envoy.extensions.access_loggers.file.v3.FileAccessLog").with("path", path)
}

fn filter<'t>(up: &mut Upgrade<'_, 't>, node: &Node<'t>, path: crate::path::Path<'_>) -> Option<Node<'t>> {
    let schema = match node.get("type").and_then(|entry| entry.value.scalar()).map(|scalar| &*scalar.text) {
        Some("status_code" | "duration") => &COMPARISON,
        Some("runtime") => &RUNTIME,
        Some("logical_and" | "logical_or") => &LOGICAL,
        Some("not_healthcheck" | "traceable_request") => &FILTER,
        _ => &UNCLEAR,
    };
    let object = up.read(node, path, schema)?;
    let field = object.choice("type")?;
    let content = match field {
        "status_code_filter" | "duration_filter" => comparison(&object),
        "runtime_filter" => Fields::at(object.mark).with("runtime_key", object.copied("key")),
        "and_filter" | "or_filter" => {
            let mut filters = Vec::new();
            up.items(&object, "filters", |up, item, at| filters.extend(filter(up, item, at)));
            Fields::at(object.mark).with("filters", list(object.mark_of("filters"), filters))
        }
        _ => Fields::at(object.mark),
    };
    Some(Fields::at(object.mark).with(field, content.node()).node())
}

fn comparison<'t>(object: &Object<'_, '_, 't>) -> Fields<'t> {
    let mark = object.mark_of("value");
    let value = Fields::at(mark)
        .with("default_value", object.integer("value").map(|value| integer(mark, value)))
        .with("runtime_key", object.copied("runtime_key"));
    let comparison = Fields::at(object.mark).with("op", object.chosen("op")).with("value", value.node());
    Fields::at(object.mark).with("comparison", comparison.node())
}
