//! An answer of the admin server and its body.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::access_log::Exchange;

/// Status, content type and body; the rest of the head is the same for all.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    content_type: &'static str,
    chunks: Chunks,
}

/// The pieces of a body, made as they are asked for.
type Chunks = Box<dyn Iterator<Item = Bytes> + Send>;

/// The body that goes to hyper. Its length is never announced, because Envoy's admin server sends all bodies chunked.
pub(crate) struct AnswerBody {
    chunks: Chunks,
    /// Logs and counts the exchange when it is dropped.
    exchange: Exchange,
}

impl Answer {
    /// A text of `text/plain`.
    pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain; charset=UTF-8", std::iter::once(body.into()))
    }

    /// The same without the character set, as `/config_dump` sends its errors.
    pub(crate) fn bare_text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain", std::iter::once(body.into()))
    }

    /// A page.
    pub(crate) fn html(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "text/html; charset=UTF-8", std::iter::once(body.into()))
    }

    /// A value as indented JSON, indented by one space and ended by a line end as Envoy's printer does it.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        let mut body = Vec::new();
        let mut serializer = Serializer::with_formatter(&mut body, PrettyFormatter::with_indent(b" "));
        match value.serialize(&mut serializer) {
            Ok(()) => {
                body.push(b'\n');
                // They stand within strings only, and protobuf's printer writes them so that no page can be broken.
                if body.iter().any(|byte| matches!(byte, b'<' | b'>')) {
                    body = escape_angle_brackets(&body);
                }
                Self::new(StatusCode::OK, "application/json", std::iter::once(Bytes::from(body)))
            }
            Err(error) => {
                Self::text(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot be shown: {error}\n"))
            }
        }
    }

    /// A text that is made chunk by chunk.
    pub(crate) fn text_chunks(chunks: impl Iterator<Item = String> + Send + 'static) -> Self {
        Self::new(StatusCode::OK, "text/plain; charset=UTF-8", chunks.map(Bytes::from))
    }

    /// JSON that is made chunk by chunk.
    pub(crate) fn json_chunks(chunks: impl Iterator<Item = String> + Send + 'static) -> Self {
        Self::new(StatusCode::OK, "application/json", chunks.map(Bytes::from))
    }

    fn new(
        status: StatusCode,
        content_type: &'static str,
        chunks: impl Iterator<Item = Bytes> + Send + 'static,
    ) -> Self {
        // An empty chunk would end a chunked body.
        Self { status, content_type, chunks: Box::new(chunks.filter(|chunk| !chunk.is_empty())) }
    }

    /// The whole body, for tests.
    #[cfg(test)]
    pub(crate) fn into_body(self) -> String {
        String::from_utf8(self.chunks.flatten().collect()).unwrap()
    }

    /// The content type, for tests.
    #[cfg(test)]
    pub(crate) fn content_type(&self) -> &'static str {
        self.content_type
    }

    /// The response with Envoy's headers in Envoy's order.
    pub(crate) fn into_response(self, mut exchange: Exchange) -> Response<AnswerBody> {
        let Self { status, content_type, chunks } = self;
        exchange.status = status;
        let mut response = Response::new(AnswerBody { chunks, exchange });
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, max-age=0"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        push_date_and_server(headers);
        response
    }

    /// The response to a request that was not fit to be answered: what Envoy's codec sends, and the connection ends.
    pub(crate) fn into_refusal(self, mut exchange: Exchange) -> Response<AnswerBody> {
        let Self { status, chunks, .. } = self;
        exchange.status = status;
        let chunks: Vec<Bytes> = chunks.collect();
        let length = chunks.iter().map(Bytes::len).sum::<usize>();
        let mut response = Response::new(AnswerBody { chunks: Box::new(chunks.into_iter()), exchange });
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        if length > 0 {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        push_date_and_server(headers);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

fn escape_angle_brackets(json: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(json.len() + 64);
    for byte in json {
        match byte {
            b'<' => escaped.extend_from_slice(b"\\u003c"),
            b'>' => escaped.extend_from_slice(b"\\u003e"),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

fn push_date_and_server(headers: &mut http::HeaderMap) {
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    // The date is made of ASCII only, so it is always a header value.
    if let Ok(date) = HeaderValue::try_from(date) {
        headers.insert(header::DATE, date);
    }
    headers.insert(header::SERVER, HeaderValue::from_static("envoy"));
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let Some(chunk) = this.chunks.next() else {
            this.exchange.complete = true;
            return Poll::Ready(None);
        };
        this.exchange.bytes_sent += chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}
