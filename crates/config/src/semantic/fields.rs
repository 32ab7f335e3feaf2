//! Short ways to the fields of a message whose type is only known by its name.

use std::borrow::Cow;

use prost_reflect::{DynamicMessage, Value};

/// The fields of a message by name. What is not set is empty, zero or false.
pub(super) trait Fields {
    /// Whether the field is set.
    fn has(&self, name: &str) -> bool;
    fn value(&self, name: &str) -> Option<&Value>;

    fn text(&self, name: &str) -> &str {
        self.value(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        match self.value(name) {
            Some(Value::Message(wrapper)) => wrapper.flag("value"),
            value => value.and_then(Value::as_bool) == Some(true),
        }
    }

    fn message(&self, name: &str) -> Option<&DynamicMessage> {
        self.value(name)?.as_message()
    }

    fn items(&self, name: &str) -> &[Value] {
        self.value(name).and_then(Value::as_list).unwrap_or_default()
    }

    /// The messages in a list.
    fn messages<'m>(&'m self, name: &str) -> impl Iterator<Item = &'m DynamicMessage> {
        self.items(name).iter().filter_map(Value::as_message)
    }

    /// The texts in a list.
    fn texts<'m>(&'m self, name: &str) -> impl Iterator<Item = &'m str> {
        self.items(name).iter().filter_map(Value::as_str)
    }

    /// A number or the number of an enum's value, also in a wrapper, if it is set.
    fn number(&self, name: &str) -> Option<i128> {
        match self.value(name)? {
            Value::I32(number) | Value::EnumNumber(number) => Some((*number).into()),
            Value::I64(number) => Some((*number).into()),
            Value::U32(number) => Some((*number).into()),
            Value::U64(number) => Some((*number).into()),
            // A wrapper without a value holds zero.
            Value::Message(wrapper) => Some(wrapper.number("value").unwrap_or(0)),
            _ => None,
        }
    }

    /// A duration in nanoseconds, if it is set.
    fn nanos(&self, name: &str) -> Option<i128> {
        let duration = self.message(name)?;
        let part = |name| duration.number(name).unwrap_or(0);
        Some(part("seconds") * 1_000_000_000 + part("nanos"))
    }

    /// The name of the type in an `Any`, empty without one.
    fn type_name(&self, name: &str) -> &str {
        let any = self.message(name).map(|any| any.text("type_url")).unwrap_or_default();
        any.rsplit('/').next().unwrap_or_default()
    }
}

impl Fields for DynamicMessage {
    fn has(&self, name: &str) -> bool {
        self.has_field_by_name(name)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        match self.get_field_by_name(name)? {
            Cow::Borrowed(value) => Some(value),
            // A default value, made for this call.
            Cow::Owned(_) => None,
        }
    }
}
