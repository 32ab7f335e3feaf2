//! One HTTP/1.1 connection: hyper's codec, polled by whoever holds it instead of by a task of its own.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};
use hyper_util::rt::TokioIo;
use nuncio_service::Body;
use tokio_util::sync::ReusableBoxFuture;

use super::{
    interim::{Interim, WatchedStream},
    signal::Signal,
};
use crate::{
    error::Kind,
    pool::{ConnectionLife, dial::CountedStream},
};

/// The largest response head: Envoy accepts 64 KiB by default, and refuses 80 KiB.
const LARGEST_HEAD: usize = 72 * 1024;
/// Room for a head and what comes with it.
const LEAST_BUFFER: usize = 96 * 1024;
/// More at once makes nothing faster, and each connection with a slow client may hold as much.
const LARGEST_BUFFER: usize = 128 * 1024;

/// Rounds of driving a connection before other tasks get their turn.
const ROUNDS: usize = 8;

/// What comes of sending a request: a response's head, or why not, with the request if nothing of it was sent.
pub(super) type Answer = Result<Response<Incoming>, TrySendError<Request<Body>>>;

pub(super) struct Connection {
    /// Gone once the connection has ended. Dropping it closes the socket.
    driver: Option<http1::Connection<TokioIo<WatchedStream>, Body>>,
    sender: http1::SendRequest<Body>,
    pub(super) interim: Arc<Interim>,
    /// The answer to the request under way. The box is used again for each request.
    answer: ReusableBoxFuture<'static, Answer>,
    signal: Arc<Signal>,
    /// `signal` as a waker.
    waker: Waker,
    /// Whether the host has announced that it will close the connection.
    pub(super) close_announced: bool,
    /// Whether the response's body ends with the connection.
    pub(super) body_until_close: bool,
    /// Whether the connection ended with bytes that answer no request.
    malformed: bool,
    /// Whether the connection ended with bytes that the codec could make nothing of yet, such as half a head.
    pub(super) left_over: bool,
    /// When it became idle, by the sweeper's clock.
    idle_since: u64,
    pub(super) life: ConnectionLife,
}

impl Connection {
    pub(super) async fn handshake(
        stream: CountedStream,
        life: ConnectionLife,
    ) -> Result<Self, (Kind, ConnectionLife)> {
        let buffer = life.handle().context.settings.per_connection_buffer_limit_bytes;
        let buffer = usize::try_from(buffer).unwrap_or(usize::MAX).clamp(LEAST_BUFFER, LARGEST_BUFFER);
        let interim = Arc::<Interim>::default();
        let stream = WatchedStream { stream, interim: Arc::clone(&interim) };
        let handshake = http1::Builder::new()
            .allow_obsolete_multiline_headers_in_responses(true)
            .max_header_size(LARGEST_HEAD)
            .max_buf_size(buffer)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, driver) = match handshake {
            Ok(connection) => connection,
            Err(_) => return Err((Kind::ConnectionTermination, life)),
        };
        let signal = Arc::new(Signal::default());
        let mut connection = Self {
            driver: Some(driver),
            sender,
            interim,
            answer: ReusableBoxFuture::new(std::future::pending()),
            waker: Waker::from(Arc::clone(&signal)),
            signal,
            close_announced: false,
            body_until_close: false,
            malformed: false,
            left_over: false,
            idle_since: life.handle().context.clock.now(),
            life,
        };
        // Lets the socket report a hang-up even if no request ever comes.
        connection.drive();
        Ok(connection)
    }

    /// Hands a request to the codec, which writes it when it is driven.
    pub(super) fn send(&mut self, request: Request<Body>) {
        self.life.requests = self.life.requests.saturating_add(1);
        self.life.active = 1;
        self.interim.expect();
        self.answer.set(self.sender.try_send_request(request));
    }

    /// Drives the connection on behalf of the task in `cx` until `poll` has something, or nothing moves any more.
    pub(super) fn poll_driven<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Self) -> Poll<T>,
    ) -> Poll<T> {
        self.signal.enter(cx.waker());
        for _ in 0..ROUNDS {
            self.drive();
            if let Poll::Ready(output) = poll(self) {
                // What happens from now on is seen when the owner polls again, or lays the connection up.
                return Poll::Ready(output);
            }
            if !self.signal.take_woken() {
                if self.signal.leave() {
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
        }
        self.signal.leave();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads and writes as far as the socket allows. What the connection waits for wakes its signal.
    fn drive(&mut self) {
        let Some(driver) = &mut self.driver else { return };
        if let Poll::Ready(result) = Pin::new(driver).poll(&mut Context::from_waker(&self.waker)) {
            self.malformed = result.is_err();
            // What was not sent comes back to the answer only when the codec is gone.
            let parts = self.driver.take().map(http1::Connection::into_parts);
            self.left_over = parts.is_some_and(|parts| !parts.read_buf.is_empty());
        }
    }

    /// The answer, as far as driving the connection has brought it.
    pub(super) fn poll_answer(&mut self) -> Poll<Answer> {
        // Only driving the connection can make the answer ready, so nobody needs to be woken for it.
        self.answer.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Whether both messages of the last exchange have ended and the connection stays open.
    fn is_ready(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Makes the connection idle; `false` if it cannot carry another request.
    pub(super) fn lay_up(&mut self) -> bool {
        self.signal.detach();
        if !self.is_ready() {
            self.drive();
        }
        self.signal.leave();
        if self.is_ready() {
            self.life.active = 0;
            self.idle_since = self.life.handle().context.clock.now();
            return !self.life.is_worn_out();
        }
        if self.close_announced {
            self.life.active = 0;
            // Whoever says where the body ends leaves the closing to us.
            self.life.ended_by_host = self.body_until_close;
            self.life.handle().stats().upstream_cx_close_notify.increment(1);
        } else if self.driver.is_none() {
            self.life.active = 0;
            self.count_end();
        }
        // Otherwise the upload has not ended, and is cut off.
        false
    }

    /// Counts the end of a connection that carried no request when it ended.
    fn count_end(&mut self) {
        if self.malformed {
            self.life.handle().stats().upstream_cx_protocol_error.increment(1);
        } else {
            self.life.ended_by_host = true;
        }
    }

    /// Whether an idle connection can carry a request, as far as the socket has reported.
    pub(super) fn is_usable(&mut self) -> bool {
        !self.signal.was_woken() || self.is_alive()
    }

    fn is_alive(&mut self) -> bool {
        self.drive();
        self.signal.leave();
        let alive = self.is_ready();
        if !alive {
            self.count_end();
        }
        alive
    }

    /// Whether an idle connection may stay: it is open, and not idle or alive for too long.
    pub(super) fn survives_sweep(&mut self) -> bool {
        if !self.is_alive() {
            return false;
        }
        let context = &self.life.handle().context;
        let timeout = context.settings.idle_timeout;
        if timeout.is_some_and(|timeout| context.clock.has_passed(self.idle_since, timeout)) {
            context.stats.upstream_cx_idle_timeout.increment(1);
            return false;
        }
        !self.life.is_too_old()
    }
}
