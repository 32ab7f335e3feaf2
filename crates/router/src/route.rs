//! A route: what it matches and what is to be done.

use crate::head::bare_path;
use crate::{
    Action, CookieMatcher, HeaderMatcher, MetadataMatcher, PathMatch, QueryParameterMatcher, TlsContextMatch,
};

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
///
/// `filter_state` cannot be expressed: a configuration that has it must be refused.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RouteMatch {
    /// The condition on the path.
    pub path: PathMatch,
    /// `case_sensitive`: whether upper and lower case differ in the path. True by default; only ASCII letters
    /// count as equal otherwise. As in Envoy, regular expressions and templates tell them apart in any case.
    pub case_sensitive: bool,
    /// `runtime_fraction`: the share of the requests that may take this route; the others go on to the next.
    pub runtime_fraction: Option<FractionalPercent>,
    /// `headers`: conditions on headers.
    pub headers: Vec<HeaderMatcher>,
    /// `query_parameters`: conditions on the query.
    pub query_parameters: Vec<QueryParameterMatcher>,
    /// `cookies`: conditions on cookies.
    pub cookies: Vec<CookieMatcher>,
    /// `grpc`: whether the request must be one of gRPC, which its content type says.
    pub grpc: bool,
    /// `tls_context`: a condition on the client's certificate.
    pub tls_context: Option<TlsContextMatch>,
    /// `dynamic_metadata`: conditions on what filters found out about the request.
    pub dynamic_metadata: Vec<MetadataMatcher>,
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

    /// Requests whose whole path the regular expression matches.
    #[must_use]
    pub fn safe_regex(regex: impl Into<String>) -> Self {
        Self::new(PathMatch::SafeRegex(regex.into()))
    }

    /// Requests whose path is `prefix` or starts with it and a slash.
    #[must_use]
    pub fn path_separated_prefix(prefix: impl Into<String>) -> Self {
        Self::new(PathMatch::PathSeparatedPrefix(prefix.into()))
    }

    /// Requests whose path follows the URI template.
    #[must_use]
    pub fn uri_template(template: impl Into<String>) -> Self {
        Self::new(PathMatch::UriTemplate(template.into()))
    }

    /// `CONNECT` requests.
    #[must_use]
    pub fn connect() -> Self {
        Self::new(PathMatch::Connect)
    }

    /// Requests whose path meets the condition, in the case given.
    #[must_use]
    pub fn new(path: PathMatch) -> Self {
        Self {
            path,
            case_sensitive: true,
            runtime_fraction: None,
            headers: Vec::new(),
            query_parameters: Vec::new(),
            cookies: Vec::new(),
            grpc: false,
            tls_context: None,
            dynamic_metadata: Vec::new(),
        }
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

    /// Adds a condition on a header.
    #[must_use]
    pub fn header(mut self, matcher: HeaderMatcher) -> Self {
        self.headers.push(matcher);
        self
    }

    /// Adds a condition on a query parameter.
    #[must_use]
    pub fn query_parameter(mut self, matcher: QueryParameterMatcher) -> Self {
        self.query_parameters.push(matcher);
        self
    }

    /// Adds a condition on a cookie.
    #[must_use]
    pub fn cookie(mut self, matcher: CookieMatcher) -> Self {
        self.cookies.push(matcher);
        self
    }

    /// Sets whether the request must be one of gRPC.
    #[must_use]
    pub fn grpc(self, grpc: bool) -> Self {
        Self { grpc, ..self }
    }

    /// Sets the condition on the client's certificate.
    #[must_use]
    pub fn tls_context(self, tls_context: TlsContextMatch) -> Self {
        Self { tls_context: Some(tls_context), ..self }
    }

    /// Adds a condition on dynamic metadata.
    #[must_use]
    pub fn dynamic_metadata(mut self, matcher: MetadataMatcher) -> Self {
        self.dynamic_metadata.push(matcher);
        self
    }

    /// `path`, query and all, with what this match covers replaced: the prefix, or the whole path without its query.
    /// `None` if it does not match.
    pub(crate) fn replace_matched(&self, path: &str, replacement: &str) -> Option<String> {
        let covered = match &self.path {
            PathMatch::Path(text) | PathMatch::Prefix(text) | PathMatch::PathSeparatedPrefix(text) => {
                text.len()
            }
            PathMatch::SafeRegex(_) | PathMatch::UriTemplate(_) => bare_path(path).len(),
            PathMatch::Connect => path.len(),
        };
        let rest = path.get(covered..)?;
        let mut rewritten = String::with_capacity(replacement.len() + rest.len());
        rewritten.push_str(replacement);
        rewritten.push_str(rest);
        Some(rewritten)
    }
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
