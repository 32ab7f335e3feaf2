//! Conditions on a text, for headers, query parameters, cookies and metadata.

use crate::regex::Regex;

/// A condition on a text (`type.matcher.v3.StringMatcher`). `custom` cannot be expressed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StringMatcher {
    /// What the text is compared with.
    pub pattern: StringPattern,
    /// `ignore_case`: whether upper and lower case of ASCII letters are the same. False by default; not for
    /// `safe_regex`, which has `(?i)` for that.
    pub ignore_case: bool,
}

/// How a text is compared (`StringMatcher.match_pattern`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StringPattern {
    /// `exact`: the text is this.
    Exact(String),
    /// `prefix`: the text starts with this.
    Prefix(String),
    /// `suffix`: the text ends with this.
    Suffix(String),
    /// `contains`: this is somewhere in the text.
    Contains(String),
    /// `safe_regex`: the expression matches the whole text. See [`PathMatch::SafeRegex`](crate::PathMatch::SafeRegex)
    /// for its syntax.
    SafeRegex(String),
}

impl StringMatcher {
    /// A condition that tells upper and lower case apart.
    #[must_use]
    pub fn new(pattern: StringPattern) -> Self {
        Self { pattern, ignore_case: false }
    }

    /// The text is this.
    #[must_use]
    pub fn exact(text: impl Into<String>) -> Self {
        Self::new(StringPattern::Exact(text.into()))
    }

    /// The text starts with this.
    #[must_use]
    pub fn prefix(text: impl Into<String>) -> Self {
        Self::new(StringPattern::Prefix(text.into()))
    }

    /// The text ends with this.
    #[must_use]
    pub fn suffix(text: impl Into<String>) -> Self {
        Self::new(StringPattern::Suffix(text.into()))
    }

    /// This is somewhere in the text.
    #[must_use]
    pub fn contains(text: impl Into<String>) -> Self {
        Self::new(StringPattern::Contains(text.into()))
    }

    /// The expression matches the whole text.
    #[must_use]
    pub fn safe_regex(regex: impl Into<String>) -> Self {
        Self::new(StringPattern::SafeRegex(regex.into()))
    }

    /// Sets whether upper and lower case are the same.
    #[must_use]
    pub fn ignore_case(self, ignore_case: bool) -> Self {
        Self { ignore_case, ..self }
    }
}

/// A [`StringMatcher`] that was found to be sound.
#[derive(Clone, Debug)]
pub(crate) enum CompiledString {
    Text { how: How, text: Box<[u8]>, ignore_case: bool },
    Regex(Regex),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Exact,
    Prefix,
    Suffix,
    Contains,
}

impl CompiledString {
    /// Compiles the condition, or says what is wrong with it.
    pub(crate) fn new(matcher: &StringMatcher) -> Result<Self, String> {
        let (how, text) = match &matcher.pattern {
            StringPattern::Exact(text) => (How::Exact, text),
            StringPattern::Prefix(text) => (How::Prefix, text),
            StringPattern::Suffix(text) => (How::Suffix, text),
            StringPattern::Contains(text) => (How::Contains, text),
            StringPattern::SafeRegex(_) if matcher.ignore_case => {
                return Err("ignore_case has no effect for safe_regex".into());
            }
            StringPattern::SafeRegex(regex) => {
                let described = |reason| format!("safe_regex {regex:?}: {reason}");
                return Regex::new(regex).map(Self::Regex).map_err(described);
            }
        };
        Ok(Self::Text { how, text: text.as_bytes().into(), ignore_case: matcher.ignore_case })
    }

    pub(crate) fn matches(&self, candidate: &[u8]) -> bool {
        let (how, text, ignore_case) = match self {
            Self::Regex(regex) => return regex.is_match(candidate),
            Self::Text { how, text, ignore_case } => (*how, &**text, *ignore_case),
        };
        let is_text = |part: &[u8]| if ignore_case { part.eq_ignore_ascii_case(text) } else { part == text };
        match how {
            How::Exact => is_text(candidate),
            How::Prefix => candidate.get(..text.len()).is_some_and(is_text),
            How::Suffix => {
                let start = candidate.len().checked_sub(text.len());
                start.and_then(|start| candidate.get(start..)).is_some_and(is_text)
            }
            How::Contains => text.is_empty() || candidate.windows(text.len()).any(is_text),
        }
    }
}
