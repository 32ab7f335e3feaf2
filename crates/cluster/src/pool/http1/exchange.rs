//! A request and the response's head on one connection. This is the hot path: a pooled connection, driven by the
//! task of the request, with no allocation, no second task and no channel between threads.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use nuncio_service::Body;

use super::{Lease, Pool, body::ResponseBody, connection::Connection, message};
use crate::{
    error::Kind,
    pool::{ActiveRequest, HostHandle},
};

pub(crate) struct Exchange {
    lease: Lease,
    active: Option<ActiveRequest>,
    /// Whether the connection has carried a request before.
    reused: bool,
}

pub(crate) enum Outcome {
    Response(Response<Body>),
    /// The host had closed the connection before anything was sent: try another one.
    Unsent(Box<Request<Body>>),
    Failed(Kind),
}

impl Exchange {
    /// Begins to send. Fails where the circuit breaker for requests is open; the connection stays in the pool.
    pub(crate) fn begin(mut lease: Lease, mut request: Request<Body>) -> Result<Self, Kind> {
        let Some(active) = ActiveRequest::begin(&lease.pool.handle) else {
            lease.give_back();
            return Err(Kind::Overflow);
        };
        message::prepare(&mut request);
        let mut reused = false;
        if let Some(connection) = lease.connection() {
            reused = connection.life.requests > 0;
            connection.send(request);
        }
        Ok(Self { lease, active: Some(active), reused })
    }

    pub(crate) fn handle(&self) -> &HostHandle {
        &self.lease.pool.handle
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.lease.pool
    }

    /// Interim responses are added to `interim`.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, interim: &mut Vec<StatusCode>) -> Poll<Outcome> {
        let Some(connection) = self.lease.connection() else {
            return Poll::Ready(Outcome::Failed(Kind::LocalReset));
        };
        let answer = connection.poll_driven(cx, Connection::poll_answer);
        connection.interim.take(interim);
        match ready!(answer) {
            Ok(response) => Poll::Ready(self.respond(response)),
            Err(mut error) => {
                let unsent = error.take_message();
                Poll::Ready(self.fail(unsent, &error.into_error()))
            }
        }
    }

    fn respond(&mut self, response: Response<Incoming>) -> Outcome {
        let (mut head, body) = response.into_parts();
        head.extensions.clear();
        if !message::is_well_formed(&head) {
            self.handle().stats().upstream_cx_protocol_error.increment(1);
            self.handle().cell.rq_error.add();
            self.close();
            return Outcome::Failed(Kind::ProtocolError);
        }
        let cell = &self.handle().cell;
        if head.status.is_server_error() {
            cell.rq_error.add()
        } else {
            cell.rq_success.add()
        }
        let mut lease = self.lease.take();
        if let Some(connection) = lease.connection() {
            connection.close_announced = message::announces_close(&head);
            connection.body_until_close = !body.is_end_stream() && message::lasts_until_close(&head);
        }
        let body = if body.is_end_stream() {
            lease.give_back();
            Body::Empty
        } else {
            ResponseBody::begin(lease, body, self.active.take())
        };
        Outcome::Response(Response::from_parts(head, body))
    }

    fn fail(&mut self, unsent: Option<Request<Body>>, error: &hyper::Error) -> Outcome {
        let (mut kind, mut by_host) = reset(error);
        if let Some(connection) = self.lease.connection() {
            if connection.interim.were_too_many() {
                (kind, by_host) = (Kind::ProtocolError, false);
            }
            connection.life.ended_by_host |= by_host;
            // The codec's error is the same whether nothing came or half a head; to Envoy the latter is malformed.
            if kind == Kind::ConnectionTermination && connection.left_over {
                kind = Kind::ProtocolError;
            }
        }
        if let Some(request) = unsent {
            if let Some(connection) = self.lease.connection() {
                connection.life.active = 0;
                connection.life.ended_by_host = true;
            }
            self.close();
            // A fresh connection that ends before the request is no accident of timing.
            return if self.reused {
                Outcome::Unsent(Box::new(request))
            } else {
                self.handle().cell.rq_error.add();
                Outcome::Failed(Kind::ConnectionTermination)
            };
        }
        if kind == Kind::ProtocolError {
            self.handle().stats().upstream_cx_protocol_error.increment(1);
        }
        self.handle().cell.rq_error.add();
        self.close();
        Outcome::Failed(kind)
    }

    fn close(&mut self) {
        drop(self.lease.take());
    }
}

/// What an error before the response's head means, and whether the host ended the connection.
fn reset(error: &hyper::Error) -> (Kind, bool) {
    if error.is_user() {
        return (Kind::RequestBody, false);
    }
    if error.is_parse() {
        return (Kind::ProtocolError, false);
    }
    (Kind::ConnectionTermination, true)
}

/// What an error within the response's body means. Over HTTP/1 Envoy counts a body that ends too early as malformed,
/// whatever ended it.
pub(super) fn reset_in_body(error: &hyper::Error) -> (Kind, bool) {
    if error.is_user() {
        return (Kind::RequestBody, false);
    }
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    let malformed =
        io.is_some_and(|io| matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput));
    (Kind::ProtocolError, !malformed)
}
