//! Replies that the proxy makes itself, to the letter of Envoy's.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use nuncio_service::{Body, Response, ResponseFlags, StreamInfo};

/// A reply made here instead of by an upstream: the error type of the HTTP filters. Whoever stands outermost turns
/// it into a response.
#[derive(Debug)]
pub struct LocalReply {
    /// The status.
    pub status: StatusCode,
    /// The body, sent as `text/plain`. Empty: none.
    pub body: Cow<'static, str>,
    /// Headers to add, for instance `location`.
    pub headers: HeaderMap,
    /// Why, in the access log's letters.
    pub flags: ResponseFlags,
    /// Why, as `%RESPONSE_CODE_DETAILS%`.
    pub details: &'static str,
    /// Whether the connection ends with this reply.
    pub close: bool,
    /// The info of the stream that is answered.
    pub info: Box<StreamInfo>,
}

impl LocalReply {
    /// A reply with no body and no flag.
    pub fn new(info: Box<StreamInfo>, status: StatusCode, details: &'static str) -> Self {
        Self {
            status,
            body: Cow::Borrowed(""),
            headers: HeaderMap::new(),
            flags: ResponseFlags::default(),
            details,
            close: false,
            info,
        }
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Cow<'static, str>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with flags.
    #[must_use]
    pub fn flags(mut self, flags: ResponseFlags) -> Self {
        self.flags = flags;
        self
    }

    /// The same, and the connection ends with it.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// The response, still without `date` and `server`.
    pub(crate) fn into_response(self) -> Response {
        let Self { status, body, mut headers, flags, details, close, mut info } = self;
        info.flags.insert(flags);
        info.response_code_details = details;
        if !body.is_empty() {
            let length = HeaderValue::from(body.len());
            headers.insert(header::CONTENT_LENGTH, length);
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        info.close_downstream |= close;
        let body = match body {
            Cow::Borrowed(text) => Body::full(Bytes::from_static(text.as_bytes())),
            Cow::Owned(text) => Body::full(text),
        };
        let mut http = http::Response::new(body);
        *http.status_mut() = status;
        *http.headers_mut() = headers;
        Response { http, info }
    }
}
