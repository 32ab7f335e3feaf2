//! A response's body on one stream. The window opens as the body is read, so a slow reader holds back the host.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http::{header, response};
use http_body::Frame;
use nuncio_service::{Body, BoxError};

use super::exchange::Stream;
use crate::error::{Kind, UpstreamError};

pub(super) struct ResponseBody {
    /// What came together with the head.
    first: Option<Bytes>,
    incoming: RecvStream,
    /// The stream, until the response has ended.
    stream: Option<Stream>,
}

impl ResponseBody {
    /// The body of a response whose head has just come. A short body of known length that came with it needs no
    /// stream.
    pub(super) fn begin(stream: Stream, incoming: RecvStream, head: &response::Parts) -> Body {
        let mut body = Self { first: None, incoming, stream: Some(stream) };
        if body.incoming.is_end_stream() {
            body.end();
            return Body::Empty;
        }
        if head.headers.contains_key(header::CONTENT_LENGTH)
            && let Poll::Ready(Some(Ok(data))) =
                body.incoming.poll_data(&mut Context::from_waker(Waker::noop()))
        {
            body.release(data.len());
            if body.incoming.is_end_stream() {
                body.end();
                return Body::full(data);
            }
            body.first = Some(data);
        }
        Body::stream(body)
    }

    fn release(&mut self, bytes: usize) {
        // Fails only where the stream has ended, and then the window does not matter.
        let _ = self.incoming.flow_control().release_capacity(bytes);
    }

    fn end(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.response_ended();
        }
    }

    fn fail(&mut self, error: &h2::Error) -> BoxError {
        let Some(mut stream) = self.stream.take() else { return "the response's body has ended".into() };
        let kind = stream.fail(error);
        Box::new(UpstreamError::in_body(kind, stream.handle().host.description.address))
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        if stream.poll_upload(cx).is_err() {
            let host = stream.handle().host.description.address;
            this.stream = None;
            return Poll::Ready(Some(Err(Box::new(UpstreamError::in_body(Kind::RequestBody, host)))));
        }
        match ready!(this.incoming.poll_data(cx)) {
            Some(Ok(data)) => {
                this.release(data.len());
                // A reader that knows the length does not ask again after the last frame.
                if this.incoming.is_end_stream() {
                    this.end();
                }
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Some(Err(error)) => return Poll::Ready(Some(Err(this.fail(&error)))),
            None => {}
        }
        match ready!(this.incoming.poll_trailers(cx)) {
            Ok(trailers) => {
                this.end();
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Err(error) => Poll::Ready(Some(Err(this.fail(&error)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.incoming.is_end_stream()
    }
}
