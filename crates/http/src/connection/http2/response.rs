//! A response's body on its way to the client, as fast as the client's windows and socket allow.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body as _;
use nuncio_service::Body;
use tokio::time::Sleep;

use crate::connection::stream::Stream;

/// How a response ended.
#[derive(Debug)]
pub(super) enum End {
    /// It was handed over to its end.
    Complete,
    /// There is no more of it, and the client must be told so.
    CutOff,
    /// The codec or the client has ended the stream, or the connection is gone.
    Lost(Result<Reason, h2::Error>),
}

#[derive(Debug)]
pub(super) struct Sending {
    stream: SendStream<Bytes>,
    body: Body,
    /// Read from the body and not yet handed over.
    chunk: Bytes,
    /// Since when the client has taken nothing.
    waiting_since: Option<Instant>,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Sending {
    pub(super) fn new(stream: SendStream<Bytes>, body: Body) -> Self {
        Self { stream, body, chunk: Bytes::new(), waiting_since: None, timer: None }
    }

    /// Hands over what the client has room for. A stream of which the client takes nothing in time is given up.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, account: &mut Stream) -> Poll<End> {
        loop {
            let ended =
                if self.chunk.is_empty() { self.poll_body(cx, account) } else { self.poll_send(cx, account) };
            match ended {
                Poll::Ready(Some(ended)) => return Poll::Ready(ended),
                Poll::Ready(None) => {}
                Poll::Pending => {
                    if let Poll::Ready(reason) = self.stream.poll_reset(cx) {
                        return Poll::Ready(End::Lost(reason));
                    }
                    return self.poll_give_up(cx, account);
                }
            }
        }
    }

    pub(super) fn into_stream(self) -> SendStream<Bytes> {
        self.stream
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, account: &mut Stream) -> Poll<Option<End>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                account.fail(&error);
                return Poll::Ready(Some(End::CutOff));
            }
            None => return Poll::Ready(Some(self.end(account))),
        };
        match frame.into_data() {
            Ok(data) if data.is_empty() && self.body.is_end_stream() => Poll::Ready(Some(self.end(account))),
            Ok(data) => {
                self.chunk = data;
                Poll::Ready(None)
            }
            Err(frame) => Poll::Ready(frame.into_trailers().ok().map(|trailers| {
                // Fails only where the stream has ended.
                let _ = self.stream.send_trailers(trailers);
                account.finish();
                End::Complete
            })),
        }
    }

    /// Hands over a part of the chunk.
    fn poll_send(&mut self, cx: &mut Context<'_>, account: &mut Stream) -> Poll<Option<End>> {
        self.stream.reserve_capacity(self.chunk.len());
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                // The stream has ended; its reset says why.
                Poll::Ready(Some(Err(_)) | None) => {
                    return self.stream.poll_reset(cx).map(|reason| Some(End::Lost(reason)));
                }
                Poll::Pending => {
                    self.waiting_since.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            }
        }
        self.waiting_since = None;
        let part = self.chunk.split_to(self.stream.capacity().min(self.chunk.len()));
        let last = self.chunk.is_empty() && self.body.is_end_stream();
        account.sent(part.len());
        // Fails only where the stream has ended, which is found out when it is asked for more.
        let _ = self.stream.send_data(part, last);
        if !last {
            return Poll::Ready(None);
        }
        account.finish();
        Poll::Ready(Some(End::Complete))
    }

    fn end(&mut self, account: &mut Stream) -> End {
        // Fails only where the stream has ended.
        let _ = self.stream.send_data(Bytes::new(), true);
        account.finish();
        End::Complete
    }

    fn poll_give_up(&mut self, cx: &mut Context<'_>, account: &mut Stream) -> Poll<End> {
        loop {
            let Some((due, overdue)) = self.waiting_since.and_then(|since| account.give_up_at(since)) else {
                return Poll::Pending;
            };
            let (armed, sleep) =
                self.timer.get_or_insert_with(|| (due, Box::pin(tokio::time::sleep_until(due.into()))));
            if due < *armed {
                sleep.as_mut().reset(due.into());
                *armed = due;
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if due <= *armed {
                account.give_up(overdue);
                return Poll::Ready(End::CutOff);
            }
            // Something was taken meanwhile.
            self.timer = None;
        }
    }
}
