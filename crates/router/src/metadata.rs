//! Dynamic metadata: what filters found out about a request, by the name of the filter.

use std::collections::BTreeMap;

/// The dynamic metadata of a request (`config.core.v3.Metadata.filter_metadata`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(BTreeMap<String, BTreeMap<String, Value>>);

/// A value in metadata (`google.protobuf.Value`).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Null.
    Null,
    /// A number.
    Number(f64),
    /// A text.
    String(String),
    /// True or false.
    Bool(bool),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Struct(BTreeMap<String, Value>),
}

impl Metadata {
    /// No metadata.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value of a filter, in place of the one that is there.
    pub fn set(&mut self, filter: impl Into<String>, key: impl Into<String>, value: Value) {
        self.0.entry(filter.into()).or_default().insert(key.into(), value);
    }

    /// The value that the keys lead to, from the outside in.
    #[must_use]
    pub fn get(&self, filter: &str, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let outermost = self.0.get(filter)?.get(first)?;
        rest.iter().try_fold(outermost, |value, key| match value {
            Value::Struct(values) => values.get(key),
            _ => None,
        })
    }
}
