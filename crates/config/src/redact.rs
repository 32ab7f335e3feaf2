//! Keeps secrets out of everything that is shown. Which fields hold secrets is an option of Envoy's API.

use std::{collections::HashSet, sync::LazyLock};

use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, ReflectMessage as _, Value};

/// What stands in the place of a secret, as in Envoy's dumps.
pub(crate) const REDACTED: &str = "[redacted]";

/// The full names of the fields that Envoy's API marks as sensitive. There are few, and looking at the options of a
/// field is slow.
static SENSITIVE: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let pool = nuncio_api::descriptors();
    let Some(sensitive) = pool.get_extension_by_name("udpa.annotations.sensitive") else {
        return HashSet::new();
    };
    pool.all_messages()
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter(|field| field.options().get_extension(&sensitive).as_bool() == Some(true))
        .map(|field| field.full_name().to_owned())
        .collect()
});

/// Whether the field or what is in it is a secret.
pub(crate) fn is_sensitive(field: &FieldDescriptor) -> bool {
    SENSITIVE.contains(field.full_name())
}

/// Whether a text is an encoded private key or a part of one that says so, wherever it stands.
pub(crate) fn looks_secret(text: &str) -> bool {
    text.contains("PRIVATE KEY")
}

/// Replaces the secrets in a message, also in the payloads of `Any`.
pub(crate) fn redact(message: &mut DynamicMessage) {
    redact_within(message, false);
}

fn redact_within(message: &mut DynamicMessage, secret: bool) {
    if message.descriptor().full_name() == "google.protobuf.Any" {
        redact_payload(message, secret);
        return;
    }
    let fields: Vec<FieldDescriptor> = message.fields().map(|(field, _)| field).collect();
    for field in fields {
        let secret = secret || is_sensitive(&field);
        let cleared = redact_value(message.get_field_mut(&field), secret);
        if cleared {
            message.clear_field(&field);
        }
    }
}

/// Returns whether the value is to be left out, because a number or a boolean has no form that says "redacted".
fn redact_value(value: &mut Value, secret: bool) -> bool {
    match value {
        Value::Message(message) => redact_within(message, secret),
        Value::List(items) => items.retain_mut(|item| !redact_value(item, secret)),
        Value::Map(map) => map.retain(|_: &MapKey, item| !redact_value(item, secret)),
        Value::String(text) if secret => REDACTED.clone_into(text),
        Value::Bytes(bytes) if secret => *bytes = REDACTED.as_bytes().into(),
        _ => return secret,
    }
    false
}

fn redact_payload(any: &mut DynamicMessage, secret: bool) {
    use prost::Message as _;
    let Some(mut payload) = unpack(any) else { return };
    redact_within(&mut payload, secret);
    let _ = any.try_set_field_by_name("value", Value::Bytes(payload.encode_to_vec().into()));
}

/// The message in an `Any`, if its type is in the API and its bytes are such a message.
pub(crate) fn unpack(any: &DynamicMessage) -> Option<DynamicMessage> {
    let type_url = any.get_field_by_name("type_url")?;
    let name = type_url.as_str()?.rsplit('/').next()?.to_owned();
    let descriptor = nuncio_api::descriptors().get_message_by_name(&name)?;
    let value = any.get_field_by_name("value")?;
    DynamicMessage::decode(descriptor, value.as_bytes()?.clone()).ok()
}
