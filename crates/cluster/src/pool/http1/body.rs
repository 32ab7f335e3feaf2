//! A response's body: drives its connection as it is read, and gives the connection back at its end.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use nuncio_service::{Body, BoxError};

use super::{Lease, exchange::reset_in_body};
use crate::{error::UpstreamError, pool::ActiveRequest};

pub(super) struct ResponseBody {
    /// What came together with the head.
    first: Option<Bytes>,
    incoming: Incoming,
    /// The connection, until the body has ended. Dropping it before closes the connection.
    lease: Option<Lease>,
    active: Option<ActiveRequest>,
}

impl ResponseBody {
    /// The body of a response whose head has just come. A short body of known length mostly came with it; then no
    /// stream is made, and the connection is free at once.
    pub(super) fn begin(lease: Lease, mut incoming: Incoming, active: Option<ActiveRequest>) -> Body {
        let known_length = incoming.size_hint().exact().is_some();
        let mut first = None;
        if known_length && let Poll::Ready(Some(Ok(frame))) = poll_incoming(&mut incoming) {
            first = frame.into_data().ok();
            if incoming.is_end_stream() {
                lease.give_back();
                return first.map_or(Body::Empty, Body::Full);
            }
        }
        Body::stream(Self { first, incoming, lease: Some(lease), active })
    }

    /// The body has ended well.
    fn end(&mut self) {
        self.active = None;
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    fn fail(&mut self, error: &hyper::Error) -> BoxError {
        let (kind, by_host) = reset_in_body(error);
        let active = self.active.take();
        if let Some(connection) = self.lease.as_mut().and_then(Lease::connection) {
            connection.life.ended_by_host |= by_host;
        }
        let Some(lease) = self.lease.take() else { return "the response's body has ended".into() };
        let handle = &lease.pool.handle;
        if kind == crate::error::Kind::ProtocolError {
            handle.stats().upstream_cx_protocol_error.increment(1);
        }
        let error = UpstreamError::in_body(kind, handle.host.description.address);
        drop(lease);
        drop(active);
        Box::new(error)
    }

    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(connection) = self.lease.as_mut().and_then(Lease::connection) else {
            return Poll::Ready(None);
        };
        let incoming = &mut self.incoming;
        connection.poll_driven(cx, |_| poll_incoming(incoming))
    }
}

/// Only driving the connection makes a frame ready, so nobody needs to be woken for it.
fn poll_incoming(incoming: &mut Incoming) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    Pin::new(incoming).poll_frame(&mut Context::from_waker(Waker::noop()))
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
        match this.poll_connection(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                // A reader that knows the length does not ask again after the last frame.
                if this.incoming.is_end_stream() {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            // Envoy drops an HTTP/1 response's trailers unless it is told to keep them.
            Poll::Ready(Some(Ok(_)) | None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(this.fail(&error)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.incoming.size_hint();
        match (hint.exact(), &self.first) {
            (Some(rest), Some(first)) => SizeHint::with_exact(rest + first.len() as u64),
            _ => hint,
        }
    }
}
