//! Conditions on headers and query parameters, and headers to add.

use super::{
    fields::{Fields, boolean as truth, text as string},
    reader::{Object, Upgrade},
    schema::{Schema, boolean, integer, object, text, word},
};
use crate::tree::{Mark, Node};

/// An entry of `headers`.
pub(super) const MATCHER: Schema = Schema::new(
    "a v1 header condition",
    &[word("name").required(), text("value"), boolean("regex"), object("range_match")],
);

const RANGE: Schema = Schema::new(
    "a v1 range of a header",
    &[integer("start", i64::MIN, i64::MAX).required(), integer("end", i64::MIN, i64::MAX).required()],
)
.open();

/// An entry of `query_parameters`.
pub(super) const PARAMETER: Schema = Schema::new(
    "a v1 query parameter condition",
    &[word("name").required(), text("value"), boolean("regex")],
);

/// An entry of `request_headers_to_add` and its like.
pub(super) const ADDED: Schema =
    Schema::new("a v1 header to add", &[word("key").required(), text("value").required()]);

/// A regular expression stands over a value, and a value over a range. With none of them the header must be there.
pub(super) fn matcher<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let mut matcher = Fields::at(object.mark).with("name", object.copied("name"));
    let range = up.child(object, "range_match", &RANGE, |_, range| {
        Fields::at(range.mark).with("start", range.copied("start")).with("end", range.copied("end")).node()
    });
    match (value(object), range) {
        (Some(value), _) => matcher.set("string_match", value),
        (None, Some(range)) => matcher.set("range_match", range),
        (None, None) => matcher.set("present_match", truth(object.mark, true)),
    }
    Some(matcher.node())
}

pub(super) fn parameter<'t>(_: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let mut matcher = Fields::at(object.mark).with("name", object.copied("name"));
    match value(object) {
        Some(value) => matcher.set("string_match", value),
        None => matcher.set("present_match", truth(object.mark, true)),
    }
    Some(matcher.node())
}

/// The `StringMatcher` of a value that is not empty.
fn value<'t>(object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let mark = object.mark_of("value");
    object.text("value").filter(|value| !value.is_empty())?;
    let value = object.copied("value");
    Some(if object.is_true("regex") {
        Fields::at(mark).with("safe_regex", Fields::at(mark).with("regex", value).node()).node()
    } else {
        Fields::at(mark).with("exact", value).node()
    })
}

pub(super) fn regex<'t>(mark: Mark, pattern: Option<Node<'t>>) -> Node<'t> {
    Fields::at(mark).with("regex", pattern).node()
}

pub(super) fn exact<'t>(mark: Mark, value: impl Into<std::borrow::Cow<'t, str>>) -> Node<'t> {
    Fields::at(mark).with("exact", string(mark, value)).node()
}

pub(super) fn added<'t>(_: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let header =
        Fields::at(object.mark).with("key", object.copied("key")).with("value", object.copied("value"));
    Some(Fields::at(object.mark).with("header", header.node()).node())
}
