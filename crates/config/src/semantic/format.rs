//! Format strings, of lines in access logs and of bodies.

use prost_reflect::{DynamicMessage, Value};

use super::{Check, Scope, fields::Fields as _};
use crate::{path::Path, substitution};

pub(super) fn of_message(full_name: &str) -> Option<Check> {
    match full_name {
        "envoy.config.core.v3.SubstitutionFormatString" => Some(format_string),
        "envoy.extensions.access_loggers.file.v3.FileAccessLog" => Some(file_log),
        _ => None,
    }
}

fn format_string(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    // Formatters bring commands of their own.
    if message.has("formatters") {
        return;
    }
    text(scope, message.text("text_format"), &path.field("text_format"));
    if let Some(source) = message.message("text_format_source") {
        let at = path.field("text_format_source");
        text(scope, source.text("inline_string"), &at.field("inline_string"));
    }
    if let Some(map) = message.message("json_format") {
        structure(scope, map, &path.field("json_format"));
    }
}

fn file_log(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    text(scope, message.text("format"), &path.field("format"));
    for field in ["json_format", "typed_json_format"] {
        if let Some(map) = message.message(field) {
            structure(scope, map, &path.field(field));
        }
    }
    openable(scope, message.text("path"), &path.field("path"));
}

/// Envoy opens access logs before anything else, also to validate.
pub(super) fn openable(scope: &mut Scope<'_>, name: &str, at: &Path<'_>) {
    if name.is_empty() {
        return;
    }
    if let Err(error) = scope.options.externals().appendable(name) {
        scope.error(at, format!("cannot be opened for writing: {error}"));
    }
}

/// The texts in a `google.protobuf.Struct` are formats each.
fn structure(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let Some(Value::Map(entries)) = message.value("fields") else { return };
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(key, _)| key.as_str().map(str::to_owned));
    for (key, value) in entries {
        if let (Some(key), Some(value)) = (key.as_str(), value.as_message()) {
            json(scope, value, &path.key(key));
        }
    }
}

fn json(scope: &mut Scope<'_>, value: &DynamicMessage, path: &Path<'_>) {
    text(scope, value.text("string_value"), path);
    if let Some(map) = value.message("struct_value") {
        structure(scope, map, path);
    }
    if let Some(list) = value.message("list_value") {
        for (index, item) in list.messages("values").enumerate() {
            json(scope, item, &path.index(index));
        }
    }
}

fn text(scope: &mut Scope<'_>, format: &str, at: &Path<'_>) {
    if let Err(malformed) = substitution::check(format, &[]) {
        scope.error(at, malformed.to_string());
    }
}
