//! A route: what it matches and what is to be done.

use crate::Action;

/// One route of a virtual host (`config.route.v3.Route`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Route {
    /// `name`: for logs and stats. May be empty, and need not be unique.
    pub name: String,
    /// `match`: which requests take this route.
    pub matcher: RouteMatch,
    /// What is to be done with them.
    pub action: Action,
}

impl Route {
    /// A route without a name.
    #[must_use]
    pub fn new(matcher: RouteMatch, action: impl Into<Action>) -> Self {
        Self { name: String::new(), matcher, action: action.into() }
    }

    /// The same route with a name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }
}

/// Which requests a route is for (`config.route.v3.RouteMatch`). All conditions must hold.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RouteMatch {
    /// The condition on the path.
    pub path: PathMatch,
    /// `case_sensitive`: whether upper and lower case differ in the path. True by default; only ASCII letters
    /// count as equal otherwise.
    pub case_sensitive: bool,
    /// `runtime_fraction`: the share of the requests that may take this route; the others go on to the next.
    pub runtime_fraction: Option<FractionalPercent>,
}

impl RouteMatch {
    /// Requests whose path starts with `prefix` (character by character: `/a` matches `/ab`).
    #[must_use]
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self::new(PathMatch::Prefix(prefix.into()))
    }

    /// Requests whose path is `path`.
    #[must_use]
    pub fn path(path: impl Into<String>) -> Self {
        Self::new(PathMatch::Path(path.into()))
    }

    /// Requests whose path meets the condition, in the case given.
    #[must_use]
    pub fn new(path: PathMatch) -> Self {
        Self { path, case_sensitive: true, runtime_fraction: None }
    }

    /// Sets whether upper and lower case differ.
    #[must_use]
    pub fn case_sensitive(self, case_sensitive: bool) -> Self {
        Self { case_sensitive, ..self }
    }

    /// Sets the share of the requests that may take this route.
    #[must_use]
    pub fn runtime_fraction(self, fraction: FractionalPercent) -> Self {
        Self { runtime_fraction: Some(fraction), ..self }
    }

    /// Whether the path, which has no query any more, meets the condition on the path.
    pub(crate) fn path_matches(&self, bare_path: &str) -> bool {
        let (text, candidate) = match &self.path {
            PathMatch::Path(path) => (path.as_bytes(), Some(bare_path.as_bytes())),
            PathMatch::Prefix(prefix) => (prefix.as_bytes(), bare_path.as_bytes().get(..prefix.len())),
        };
        candidate.is_some_and(|candidate| {
            if self.case_sensitive { candidate == text } else { candidate.eq_ignore_ascii_case(text) }
        })
    }

    /// Whether all conditions but the one on the path hold.
    pub(crate) fn others_match(&self, random: u64) -> bool {
        self.runtime_fraction.is_none_or(|fraction| fraction.includes(random))
    }

    /// `path`, query and all, with what this match covers replaced. `None` if it does not match.
    pub(crate) fn replace_matched(&self, path: &str, replacement: &str) -> Option<String> {
        let covered = match &self.path {
            PathMatch::Path(text) | PathMatch::Prefix(text) => text.len(),
        };
        let rest = path.get(covered..)?;
        let mut rewritten = String::with_capacity(replacement.len() + rest.len());
        rewritten.push_str(replacement);
        rewritten.push_str(rest);
        Some(rewritten)
    }
}

/// The condition on the path (`RouteMatch.path_specifier`). The query and the fragment take no part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathMatch {
    /// `prefix`: the path starts with this.
    Prefix(String),
    /// `path`: the path is this.
    Path(String),
}

/// A share in hundredths, ten thousandths or millionths (`type.v3.FractionalPercent`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FractionalPercent {
    /// How many parts. More than the denominator means all.
    pub numerator: u32,
    /// What a part is.
    pub denominator: Denominator,
}

impl FractionalPercent {
    /// So many parts of the denominator.
    #[must_use]
    pub fn new(numerator: u32, denominator: Denominator) -> Self {
        Self { numerator, denominator }
    }

    /// Whether the request with this random number belongs to the share.
    #[must_use]
    pub fn includes(self, random: u64) -> bool {
        let parts = match self.denominator {
            Denominator::Hundred => 100,
            Denominator::TenThousand => 10_000,
            Denominator::Million => 1_000_000,
        };
        random % parts < u64::from(self.numerator)
    }
}

/// The parts that a [`FractionalPercent`] counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Denominator {
    /// Hundredths, per cent.
    #[default]
    Hundred,
    /// Ten thousandths.
    TenThousand,
    /// Millionths.
    Million,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        fn check(matcher: &RouteMatch, path: &str, expected: bool) {
            assert_eq!(matcher.path_matches(path), expected, "{matcher:?} {path}");
        }
        let prefix = RouteMatch::prefix("/Ab");
        check(&prefix, "/Ab", true);
        check(&prefix, "/Abc", true);
        check(&prefix, "/A", false);
        check(&prefix, "/ab", false);
        let prefix = prefix.case_sensitive(false);
        check(&prefix, "/aBc", true);
        check(&prefix, "/a", false);
        let path = RouteMatch::path("/Ab");
        check(&path, "/Ab", true);
        check(&path, "/Ab/", false);
        check(&path, "/ab", false);
        let path = path.case_sensitive(false);
        check(&path, "/aB", true);
        check(&path, "/aBc", false);
        check(&RouteMatch::prefix(""), "/", true);
        check(&RouteMatch::prefix("/É").case_sensitive(false), "/é", false);
        check(&RouteMatch::prefix("/é"), "/\u{e8}", false);
    }

    #[test]
    fn shares() {
        fn check(numerator: u32, denominator: Denominator, random: u64, expected: bool) {
            assert_eq!(FractionalPercent::new(numerator, denominator).includes(random), expected);
        }
        check(30, Denominator::Hundred, 129, true);
        check(30, Denominator::Hundred, 130, false);
        check(0, Denominator::Hundred, 0, false);
        check(200, Denominator::Hundred, u64::MAX, true);
        check(30, Denominator::TenThousand, 10_029, true);
        check(30, Denominator::TenThousand, 10_030, false);
        check(1, Denominator::Million, 3_000_000, true);
        check(1, Denominator::Million, 3_000_001, false);
    }
}
