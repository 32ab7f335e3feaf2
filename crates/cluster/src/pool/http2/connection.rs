//! One HTTP/2 connection, and the streams that are reserved on it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::client::SendRequest;
use nuncio_config::model::Http2Settings;

use super::Pool;
use crate::{
    error::Kind,
    pool::{ConnectionLife, HostHandle, dial::CountedStream},
};

/// The largest response head, as the codec counts it: names, values, and 32 bytes for each header.
const LARGEST_HEAD: u32 = 72 * 1024;

pub(super) type Driver = h2::client::Connection<CountedStream, Bytes>;

pub(super) struct Connection {
    handle: Arc<HostHandle>,
    /// Gone once no further stream may begin. The codec closes the connection when this is gone and all streams have
    /// ended.
    sender: Mutex<Option<SendRequest<Bytes>>>,
    max_streams: u32,
    /// Streams reserved or under way.
    streams: AtomicU32,
    /// Streams ever begun.
    requests: AtomicU32,
    /// When its last stream ended, by the sweeper's clock.
    idle_since: AtomicU64,
    /// Whether we, and not the host, let it end.
    retired: AtomicBool,
    /// Whether its end has cut off a stream.
    cut_off: AtomicBool,
    life: Mutex<Option<ConnectionLife>>,
}

/// The right to one stream of a connection; given back when dropped.
pub(crate) struct Slot {
    pub(super) pool: Arc<Pool>,
    pub(super) connection: Arc<Connection>,
}

impl Connection {
    pub(super) async fn handshake(
        stream: CountedStream,
        settings: &Http2Settings,
        life: ConnectionLife,
    ) -> Result<(Self, Driver), (Kind, ConnectionLife)> {
        let handshake = h2::client::Builder::new()
            .enable_push(false)
            .max_header_list_size(LARGEST_HEAD)
            .initial_window_size(settings.initial_stream_window_size)
            .initial_connection_window_size(settings.initial_connection_window_size)
            .max_concurrent_streams(settings.max_concurrent_streams)
            .initial_max_send_streams(usize::try_from(settings.max_concurrent_streams).unwrap_or(usize::MAX))
            .handshake(stream)
            .await;
        match handshake {
            Ok((sender, driver)) => {
                let connection = Self {
                    handle: Arc::clone(life.handle()),
                    sender: Mutex::new(Some(sender)),
                    max_streams: settings.max_concurrent_streams,
                    streams: AtomicU32::new(0),
                    requests: AtomicU32::new(0),
                    idle_since: AtomicU64::new(life.handle().context.clock.now()),
                    retired: AtomicBool::new(false),
                    cut_off: AtomicBool::new(false),
                    life: Mutex::new(Some(life)),
                };
                Ok((connection, driver))
            }
            Err(_) => Err((Kind::ConnectionTermination, life)),
        }
    }

    /// Drives the connection to its end.
    pub(super) async fn run(&self, driver: Driver) {
        let result = driver.await;
        // The end tells not whether it came between streams; the requests that were woken by it do.
        tokio::task::yield_now().await;
        // A GOAWAY may have come while nobody asked for a stream.
        self.takes_streams();
        drop(self.sender().take());
        let Some(mut life) = lock(&self.life).take() else { return };
        life.requests = self.requests.load(Ordering::Relaxed);
        life.active = u32::from(self.cut_off.load(Ordering::Relaxed));
        let malformed = result.as_ref().is_err_and(h2::Error::is_library);
        if malformed {
            self.handle.stats().upstream_cx_protocol_error.increment(1);
        }
        life.ended_by_host = !malformed && !self.retired.load(Ordering::Relaxed);
        if let Err(error) = result {
            tracing::debug!(address = %self.handle.host.description.address, %error, "upstream connection ended");
        }
    }

    fn sender(&self) -> MutexGuard<'_, Option<SendRequest<Bytes>>> {
        lock(&self.sender)
    }

    /// Whether another stream may begin, now or when one has ended. Notices the host's GOAWAY.
    pub(super) fn takes_streams(&self) -> bool {
        let mut sender = self.sender();
        let Some(ready) = sender.as_mut() else { return false };
        match ready.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(error)) => {
                if error.is_go_away() && error.is_remote() {
                    self.handle.stats().upstream_cx_close_notify.increment(1);
                    // It is ours to close once its streams have ended.
                    self.retired.store(true, Ordering::Relaxed);
                }
                *sender = None;
                false
            }
            // Pending: a stream waits for another to end, which the count of streams allows for.
            Poll::Ready(Ok(())) | Poll::Pending => true,
        }
    }

    /// The right to a stream, if the limits of both sides leave one.
    pub(super) fn reserve(self: &Arc<Self>, pool: &Arc<Pool>) -> Option<Slot> {
        let theirs = self.sender().as_ref().map_or(0, SendRequest::current_max_send_streams);
        let streams = self.streams.load(Ordering::Relaxed);
        let free =
            streams < self.max_streams && usize::try_from(streams).is_ok_and(|streams| streams < theirs);
        free.then(|| {
            self.streams.fetch_add(1, Ordering::Relaxed);
            Slot { pool: Arc::clone(pool), connection: Arc::clone(self) }
        })
    }

    /// Lets no further stream begin; the connection ends with its last one.
    pub(super) fn retire(&self) {
        if self.sender().take().is_some() {
            self.retired.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it must carry no further request. Asked when a stream has ended.
    pub(super) fn is_worn_out(&self) -> bool {
        self.sender().is_some() && self.ask_life(ConnectionLife::is_worn_out)
    }

    /// Whether it may stay: not idle and not alive for too long.
    pub(super) fn survives_sweep(&self) -> bool {
        let context = &self.handle.context;
        if self.streams.load(Ordering::Relaxed) == 0
            && let Some(timeout) = context.settings.idle_timeout
            && context.clock.has_passed(self.idle_since.load(Ordering::Relaxed), timeout)
        {
            context.stats.upstream_cx_idle_timeout.increment(1);
            return false;
        }
        !self.ask_life(ConnectionLife::is_too_old)
    }

    fn ask_life(&self, question: fn(&ConnectionLife) -> bool) -> bool {
        lock(&self.life).as_mut().is_some_and(|life| {
            life.requests = self.requests.load(Ordering::Relaxed);
            question(life)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves nothing half done in here.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    /// What sends a request on the connection; `None` if it has ended meanwhile.
    pub(super) fn sender(&self) -> Option<SendRequest<Bytes>> {
        let sender = self.connection.sender().clone();
        if sender.is_some() {
            self.connection.requests.fetch_add(1, Ordering::Relaxed);
        }
        sender
    }

    /// The stream has been cut off by the end of the connection.
    pub(super) fn cut_off(&self) {
        self.connection.cut_off.store(true, Ordering::Relaxed);
    }

    pub(crate) fn handle(&self) -> &Arc<HostHandle> {
        &self.connection.handle
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let connection = &self.connection;
        if connection.streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            connection.idle_since.store(connection.handle.context.clock.now(), Ordering::Relaxed);
        }
        self.pool.stream_ended(connection);
    }
}
