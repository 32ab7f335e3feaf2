//! The messages of `google.protobuf` that have a form of their own in JSON.

use prost_reflect::{DynamicMessage, MessageDescriptor, Value};

use super::{Fields, Walker, scalar};
use crate::{
    path::Path,
    tree::{Node, Plain, Value as Written},
};

/// The range of `google.protobuf.Duration`: 10,000 years.
const MOST_SECONDS: i64 = 315_576_000_000;

impl Walker<'_> {
    pub(super) fn well_known(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        match descriptor.name() {
            "Any" => self.any(descriptor, node, path),
            "Struct" => self.structure(descriptor, node, path),
            "Value" => self.dynamic_value(descriptor, node, path),
            "ListValue" => self.list_value(descriptor, node, path),
            "Duration" | "Timestamp" | "FieldMask" if node.entries().is_none() => {
                self.read_text(descriptor, node, path)
            }
            name if name.ends_with("Value") && node.entries().is_none() => {
                let field = descriptor.get_field_by_name("value")?;
                let value = self.scalar(&field.kind(), node, path)?;
                Some(with(descriptor, [("value", value)]))
            }
            _ => match node.entries() {
                Some(entries) => {
                    Some(self.fields(descriptor, entries, path, Fields::OfMessage { base: None }))
                }
                None => {
                    self.expected(
                        &format!("a map with the fields of {}", descriptor.full_name()),
                        node,
                        path,
                    );
                    None
                }
            },
        }
    }

    fn read_text(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        let text = match node.scalar() {
            Some(scalar) if matches!(scalar.plain(), None | Some(Plain::Text)) => Some(&*scalar.text),
            _ => None,
        };
        let (expected, read) = match descriptor.name() {
            "Duration" => {
                let read = text
                    .and_then(duration)
                    .map(|(seconds, nanos)| seconds_and_nanos(descriptor, seconds, nanos));
                ("a duration in seconds such as 1.5s", read)
            }
            "Timestamp" => {
                let read = text.and_then(|text| text.parse::<prost_types::Timestamp>().ok());
                let read = read.map(|time| seconds_and_nanos(descriptor, time.seconds, time.nanos));
                ("a time such as 2006-01-02T15:04:05Z", read)
            }
            _ => {
                let paths = text.map(|text| {
                    let paths = text.split(',').filter(|path| !path.is_empty());
                    Value::List(paths.map(|path| Value::String(snake_case(path))).collect())
                });
                ("field names separated by commas", paths.map(|paths| with(descriptor, [("paths", paths)])))
            }
        };
        if read.is_none() {
            self.expected(expected, node, path);
        }
        read
    }

    fn structure(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        if node.entries().is_none() {
            self.expected("a map", node, path);
            return None;
        }
        let field = descriptor.get_field_by_name("fields")?;
        let map = self.map(&field, node, path)?;
        Some(with(descriptor, [("fields", map)]))
    }

    fn dynamic_value(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        let nested = |name: &str| match descriptor.get_field_by_name(name)?.kind() {
            prost_reflect::Kind::Message(nested) => Some(nested),
            _ => None,
        };
        let (name, value) = match node.resolved() {
            Written::Map(_) => {
                ("struct_value", Value::Message(self.structure(&nested("struct_value")?, node, path)?))
            }
            Written::List(_) => {
                ("list_value", Value::Message(self.list_value(&nested("list_value")?, node, path)?))
            }
            _ => {
                let scalar = node.scalar()?;
                match scalar.plain() {
                    Some(Plain::Null) => ("null_value", Value::EnumNumber(0)),
                    Some(Plain::Bool(value)) => ("bool_value", Value::Bool(value)),
                    // Envoy hands integers beyond 32 bits and fractions on as strings, except from JSON.
                    Some(Plain::Int(value)) if i32::try_from(value).is_ok() || self.json => {
                        ("number_value", Value::F64(value as f64))
                    }
                    Some(Plain::Int(value)) => ("string_value", Value::String(value.to_string())),
                    Some(Plain::Text) if self.json => match scalar::double(scalar) {
                        Some(number) => ("number_value", Value::F64(number)),
                        None => ("string_value", Value::String(scalar.text.to_string())),
                    },
                    Some(Plain::Text) | None => ("string_value", Value::String(scalar.text.to_string())),
                }
            }
        };
        Some(with(descriptor, [(name, value)]))
    }

    fn list_value(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        let Written::List(items) = node.resolved() else {
            self.expected("a list", node, path);
            return None;
        };
        let kind = descriptor.get_field_by_name("values")?.kind();
        // Unlike in a repeated field, a list in the list stays one, and null is a value.
        let values = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| self.value(&kind, item, &path.index(index), None))
            .collect();
        Some(with(descriptor, [("values", Value::List(values))]))
    }
}

fn with<const N: usize>(descriptor: &MessageDescriptor, fields: [(&str, Value); N]) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, value) in fields {
        // The fields of google.protobuf's own messages are fixed.
        let _ = message.try_set_field_by_name(name, value);
    }
    message
}

fn seconds_and_nanos(descriptor: &MessageDescriptor, seconds: i64, nanos: i32) -> DynamicMessage {
    with(descriptor, [("seconds", Value::I64(seconds)), ("nanos", Value::I32(nanos))])
}

/// Digits, at most nine digits of a fraction, and `s`.
fn duration(text: &str) -> Option<(i64, i32)> {
    let number = text.strip_suffix('s')?;
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && fraction.len() <= 9 => (whole, fraction),
        Some(_) => return None,
        None => (number, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let seconds = whole.parse::<i64>().ok().filter(|seconds| *seconds <= MOST_SECONDS)?;
    let nanos = format!("{fraction:0<9}").parse::<i32>().ok()?;
    Some(if negative { (-seconds, -nanos) } else { (seconds, nanos) })
}

/// The elements of a field mask are written in camel case and kept in snake case.
fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
