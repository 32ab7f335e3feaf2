//! A request's body on its way to the host, as fast as the host's windows allow.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body as _;
use nuncio_service::Body;

pub(super) struct Upload {
    body: Body,
    stream: SendStream<Bytes>,
    /// Read from the body and not yet sent.
    chunk: Bytes,
}

/// The request's body failed.
pub(super) struct UploadFailed;

/// Why nothing more is to be sent.
pub(super) enum Ended {
    /// All has been sent.
    Whole,
    /// The host has ended the stream, of which the response tells more.
    ByHost,
}

impl Upload {
    pub(super) fn new(body: Body, stream: SendStream<Bytes>) -> Self {
        Self { body, stream, chunk: Bytes::new() }
    }

    /// Ready when nothing more is to be sent.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Ended, UploadFailed>> {
        loop {
            if !self.chunk.is_empty() {
                let sent = ready!(self.poll_send(cx));
                if !sent {
                    return Poll::Ready(Ok(Ended::ByHost));
                }
                if self.chunk.is_empty() && self.body.is_end_stream() {
                    return Poll::Ready(Ok(Ended::Whole));
                }
                continue;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() && self.body.is_end_stream() => {
                        return Poll::Ready(Ok(self.end()));
                    }
                    Ok(data) => self.chunk = data,
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            return Poll::Ready(Ok(ended(&self.stream.send_trailers(trailers))));
                        }
                    }
                },
                Some(Err(_)) => return Poll::Ready(Err(UploadFailed)),
                None => return Poll::Ready(Ok(self.end())),
            }
        }
    }

    /// Ends the stream in both directions.
    pub(super) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    /// Whether the host has reset the stream, whatever of the response came before.
    pub(super) fn was_reset(&mut self) -> bool {
        matches!(self.stream.poll_reset(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(_)))
    }

    fn end(&mut self) -> Ended {
        ended(&self.stream.send_data(Bytes::new(), true))
    }

    /// Sends a part of the chunk; `false` where the host takes nothing more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.stream.reserve_capacity(self.chunk.len());
        while self.stream.capacity() == 0 {
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(false),
            }
        }
        let part = self.chunk.split_to(self.stream.capacity().min(self.chunk.len()));
        let last = self.chunk.is_empty() && self.body.is_end_stream();
        Poll::Ready(self.stream.send_data(part, last).is_ok())
    }
}

/// Sending the end fails only where the host has ended the stream.
fn ended(sent: &Result<(), h2::Error>) -> Ended {
    if sent.is_ok() { Ended::Whole } else { Ended::ByHost }
}
