//! What the connection manager and the router filter do to headers by default, as pure functions.
//!
//! Most requests need nothing removed, so a first pass only looks; a map is rebuilt, in order, when it must be.

mod joined;

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use nuncio_config::model::{HttpConnectionManager, ServerHeaderTransformation};
use nuncio_service::StreamInfo;

use crate::{date, request_id};

/// `x-forwarded-proto`.
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// `x-forwarded-for`.
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `x-request-id`.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// `x-envoy-expected-rq-timeout-ms`.
pub(crate) const X_ENVOY_EXPECTED_RQ_TIMEOUT_MS: HeaderName =
    HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
/// `x-envoy-upstream-service-time`.
pub(crate) const X_ENVOY_UPSTREAM_SERVICE_TIME: HeaderName =
    HeaderName::from_static("x-envoy-upstream-service-time");
/// `x-envoy-upstream-canary`.
pub(crate) const X_ENVOY_UPSTREAM_CANARY: HeaderName = HeaderName::from_static("x-envoy-upstream-canary");
/// `x-envoy-overloaded`.
pub(crate) const X_ENVOY_OVERLOADED: HeaderName = HeaderName::from_static("x-envoy-overloaded");
const X_ENVOY_EXTERNAL_ADDRESS: HeaderName = HeaderName::from_static("x-envoy-external-address");

/// How the connection manager edits headers. Follows the fields of the same names of `HttpConnectionManager`.
#[derive(Debug, Clone)]
pub(crate) struct HeaderRules {
    pub(crate) server_name: HeaderValue,
    pub(crate) server_header: ServerHeaderTransformation,
    pub(crate) generate_request_id: bool,
    pub(crate) preserve_external_request_id: bool,
    pub(crate) use_remote_address: bool,
    pub(crate) xff_num_trusted_hops: u32,
    pub(crate) skip_xff_append: bool,
}

impl HeaderRules {
    pub(crate) fn new(config: &HttpConnectionManager) -> Self {
        Self {
            server_name: HeaderValue::from_str(&config.server_name)
                .unwrap_or(HeaderValue::from_static("envoy")),
            server_header: config.server_header_transformation,
            generate_request_id: config.generate_request_id,
            preserve_external_request_id: config.preserve_external_request_id,
            use_remote_address: config.use_remote_address,
            xff_num_trusted_hops: config.xff_num_trusted_hops,
            skip_xff_append: config.skip_xff_append,
        }
    }
}

/// What a look over a request's headers found.
#[derive(Debug, Default)]
struct Seen {
    remove: bool,
    forwarded_for: bool,
    forwarded_proto: bool,
    request_id: bool,
}

/// Whether a request header goes no further: hop-by-hop, or Envoy's own that only Envoy may set.
fn is_dropped_from_request(name: &HeaderName, value: &HeaderValue) -> bool {
    match name.as_str() {
        "connection" | "keep-alive" | "proxy-connection" | "upgrade" | "transfer-encoding"
        | "http2-settings" => true,
        // Who the client is, says its certificate: `forward_client_cert_details: SANITIZE`.
        "x-forwarded-client-cert" => true,
        "expect" => value.as_bytes().eq_ignore_ascii_case(b"100-continue"),
        "te" => value.as_bytes() != b"trailers",
        name => match name.strip_prefix("x-envoy-") {
            Some(rest) => matches!(
                rest,
                "internal"
                    | "force-trace"
                    | "upstream-alt-stat-name"
                    | "expected-rq-timeout-ms"
                    | "upstream-rq-timeout-ms"
                    | "upstream-rq-per-try-timeout-ms"
                    | "max-retries"
                    | "retry-on"
                    | "retry-grpc-on"
                    | "hedge-on-per-try-timeout"
                    | "retriable-status-codes"
                    | "retriable-header-names"
                    | "upstream-stream-duration-ms"
                    | "upstream-rq-timeout-alt-response"
                    | "ip-tags"
            ),
            None => false,
        },
    }
}

/// Headers that a request from outside may not bring along where the client's address is trusted
/// (`use_remote_address`).
fn is_dropped_at_edge(name: &str) -> bool {
    matches!(
        name,
        "x-envoy-decorator-operation"
            | "x-envoy-downstream-service-cluster"
            | "x-envoy-downstream-service-node"
            | "x-envoy-original-path"
            | "x-envoy-original-host"
            | "x-envoy-is-timeout-retry"
            | "x-envoy-peer-metadata"
            | "x-envoy-peer-metadata-id"
    )
}

/// Edits a request's headers on the way in: removes what may not pass, adds what upstreams expect.
pub(crate) fn edit_request(headers: &mut HeaderMap, rules: &HeaderRules, info: &mut StreamInfo) {
    let edge = rules.use_remote_address;
    joined::in_request(headers);
    let mut seen = Seen::default();
    for (name, value) in headers.iter() {
        if *name == X_FORWARDED_PROTO {
            seen.forwarded_proto = true;
        } else if *name == X_FORWARDED_FOR {
            seen.forwarded_for = true;
        } else if *name == X_REQUEST_ID {
            seen.request_id = !value.is_empty();
        } else if is_dropped_from_request(name, value) || (edge && is_dropped_at_edge(name.as_str())) {
            seen.remove = true;
        }
    }
    if seen.remove {
        remove_from_request(headers, edge);
        // `Connection` may have named them.
        seen.forwarded_proto &= headers.contains_key(X_FORWARDED_PROTO);
        seen.request_id &= headers.contains_key(X_REQUEST_ID);
    }
    if info.protocol == Version::HTTP_2 {
        join_cookies(headers);
    }
    if seen.forwarded_for {
        // Where the peer's address counts, the first trusted hop is the peer itself.
        let hops = rules.xff_num_trusted_hops;
        let hops = if edge { hops.checked_sub(1) } else { Some(hops) };
        info.client_address = hops.and_then(|hops| forwarded_for(headers, hops));
    }
    if edge {
        let remote = info.connection.remote_address.ip();
        if !rules.skip_xff_append {
            append_forwarded_for(headers, remote);
        }
        if rules.xff_num_trusted_hops == 0 || !seen.forwarded_proto {
            headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(info.connection.scheme()));
            seen.forwarded_proto = true;
        }
        let client = info.client_address.unwrap_or(remote);
        if let Ok(value) = HeaderValue::from_str(&client.to_string()) {
            // In the place of what the client claims, if it does.
            headers.insert(X_ENVOY_EXTERNAL_ADDRESS, value);
        }
    }
    if !seen.forwarded_proto {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(info.connection.scheme()));
    }
    let replace = edge && !rules.preserve_external_request_id;
    if rules.generate_request_id && (replace || !seen.request_id) {
        headers.insert(X_REQUEST_ID, request_id::generate());
    }
}

/// Rebuilds a request's headers in order without those that may not pass and those that `Connection` names.
#[cold]
fn remove_from_request(headers: &mut HeaderMap, edge: bool) {
    let nominated: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .filter(|name| *name != header::TE && *name != header::HOST)
        .collect();
    let te_trailers = headers
        .get_all(header::TE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"));
    retain(headers, |name, value| {
        !(is_dropped_from_request(name, value)
            || nominated.contains(name)
            || (edge && is_dropped_at_edge(name.as_str())))
    });
    if te_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Keeps what `keep` wants, in order. `HeaderMap::remove` moves the last entry into the gap.
pub(crate) fn retain(headers: &mut HeaderMap, keep: impl Fn(&HeaderName, &HeaderValue) -> bool) {
    let old = std::mem::replace(headers, HeaderMap::with_capacity(headers.len() + 4));
    let mut current: Option<HeaderName> = None;
    for (name, value) in old {
        if name.is_some() {
            current = name;
        }
        if let Some(name) = &current
            && keep(name, &value)
        {
            headers.append(name.clone(), value);
        }
    }
}

/// Makes one `cookie` header of the pieces that an HTTP/2 client may send (RFC 9113, 8.2.3), behind the others.
fn join_cookies(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(header::COOKIE).iter();
    if pieces.next().is_none() || pieces.next().is_none() {
        return;
    }
    let pieces: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        retain(headers, |name, _| *name != header::COOKIE);
        headers.append(header::COOKIE, joined);
    }
}

/// The address in `x-forwarded-for` behind which so many others stand; none where that is no address.
fn forwarded_for(headers: &HeaderMap, hops: u32) -> Option<IpAddr> {
    let told = headers.get(X_FORWARDED_FOR)?.to_str().ok()?;
    told.rsplit(',').nth(usize::try_from(hops).ok()?)?.trim().parse().ok()
}

fn append_forwarded_for(headers: &mut HeaderMap, remote: IpAddr) {
    let mut value = Vec::new();
    for old in headers.get_all(X_FORWARDED_FOR) {
        value.extend_from_slice(old.as_bytes());
        value.push(b',');
    }
    value.extend_from_slice(remote.to_string().as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&value) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

/// Whether the client wants the connection to end with this request.
pub(crate) fn asks_to_close(headers: &HeaderMap) -> bool {
    connection_names(headers, b"close")
        || headers
            .get("proxy-connection")
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

/// Whether `Connection` names `token`.
pub(crate) fn connection_names(headers: &HeaderMap, token: &[u8]) -> bool {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|named| named.trim_ascii().eq_ignore_ascii_case(token))
}

/// Whether a `Host` can be one.
pub(crate) fn is_authority(host: &[u8]) -> bool {
    !host
        .iter()
        .any(|byte| matches!(byte, 0..=b' ' | b'/' | b'\\' | b'?' | b'#' | b'"' | b'<' | b'>' | 127..))
}

/// Edits a response's headers on the way out: removes hop-by-hop ones, then adds `date`, `server` and, where the
/// connection ends, `connection: close`.
pub(crate) fn edit_response(
    headers: &mut HeaderMap,
    rules: &HeaderRules,
    version: Version,
    close: bool,
    always_request_id: Option<HeaderValue>,
) {
    joined::in_response(headers);
    let dropped = |name: &HeaderName| match name.as_str() {
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" => true,
        // It says nothing in a response, and may not be there over HTTP/2 (RFC 9113, 8.2.2).
        "te" => version == Version::HTTP_2,
        _ => false,
    };
    if headers.keys().any(dropped) {
        retain(headers, |name, _| !dropped(name));
    }
    if !headers.contains_key(header::DATE) {
        headers.append(header::DATE, date::now());
    }
    match rules.server_header {
        ServerHeaderTransformation::Overwrite => {
            headers.insert(header::SERVER, rules.server_name.clone());
        }
        ServerHeaderTransformation::AppendIfAbsent => {
            if !headers.contains_key(header::SERVER) {
                headers.append(header::SERVER, rules.server_name.clone());
            }
        }
        ServerHeaderTransformation::PassThrough => {}
    }
    if let Some(id) = always_request_id {
        headers.insert(X_REQUEST_ID, id);
    }
    if close && version != Version::HTTP_2 {
        headers.append(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

#[cfg(test)]
mod tests;
