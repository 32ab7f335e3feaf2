//! Why a request's head was refused, from its bytes, and the reply that Envoy's codec would send.
//!
//! This runs when a request has been refused already, or is about to be: it may be slow, and it decides nothing
//! about whether a request is let through except for what the codec lets pass: two framings at once, a head that is
//! too long, and targets of forms that the method does not have.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Scheme};

use crate::{date, headers};

/// A refusal by the codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// `%RESPONSE_CODE_DETAILS%`.
    pub(crate) details: &'static str,
}

impl Refusal {
    const fn new(status: StatusCode, details: &'static str) -> Self {
        Self { status, details }
    }
}

const HTTP2_HEADER: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "http2.invalid.header.field");
/// HTTP/1.0 and everything else that is not HTTP/1.1.
pub(crate) const LOW_VERSION: Refusal = Refusal::new(StatusCode::UPGRADE_REQUIRED, "low_version");
/// Both `content-length` and `transfer-encoding`: the origin might see another end of the body than we do.
pub(crate) const BOTH_FRAMINGS: Refusal =
    Refusal::new(StatusCode::BAD_REQUEST, "http1.content_length_and_chunked_not_allowed");
/// Anything else that does not parse.
pub(crate) const CODEC_ERROR: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "http1.codec_error");
/// A head beyond `max_request_headers_kb`.
pub(crate) const TOO_LARGE: Refusal =
    Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "http1.headers_too_large");
const TOO_MANY: Refusal = Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "http1.too_many_headers");
const TRANSFER_ENCODING: Refusal =
    Refusal::new(StatusCode::NOT_IMPLEMENTED, "http1.invalid_transfer_encoding");
const CONNECTION_HEADER: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "http1.connection_header_rejected");
const INVALID_CHARACTERS: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "http1.invalid_characters");

const AUTHORITY: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "http.invalid_authority");
const INVALID_SCHEME: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "http1.invalid_scheme");
const INVALID_URL: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "http1.invalid_url");

/// Why a request with this target must not go on (RFC 9112, 3.2): the URI parser takes each form with each method.
pub(crate) fn of_target(method: &Method, uri: &Uri) -> Option<Refusal> {
    let connect = *method == Method::CONNECT;
    match (uri.scheme(), uri.authority()) {
        (None, None) if connect => Some(INVALID_URL),
        (None, None) => (uri.path() == "*" && *method != Method::OPTIONS).then_some(INVALID_URL),
        (None, Some(_)) => (!connect).then_some(CODEC_ERROR),
        (Some(_), _) if connect => Some(INVALID_URL),
        (Some(scheme), _) => (*scheme != Scheme::HTTP && *scheme != Scheme::HTTPS).then_some(INVALID_SCHEME),
    }
}

/// Why the codec refused with `status` what was read as `head`, of which `limit` bytes were allowed.
pub(crate) fn classify(status: u16, head: &[u8], limit: usize) -> Refusal {
    match status {
        414 => return TOO_LARGE,
        431 if head.len() >= limit => return TOO_LARGE,
        431 => return TOO_MANY,
        _ => {}
    }
    let head = head_of(head);
    if !head.first().is_some_and(u8::is_ascii_alphabetic) {
        return CODEC_ERROR;
    }
    if has_foreign_version(head) {
        LOW_VERSION
    } else if has_both_framings(head) {
        BOTH_FRAMINGS
    } else if head.iter().any(|byte| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127)) {
        INVALID_CHARACTERS
    } else if field_values(head, b"transfer-encoding").any(|value| !value.eq_ignore_ascii_case(b"chunked"))
        || field_values(head, b"transfer-encoding").count() > 1
    {
        TRANSFER_ENCODING
    } else {
        CODEC_ERROR
    }
}

/// Whether the first head in `bytes` has both `content-length` and `transfer-encoding`.
pub(crate) fn has_both_framings(bytes: &[u8]) -> bool {
    let bytes = head_of(bytes);
    field_values(bytes, b"content-length").next().is_some()
        && field_values(bytes, b"transfer-encoding").next().is_some()
}

/// The reply as Envoy's codec sends it.
pub(crate) fn reply(refusal: Refusal, server_name: &HeaderValue) -> Bytes {
    let reason = refusal.status.canonical_reason().unwrap_or("Unknown");
    let mut text = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-length: {}\r\ncontent-type: text/plain\r\ndate: ",
        refusal.status.as_str(),
        reason.len(),
    )
    .into_bytes();
    text.extend_from_slice(date::now().as_bytes());
    text.extend_from_slice(b"\r\nserver: ");
    text.extend_from_slice(server_name.as_bytes());
    text.extend_from_slice(b"\r\nconnection: close\r\n\r\n");
    text.extend_from_slice(reason.as_bytes());
    text.into()
}

/// Why a request with these headers must not go on over HTTP/1.
pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    if let Some(host) = hosts.next() {
        if hosts.next().is_some() {
            return Some(CODEC_ERROR);
        }
        if !headers::is_authority(host.as_bytes()) {
            return Some(AUTHORITY);
        }
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next()
        && (!coding.as_bytes().eq_ignore_ascii_case(b"chunked") || codings.next().is_some())
    {
        // Whoever reads the first of several codings, or only the last, sees another body than we do.
        return Some(TRANSFER_ENCODING);
    }
    // A client must not take away what a proxy before us has said of it.
    let rejected = [&b"x-forwarded-for"[..], b"x-forwarded-host", b"x-forwarded-proto"];
    let nominated = headers.contains_key(header::CONNECTION)
        && rejected.into_iter().any(|name| headers::connection_names(headers, name));
    nominated.then_some(CONNECTION_HEADER)
}

/// Why a request with these headers must not go on over HTTP/2, where the codec counts bytes and not headers.
pub(crate) fn of_http2_headers(headers: &HeaderMap, limit: usize) -> Option<Refusal> {
    if headers.len() > limit {
        return Some(TOO_MANY);
    }
    // An HTTP/1 upstream may read another one of them.
    headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some().then_some(HTTP2_HEADER)
}

/// Whether the first head in `bytes` has more than `limit` bytes, its empty line included.
pub(crate) fn is_longer(bytes: &[u8], limit: usize) -> bool {
    let within = bytes.get(..limit).unwrap_or(bytes);
    !memchr::memchr_iter(b'\n', within).any(|at| {
        let rest = within.get(at + 1..).unwrap_or_default();
        rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
    })
}

/// What comes before the empty line, behind those that may come before the request line (RFC 9112, 2.2).
fn head_of(bytes: &[u8]) -> &[u8] {
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let bytes = bytes.get(begin..).unwrap_or_default();
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or(bytes)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// The values of all fields of this name, trimmed.
fn field_values<'a>(bytes: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    lines(bytes).filter_map(move |line| {
        let colon = memchr::memchr(b':', line)?;
        let (field, value) = line.split_at_checked(colon)?;
        field.trim_ascii().eq_ignore_ascii_case(name).then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}

/// Whether the request line is well-formed but for a version other than HTTP/1.1, or has none (HTTP/0.9).
fn has_foreign_version(head: &[u8]) -> bool {
    let Some(line) = lines(head).find(|line| !line.is_empty()) else { return false };
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return false };
    if !method.iter().all(u8::is_ascii_uppercase) || !target.starts_with(b"/") {
        return false;
    }
    match (words.next(), words.next()) {
        (None, _) => true,
        (Some(version), None) => {
            matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() && (*major, *minor) != (b'1', b'1'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, head: &str, expected: (u16, &str)) {
        let refusal = classify(status, head.as_bytes(), 1000);
        assert_eq!((refusal.status.as_u16(), refusal.details), expected, "{head:?}");
    }

    #[test]
    fn each_malformed_head_is_refused_as_envoy_refuses_it() {
        let long = "x".repeat(1000);
        check(400, "GARBAGE\r\n\r\n", (400, "http1.codec_error"));
        check(400, "\u{16}\u{3}\u{1}\0", (400, "http1.codec_error"));
        check(400, "GET / HTTP/1.1 x\r\n\r\n", (400, "http1.codec_error"));
        check(400, "GET /\r\n\r\n", (426, "low_version"));
        check(400, "GET / HTTP/1.2\r\nhost: a\r\n\r\n", (426, "low_version"));
        check(400, "\r\nGET / HTTP/3.1\r\nhost: a\r\n\r\n", (426, "low_version"));
        check(400, "get / http/1.1\r\nhost: a\r\n\r\n", (400, "http1.codec_error"));
        check(
            400,
            "POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
            (501, "http1.invalid_transfer_encoding"),
        );
        check(
            400,
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
            (501, "http1.invalid_transfer_encoding"),
        );
        check(
            400,
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n",
            (400, "http1.content_length_and_chunked_not_allowed"),
        );
        check(400, "GET / HTTP/1.1\r\na: \0\r\n\r\n", (400, "http1.invalid_characters"));
        check(400, "GET / HTTP/1.1\r\nhost: a\r\n\r\nbody\0", (400, "http1.codec_error"));
        check(431, "GET / HTTP/1.1\r\na: b\r\n", (431, "http1.too_many_headers"));
        check(431, &long, (431, "http1.headers_too_large"));
        check(414, "GET /", (431, "http1.headers_too_large"));
    }

    #[test]
    fn both_framings_are_seen_in_any_order_and_case() {
        assert!(has_both_framings(
            b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTRANSFER-ENCODING: chunked\r\n\r\n"
        ));
        assert!(has_both_framings(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\ncontent-length : 5\r\n"));
        assert!(has_both_framings(
            b"\r\n\r\nPOST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n"
        ));
        assert!(!has_both_framings(
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\ncontent-length: 5\r\n"
        ));
        assert!(!has_both_framings(
            b"POST / HTTP/1.1\r\nx-content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"
        ));
    }

    #[test]
    fn targets_have_the_form_of_their_method() {
        fn check(method: &str, target: &str, expected: Option<Refusal>) {
            let (method, uri) = (method.parse().unwrap(), target.parse().unwrap());
            assert_eq!(of_target(&method, &uri), expected, "{method} {target}");
        }
        check("GET", "/", None);
        check("GET", "http://a/", None);
        check("GET", "HTTPS://a", None);
        check("OPTIONS", "*", None);
        check("CONNECT", "a:443", None);
        check("GET", "x", Some(CODEC_ERROR));
        check("GET", "a:443", Some(CODEC_ERROR));
        check("GET", "ftp://a/", Some(INVALID_SCHEME));
        check("GET", "*", Some(INVALID_URL));
        check("CONNECT", "/", Some(INVALID_URL));
        check("CONNECT", "http://a/", Some(INVALID_URL));
    }

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn headers_that_two_readers_could_read_in_two_ways_are_refused() {
        fn check(headers: &[(&'static str, &'static str)], expected: Option<Refusal>) {
            assert_eq!(of_headers(&map(headers)), expected, "{headers:?}");
        }
        check(&[("host", "a"), ("connection", "keep-alive"), ("transfer-encoding", "Chunked")], None);
        check(&[("host", "a"), ("host", "a")], Some(CODEC_ERROR));
        check(&[("host", "a b")], Some(AUTHORITY));
        check(&[("host", "a/b")], Some(AUTHORITY));
        check(&[("host", "")], None);
        for codings in
            [&["gzip, chunked"][..], &["chunked, chunked"], &["gzip", "chunked"], &["chunked", "chunked"]]
        {
            let headers: Vec<_> = codings.iter().map(|coding| ("transfer-encoding", *coding)).collect();
            check(&headers, Some(TRANSFER_ENCODING));
        }
        check(&[("connection", "close, X-Forwarded-For")], Some(CONNECTION_HEADER));
        check(&[("connection", "close"), ("connection", "x-forwarded-proto")], Some(CONNECTION_HEADER));
        check(&[("connection", "x-forwarded-forx, x-b")], None);
    }

    #[test]
    fn http2_headers_are_counted() {
        fn check(headers: &[(&'static str, &'static str)], expected: Option<Refusal>) {
            assert_eq!(of_http2_headers(&map(headers), 3), expected, "{headers:?}");
        }
        check(&[("a", ""), ("a", ""), ("content-length", "5")], None);
        check(&[("a", ""), ("a", ""), ("a", ""), ("b", "")], Some(TOO_MANY));
        check(&[("content-length", "5"), ("content-length", "5")], Some(HTTP2_HEADER));
    }

    #[test]
    fn a_heads_length_is_that_of_the_head_alone() {
        let head = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let with_body = [head, &b"body"[..]].concat();
        assert!(!is_longer(&with_body, head.len()));
        assert!(is_longer(&with_body, head.len() - 1));
        assert!(!is_longer(b"GET / HTTP/1.1\nhost: a\n\nbody", 24));
        assert!(is_longer(b"GET / HTTP/1.1\nhost: a\n\nbody", 23));
    }

    #[test]
    fn a_reply_reads_as_envoys() {
        let bytes = reply(CODEC_ERROR, &HeaderValue::from_static("envoy"));
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.starts_with(
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 11\r\ncontent-type: text/plain\r\ndate: "
        ));
        assert!(text.ends_with(" GMT\r\nserver: envoy\r\nconnection: close\r\n\r\nBad Request"));
    }
}
