//! Headers that Envoy keeps in a slot of their own: several lines of one become one, with commas between them, so that
//! whoever reads them sees one value. Others stay as they came.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Those of requests.
const IN_REQUESTS: &[&str] = &[
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-type",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "origin",
    "pragma",
    "referer",
    "user-agent",
    "via",
    "x-client-trace-id",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-external-address",
    "x-envoy-is-timeout-retry",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// Those of responses.
const IN_RESPONSES: &[&str] = &[
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "cache-control",
    "content-encoding",
    "content-type",
    "date",
    "etag",
    "expires",
    "grpc-message",
    "grpc-status",
    "last-modified",
    "location",
    "proxy-status",
    "vary",
    "via",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-degraded",
    "x-envoy-immediate-health-check-fail",
    "x-envoy-ratelimited",
    "x-envoy-upstream-canary",
    "x-envoy-upstream-healthchecked-cluster",
    "x-request-id",
];

/// Joins the lines of a request. Where no name comes twice, which one comparison tells, there is nothing to do.
pub(super) fn in_request(headers: &mut HeaderMap) {
    if headers.len() != headers.keys_len() {
        join(headers, IN_REQUESTS);
    }
}

/// Joins the lines of a response.
pub(super) fn in_response(headers: &mut HeaderMap) {
    if headers.len() != headers.keys_len() {
        join(headers, IN_RESPONSES);
    }
}

#[cold]
fn join(headers: &mut HeaderMap, names: &[&'static str]) {
    for name in names {
        let mut lines = headers.get_all(*name).iter();
        if lines.next().is_none() || lines.next().is_none() {
            continue;
        }
        let lines: Vec<&[u8]> = headers.get_all(*name).iter().map(HeaderValue::as_bytes).collect();
        let joined = HeaderValue::from_bytes(&lines.join(&b","[..]));
        if let Ok(joined) = joined {
            // All lines give way to this one, which has the place of the first.
            headers.insert(HeaderName::from_static(name), joined);
        }
    }
}
