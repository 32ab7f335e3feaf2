//! A connection as the connection manager counts it: from the moment at which the listener accepts it, before any
//! handshake, to its end.

use std::{fmt, sync::Arc, time::Instant};

use crate::stats::{HttpStats, whole_ms};

/// Counts a connection while it lives, and its end when it is dropped: as closed from here, unless it is told
/// otherwise.
pub struct Accepted {
    stats: Arc<HttpStats>,
    tls: bool,
    since: Instant,
    closed_by_client: bool,
    with_requests: bool,
}

impl Accepted {
    pub(crate) fn new(stats: Arc<HttpStats>, tls: bool) -> Self {
        stats.downstream_cx_total.increment(1);
        stats.downstream_cx_active.increment(1);
        if tls {
            stats.downstream_cx_ssl_total.increment(1);
            stats.downstream_cx_ssl_active.increment(1);
        }
        Self { stats, tls, since: Instant::now(), closed_by_client: false, with_requests: false }
    }

    /// The client has closed it, or has sent something that is no handshake, which Envoy counts alike.
    pub fn set_closed_by_client(&mut self) {
        self.closed_by_client = true;
    }

    /// Requests were under way when it ended.
    pub(crate) fn set_with_requests(&mut self) {
        self.with_requests = true;
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        let stats = &self.stats;
        stats.downstream_cx_active.decrement(1);
        if self.tls {
            stats.downstream_cx_ssl_active.decrement(1);
        }
        stats.downstream_cx_destroy.increment(1);
        let (all, with_requests) = if self.closed_by_client {
            (&stats.downstream_cx_destroy_remote, &stats.downstream_cx_destroy_remote_active_rq)
        } else {
            (&stats.downstream_cx_destroy_local, &stats.downstream_cx_destroy_local_active_rq)
        };
        all.increment(1);
        if self.with_requests {
            stats.downstream_cx_destroy_active_rq.increment(1);
            with_requests.increment(1);
        }
        stats.downstream_cx_length_ms.record(whole_ms(self.since.elapsed()));
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("tls", &self.tls).finish_non_exhaustive()
    }
}
