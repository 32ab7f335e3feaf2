//! What the parts of one downstream connection share: its socket, its codec's service and its timer.
//!
//! All of it belongs to one worker. The lock and the atomics are never contended; they are there so that a
//! connection may also run on a runtime that moves tasks.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderValue;
use nuncio_service::Drain;

use super::{
    clock::ResponseClock,
    log::RefusalLog,
    refusal::{self, Refusal},
};
use crate::stats::HttpStats;

/// How long a stream lives that was not begun only to be reset, and from how many streams on that counts. Envoy's
/// `overload.premature_reset_*`.
const LEAST_LIFETIME: Duration = Duration::from_secs(1);
const MANY_STREAMS: u32 = 500;

/// How much of a head is kept to say what was wrong with it, beyond the limit on heads.
const HEAD_SLACK: usize = 1024;

/// The part of a connection that several of its parts look at.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    stats: Arc<HttpStats>,
    server_name: HeaderValue,
    head_limit: usize,
    log: RefusalLog,
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
    /// The bytes of the head that is being read.
    head: Mutex<Vec<u8>>,
    last_read: AtomicU64,
    /// Milliseconds from `created` to the moment since which the socket has taken nothing; `u64::MAX` if it takes what
    /// it is given.
    write_blocked: AtomicU64,
    /// That of the HTTP/1 response under way.
    response: ResponseClock,
    /// That of the HTTP/2 stream whose task is to be started next.
    next_clock: Mutex<Option<Arc<ResponseClock>>>,
    remote_closed: AtomicBool,
    ended_with_streams: AtomicBool,
    /// Whether bytes that the client sent may be left unread when the connection ends.
    unread: AtomicBool,
    /// Whether the codec may hold bytes of a body that it has not written yet.
    body_held: AtomicBool,
    /// Whether the next response is the refusal of a request that is not HTTP/1.1.
    low_version: AtomicBool,
}

impl ConnectionState {
    pub(crate) fn new(
        stats: Arc<HttpStats>,
        server_name: HeaderValue,
        head_limit: usize,
        log: RefusalLog,
        drain: Drain,
    ) -> Self {
        Self {
            stats,
            server_name,
            head_limit,
            log,
            drain,
            created: Instant::now(),
            active: AtomicU32::new(0),
            total: AtomicU32::new(0),
            premature_resets: AtomicU32::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(u64::MAX),
            head: Mutex::default(),
            last_read: AtomicU64::new(0),
            write_blocked: AtomicU64::new(u64::MAX),
            response: ResponseClock::default(),
            next_clock: Mutex::default(),
            remote_closed: AtomicBool::new(false),
            ended_with_streams: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            body_held: AtomicBool::new(false),
            low_version: AtomicBool::new(false),
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

    /// The clock of the HTTP/1 response under way.
    pub(crate) fn response(&self) -> &ResponseClock {
        &self.response
    }

    /// A clock for an HTTP/2 stream, which its task will find by [`take_clock`](Self::take_clock).
    pub(crate) fn make_clock(&self) -> Arc<ResponseClock> {
        let clock = Arc::new(ResponseClock::default());
        *self.next_clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&clock));
        clock
    }

    pub(crate) fn take_clock(&self) -> Option<Arc<ResponseClock>> {
        self.next_clock.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Notes whether the socket took what it was given.
    pub(crate) fn wrote<T>(&self, result: &Poll<T>) {
        let blocked = self.write_blocked.load(Ordering::Relaxed) != u64::MAX;
        match result {
            Poll::Ready(_) if blocked => self.write_blocked.store(u64::MAX, Ordering::Relaxed),
            Poll::Pending if !blocked => {
                self.write_blocked.store(self.ms(Instant::now()), Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// When the socket must have taken something of what it was given, if it may leave it for `timeout`.
    pub(crate) fn write_deadline(&self, timeout: Option<Duration>) -> Option<Instant> {
        match self.write_blocked.load(Ordering::Relaxed) {
            u64::MAX => None,
            ms => Some(self.moment(ms) + timeout?),
        }
    }

    /// Keeps bytes that were read between two requests: they begin a head.
    pub(crate) fn head_bytes(&self, bytes: &[u8]) {
        if self.active_streams() > 0 || bytes.is_empty() {
            return;
        }
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if head.is_empty() {
            self.head_since.store(self.ms(Instant::now()), Ordering::Relaxed);
        }
        let room = (self.head_limit + HEAD_SLACK).saturating_sub(head.len()).min(bytes.len());
        head.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    /// Notes that a stream begins.
    pub(crate) fn begin_stream(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a head is complete, and says what is wrong with it that the codec does not see.
    pub(crate) fn take_head(&self, check_framing: bool) -> Option<Refusal> {
        self.head_since.store(u64::MAX, Ordering::Relaxed);
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let refusal = if head.len() > self.head_limit && refusal::is_longer(&head, self.head_limit) {
            // The codec looks at its buffer's length only when a head is not complete.
            Some(refusal::TOO_LARGE)
        } else if check_framing && refusal::has_both_framings(&head) {
            Some(refusal::BOTH_FRAMINGS)
        } else {
            None
        };
        head.clear();
        if head.capacity() > 4096 {
            head.shrink_to(1024);
        }
        refusal
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

    /// Notes that the codec was given bytes of a body. They may read like anything.
    pub(crate) fn hold_body(&self) {
        self.body_held.store(true, Ordering::Relaxed);
    }

    /// Notes that the codec has written all that it was given.
    pub(crate) fn all_written(&self) {
        if self.body_held.load(Ordering::Relaxed) {
            self.body_held.store(false, Ordering::Relaxed);
        }
    }

    /// Whether what the codec writes can hold bytes of a body.
    pub(crate) fn may_write_body(&self) -> bool {
        self.body_held.load(Ordering::Relaxed)
    }

    /// Notes that the response to come refuses a request that is not HTTP/1.1.
    pub(crate) fn refuse_low_version(&self) {
        self.low_version.store(true, Ordering::Relaxed);
    }

    /// Whether that was noted; once.
    pub(crate) fn take_low_version(&self) -> bool {
        self.low_version.load(Ordering::Relaxed) && self.low_version.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn active_streams(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    pub(crate) fn total_streams(&self) -> u32 {
        self.total.load(Ordering::Relaxed)
    }

    /// How long the connection has had no stream at `now`, if it has none and no head has begun.
    pub(crate) fn idle_for(&self, now: Instant) -> Option<Duration> {
        let idle = self.active_streams() == 0 && self.head_since.load(Ordering::Relaxed) == u64::MAX;
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

    /// The reply for what the codec refused with `status`. Counts and logs it.
    pub(crate) fn refuse(&self, status: u16) -> Bytes {
        let refusal = {
            let head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
            refusal::classify(status, &head, self.head_limit)
        };
        self.stats.downstream_rq_total.increment(1);
        self.stats.downstream_rq_http1_total.increment(1);
        self.stats.downstream_rq_rx_reset.increment(1);
        self.stats.downstream_rq_response_before_rq_complete.increment(1);
        self.stats.charge_status(refusal.status);
        self.count_refusal();
        self.log.write(refusal);
        refusal::reply(refusal, &self.server_name)
    }

    /// The reply to a request that is not HTTP/1.1, which has been counted.
    pub(crate) fn low_version_reply(&self) -> Bytes {
        refusal::reply(refusal::LOW_VERSION, &self.server_name)
    }

    /// Counts a request that the codec refused, and has the connection closed gently.
    pub(crate) fn count_refusal(&self) {
        self.leave_unread();
        self.stats.downstream_cx_protocol_error.increment(1);
    }
}
