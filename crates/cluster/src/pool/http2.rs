//! HTTP/2 connections to one host: one per worker, until its streams are used up. Each is driven by a task of its
//! own on the same worker, since its streams belong to many requests.

mod body;
mod connection;
mod exchange;
mod upload;

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use http::Request;
use nuncio_config::model::Http2Settings;
use nuncio_service::Body;
use tokio::sync::oneshot;

use self::connection::Connection;
pub(crate) use self::{
    connection::Slot,
    exchange::{Exchange, NotBegun},
};
use super::{ConnectionLife, HostHandle, PendingRequest, dial::dial};
use crate::error::Kind;

/// The connections to one host.
pub(crate) struct Pool {
    handle: Arc<HostHandle>,
    settings: Http2Settings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Connections that take streams.
    connections: Vec<Arc<Connection>>,
    waiters: VecDeque<oneshot::Sender<Result<Slot, Kind>>>,
    connecting: usize,
    draining: bool,
}

/// A request that waits for a connection to be opened, or for a stream to end.
pub(crate) struct Waiting {
    receiver: oneshot::Receiver<Result<Slot, Kind>>,
    pool: Arc<Pool>,
    pending: PendingRequest,
    request: Option<Request<Body>>,
}

impl Pool {
    pub(crate) fn new(handle: Arc<HostHandle>, settings: Http2Settings) -> Arc<Self> {
        Arc::new(Self { handle, settings, state: Mutex::default() })
    }

    pub(crate) fn handle(&self) -> &Arc<HostHandle> {
        &self.handle
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves nothing half done in here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream, if there is one to spare.
    pub(crate) fn take_slot(self: &Arc<Self>) -> Option<Slot> {
        self.reserve(&mut self.lock())
    }

    /// A place in the queue for a stream; fails where the queue is full.
    pub(crate) fn wait(self: &Arc<Self>, request: Request<Body>) -> Result<Box<Waiting>, Kind> {
        let pending = PendingRequest::begin(&self.handle).ok_or(Kind::Overflow)?;
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        state.waiters.push_back(sender);
        self.connect_for_waiters(&mut state);
        drop(state);
        Ok(Box::new(Waiting { receiver, pool: Arc::clone(self), pending, request: Some(request) }))
    }

    /// A stream on a connection that has one to spare. Connections that take no more are forgotten: they end with
    /// their streams.
    fn reserve(self: &Arc<Self>, state: &mut State) -> Option<Slot> {
        let mut found = None;
        state.connections.retain(|connection| {
            found.is_some() || {
                let open = connection.takes_streams();
                if open {
                    found = connection.reserve(self);
                }
                open
            }
        });
        found
    }

    /// Opens connections until those being opened suffice for all that wait, as far as the circuit breaker allows.
    fn connect_for_waiters(self: &Arc<Self>, state: &mut State) {
        let context = &self.handle.context;
        let streams = usize::try_from(self.settings.max_concurrent_streams).unwrap_or(usize::MAX).max(1);
        while state.waiters.len() > state.connecting.saturating_mul(streams) {
            if !context.breakers.connections.try_acquire(context.worker) {
                context.stats.upstream_cx_overflow.increment(1);
                if !state.connections.is_empty() || state.connecting > 0 {
                    return;
                }
                context.breakers.connections.acquire_over_limit(context.worker);
            }
            state.connecting += 1;
            context.stats.upstream_cx_http2_total.increment(1);
            context.stats.http2_connections.increment(1);
            tokio::spawn(Arc::clone(self).connect(ConnectionLife::begin(&self.handle)));
        }
    }

    /// Opens a connection, and then drives it until it ends.
    async fn connect(self: Arc<Self>, mut life: ConnectionLife) {
        let opened = match dial(&mut life).await {
            Ok(stream) => Connection::handshake(stream, &self.settings, life).await,
            Err(kind) => Err((kind, life)),
        };
        let (connection, driver) = match opened {
            Ok(opened) => opened,
            Err((kind, life)) => {
                drop(life);
                return self.connect_failed(kind);
            }
        };
        let connection = Arc::new(connection);
        self.connected(&connection);
        connection.run(driver).await;
        self.ended(&connection);
    }

    fn connected(self: &Arc<Self>, connection: &Arc<Connection>) {
        let mut state = self.lock();
        state.connecting -= 1;
        if state.draining && state.waiters.is_empty() {
            connection.retire();
        } else {
            state.connections.push(Arc::clone(connection));
        }
        drop(state);
        self.hand_on();
    }

    fn ended(self: &Arc<Self>, connection: &Arc<Connection>) {
        let mut state = self.lock();
        state.connections.retain(|other| !Arc::ptr_eq(other, connection));
        // Whoever waited for a stream on this connection needs another one.
        self.connect_for_waiters(&mut state);
    }

    fn connect_failed(&self, kind: Kind) {
        let mut state = self.lock();
        state.connecting -= 1;
        // As in Envoy, one failure answers all that wait: most likely they would all meet it.
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        for waiter in waiters {
            if waiter.send(Err(kind)).is_ok() {
                self.handle.stats().upstream_rq_pending_failure_eject.increment(1);
            }
        }
    }

    /// Gives free streams to the requests that have waited longest.
    fn hand_on(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            if state.waiters.is_empty() {
                return;
            }
            let Some(slot) = self.reserve(&mut state) else {
                return self.connect_for_waiters(&mut state);
            };
            let waiter = state.waiters.pop_front();
            // A slot that nobody takes is given back, for which the lock must be free.
            drop(state);
            if let Some(waiter) = waiter {
                drop(waiter.send(Ok(slot)));
            }
        }
    }

    /// A stream has ended.
    fn stream_ended(self: &Arc<Self>, connection: &Connection) {
        let mut state = self.lock();
        if state.draining || connection.is_worn_out() {
            connection.retire();
            state.connections.retain(|other| other.takes_streams());
        }
        let waiting = !state.waiters.is_empty();
        drop(state);
        if waiting {
            self.hand_on();
        }
    }

    fn forget_cancelled(&self) {
        self.lock().waiters.retain(|waiter| !waiter.is_closed());
    }

    /// Lets no further stream begin, so that connections end with their last one.
    pub(crate) fn drain(&self) {
        let mut state = self.lock();
        state.draining = true;
        if state.waiters.is_empty() {
            for connection in state.connections.drain(..) {
                connection.retire();
            }
        }
    }

    /// Closes connections whose time is over.
    pub(crate) fn sweep(&self) {
        self.lock().connections.retain(|connection| {
            let survives = connection.takes_streams() && connection.survives_sweep();
            if !survives {
                connection.retire();
            }
            survives
        });
    }
}

impl Waiting {
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// A stream together with the request that waited for it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Slot, Request<Body>), Kind>> {
        // The pool answers every waiter, unless the runtime that opens connections goes away.
        let answer = ready!(Pin::new(&mut self.receiver).poll(cx)).unwrap_or(Err(Kind::LocalReset));
        self.pending.set_answered();
        Poll::Ready(answer.and_then(|slot| self.request.take().map(|r| (slot, r)).ok_or(Kind::LocalReset)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.pending.is_answered() {
            return;
        }
        self.receiver.close();
        // A stream that came too late is given back as it is dropped.
        drop(self.receiver.try_recv());
        self.pool.forget_cancelled();
    }
}
