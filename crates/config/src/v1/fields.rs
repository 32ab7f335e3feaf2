//! Makes values of the v3 format. Each has the position of the v1 value that it comes from, so that later phases
//! report the file as its author wrote it.

use std::borrow::Cow;

use crate::tree::{Entry, Mark, Node, Scalar, Value};

/// A message in the making.
pub(super) struct Fields<'t> {
    mark: Mark,
    entries: Vec<Entry<'t>>,
}

impl<'t> Fields<'t> {
    pub(super) fn at(mark: Mark) -> Self {
        Self { mark, entries: Vec::new() }
    }

    /// The payload of an `Any`.
    pub(super) fn of_type(mark: Mark, type_name: &str) -> Self {
        Self::at(mark).with("@type", text(mark, format!("type.googleapis.com/{type_name}")))
    }

    /// Sets a field, if there is a value for it.
    pub(super) fn set(&mut self, key: impl Into<Cow<'t, str>>, value: impl Into<Option<Node<'t>>>) {
        if let Some(value) = value.into() {
            self.entries.push(Entry { mark: value.mark, key: key.into(), value });
        }
    }

    #[must_use]
    pub(super) fn with(mut self, key: impl Into<Cow<'t, str>>, value: impl Into<Option<Node<'t>>>) -> Self {
        self.set(key, value);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn node(self) -> Node<'t> {
        Node { mark: self.mark, value: Value::Map(self.entries) }
    }

    /// The message, unless nothing is set in it.
    pub(super) fn node_if_any(self) -> Option<Node<'t>> {
        (!self.is_empty()).then(|| self.node())
    }
}

pub(super) fn text<'t>(mark: Mark, text: impl Into<Cow<'t, str>>) -> Node<'t> {
    Node { mark, value: Value::Scalar(Scalar { text: text.into(), quoted: true }) }
}

pub(super) fn integer<'t>(mark: Mark, value: i64) -> Node<'t> {
    Node { mark, value: Value::Scalar(Scalar { text: value.to_string().into(), quoted: false }) }
}

pub(super) fn boolean<'t>(mark: Mark, value: bool) -> Node<'t> {
    let text = if value { "true" } else { "false" };
    Node { mark, value: Value::Scalar(Scalar { text: text.into(), quoted: false }) }
}

/// A `google.protobuf.Duration`.
pub(super) fn duration<'t>(mark: Mark, millis: i64) -> Node<'t> {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let written = if millis == 0 { format!("{seconds}s") } else { format!("{seconds}.{millis:03}s") };
    text(mark, written)
}

pub(super) fn list<'t>(mark: Mark, items: Vec<Node<'t>>) -> Node<'t> {
    Node { mark, value: Value::List(items) }
}

/// An extension: a name and a payload with its type.
pub(super) fn extension<'t>(name: &'static str, config: Fields<'t>) -> Fields<'t> {
    let mark = config.mark;
    Fields::at(mark).with("name", text(mark, name)).with("typed_config", config.node())
}

/// `runtime_fraction` and its like: so many of a hundred unless the runtime says otherwise.
pub(super) fn percent<'t>(mark: Mark, numerator: i64) -> Node<'t> {
    Fields::at(mark).with("numerator", integer(mark, numerator)).node()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_seconds() {
        for (millis, expected) in
            [(0, "0s"), (250, "0.250s"), (5, "0.005s"), (1000, "1s"), (61_001, "61.001s")]
        {
            let node: Node<'_> = duration(Mark::START, millis);
            assert_eq!(node.scalar().map(|scalar| &*scalar.text), Some(expected));
        }
    }
}
