//! Conditions on headers.

use http::HeaderName;
use http::header::{self, GetAll, HeaderValue};

use crate::string_matcher::CompiledString;
use crate::{RequestHead, StringMatcher};

/// A condition on a header (`config.route.v3.HeaderMatcher`).
///
/// The pseudo headers `:method`, `:path` (with its query), `:authority` and `:scheme` can be asked for, and `host` is
/// the authority. If a header is there several times, one value that meets the condition is enough; with
/// `invert_match` none may meet it. But the headers that Envoy knows by name (`accept`, `content-type`, `via`,
/// `x-forwarded-for` and others) are one value, joined with commas.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderMatcher {
    /// `name`: the header, in any case.
    pub name: String,
    /// `header_match_specifier`: what is asked of it.
    pub specifier: HeaderMatchSpecifier,
    /// `invert_match`: the header must not meet the condition. A header that is missing still does not match, unless
    /// the condition is on its presence.
    pub invert_match: bool,
    /// `treat_missing_header_as_empty`: a header that is missing counts as one with an empty value.
    pub treat_missing_header_as_empty: bool,
}

/// What is asked of a header (`HeaderMatcher.header_match_specifier`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderMatchSpecifier {
    /// `string_match`, and the older `exact_match`, `safe_regex_match`, `prefix_match`, `suffix_match` and
    /// `contains_match`. The older `exact_match` with an empty text is [`AnyValue`](Self::AnyValue).
    String(StringMatcher),
    /// `range_match`: the value is a whole decimal number from `start` up to, but not including, `end`.
    Range {
        /// The least number.
        start: i64,
        /// The least number above that is too much.
        end: i64,
    },
    /// `present_match`: the header is there, or with `false` it is not. `true` if nothing is specified.
    Present(bool),
    /// `exact_match` with an empty text: any value. Unlike [`Present`](Self::Present) it goes by
    /// [`invert_match`](HeaderMatcher::invert_match) only if the header is there.
    AnyValue,
}

impl HeaderMatcher {
    /// A condition on the header.
    #[must_use]
    pub fn new(name: impl Into<String>, specifier: HeaderMatchSpecifier) -> Self {
        Self { name: name.into(), specifier, invert_match: false, treat_missing_header_as_empty: false }
    }

    /// The header is there.
    #[must_use]
    pub fn present(name: impl Into<String>) -> Self {
        Self::new(name, HeaderMatchSpecifier::Present(true))
    }

    /// The header is there and its value meets the condition.
    #[must_use]
    pub fn string(name: impl Into<String>, matcher: StringMatcher) -> Self {
        Self::new(name, HeaderMatchSpecifier::String(matcher))
    }

    /// The header is there and its value is a number of the range.
    #[must_use]
    pub fn range(name: impl Into<String>, range: std::ops::Range<i64>) -> Self {
        Self::new(name, HeaderMatchSpecifier::Range { start: range.start, end: range.end })
    }

    /// Sets whether the header must not meet the condition.
    #[must_use]
    pub fn invert_match(self, invert_match: bool) -> Self {
        Self { invert_match, ..self }
    }

    /// Sets whether a header that is missing counts as one with an empty value.
    #[must_use]
    pub fn treat_missing_header_as_empty(self, as_empty: bool) -> Self {
        Self { treat_missing_header_as_empty: as_empty, ..self }
    }
}

#[derive(Clone, Debug)]
pub(super) struct CompiledHeader {
    field: Field,
    asked: Asked,
    invert: bool,
    missing_is_empty: bool,
}

/// Where the values come from.
#[derive(Clone, Debug)]
enum Field {
    Method,
    Path,
    Authority,
    Scheme,
    /// A name that no header can have.
    Never,
    Each(HeaderName),
    Joined(HeaderName),
}

#[derive(Clone, Debug)]
enum Asked {
    String(CompiledString),
    Range { start: i64, end: i64 },
    Present(bool),
    Any,
}

impl CompiledHeader {
    pub(super) fn new(matcher: &HeaderMatcher) -> Result<Self, String> {
        let asked = match &matcher.specifier {
            HeaderMatchSpecifier::String(string) => Asked::String(CompiledString::new(string)?),
            HeaderMatchSpecifier::Range { start, end } => Asked::Range { start: *start, end: *end },
            HeaderMatchSpecifier::Present(present) => Asked::Present(*present),
            HeaderMatchSpecifier::AnyValue => Asked::Any,
        };
        Ok(Self {
            field: Field::new(&matcher.name),
            asked,
            invert: matcher.invert_match,
            missing_is_empty: matcher.treat_missing_header_as_empty,
        })
    }

    pub(super) fn matches(&self, head: &RequestHead<'_>) -> bool {
        let single = |value: &str, there: bool| {
            if there { self.is_met_by(std::iter::once(value.as_bytes())) } else { self.is_met_by([]) }
        };
        match &self.field {
            Field::Method => single(head.method.as_str(), true),
            Field::Path => single(head.path, !head.path.is_empty()),
            Field::Authority => single(head.authority, !head.authority.is_empty()),
            Field::Scheme => single(head.scheme, true),
            Field::Never => self.is_met_by([]),
            Field::Each(name) => self.is_met_by(head.headers.get_all(name).iter().map(HeaderValue::as_bytes)),
            Field::Joined(name) => {
                let values = head.headers.get_all(name);
                match values.iter().count() {
                    0 | 1 => self.is_met_by(values.iter().map(HeaderValue::as_bytes)),
                    _ => with_joined(&values, |joined| self.is_met_by(std::iter::once(joined))),
                }
            }
        }
    }

    fn is_met_by<'v>(&self, values: impl IntoIterator<Item = &'v [u8]>) -> bool {
        let mut values = values.into_iter().peekable();
        let missing = values.peek().is_none();
        let met = match &self.asked {
            Asked::Present(present) => (!missing || self.missing_is_empty) == *present,
            _ if missing && !self.missing_is_empty => return false,
            _ if missing => self.value_matches(b""),
            _ => values.any(|value| self.value_matches(value)),
        };
        met != self.invert
    }

    fn value_matches(&self, value: &[u8]) -> bool {
        match &self.asked {
            Asked::String(string) => string.matches(value),
            Asked::Range { start, end } => {
                integer(value).is_some_and(|number| (*start..*end).contains(&number))
            }
            Asked::Present(_) | Asked::Any => true,
        }
    }
}

impl Field {
    fn new(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            ":method" => Self::Method,
            ":path" => Self::Path,
            ":authority" | "host" => Self::Authority,
            ":scheme" => Self::Scheme,
            name => match HeaderName::try_from(name) {
                Ok(name) if is_joined(&name) => Self::Joined(name),
                Ok(name) => Self::Each(name),
                Err(_) => Self::Never,
            },
        }
    }
}

/// A decimal number, with a sign and white space around it if need be.
fn integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// So many bytes of joined values need no allocation.
const JOINED: usize = 512;

/// Calls back with the values joined with commas.
fn with_joined<T>(values: &GetAll<'_, HeaderValue>, then: impl FnOnce(&[u8]) -> T) -> T {
    let mut buffer = [0; JOINED];
    let mut rest = &mut buffer[..];
    let mut length = 0;
    let pieces = || {
        let separators = std::iter::once(&b""[..]).chain(std::iter::repeat(&b","[..]));
        separators.zip(values).flat_map(|(separator, value)| [separator, value.as_bytes()])
    };
    for piece in pieces() {
        let Some((place, after)) = rest.split_at_mut_checked(piece.len()) else {
            let all: Vec<u8> = pieces().flatten().copied().collect();
            return then(&all);
        };
        place.copy_from_slice(piece);
        length += piece.len();
        rest = after;
    }
    then(buffer.get(..length).unwrap_or_default())
}

/// Whether Envoy joins the values of a header when they arrive, because it knows the header by name. Seen by sending
/// each twice.
fn is_joined(name: &HeaderName) -> bool {
    const STANDARD: [HeaderName; 24] = [
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::ACCESS_CONTROL_REQUEST_HEADERS,
        header::ACCESS_CONTROL_REQUEST_METHOD,
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::EXPECT,
        header::IF_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_NONE_MATCH,
        header::IF_RANGE,
        header::IF_UNMODIFIED_SINCE,
        header::ORIGIN,
        header::PRAGMA,
        header::REFERER,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::USER_AGENT,
        header::VIA,
    ];
    const OTHERS: [&str; 37] = [
        "access-control-request-private-network",
        "cdn-loop",
        "grpc-accept-encoding",
        "grpc-timeout",
        "keep-alive",
        "proxy-connection",
        "proxy-status",
        "x-client-trace-id",
        "x-envoy-attempt-count",
        "x-envoy-decorator-operation",
        "x-envoy-downstream-service-cluster",
        "x-envoy-downstream-service-node",
        "x-envoy-expected-rq-timeout-ms",
        "x-envoy-external-address",
        "x-envoy-force-trace",
        "x-envoy-hedge-on-per-try-timeout",
        "x-envoy-internal",
        "x-envoy-ip-tags",
        "x-envoy-is-timeout-retry",
        "x-envoy-max-retries",
        "x-envoy-original-host",
        "x-envoy-original-path",
        "x-envoy-original-url",
        "x-envoy-retriable-header-names",
        "x-envoy-retriable-status-codes",
        "x-envoy-retry-grpc-on",
        "x-envoy-retry-on",
        "x-envoy-upstream-alt-stat-name",
        "x-envoy-upstream-rq-per-try-timeout-ms",
        "x-envoy-upstream-rq-timeout-alt-response",
        "x-envoy-upstream-rq-timeout-ms",
        "x-envoy-upstream-stream-duration-ms",
        "x-forwarded-client-cert",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
    ];
    STANDARD.contains(name) || OTHERS.contains(&name.as_str()) || name == "x-request-id"
}
