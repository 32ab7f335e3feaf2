//! Requests as Envoy's HTTP/1 codec writes them, and the responses that it refuses where hyper is more lenient.

use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version, header, response, uri::PathAndQuery,
};
use http_body::Body as _;
use nuncio_service::Body;

/// Makes a request ready for the wire: origin form, a `host`, and the framing headers last.
pub(super) fn prepare(request: &mut Request<Body>) {
    *request.version_mut() = Version::HTTP_11;
    let uri = std::mem::take(request.uri_mut()).into_parts();
    // Most clients send `host` first, so that nothing need be moved.
    if request.headers().keys().next() != Some(&header::HOST) {
        let host = request.headers().get(header::HOST).cloned().or_else(|| {
            let authority = uri.authority?;
            HeaderValue::from_maybe_shared(bytes::Bytes::copy_from_slice(authority.as_str().as_bytes())).ok()
        });
        if let Some(host) = host {
            put_in_front(request.headers_mut(), host);
        }
    }
    let path = uri.path_and_query.filter(|path| !path.as_str().is_empty());
    *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));

    if request.headers().contains_key(header::CONTENT_LENGTH) {
        return;
    }
    if !request.body().is_end_stream() {
        // Whoever knows the length has said so in the headers.
        request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        if request.headers().contains_key(header::TRAILER) {
            // hyper sends the trailers that this header names; Envoy sends none unless it is told to.
            let body = std::mem::take(request.body_mut());
            *request.body_mut() = Body::stream(WithoutTrailers(body));
        }
    } else if !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::DELETE | Method::TRACE | Method::CONNECT
    ) {
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// Envoy's codec writes `host` before all others. A header map keeps its order only if nothing is inserted but at the
/// end, and nothing removed, so all are put anew.
fn put_in_front(headers: &mut HeaderMap, host: HeaderValue) {
    let mut rest = std::mem::replace(headers, HeaderMap::with_capacity(headers.len() + 1));
    headers.insert(header::HOST, host);
    let mut last = None;
    for (name, value) in rest.drain() {
        if name.is_some() {
            last = name.filter(|name| *name != header::HOST);
        }
        if let Some(name) = &last {
            headers.append(name.clone(), value);
        }
    }
}

/// Whether Envoy's codec would accept a response with this head.
pub(super) fn is_well_formed(head: &response::Parts) -> bool {
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return false;
    }
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next();
    let chunked = coding.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if codings.next().is_some() || coding.is_some() && (!chunked || length.is_some()) {
        return false;
    }
    head.status != StatusCode::NO_CONTENT
        || coding.is_none() && length.is_none_or(|length| length.as_bytes() == b"0")
}

/// Whether the host will close the connection after this response.
pub(super) fn announces_close(head: &response::Parts) -> bool {
    let has = |token: &[u8]| {
        head.headers.get_all(header::CONNECTION).iter().any(|value| {
            value
                .as_bytes()
                .split(|byte| *byte == b',')
                .any(|part| part.trim_ascii().eq_ignore_ascii_case(token))
        })
    };
    has(b"close") || head.version == Version::HTTP_10 && !has(b"keep-alive")
}

/// Whether only the end of the connection ends this response's body (RFC 9112, 6.3).
pub(super) fn lasts_until_close(head: &response::Parts) -> bool {
    !head.headers.contains_key(header::CONTENT_LENGTH)
        && !head.headers.contains_key(header::TRANSFER_ENCODING)
}

/// A body whose trailers are dropped.
struct WithoutTrailers(Body);

impl http_body::Body for WithoutTrailers {
    type Data = bytes::Bytes;
    type Error = nuncio_service::BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, nuncio_service::BoxError>>> {
        std::pin::Pin::new(&mut self.0)
            .poll_frame(cx)
            .map(|frame| frame.filter(|frame| !frame.as_ref().is_ok_and(http_body::Frame::is_trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_envoy_writes_them() {
        fn check(request: Request<Body>, expected: &str) {
            let mut request = request;
            prepare(&mut request);
            let mut got = format!("{} {}", request.method(), request.uri());
            for (name, value) in request.headers() {
                got.push_str(&format!("\n{name}: {}", value.to_str().unwrap()));
            }
            assert_eq!(got, expected);
        }
        let request = |method: &str, uri: &str| Request::builder().method(method).uri(uri);
        check(
            request("GET", "http://A.b:81/p?q=1")
                .header("b", "1")
                .header("a", "2")
                .header("b", "3")
                .body(Body::Empty)
                .unwrap(),
            "GET /p?q=1\nhost: A.b:81\nb: 1\nb: 3\na: 2",
        );
        check(
            request("GET", "/p")
                .header("b", "1")
                .header("host", "x")
                .header("a", "2")
                .header("b", "3")
                .header("c", "4")
                .body(Body::Empty)
                .unwrap(),
            "GET /p\nhost: x\nb: 1\nb: 3\na: 2\nc: 4",
        );
        check(request("GET", "http://a").header("host", "x").body(Body::Empty).unwrap(), "GET /\nhost: x");
        check(
            request("OPTIONS", "*").header("host", "x").body(Body::Empty).unwrap(),
            "OPTIONS *\nhost: x\ncontent-length: 0",
        );
        check(
            request("POST", "/").header("host", "x").body(Body::full("abc")).unwrap(),
            "POST /\nhost: x\ntransfer-encoding: chunked",
        );
        check(
            request("POST", "/")
                .header("content-length", "3")
                .header("host", "x")
                .body(Body::full("abc"))
                .unwrap(),
            "POST /\nhost: x\ncontent-length: 3",
        );
        for method in ["GET", "HEAD", "DELETE", "TRACE"] {
            check(
                request(method, "/").header("host", "x").body(Body::Empty).unwrap(),
                &format!("{method} /\nhost: x"),
            );
        }
        for method in ["POST", "PUT", "PATCH"] {
            check(
                request(method, "/").header("host", "x").body(Body::Empty).unwrap(),
                &format!("{method} /\nhost: x\ncontent-length: 0"),
            );
        }
    }

    #[test]
    fn a_close_is_announced_by_the_header_or_the_version() {
        fn check(version: Version, connection: Option<&str>, expected: bool) {
            let mut response = http::Response::builder().version(version);
            if let Some(connection) = connection {
                response = response.header("connection", connection);
            }
            let (head, ()) = response.body(()).unwrap().into_parts();
            assert_eq!(announces_close(&head), expected, "{version:?} {connection:?}");
        }
        check(Version::HTTP_11, None, false);
        check(Version::HTTP_11, Some("keep-alive"), false);
        check(Version::HTTP_11, Some("x, Close"), true);
        check(Version::HTTP_10, None, true);
        check(Version::HTTP_10, Some("Keep-Alive"), false);
    }

    #[test]
    fn responses_that_envoy_refuses_are_refused() {
        fn check(status: u16, headers: &[(&str, &str)], expected: bool) {
            let mut response = http::Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            let (head, ()) = response.body(()).unwrap().into_parts();
            assert_eq!(is_well_formed(&head), expected, "{status} {headers:?}");
        }
        check(200, &[], true);
        check(200, &[("content-length", "5")], true);
        check(200, &[("content-length", "5"), ("content-length", "5")], false);
        check(200, &[("transfer-encoding", "Chunked")], true);
        check(200, &[("transfer-encoding", "gzip")], false);
        check(200, &[("transfer-encoding", "gzip, chunked")], false);
        check(200, &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], false);
        check(200, &[("transfer-encoding", "chunked"), ("content-length", "5")], false);
        check(204, &[("content-length", "0")], true);
        check(204, &[("content-length", "5")], false);
        check(204, &[("transfer-encoding", "chunked")], false);
        check(304, &[("content-length", "5")], true);
    }
}
