//! Conditions on the dynamic metadata of a request.

use crate::StringMatcher;
use crate::metadata::{Metadata, Value};
use crate::string_matcher::CompiledString;

/// A condition on dynamic metadata (`type.matcher.v3.MetadataMatcher`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MetadataMatcher {
    /// `filter`: the name of the filter that the metadata is of.
    pub filter: String,
    /// `path`: the keys that lead to the value, from the outside in.
    pub path: Vec<String>,
    /// `value`: the condition on the value.
    pub value: ValueMatcher,
    /// `invert`: the value must not meet the condition. A value that is missing meets none.
    pub invert: bool,
}

impl MetadataMatcher {
    /// The value at the path is there and meets the condition.
    #[must_use]
    pub fn new(
        filter: impl Into<String>,
        path: impl IntoIterator<Item = impl Into<String>>,
        value: ValueMatcher,
    ) -> Self {
        let path = path.into_iter().map(Into::into).collect();
        Self { filter: filter.into(), path, value, invert: false }
    }

    /// Sets whether the value must not meet the condition.
    #[must_use]
    pub fn invert(self, invert: bool) -> Self {
        Self { invert, ..self }
    }
}

/// A condition on a value (`type.matcher.v3.ValueMatcher`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ValueMatcher {
    /// `null_match`: it is null.
    Null,
    /// `double_match`: it is a number and meets the condition.
    Double(DoubleMatcher),
    /// `string_match`: it is a text and meets the condition.
    String(StringMatcher),
    /// `bool_match`: it is this.
    Bool(bool),
    /// `present_match`: it is there. With `false` no value meets it, nor does a missing one.
    Present(bool),
    /// `list_match.one_of`: it is a list, and one of its values meets the condition.
    ListOneOf(Box<ValueMatcher>),
    /// `or_match`: it meets one of the conditions.
    Or(Vec<ValueMatcher>),
}

/// A condition on a number (`type.matcher.v3.DoubleMatcher`).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum DoubleMatcher {
    /// `exact`: it is this.
    Exact(f64),
    /// `range`: it is at least `start` and below `end`.
    Range {
        /// The least number.
        start: f64,
        /// The least number above that is too much.
        end: f64,
    },
}

#[derive(Clone, Debug)]
pub(super) struct CompiledMetadata {
    filter: Box<str>,
    path: Box<[String]>,
    value: CompiledValue,
    invert: bool,
}

#[derive(Clone, Debug)]
enum CompiledValue {
    Null,
    Double(DoubleMatcher),
    String(CompiledString),
    Bool(bool),
    Present(bool),
    ListOneOf(Box<CompiledValue>),
    Or(Box<[CompiledValue]>),
}

impl CompiledMetadata {
    pub(super) fn new(matcher: &MetadataMatcher) -> Result<Self, String> {
        Ok(Self {
            filter: matcher.filter.as_str().into(),
            path: matcher.path.as_slice().into(),
            value: CompiledValue::new(&matcher.value)?,
            invert: matcher.invert,
        })
    }

    pub(super) fn matches(&self, metadata: Option<&Metadata>) -> bool {
        let value = metadata.and_then(|metadata| metadata.get(&self.filter, &self.path));
        value.is_some_and(|value| self.value.matches(value)) != self.invert
    }
}

impl CompiledValue {
    fn new(matcher: &ValueMatcher) -> Result<Self, String> {
        Ok(match matcher {
            ValueMatcher::Null => Self::Null,
            ValueMatcher::Double(double) => Self::Double(*double),
            ValueMatcher::String(string) => Self::String(CompiledString::new(string)?),
            ValueMatcher::Bool(expected) => Self::Bool(*expected),
            ValueMatcher::Present(present) => Self::Present(*present),
            ValueMatcher::ListOneOf(one) => Self::ListOneOf(Box::new(Self::new(one)?)),
            ValueMatcher::Or(matchers) => Self::Or(matchers.iter().map(Self::new).collect::<Result<_, _>>()?),
        })
    }

    fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, value) => matches!(value, Value::Null),
            (Self::Double(DoubleMatcher::Exact(expected)), Value::Number(number)) => expected == number,
            (Self::Double(DoubleMatcher::Range { start, end }), Value::Number(number)) => {
                (*start..*end).contains(number)
            }
            (Self::String(string), Value::String(text)) => string.matches(text.as_bytes()),
            (Self::Bool(expected), Value::Bool(value)) => expected == value,
            (Self::Present(present), _) => *present,
            (Self::ListOneOf(one), Value::List(values)) => values.iter().any(|value| one.matches(value)),
            (Self::Or(matchers), value) => matchers.iter().any(|matcher| matcher.matches(value)),
            (Self::Double(_) | Self::String(_) | Self::Bool(_) | Self::ListOneOf(_), _) => false,
        }
    }
}
