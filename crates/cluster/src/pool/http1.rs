//! HTTP/1.1 connections to one host. Each carries one request at a time and is driven by the task of that request;
//! between requests it lies here, last in, first out, so that few connections stay warm and the others time out.

mod body;
mod connection;
mod exchange;
mod interim;
mod message;
mod signal;

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use http::Request;
use nuncio_service::Body;
use tokio::sync::oneshot;

use self::connection::Connection;
pub(crate) use self::exchange::{Exchange, Outcome};
use super::{ConnectionLife, HostHandle, PendingRequest, dial::dial};
use crate::error::Kind;

/// The connections to one host.
pub(crate) struct Pool {
    handle: Arc<HostHandle>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    #[expect(clippy::vec_box, reason = "a connection is large, and moves in and out with each request")]
    idle: Vec<Box<Connection>>,
    waiters: VecDeque<oneshot::Sender<Result<Lease, Kind>>>,
    /// Connections that are being opened.
    connecting: usize,
    /// Connections that are open, idle or not.
    open: usize,
    /// Whether the host has left the cluster, so that connections end with their requests.
    draining: bool,
}

/// A connection taken from its pool. Dropping it closes the connection.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    connection: Option<Box<Connection>>,
}

/// A request that waits for a connection: the first to be opened or to become idle.
pub(crate) struct Waiting {
    receiver: oneshot::Receiver<Result<Lease, Kind>>,
    pool: Arc<Pool>,
    pending: PendingRequest,
    request: Option<Request<Body>>,
}

impl Pool {
    pub(crate) fn new(handle: Arc<HostHandle>) -> Arc<Self> {
        Arc::new(Self { handle, state: Mutex::default() })
    }

    pub(crate) fn handle(&self) -> &Arc<HostHandle> {
        &self.handle
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves nothing half done in here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection.
    pub(crate) fn take_idle(self: &Arc<Self>) -> Option<Lease> {
        loop {
            let connection = self.lock().idle.pop()?;
            let mut lease = Lease { pool: Arc::clone(self), connection: Some(connection) };
            if lease.connection.as_mut().is_some_and(|connection| connection.is_usable()) {
                return Some(lease);
            }
        }
    }

    /// A place in the queue for a connection; fails where the queue is full.
    pub(crate) fn wait(self: &Arc<Self>, request: Request<Body>) -> Result<Box<Waiting>, Kind> {
        let pending = PendingRequest::begin(&self.handle).ok_or(Kind::Overflow)?;
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        state.waiters.push_back(sender);
        self.connect_for_waiters(&mut state);
        drop(state);
        Ok(Box::new(Waiting { receiver, pool: Arc::clone(self), pending, request: Some(request) }))
    }

    /// Opens as many connections as requests wait for, as far as the circuit breaker allows. The first connection to
    /// a host is always allowed, so that a host cannot starve behind others of its cluster.
    fn connect_for_waiters(self: &Arc<Self>, state: &mut State) {
        let context = &self.handle.context;
        while state.waiters.len() > state.connecting {
            if !context.breakers.connections.try_acquire(context.worker) {
                context.stats.upstream_cx_overflow.increment(1);
                if state.open + state.connecting > 0 {
                    return;
                }
                context.breakers.connections.acquire_over_limit(context.worker);
            }
            state.connecting += 1;
            context.stats.upstream_cx_http1_total.increment(1);
            tokio::spawn(Arc::clone(self).connect(ConnectionLife::begin(&self.handle)));
        }
    }

    /// Runs as its own task, so that a connection is opened even if the request that needed it goes away.
    async fn connect(self: Arc<Self>, mut life: ConnectionLife) {
        let connection = match dial(&mut life).await {
            Ok(stream) => Connection::handshake(stream, life).await,
            Err(kind) => Err((kind, life)),
        };
        match connection {
            Ok(connection) => {
                let mut state = self.lock();
                state.connecting -= 1;
                state.open += 1;
                drop(state);
                self.hand_on(Box::new(connection));
            }
            Err((kind, life)) => {
                drop(life);
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
        }
    }

    /// Gives a connection to the request that has waited longest, or lays it up.
    fn hand_on(self: &Arc<Self>, connection: Box<Connection>) {
        let mut lease = Lease { pool: Arc::clone(self), connection: Some(connection) };
        let mut state = self.lock();
        while let Some(waiter) = state.waiters.pop_front() {
            match waiter.send(Ok(lease)) {
                Ok(()) | Err(Err(_)) => return,
                Err(Ok(refused)) => lease = refused,
            }
        }
        if !state.draining {
            state.idle.extend(lease.connection.take());
        }
        // The lease may still hold the connection, and then takes the lock to close it.
        drop(state);
        drop(lease);
    }

    fn closed(self: &Arc<Self>) {
        let mut state = self.lock();
        state.open -= 1;
        self.connect_for_waiters(&mut state);
    }

    /// Forgets the requests that no longer wait.
    fn forget_cancelled(&self) {
        self.lock().waiters.retain(|waiter| !waiter.is_closed());
    }

    /// Closes idle connections, now and from now on.
    pub(crate) fn drain(&self) {
        let mut state = self.lock();
        state.draining = true;
        let idle = std::mem::take(&mut state.idle);
        state.open -= idle.len();
        drop(state);
        drop(idle);
    }

    /// Closes idle connections whose time is over or whose host has closed them.
    pub(crate) fn sweep(&self) {
        let mut state = self.lock();
        let ended: Vec<_> = state.idle.extract_if(.., |connection| !connection.survives_sweep()).collect();
        state.open -= ended.len();
        drop(state);
        drop(ended);
    }
}

impl Lease {
    pub(crate) fn handle(&self) -> &Arc<HostHandle> {
        &self.pool.handle
    }

    fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_deref_mut()
    }

    /// Moves the connection to another owner.
    fn take(&mut self) -> Self {
        Self { pool: Arc::clone(&self.pool), connection: self.connection.take() }
    }

    /// Gives the connection back for the next request, if it can carry one.
    fn give_back(mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if connection.lay_up() {
            self.pool.hand_on(connection);
        } else {
            drop(connection);
            self.pool.closed();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection);
            self.pool.closed();
        }
    }
}

impl Waiting {
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// A connection together with the request that waited for it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Lease, Request<Body>), Kind>> {
        // The pool answers every waiter, unless the runtime that opens connections goes away.
        let answer = ready!(Pin::new(&mut self.receiver).poll(cx)).unwrap_or(Err(Kind::LocalReset));
        self.pending.set_answered();
        Poll::Ready(answer.and_then(|lease| self.request.take().map(|r| (lease, r)).ok_or(Kind::LocalReset)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.pending.is_answered() {
            return;
        }
        // A connection that came too late for this request is still good for the next.
        self.receiver.close();
        match self.receiver.try_recv() {
            Ok(Ok(lease)) => lease.give_back(),
            _ => self.pool.forget_cancelled(),
        }
    }
}
