//! Connection pools, one per host and worker, and what pools of both protocols share: the guards that count
//! connections and requests for as long as they live.

pub(crate) mod dial;
pub(crate) mod http1;
pub(crate) mod http2;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_utils::CachePadded;
use nuncio_config::model;

use crate::{
    breaker::Breakers,
    host::{Host, HostCell},
    stats::TrafficStats,
};

/// The most interim responses before a response. Nobody needs as many; without a limit a host that sends nothing else
/// would hold its request, and be read, until the request's time is over.
pub(crate) const MOST_INTERIM: u32 = 100;

/// What all pools of a cluster on one worker share.
pub(crate) struct ClusterContext {
    pub(crate) settings: Arc<model::Cluster>,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) worker: usize,
    pub(crate) stats: TrafficStats,
    /// Whether hosts are chosen by their number of active requests.
    pub(crate) counts_active: bool,
    pub(crate) clock: SweepClock,
}

/// The time in steps of the sweeper, so that returning a connection to its pool reads no clock.
pub(crate) struct SweepClock {
    /// Milliseconds since the worker began, as of the last sweep.
    now: AtomicU64,
    step: Duration,
}

impl SweepClock {
    pub(crate) fn new(step: Duration) -> Self {
        Self { now: AtomicU64::new(0), step }
    }

    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn advance(&self, since_start: Duration) {
        self.now.store(u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether a timeout has surely passed since a moment that was read from this clock. The moment may lie one step
    /// before the event that it stands for.
    pub(crate) fn has_passed(&self, since: u64, timeout: Duration) -> bool {
        Duration::from_millis(self.now().saturating_sub(since)) >= timeout + self.step
    }
}

/// A host as one worker sees it.
pub(crate) struct HostHandle {
    pub(crate) host: Arc<Host>,
    pub(crate) cell: Arc<CachePadded<HostCell>>,
    pub(crate) context: Arc<ClusterContext>,
}

impl HostHandle {
    pub(crate) fn stats(&self) -> &TrafficStats {
        &self.context.stats
    }
}

/// Counts a request as active for as long as it lives: from the moment it has a connection to the response's end.
pub(crate) struct ActiveRequest(Arc<HostHandle>);

impl ActiveRequest {
    /// `None` where the circuit breaker for requests is open.
    pub(crate) fn begin(handle: &Arc<HostHandle>) -> Option<Self> {
        let context = &handle.context;
        if !context.breakers.requests.try_acquire(context.worker) {
            context.stats.upstream_rq_active_overflow.increment(1);
            return None;
        }
        context.stats.upstream_rq_total.increment(1);
        context.stats.upstream_rq_active.increment(1.0);
        handle.cell.rq_total.add();
        handle.cell.rq_active.add();
        if context.counts_active {
            handle.host.active.fetch_add(1, Ordering::Relaxed);
        }
        Some(Self(Arc::clone(handle)))
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let context = &self.0.context;
        context.breakers.requests.release(context.worker);
        context.stats.upstream_rq_active.decrement(1.0);
        self.0.cell.rq_active.remove();
        if context.counts_active {
            self.0.host.active.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Counts a request as pending for as long as it lives: while it waits for a connection.
pub(crate) struct PendingRequest {
    handle: Arc<HostHandle>,
    answered: bool,
}

impl PendingRequest {
    /// `None` where the circuit breaker for pending requests is open.
    pub(crate) fn begin(handle: &Arc<HostHandle>) -> Option<Self> {
        let context = &handle.context;
        if !context.breakers.pending_requests.try_acquire(context.worker) {
            context.stats.upstream_rq_pending_overflow.increment(1);
            return None;
        }
        context.stats.upstream_rq_pending_total.increment(1);
        context.stats.upstream_rq_pending_active.increment(1.0);
        handle.cell.rq_pending_active.add();
        Some(Self { handle: Arc::clone(handle), answered: false })
    }

    /// It has got a connection, or none can be had; if it is dropped before, it was cancelled.
    pub(crate) fn set_answered(&mut self) {
        self.answered = true;
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.answered
    }
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        let context = &self.handle.context;
        context.breakers.pending_requests.release(context.worker);
        context.stats.upstream_rq_pending_active.decrement(1.0);
        self.handle.cell.rq_pending_active.remove();
        if !self.answered {
            context.stats.upstream_rq_cancelled.increment(1);
        }
    }
}

/// Counts a connection as active for as long as it lives, from the first packet on, and its end by the reason.
pub(crate) struct ConnectionLife {
    handle: Arc<HostHandle>,
    opened: Instant,
    connected: bool,
    /// Requests that it has carried.
    pub(crate) requests: u32,
    /// Requests that it carries.
    pub(crate) active: u32,
    /// Whether the host ended it.
    pub(crate) ended_by_host: bool,
}

impl ConnectionLife {
    /// The circuit breaker for connections has been acquired by the caller.
    pub(crate) fn begin(handle: &Arc<HostHandle>) -> Self {
        let stats = handle.stats();
        handle.context.breakers.mark_used();
        stats.upstream_cx_total.increment(1);
        stats.upstream_cx_active.increment(1.0);
        handle.cell.cx_total.add();
        handle.cell.cx_active.add();
        Self {
            handle: Arc::clone(handle),
            opened: Instant::now(),
            connected: false,
            requests: 0,
            active: 0,
            ended_by_host: false,
        }
    }

    pub(crate) fn handle(&self) -> &Arc<HostHandle> {
        &self.handle
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 285,000 years")]
    fn age_ms(&self) -> f64 {
        self.opened.elapsed().as_millis() as f64
    }

    pub(crate) fn connected(&mut self) {
        self.connected = true;
        self.handle.stats().upstream_cx_connect_ms.record(self.age_ms());
    }

    /// Whether the connection must carry no further request, by its age or by what it has carried. Counts the
    /// reason, so it is to be asked once, when a request has ended.
    pub(crate) fn is_worn_out(&self) -> bool {
        let settings = &self.handle.context.settings;
        if settings.max_requests_per_connection.is_some_and(|max| max > 0 && self.requests >= max) {
            self.handle.stats().upstream_cx_max_requests.increment(1);
            return true;
        }
        self.is_too_old()
    }

    pub(crate) fn is_too_old(&self) -> bool {
        let settings = &self.handle.context.settings;
        let too_old = settings.max_connection_duration.is_some_and(|max| self.opened.elapsed() >= max);
        if too_old {
            self.handle.stats().upstream_cx_max_duration_reached.increment(1);
        }
        too_old
    }
}

impl Drop for ConnectionLife {
    fn drop(&mut self) {
        let context = &self.handle.context;
        let stats = &context.stats;
        context.breakers.connections.release(context.worker);
        stats.upstream_cx_active.decrement(1.0);
        self.handle.cell.cx_active.remove();
        stats.upstream_cx_destroy.increment(1);
        let (by, by_with_active) = if self.ended_by_host {
            (&stats.upstream_cx_destroy_remote, &stats.upstream_cx_destroy_remote_with_active_rq)
        } else {
            (&stats.upstream_cx_destroy_local, &stats.upstream_cx_destroy_local_with_active_rq)
        };
        by.increment(1);
        if self.active > 0 {
            stats.upstream_cx_destroy_with_active_rq.increment(1);
            by_with_active.increment(1);
        }
        // How long it took to fail counts as a length, too.
        stats.upstream_cx_length_ms.record(self.age_ms());
        if self.connected {
            stats.upstream_rq_per_cx.record(f64::from(self.requests));
        }
    }
}
