//! The condition that a request is one of gRPC.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// Whether the content type is `application/grpc`, or that with a `+` and anything behind it (`RouteMatch.grpc`). As
/// in Envoy it is compared letter by letter and may have no parameters; several are one, joined with commas.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let rest = values.next().and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| match rest.first() {
        None => values.next().is_none(),
        Some(byte) => *byte == b'+',
    })
}
