//! Why a request is refused in the codec's name, in Envoy's words.

use http::{Method, StatusCode, Uri, header, uri::Scheme};
use nuncio_service::ResponseFlags;

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

    /// The body of the reply.
    pub(crate) fn text(self) -> &'static str {
        match self {
            HEAD_TIMEOUT => "request header timeout",
            HEAD_IDLE => "stream timeout",
            _ => self.status.canonical_reason().unwrap_or("Unknown"),
        }
    }

    /// The access log's flags.
    pub(crate) fn flags(self) -> ResponseFlags {
        match self {
            HEAD_TIMEOUT => ResponseFlags::default(),
            HEAD_IDLE => ResponseFlags::STREAM_IDLE_TIMEOUT,
            _ => ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR,
        }
    }
}

/// A header that an HTTP/2 request must not have.
pub(crate) const HTTP2_HEADER: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "http2.invalid.header.field");
/// A head beyond `max_request_headers_kb` over HTTP/2.
pub(crate) const HTTP2_TOO_LARGE: Refusal =
    Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "http2.header_list_size_too_large");
const HTTP2_TOO_MANY: Refusal =
    Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "http2.too_many_headers");
/// HTTP/1.0 and everything else that is not HTTP/1.1.
pub(crate) const LOW_VERSION: Refusal = Refusal::new(StatusCode::UPGRADE_REQUIRED, "low_version");
/// A head that did not become complete within `request_headers_timeout`.
pub(crate) const HEAD_TIMEOUT: Refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "request_header_timeout");
/// The same within `stream_idle_timeout`, which runs from a head's first byte.
pub(crate) const HEAD_IDLE: Refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "stream_idle_timeout");
/// Both `content-length` and `transfer-encoding`: the origin might see another end of the body than we do.
pub(crate) const BOTH_FRAMINGS: Refusal =
    Refusal::new(StatusCode::BAD_REQUEST, "http1.content_length_and_chunked_not_allowed");
/// Anything else that does not parse.
pub(crate) const CODEC_ERROR: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "http1.codec_error");
/// A head beyond `max_request_headers_kb`.
pub(crate) const TOO_LARGE: Refusal =
    Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "http1.headers_too_large");
pub(crate) const TOO_MANY: Refusal =
    Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "http1.too_many_headers");
pub(crate) const TRANSFER_ENCODING: Refusal =
    Refusal::new(StatusCode::NOT_IMPLEMENTED, "http1.invalid_transfer_encoding");
pub(crate) const CONNECTION_HEADER: Refusal =
    Refusal::new(StatusCode::BAD_REQUEST, "http1.connection_header_rejected");
const INVALID_CHARACTERS: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "http1.invalid_characters");

pub(crate) const AUTHORITY: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "http.invalid_authority");
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

/// What is wrong with the bytes of a head that no parser takes.
pub(crate) fn of_unparsable(head: &[u8]) -> Refusal {
    if !head.first().is_some_and(u8::is_ascii_alphabetic) {
        return CODEC_ERROR;
    }
    if has_foreign_version(head) {
        LOW_VERSION
    } else if has_field(head, b"content-length") && has_field(head, b"transfer-encoding") {
        BOTH_FRAMINGS
    } else if head.iter().any(|byte| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127)) {
        INVALID_CHARACTERS
    } else {
        CODEC_ERROR
    }
}

/// Why a request with this head must not go on over HTTP/2. The codec counts 32 bytes more for each header, which Envoy
/// does not, and no headers.
pub(crate) fn of_http2_head(head: &http::request::Parts, most: usize, limit: usize) -> Option<Refusal> {
    // Clients may send each cookie by itself (RFC 9113, 8.2.3); together they are one header.
    let cookies = head.headers.get_all(header::COOKIE).iter().count();
    if head.headers.len() - cookies.saturating_sub(1) > most {
        return Some(HTTP2_TOO_MANY);
    }
    let uri = &head.uri;
    let pseudo = [
        Some(head.method.as_str()),
        uri.scheme_str(),
        uri.authority().map(|authority| authority.as_str()),
        uri.path_and_query().map(|path| path.as_str()),
    ];
    let mut length = 0;
    for (value, name) in pseudo.into_iter().zip([":method", ":scheme", ":authority", ":path"]) {
        length += value.map_or(0, |value| value.len() + name.len());
    }
    for (name, value) in &head.headers {
        length += name.as_str().len() + value.len();
    }
    if length > limit {
        return Some(HTTP2_TOO_LARGE);
    }
    // An HTTP/1 upstream may read another one of them.
    head.headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some().then_some(HTTP2_HEADER)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Whether there is a field of this name, as a reader would see it who does not mind blanks.
fn has_field(head: &[u8], name: &[u8]) -> bool {
    lines(head).any(|line| {
        let name_end = memchr::memchr(b':', line);
        let field = name_end.and_then(|end| line.get(..end));
        field.is_some_and(|field| field.trim_ascii().eq_ignore_ascii_case(name))
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
    use http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn each_unparsable_head_is_refused_as_envoy_refuses_it() {
        fn check(head: &str, expected: Refusal) {
            assert_eq!(of_unparsable(head.as_bytes()), expected, "{head:?}");
        }
        check("GARBAGE\r\n\r\n", CODEC_ERROR);
        check("\u{16}\u{3}\u{1}\0", CODEC_ERROR);
        check("GET / HTTP/1.1 x\r\n\r\n", CODEC_ERROR);
        check("GET /\r\n\r\n", LOW_VERSION);
        check("GET / HTTP/1.2\r\nhost: a\r\n\r\n", LOW_VERSION);
        check("GET / HTTP/3.1\r\nhost: a\r\n\r\n", LOW_VERSION);
        check("get / http/1.1\r\nhost: a\r\n\r\n", CODEC_ERROR);
        check("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding : gzip\r\n\r\n", BOTH_FRAMINGS);
        check("POST / HTTP/1.1\r\nX-Content-Length: 5\r\nTransfer-Encoding : gzip\r\n\r\n", CODEC_ERROR);
        check("GET / HTTP/1.1\r\na: \0\r\n\r\n", INVALID_CHARACTERS);
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
    fn http2_heads_are_counted_and_measured() {
        fn check(headers: &[(&'static str, &'static str)], expected: Option<Refusal>) {
            let mut request = http::Request::new(());
            *request.uri_mut() = Uri::from_static("http://a/");
            *request.headers_mut() = map(headers);
            // 38 bytes of pseudo-headers.
            assert_eq!(of_http2_head(&request.into_parts().0, 3, 58), expected, "{headers:?}");
        }
        check(&[("a", ""), ("a", ""), ("content-length", "5")], None);
        check(&[("a", ""), ("a", ""), ("a", ""), ("b", "")], Some(HTTP2_TOO_MANY));
        check(&[("a", "0123456789"), ("b", "01234567")], None);
        check(&[("a", "0123456789"), ("b", "012345678")], Some(HTTP2_TOO_LARGE));
        check(&[("content-length", "5"), ("content-length", "5")], Some(HTTP2_TOO_LARGE));
        check(&[("a", "")], None);
    }
}
