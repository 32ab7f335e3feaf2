//! Conditions on the parameters in a request's query.

use crate::StringMatcher;
use crate::string_matcher::CompiledString;

/// A condition on a query parameter (`config.route.v3.QueryParameterMatcher`).
///
/// Names and values are compared as they are written, without percent decoding, and upper and lower case differ. Of
/// several parameters of one name only the first is looked at. A parameter without `=` has an empty value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryParameterMatcher {
    /// `name`: the parameter.
    pub name: String,
    /// `query_parameter_match_specifier`: what is asked of it.
    pub specifier: QueryParameterMatchSpecifier,
}

/// What is asked of a query parameter (`QueryParameterMatcher.query_parameter_match_specifier`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryParameterMatchSpecifier {
    /// `string_match`: it is there and its value meets the condition.
    String(StringMatcher),
    /// `present_match`: it is there, or with `false` it is not. `true` if nothing is specified.
    Present(bool),
}

impl QueryParameterMatcher {
    /// A condition on the parameter.
    #[must_use]
    pub fn new(name: impl Into<String>, specifier: QueryParameterMatchSpecifier) -> Self {
        Self { name: name.into(), specifier }
    }

    /// The parameter is there.
    #[must_use]
    pub fn present(name: impl Into<String>) -> Self {
        Self::new(name, QueryParameterMatchSpecifier::Present(true))
    }

    /// The parameter is there and its value meets the condition.
    #[must_use]
    pub fn string(name: impl Into<String>, matcher: StringMatcher) -> Self {
        Self::new(name, QueryParameterMatchSpecifier::String(matcher))
    }
}

#[derive(Clone, Debug)]
pub(super) struct CompiledQueryParameter {
    name: Box<[u8]>,
    asked: Asked,
}

#[derive(Clone, Debug)]
enum Asked {
    String(CompiledString),
    Present(bool),
}

impl CompiledQueryParameter {
    pub(super) fn new(matcher: &QueryParameterMatcher) -> Result<Self, String> {
        let asked = match &matcher.specifier {
            QueryParameterMatchSpecifier::String(string) => Asked::String(CompiledString::new(string)?),
            QueryParameterMatchSpecifier::Present(present) => Asked::Present(*present),
        };
        Ok(Self { name: matcher.name.as_bytes().into(), asked })
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let value = self.value(path.as_bytes());
        match &self.asked {
            Asked::String(string) => value.is_some_and(|value| string.matches(value)),
            Asked::Present(present) => value.is_some() == *present,
        }
    }

    /// The value of the first parameter of this name.
    fn value<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let start = path.iter().position(|byte| *byte == b'?')?;
        let parameters = path.get(start + 1..)?.split(|byte| *byte == b'&');
        parameters.filter_map(|parameter| parameter.strip_prefix(&*self.name)).find_map(|rest| {
            match rest.split_first() {
                None => Some(rest),
                Some((b'=', value)) => Some(value),
                Some(_) => None,
            }
        })
    }
}
