//! The layered runtime, flattened to dotted keys.

use std::collections::{BTreeMap, HashSet};

use nuncio_api::envoy::config::bootstrap::v3::{LayeredRuntime, RuntimeLayer, runtime_layer::LayerSpecifier};
use prost_types::{Struct, Value, value::Kind};

use super::Context;
use crate::{error::WarningKind, model, path::Path};

/// Keys that decide something in Envoy and nothing here start with one of these.
const ENVOYS_KEYS: &[&str] = &[
    "envoy.",
    "overload.",
    "upstream.",
    "outlier_detection.",
    "health_check.",
    "re2.",
    "tracing.",
    "ssl.",
    "http.",
    "tcp.",
];

pub(super) fn layered(context: &mut Context<'_>, at: &Path<'_>, message: LayeredRuntime) -> model::Runtime {
    let LayeredRuntime { layers } = message;
    let at = at.field("layers");
    let mut lowered: Vec<model::RuntimeLayer> = Vec::with_capacity(layers.len());
    let mut names = HashSet::with_capacity(layers.len());
    let mut admin_layer = false;
    for (index, layer) in layers.into_iter().enumerate() {
        let at = at.index(index);
        let RuntimeLayer { name, layer_specifier } = layer;
        if !names.insert(name.clone()) {
            context.error(&at.field("name"), format!("another layer is named {name:?}"));
        }
        let mut entries = BTreeMap::new();
        if matches!(layer_specifier, Some(LayerSpecifier::AdminLayer(_))) {
            if admin_layer {
                context.error(&at.field("admin_layer"), "there is another admin layer already");
            }
            admin_layer = true;
        }
        match layer_specifier {
            Some(LayerSpecifier::StaticLayer(values)) => {
                flatten(context, &at.field("static_layer"), values, "", &mut entries);
            }
            // The other kinds are empty or refused by the check before this.
            Some(
                LayerSpecifier::AdminLayer(_) | LayerSpecifier::DiskLayer(_) | LayerSpecifier::RtdsLayer(_),
            )
            | None => {}
        }
        lowered.push(model::RuntimeLayer { name, entries });
    }
    model::Runtime { layers: lowered }
}

fn flatten(
    context: &mut Context<'_>,
    at: &Path<'_>,
    values: Struct,
    prefix: &str,
    entries: &mut BTreeMap<String, String>,
) {
    for (name, Value { kind }) in values.fields {
        let at = at.key(&name);
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let text = match kind {
            Some(Kind::StructValue(fraction)) if is_fraction(&fraction) => fraction_text(&fraction),
            Some(Kind::StructValue(inner)) => {
                flatten(context, &at, inner, &key, entries);
                continue;
            }
            Some(Kind::NumberValue(number)) => number.to_string(),
            Some(Kind::StringValue(text)) => text,
            Some(Kind::BoolValue(value)) => value.to_string(),
            Some(Kind::NullValue(_) | Kind::ListValue(_)) | None => {
                context.error(&at, "a runtime value is a number, a string, a boolean or a map");
                continue;
            }
        };
        if key == "overload.global_downstream_max_connections" {
            context.guard(&at, "the global connection limit is not supported");
        } else if ENVOYS_KEYS.iter().any(|prefix| key.starts_with(prefix)) && !is_honoured(&key) {
            context.warn(&at, WarningKind::Unsupported, format!("the runtime key {key:?} has no effect"));
        }
        entries.insert(key, text);
    }
}

fn is_honoured(key: &str) -> bool {
    key == "re2.max_program_size.error_level"
        || key.starts_with("envoy.resource_limits.listener.") && key.ends_with(".connection_limit")
}

/// A share is written as a map but is one value.
fn is_fraction(fields: &Struct) -> bool {
    fields.fields.contains_key("numerator")
        && fields.fields.keys().all(|key| key == "numerator" || key == "denominator")
}

fn fraction_text(fraction: &Struct) -> String {
    let part = |name: &str| match fraction.fields.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::NumberValue(number)) => number.to_string(),
        Some(Kind::StringValue(text)) => text.clone(),
        _ => "HUNDRED".to_owned(),
    };
    format!("{{\"numerator\":{},\"denominator\":\"{}\"}}", part("numerator"), part("denominator"))
}
