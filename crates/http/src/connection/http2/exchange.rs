//! One stream from its head to its end: its request with the filters, then its response on the way to the client.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::StatusCode;
use nuncio_service::Response;
use pin_project_lite::pin_project;

use super::{
    ledger::Lost,
    response::{End, Sending},
    wire::SharedLedger,
};
use crate::{
    connection::stream::{Overdue, Stream},
    local_reply::LocalReply,
};

pin_project! {
    /// Ready with the stream that is to be reset, if it is. To be reset once the codec had its chance to write what
    /// it holds of the stream, which a reset takes away.
    pub(super) struct Exchange<F> {
        #[pin]
        filters: Option<F>,
        sending: Option<Sending>,
        stream: StreamHandle,
    }
}

/// What an exchange needs of its stream in all its parts.
pub(super) struct StreamHandle {
    id: u32,
    account: Stream,
    respond: SendResponse<Bytes>,
    ledger: SharedLedger,
}

/// The stream to be reset, and why.
pub(super) type Reset = Option<(SendStream<Bytes>, Reason)>;

impl<F> Exchange<F> {
    /// A request on its way through the filters.
    pub(super) fn filters(filters: F, stream: StreamHandle) -> Self {
        Self { filters: Some(filters), sending: None, stream }
    }

    /// A request that is answered at once.
    pub(super) fn answered(response: Response, mut stream: StreamHandle) -> Self {
        let sending = stream.answer(Ok(response));
        Self { filters: None, sending, stream }
    }
}

impl<F> Exchange<F> {
    /// The connection ends: because the client has taken nothing of what it holds in time, or because of what the
    /// client sent.
    pub(super) fn end_early(self: Pin<&mut Self>, overdue: bool) {
        let account = &mut self.project().stream.account;
        if overdue && !account.is_complete() {
            account.give_up(Overdue::Idle);
        } else {
            account.malformed(super::CODEC_ERROR);
        }
    }
}

impl<F> Future for Exchange<F>
where
    F: Future<Output = Result<Response, LocalReply>>,
{
    type Output = Reset;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reset> {
        let mut this = self.project();
        if let Some(filters) = this.filters.as_mut().as_pin_mut() {
            if let Poll::Ready(why) = this.stream.respond.poll_reset(cx) {
                this.stream.lost(&why);
                this.filters.set(None);
                return Poll::Ready(None);
            }
            let answer = ready!(filters.poll(cx));
            *this.sending = this.stream.answer(answer);
            this.filters.set(None);
        }
        let Some(sending) = this.sending else { return Poll::Ready(None) };
        match ready!(sending.poll(cx, &mut this.stream.account)) {
            End::Complete => Poll::Ready(None),
            End::CutOff => {
                let stream = this.sending.take().map(Sending::into_stream);
                // The code that Envoy sends whenever it gives up a stream.
                Poll::Ready(stream.map(|stream| (stream, Reason::INTERNAL_ERROR)))
            }
            End::Lost(why) => {
                this.stream.lost(&why);
                Poll::Ready(None)
            }
        }
    }
}

impl StreamHandle {
    pub(super) fn new(account: Stream, respond: SendResponse<Bytes>, ledger: SharedLedger) -> Self {
        Self { id: respond.stream_id().as_u32(), account, respond, ledger }
    }

    /// Sends the response's head. What is left to send is its body, if it has one and somebody takes it.
    fn answer(&mut self, answer: Result<Response, LocalReply>) -> Option<Sending> {
        let Some(response) = self.account.answer(answer) else {
            // The request's body broke off, and the stream knows why.
            match self.respond.poll_reset(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(why) => self.lost(&why),
                Poll::Pending => self.respond.send_reset(Reason::INTERNAL_ERROR),
            }
            return None;
        };
        let (mut head, body) = response.into_parts();
        head.extensions.clear();
        let has_body = !self.account.is_complete()
            && !matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let sent = self.respond.send_response(http::Response::from_parts(head, ()), !has_body);
        match sent {
            Ok(stream) if has_body => Some(Sending::new(stream, body)),
            Ok(_) => {
                self.account.finish();
                None
            }
            Err(error) => {
                // The codec refuses what the upstream has put into the head, or the stream is gone.
                match self.respond.poll_reset(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(why) => self.lost(&why),
                    Poll::Pending => {
                        self.account.fail(&error.into());
                        self.respond.send_reset(Reason::INTERNAL_ERROR);
                    }
                }
                None
            }
        }
    }

    /// The codec or the client has ended the stream.
    fn lost(&mut self, why: &Result<Reason, h2::Error>) {
        // An error is that of a connection that is gone.
        if why.is_ok() {
            let lost = self.ledger.open().why_lost(self.id);
            match lost {
                Lost::ByClient => self.account.reset_by_client(),
                // The details are Envoy's, though the reset was not the client's.
                Lost::Malformed => self.account.malformed("http2.remote_reset"),
                Lost::Broken => self.account.malformed(super::CODEC_ERROR),
            }
        }
    }
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        self.ledger.open().end(self.id);
    }
}
