//! What the parts of one downstream connection share: its socket, its codec's service and its timer.
//!
//! All of it belongs to one worker. The lock and the atomics are never contended; they are there so that a
//! connection may also run on a runtime that moves tasks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nuncio_service::Drain;

use crate::stats::HttpStats;

/// How long a stream lives that was not begun only to be reset, and from how many streams on that counts. Envoy's
/// `overload.premature_reset_*`.
const LEAST_LIFETIME: Duration = Duration::from_secs(1);
const MANY_STREAMS: u32 = 500;

/// The part of a connection that several of its parts look at.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    stats: Arc<HttpStats>,
    drain: Drain,
    created: Instant,
    /// Requests whose response has not ended.
    active: AtomicU32,
    /// All requests so far.
    total: AtomicU32,
    /// Streams that the client reset soon after it had begun them.
    premature_resets: AtomicU32,
    /// Milliseconds from `created` to the end of the last request.
    idle_since: AtomicU64,
    /// Milliseconds from `created` to the first byte of a head that is not complete; `u64::MAX` if there is none.
    head_since: AtomicU64,
    last_read: AtomicU64,
    /// Milliseconds from `created` to the moment until which the client must have taken something of what it was sent;
    /// `u64::MAX` if it takes what it is given.
    write_due: AtomicU64,
    remote_closed: AtomicBool,
    ended_with_streams: AtomicBool,
    /// Whether bytes that the client sent may be left unread when the connection ends.
    unread: AtomicBool,
    /// Whether the rest of a response whose stream has ended waits for the client.
    tail: AtomicBool,
    /// Whether health checks fail, so that the client should go elsewhere.
    advised_to_end: AtomicBool,
}

impl ConnectionState {
    pub(crate) fn new(stats: Arc<HttpStats>, drain: Drain) -> Self {
        Self {
            stats,
            drain,
            created: Instant::now(),
            active: AtomicU32::new(0),
            total: AtomicU32::new(0),
            premature_resets: AtomicU32::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(u64::MAX),
            last_read: AtomicU64::new(0),
            write_due: AtomicU64::new(u64::MAX),
            remote_closed: AtomicBool::new(false),
            ended_with_streams: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            tail: AtomicBool::new(false),
            advised_to_end: AtomicBool::new(false),
        }
    }

    pub(crate) fn stats(&self) -> &Arc<HttpStats> {
        &self.stats
    }

    /// Counts bytes that were read. The gauge `downstream_cx_rx_bytes_buffered` holds, as Envoy's does, the size of
    /// each connection's last read; zero takes the connection's share away.
    pub(crate) fn read_bytes(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.stats.downstream_cx_rx_bytes_total.increment(bytes);
        let before = self.last_read.swap(bytes, Ordering::Relaxed);
        if before != bytes {
            self.stats.downstream_cx_rx_bytes_buffered.increment(bytes as f64 - before as f64);
        }
    }

    pub(crate) fn created(&self) -> Instant {
        self.created
    }

    /// A moment as milliseconds of the connection's life.
    pub(crate) fn ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.created).as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// The moment so many milliseconds into the connection's life.
    pub(crate) fn moment(&self, ms: u64) -> Instant {
        self.created + Duration::from_millis(ms)
    }

    /// Notes until when the client must have taken something of what it was sent; `None`: it takes what it is given.
    pub(crate) fn wait_for_client(&self, due: Option<Instant>) {
        // Not a part of a millisecond too early: who looks then would find that it is not due.
        self.write_due.store(due.map_or(u64::MAX, |due| self.ms(due) + 1), Ordering::Relaxed);
    }

    /// When the client must have taken something of what it was sent, if it takes nothing.
    pub(crate) fn write_due(&self) -> Option<Instant> {
        match self.write_due.load(Ordering::Relaxed) {
            u64::MAX => None,
            ms => Some(self.moment(ms)),
        }
    }

    /// Notes that the rest of a response whose stream has ended waits for the client.
    pub(crate) fn begin_tail(&self) {
        self.tail.store(true, Ordering::Relaxed);
    }

    /// Notes that all of the response has been written.
    pub(crate) fn end_tail(&self) {
        if self.tail.load(Ordering::Relaxed) {
            self.tail.store(false, Ordering::Relaxed);
            self.idle_since.store(self.ms(Instant::now()), Ordering::Relaxed);
        }
    }

    /// Notes that the connection is to end as health checks say, after what runs.
    pub(crate) fn advise_to_end(&self) {
        self.advised_to_end.store(true, Ordering::Relaxed);
    }

    /// Whether that was noted.
    pub(crate) fn is_advised_to_end(&self) -> bool {
        self.advised_to_end.load(Ordering::Relaxed)
    }

    /// Notes that a head has begun and is not complete.
    pub(crate) fn begin_head(&self) {
        if self.head_since.load(Ordering::Relaxed) == u64::MAX {
            self.head_since.store(self.ms(Instant::now()), Ordering::Relaxed);
        }
    }

    /// Notes that the head that has begun is not waited for any more.
    pub(crate) fn forget_head(&self) {
        self.head_since.store(u64::MAX, Ordering::Relaxed);
    }

    /// Notes that a stream begins.
    pub(crate) fn begin_stream(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(u64::MAX, Ordering::Relaxed);
    }

    /// Notes that a stream has ended at `now`.
    pub(crate) fn end_stream(&self, now: Instant) {
        self.idle_since.store(self.ms(now), Ordering::Relaxed);
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that the client reset a stream.
    pub(crate) fn count_reset(&self, lifetime: Duration) {
        if lifetime < LEAST_LIFETIME {
            self.premature_resets.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether most streams were begun only to be reset, which costs the client next to nothing and us, and the
    /// upstream, a request each (CVE-2023-44487).
    pub(crate) fn has_many_resets(&self) -> bool {
        let resets = self.premature_resets.load(Ordering::Relaxed);
        resets > MANY_STREAMS / 2 && {
            let total = self.total_streams();
            total >= MANY_STREAMS && resets > total / 2
        }
    }

    /// Notes that a stream ended before its request did.
    pub(crate) fn leave_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    pub(crate) fn remote_closed(&self) {
        self.remote_closed.store(true, Ordering::Relaxed);
        self.ended();
    }

    /// Notes that nothing more will come of the streams that there are. Only then are they dropped.
    pub(crate) fn ended(&self) {
        if self.active_streams() > 0 {
            self.ended_with_streams.store(true, Ordering::Relaxed);
        }
    }

    /// Whether there were streams when the connection ended.
    pub(crate) fn ended_with_streams(&self) -> bool {
        self.ended_with_streams.load(Ordering::Relaxed)
    }

    pub(crate) fn is_remote_closed(&self) -> bool {
        self.remote_closed.load(Ordering::Relaxed)
    }

    pub(crate) fn has_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    pub(crate) fn active_streams(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    pub(crate) fn total_streams(&self) -> u32 {
        self.total.load(Ordering::Relaxed)
    }

    /// How long the connection has had no stream at `now`, if it has none, no head has begun, and all is written.
    pub(crate) fn idle_for(&self, now: Instant) -> Option<Duration> {
        let idle = self.active_streams() == 0
            && self.head_since.load(Ordering::Relaxed) == u64::MAX
            && !self.tail.load(Ordering::Relaxed);
        idle.then(|| now.saturating_duration_since(self.idle_since()))
    }

    /// When the last request ended, or the connection began.
    pub(crate) fn idle_since(&self) -> Instant {
        self.created + Duration::from_millis(self.idle_since.load(Ordering::Relaxed))
    }

    /// Whether the worker is draining.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_draining()
    }

    /// When the head that is being read began.
    pub(crate) fn head_started(&self) -> Option<Instant> {
        match self.head_since.load(Ordering::Relaxed) {
            u64::MAX => None,
            ms => Some(self.created + Duration::from_millis(ms)),
        }
    }
}
