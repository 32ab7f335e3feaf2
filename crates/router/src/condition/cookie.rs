//! Conditions on cookies.

use http::HeaderMap;
use http::header::COOKIE;

use crate::StringMatcher;
use crate::string_matcher::CompiledString;

/// A condition on a cookie (`config.route.v3.CookieMatcher`).
///
/// The cookies of all `cookie` headers count; of several of one name only the first is looked at. Quotes around a
/// value are no part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CookieMatcher {
    /// `name`: the cookie.
    pub name: String,
    /// `string_match`: the condition on its value.
    pub string_match: StringMatcher,
    /// `invert_match`: the cookie must not meet the condition. A cookie that is missing does not meet it.
    pub invert_match: bool,
}

impl CookieMatcher {
    /// The cookie is there and its value meets the condition.
    #[must_use]
    pub fn new(name: impl Into<String>, string_match: StringMatcher) -> Self {
        Self { name: name.into(), string_match, invert_match: false }
    }

    /// Sets whether the cookie must not meet the condition.
    #[must_use]
    pub fn invert_match(self, invert_match: bool) -> Self {
        Self { invert_match, ..self }
    }
}

#[derive(Clone, Debug)]
pub(super) struct CompiledCookie {
    name: Box<[u8]>,
    string: CompiledString,
    invert: bool,
}

impl CompiledCookie {
    pub(super) fn new(matcher: &CookieMatcher) -> Result<Self, String> {
        let string = CompiledString::new(&matcher.string_match)?;
        Ok(Self { name: matcher.name.as_bytes().into(), string, invert: matcher.invert_match })
    }

    pub(super) fn matches(&self, headers: &HeaderMap) -> bool {
        let cookies =
            headers.get_all(COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
        let value = cookies.filter_map(|cookie| self.value(cookie)).next();
        value.is_some_and(|value| self.string.matches(value)) != self.invert
    }

    /// The value, if the text is a cookie of this name. Only spaces in front are no part of the name.
    fn value<'h>(&self, cookie: &'h [u8]) -> Option<&'h [u8]> {
        let start = cookie.iter().position(|byte| *byte != b' ')?;
        let value = cookie.get(start..)?.strip_prefix(&*self.name)?.strip_prefix(b"=")?;
        match value {
            [b'"', quoted @ .., b'"'] => Some(quoted),
            _ => Some(value),
        }
    }
}
