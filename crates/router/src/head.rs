//! What the router needs to know of a request: borrowed, so that a caller with any HTTP library can ask.

use http::header::{HOST, HeaderValue, UPGRADE};
use http::{HeaderMap, Method, request};

use crate::{Metadata, PeerCertificate};

/// The head of a request, as Envoy's HTTP connection manager sees it when it looks for a route.
///
/// The router does not clean anything up: path normalisation, merging of slashes and stripping of ports are
/// done (or not) by whoever fills this in.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// `:authority` or the `Host` header, with its port if it has one. Empty if the request has none.
    pub authority: &'a str,
    /// `:path`: the path with its query. Empty for a `CONNECT` request without a path, which only
    /// [`PathMatch::Connect`](crate::PathMatch::Connect) matches.
    pub path: &'a str,
    /// `:scheme`, `http` or `https`; redirects keep it unless they say otherwise.
    pub scheme: &'a str,
    /// The header fields.
    pub headers: &'a HeaderMap,
    /// The client's certificate. None was presented by default.
    pub peer_certificate: PeerCertificate,
    /// What filters found out about the request. None by default.
    pub dynamic_metadata: Option<&'a Metadata>,
}

impl<'a> RequestHead<'a> {
    /// A head from its parts, with the scheme `http`.
    #[must_use]
    pub fn new(method: &'a Method, authority: &'a str, path: &'a str, headers: &'a HeaderMap) -> Self {
        let peer_certificate = PeerCertificate::default();
        Self { method, authority, path, scheme: "http", headers, peer_certificate, dynamic_metadata: None }
    }

    /// The same head with another scheme.
    #[must_use]
    pub fn scheme(self, scheme: &'a str) -> Self {
        Self { scheme, ..self }
    }

    /// The same head with what is known of the client's certificate.
    #[must_use]
    pub fn peer_certificate(self, peer_certificate: PeerCertificate) -> Self {
        Self { peer_certificate, ..self }
    }

    /// The same head with dynamic metadata.
    #[must_use]
    pub fn dynamic_metadata(self, metadata: &'a Metadata) -> Self {
        Self { dynamic_metadata: Some(metadata), ..self }
    }

    /// The head of a request of the `http` crate.
    ///
    /// The authority is the one in the URI, which wins over the `Host` header (RFC 9112, section 3.2.2). A `Host`
    /// header that is not visible ASCII counts as empty. The scheme is the one in the URI, or `http`.
    #[must_use]
    pub fn from_parts(parts: &'a request::Parts) -> Self {
        let host_header = || parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = parts.uri.authority().map(|authority| authority.as_str());
        Self {
            method: &parts.method,
            authority: authority.or_else(host_header).unwrap_or_default(),
            path: parts.uri.path_and_query().map_or("", |path| path.as_str()),
            scheme: parts.uri.scheme_str().unwrap_or("http"),
            headers: &parts.headers,
            peer_certificate: PeerCertificate::default(),
            dynamic_metadata: None,
        }
    }

    /// The path that routes are compared with: without query and fragment.
    pub(crate) fn bare_path(&self) -> &'a str {
        bare_path(self.path)
    }

    /// Whether the request is for `connect_matcher`.
    pub(crate) fn is_connect(&self) -> bool {
        let upgrade = || self.headers.get(UPGRADE).map(HeaderValue::as_bytes);
        self.method == Method::CONNECT
            || upgrade().is_some_and(|value| value.eq_ignore_ascii_case(b"connect-udp"))
    }
}

/// A path without query and fragment.
pub(crate) fn bare_path(path: &str) -> &str {
    match path.bytes().position(|byte| byte == b'?' || byte == b'#') {
        Some(end) => path.get(..end).unwrap_or(path),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_http_crate() {
        fn check(uri: &str, host: Option<&[u8]>, expected: (&str, &str, &str)) {
            let mut builder = http::Request::builder().uri(uri);
            if let Some(host) = host {
                builder = builder.header(HOST, host);
            }
            let (parts, ()) = builder.body(()).unwrap().into_parts();
            let head = RequestHead::from_parts(&parts);
            assert_eq!((head.scheme, head.authority, head.path), expected, "{uri} {host:?}");
        }
        check("/a?q", Some(b"h.example:80"), ("http", "h.example:80", "/a?q"));
        check("/a", None, ("http", "", "/a"));
        check("/a", Some(b"\xff"), ("http", "", "/a"));
        check("https://u.example/a", Some(b"h.example"), ("https", "u.example", "/a"));
        check("http://u.example", None, ("http", "u.example", "/"));
        check("*", Some(b"h"), ("http", "h", "*"));
        check("u.example:443", None, ("http", "u.example:443", ""));
    }

    #[test]
    fn bare_path_ends_at_query_or_fragment() {
        fn check(path: &str, expected: &str) {
            let (method, headers) = (Method::GET, HeaderMap::new());
            assert_eq!(RequestHead::new(&method, "", path, &headers).bare_path(), expected);
        }
        check("/a", "/a");
        check("/a?b?c", "/a");
        check("/a#b?c", "/a");
        check("?", "");
        check("/é?b", "/é");
    }
}
