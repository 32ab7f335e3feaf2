//! Conditions on the path.

use crate::regex::{Pattern, Regex};
use crate::{BuildErrorKind, RequestHead, RouteMatch, template};

/// The condition on the path (`RouteMatch.path_specifier`). The query and the fragment take no part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathMatch {
    /// `prefix`: the path starts with this.
    Prefix(String),
    /// `path`: the path is this.
    Path(String),
    /// `safe_regex`: the whole path matches this regular expression, in RE2's syntax. As in Envoy it is matched with
    /// bytes (Latin-1), so that `.` is one byte of a UTF-8 sequence and only ASCII letters have two cases.
    SafeRegex(String),
    /// `path_separated_prefix`: the path is this, or starts with this and a slash. It must have two characters or
    /// more, no `?` and `#`, and no slash at the end.
    PathSeparatedPrefix(String),
    /// `path_match_policy` with `UriTemplateMatchConfig`: the path follows this template. A segment is a literal, `*`
    /// (one segment), `**` (any number of segments, the last wildcard) or a variable `{name}` or `{name=pattern}`;
    /// the names serve rewrites.
    UriTemplate(String),
    /// `connect_matcher`: the method is `CONNECT`, or the request asks for an upgrade to `connect-udp`. The only kind
    /// that matches requests without a path.
    Connect,
}

/// A condition on the path that was found to be sound.
#[derive(Clone, Debug)]
pub(crate) enum CompiledPath {
    Text {
        how: How,
        text: Box<[u8]>,
        case_sensitive: bool,
    },
    Regex(Regex),
    Connect,
    /// A template that no path follows.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Path,
    Prefix,
    SeparatedPrefix,
}

impl CompiledPath {
    /// Compiles the condition on the path. What is wrong with it is reported.
    pub(crate) fn new(matcher: &RouteMatch, report: impl FnOnce(BuildErrorKind)) -> Self {
        let (how, text) = match &matcher.path {
            PathMatch::Prefix(text) => (How::Prefix, text),
            PathMatch::Path(text) => (How::Path, text),
            PathMatch::PathSeparatedPrefix(text) => (How::SeparatedPrefix, text),
            PathMatch::Connect => return Self::Connect,
            path @ (PathMatch::SafeRegex(_) | PathMatch::UriTemplate(_)) => {
                let compile = |pattern: Pattern| {
                    pattern.compile().map_err(|reason| BuildErrorKind::bad_path(path, reason))
                };
                return match Pattern::of_path(path).and_then(|pattern| pattern.map(compile).transpose()) {
                    Ok(regex) => regex.map_or(Self::Never, Self::Regex),
                    Err(kind) => {
                        report(kind);
                        Self::Never
                    }
                };
            }
        };
        Self::Text { how, text: text.as_bytes().into(), case_sensitive: matcher.case_sensitive }
    }

    /// Whether the request, whose path is given without its query, too, meets the condition.
    pub(crate) fn matches(&self, head: &RequestHead<'_>, bare_path: &str) -> bool {
        let path = bare_path.as_bytes();
        match self {
            Self::Connect => head.is_connect(),
            _ if head.path.is_empty() => false,
            Self::Never => false,
            Self::Regex(regex) => regex.is_match(path),
            Self::Text { how, text, case_sensitive } => {
                let candidate = match how {
                    How::Path => path,
                    How::Prefix | How::SeparatedPrefix => path.get(..text.len()).unwrap_or_default(),
                };
                let same =
                    if *case_sensitive { candidate == &**text } else { candidate.eq_ignore_ascii_case(text) };
                same && (*how != How::SeparatedPrefix || matches!(path.get(text.len()), None | Some(b'/')))
            }
        }
    }
}

impl Pattern {
    /// The pattern of a condition on the path. `None` if the condition has none, or if it is a template that no path
    /// follows: Envoy accepts `/a**`, which becomes an expression that it cannot compile.
    pub(crate) fn of_path(path: &PathMatch) -> Result<Option<Self>, BuildErrorKind> {
        match path {
            PathMatch::SafeRegex(regex) => {
                Self::new(regex).map(Some).map_err(|reason| BuildErrorKind::bad_path(path, reason))
            }
            PathMatch::UriTemplate(template) => {
                let regex =
                    template::regex(template).map_err(|reason| BuildErrorKind::bad_path(path, reason))?;
                Ok(Self::new(&regex).ok())
            }
            PathMatch::Prefix(_)
            | PathMatch::Path(_)
            | PathMatch::PathSeparatedPrefix(_)
            | PathMatch::Connect => Ok(None),
        }
    }
}

impl PathMatch {
    /// Its text, by which the size of a table is measured.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Prefix(text)
            | Self::Path(text)
            | Self::SafeRegex(text)
            | Self::PathSeparatedPrefix(text)
            | Self::UriTemplate(text) => text,
            Self::Connect => "",
        }
    }

    /// Whether it is a separated prefix that Envoy would not take.
    pub(crate) fn is_bad_separated_prefix(&self) -> bool {
        match self {
            Self::PathSeparatedPrefix(text) => {
                text.len() < 2 || text.contains(['?', '#']) || text.ends_with('/')
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;

    #[test]
    fn paths() {
        fn check(matcher: &RouteMatch, path: &str, expected: bool) {
            let (method, headers) = (Method::GET, HeaderMap::new());
            let head = RequestHead::new(&method, "h", path, &headers);
            let compiled = CompiledPath::new(matcher, |kind| panic!("{kind}"));
            assert_eq!(compiled.matches(&head, head.bare_path()), expected, "{matcher:?} {path}");
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
        check(&RouteMatch::prefix("/\u{c9}").case_sensitive(false), "/\u{e9}", false);
        check(&RouteMatch::prefix("/\u{e9}"), "/\u{e8}", false);
    }
}
