//! `google.protobuf.Any`: a message that names its own type with `@type`, and the two forms of `TypedStruct`.

use std::{collections::HashMap, sync::LazyLock};

use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};

use super::{Fields, Walker};
use crate::{
    error::ErrorKind,
    path::Path,
    suggest::in_words,
    tree::{Entry, Node},
};

/// They stand for a message of another type and are no types of their own here.
const TYPED_STRUCTS: [&str; 2] = ["xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"];

/// An `Any` of the type `type_name` with the encoded payload.
pub(super) fn packed(any: &MessageDescriptor, type_name: &str, payload: Vec<u8>) -> DynamicMessage {
    let mut message = DynamicMessage::new(any.clone());
    // Both fields exist with these types in every version of `Any`.
    let _ =
        message.try_set_field_by_name("type_url", Value::String(format!("type.googleapis.com/{type_name}")));
    let _ = message.try_set_field_by_name("value", Value::Bytes(payload.into()));
    message
}

impl Walker<'_> {
    pub(super) fn any(
        &mut self,
        any: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        let Some(entries) = node.entries() else {
            self.expected("a map with an \"@type\"", node, path);
            return None;
        };
        let Some(type_entry) = entries.iter().find(|entry| entry.key == "@type") else {
            if entries.is_empty() {
                return Some(DynamicMessage::new(any.clone()));
            }
            self.unread(
                node.mark,
                path,
                "\"@type\" is missing, so the type of this map is not known".to_owned(),
            );
            return None;
        };
        for entry in entries.iter().filter(|entry| entry.key == "@type").skip(1) {
            self.error(entry.mark, path, ErrorKind::Type, "\"@type\" is given twice".to_owned());
        }
        let rest: Vec<&Entry<'_>> = entries.iter().filter(|entry| entry.key != "@type").collect();
        let type_url = type_entry.value.scalar().map(|scalar| &*scalar.text).unwrap_or_default();
        if type_url.rsplit('/').next().is_some_and(|name| TYPED_STRUCTS.contains(&name)) {
            return self.typed_struct(any, node, &rest, path);
        }
        let descriptor = self.type_of(type_entry, path)?;
        let payload = if is_shown_as_value(&descriptor) {
            self.payload_in_value(&descriptor, node, &rest, path)?
        } else {
            self.fields(&descriptor, entries, path, Fields::OfPayload)
        };
        Some(packed(any, descriptor.full_name(), payload.encode_to_vec()))
    }

    /// The message type that an `@type` or `type_url` names.
    fn type_of(&mut self, entry: &Entry<'_>, path: &Path<'_>) -> Option<MessageDescriptor> {
        let node = &entry.value;
        let Some(scalar) = node.scalar() else {
            self.expected("the name of a message type", node, path);
            return None;
        };
        let pool = nuncio_api::descriptors();
        let (domain, name) = scalar.text.rsplit_once('/').unwrap_or(("", &scalar.text));
        // The pool also takes a leading dot.
        let found = pool.get_message_by_name(name).filter(|found| found.full_name() == name);
        if found.is_none() || domain.is_empty() {
            if self.issues.is_full() {
                self.issues.omit();
                return None;
            }
            let message = if found.is_some() {
                format!("{:?} is not a type URL (did you mean \"type.googleapis.com/{name}\"?)", scalar.text)
            } else if let Some(today) = SUCCESSORS.get(name) {
                format!("{name:?} is of an API that is gone (did you mean {today:?}?)")
            } else {
                let names: Vec<MessageDescriptor> = pool.all_messages().collect();
                let meant = self.issues.closest(name, names.iter().map(MessageDescriptor::full_name));
                let suggestion = in_words(meant);
                format!("unknown message type {name:?}{suggestion}")
            };
            let place = self.place(node.mark, path);
            self.issues.mark_unread(path.to_string());
            self.issues.error(place, ErrorKind::Unknown, message);
            return None;
        }
        found
    }

    /// Messages with a JSON form of their own stand under `value`.
    fn payload_in_value(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        rest: &[&Entry<'_>],
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        let value = rest.iter().find(|entry| entry.key == "value");
        for entry in rest.iter().filter(|entry| value.is_some() && entry.key != "value") {
            let message = format!("{:?} stands beside \"value\", where nothing else goes", entry.key);
            self.error(entry.mark, path, ErrorKind::Unknown, message);
        }
        let Some(entry) = value else {
            if rest.is_empty() {
                return Some(DynamicMessage::new(descriptor.clone()));
            }
            let message = format!("expected the {} under \"value\"", descriptor.full_name());
            self.unread(node.mark, path, message);
            return None;
        };
        self.message(descriptor, &entry.value, &path.field("value"), None)
    }

    /// A struct in the place of a message of the type that it names.
    fn typed_struct(
        &mut self,
        any: &MessageDescriptor,
        node: &Node<'_>,
        rest: &[&Entry<'_>],
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        let Some(type_entry) = rest.iter().find(|entry| matches!(&*entry.key, "type_url" | "typeUrl")) else {
            self.unread(node.mark, path, "\"type_url\" of the TypedStruct is missing".to_owned());
            return None;
        };
        for entry in rest.iter().filter(|entry| !matches!(&*entry.key, "type_url" | "typeUrl" | "value")) {
            let message = format!("unknown field {:?} in the TypedStruct", entry.key);
            self.error(entry.mark, path, ErrorKind::Unknown, message);
        }
        let descriptor = self.type_of(type_entry, path)?;
        let payload = match rest.iter().find(|entry| entry.key == "value") {
            Some(entry) => self.message(&descriptor, &entry.value, path, None)?,
            None => DynamicMessage::new(descriptor.clone()),
        };
        Some(packed(any, descriptor.full_name(), payload.encode_to_vec()))
    }
}

/// The types of the API that took the place of those of the API before, by the names of the latter. Most types remember
/// where they come from, but asking all of them is slow.
static SUCCESSORS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let pool = nuncio_api::descriptors();
    let Some(versioning) = pool.get_extension_by_name("udpa.annotations.versioning") else {
        return HashMap::new();
    };
    let previous = |message: MessageDescriptor| {
        let options = message.options();
        let versioning = options.get_extension(&versioning);
        let previous = versioning.as_message()?.get_field_by_name("previous_message_type")?;
        Some((previous.as_str().filter(|name| !name.is_empty())?.to_owned(), message.full_name().to_owned()))
    };
    pool.all_messages().filter_map(previous).collect()
});

fn is_shown_as_value(descriptor: &MessageDescriptor) -> bool {
    descriptor.package_name() == "google.protobuf" && descriptor.name() != "Empty"
}
