//! Circuit breakers: limits over all workers that cost a request nothing while the cluster is far from them.
//!
//! Each worker counts in a cell of its own. As long as every worker is below its even share of the limit, the sum
//! is below the limit, so nobody adds up; only when one reaches its share do all read the others' cells.
//!
//! Two workers that come at the same instant may take a limit over by one each, as they may in Envoy.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use crossbeam_utils::CachePadded;
use metrics::Gauge;
use nuncio_config::model::Thresholds;
use nuncio_stats::{Registry, Scope, Shard};

/// The circuit breakers of one cluster, for requests of default priority.
pub(crate) struct Breakers {
    pub(crate) connections: Limit,
    pub(crate) pending_requests: Limit,
    pub(crate) requests: Limit,
    /// Envoy also limits the number of pools, which no supported configuration does: never open.
    pools_open: Gauge,
}

impl Breakers {
    pub(crate) fn new(thresholds: &Thresholds, registry: &Registry, scope: &str) -> Arc<Self> {
        let workers = registry.workers().max(1);
        let scope =
            registry.scope(Shard::MAIN, "cluster").scope(scope).scope("circuit_breakers").scope("default");
        let limit = |limit, gauge| Limit::new(limit, workers, &scope, gauge);
        Arc::new(Self {
            connections: limit(thresholds.max_connections, "cx_open"),
            pending_requests: limit(thresholds.max_pending_requests, "rq_pending_open"),
            requests: limit(thresholds.max_requests, "rq_open"),
            pools_open: scope.gauge("cx_pool_open"),
        })
    }

    /// Makes the gauges "used" in the sense of `/stats?usedonly`, as the first connection does in Envoy.
    pub(crate) fn mark_used(&self) {
        for gauge in
            [&self.connections.gauge, &self.pending_requests.gauge, &self.requests.gauge, &self.pools_open]
        {
            gauge.increment(0.0);
        }
    }
}

/// One limit.
pub(crate) struct Limit {
    limit: u32,
    /// As long as every worker holds fewer than this, the sum is below the limit.
    share: u32,
    cells: Box<[CachePadded<AtomicU32>]>,
    /// How many workers hold their share or more. Written rarely, so reading it costs nothing.
    crowded: CachePadded<AtomicU32>,
    open: AtomicBool,
    gauge: Gauge,
}

impl Limit {
    fn new(limit: u32, workers: usize, scope: &Scope, gauge: &str) -> Self {
        Self {
            limit,
            share: limit / u32::try_from(workers).unwrap_or(u32::MAX),
            cells: (0..workers).map(|_| CachePadded::new(AtomicU32::new(0))).collect(),
            crowded: CachePadded::default(),
            open: AtomicBool::new(false),
            gauge: scope.gauge(gauge),
        }
    }

    fn cell(&self, worker: usize) -> Option<&AtomicU32> {
        // More workers than announced share cells: slower, not wrong.
        self.cells.get(worker % self.cells.len()).map(|cell| &**cell)
    }

    fn sum(&self) -> u64 {
        self.cells.iter().map(|cell| u64::from(cell.load(Ordering::Relaxed))).sum()
    }

    fn add(&self, cell: &AtomicU32) -> u32 {
        let now = cell.fetch_add(1, Ordering::Relaxed) + 1;
        if now == self.share {
            self.crowded.fetch_add(1, Ordering::Relaxed);
        }
        now
    }

    fn subtract(&self, cell: &AtomicU32) {
        if cell.fetch_sub(1, Ordering::Relaxed) == self.share {
            self.crowded.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes one if the limit allows it.
    pub(crate) fn try_acquire(&self, worker: usize) -> bool {
        let Some(cell) = self.cell(worker) else { return false };
        if self.add(cell) < self.share && self.crowded.load(Ordering::Relaxed) == 0 {
            return true;
        }
        let sum = self.sum();
        if sum > u64::from(self.limit) {
            // As in Envoy, what is refused opens nothing: where the limit is reached, the last that came did.
            self.subtract(cell);
            return false;
        }
        if sum == u64::from(self.limit) {
            self.set_open(true);
        }
        true
    }

    /// Takes one even where the limit does not allow it: the first connection to a host.
    pub(crate) fn acquire_over_limit(&self, worker: usize) {
        if let Some(cell) = self.cell(worker) {
            self.add(cell);
            if self.sum() >= u64::from(self.limit) {
                self.set_open(true);
            }
        }
    }

    pub(crate) fn release(&self, worker: usize) {
        if let Some(cell) = self.cell(worker) {
            self.subtract(cell);
        }
        if self.open.load(Ordering::Relaxed) && self.sum() < u64::from(self.limit) {
            self.set_open(false);
        }
    }

    fn set_open(&self, open: bool) {
        // The one who turns the flag moves the gauge, so that it stays 0 or 1 whoever comes together.
        if self.open.swap(open, Ordering::Relaxed) != open {
            if open { self.gauge.increment(1.0) } else { self.gauge.decrement(1.0) }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn breakers(limit: u32, workers: usize) -> (Registry, Arc<Breakers>) {
        let registry = Registry::new(workers);
        let thresholds = Thresholds { max_requests: limit, ..Thresholds::default() };
        let breakers = Breakers::new(&thresholds, &registry, "a");
        (registry, breakers)
    }

    #[test]
    fn the_gauge_is_open_exactly_while_the_limit_is_reached() {
        let (registry, breakers) = breakers(2, 1);
        let open = || registry.gauge_value("cluster.a.circuit_breakers.default.rq_open");
        assert!(breakers.requests.try_acquire(0));
        assert_eq!(open(), Some(0));
        assert!(breakers.requests.try_acquire(0));
        assert_eq!(open(), Some(1));
        assert!(!breakers.requests.try_acquire(0));
        assert_eq!(open(), Some(1));
        breakers.requests.release(0);
        assert_eq!(open(), Some(0));
    }

    #[test]
    fn a_limit_of_zero_lets_nothing_through() {
        let (registry, breakers) = breakers(0, 3);
        assert!(!breakers.requests.try_acquire(1));
        assert_eq!(registry.gauge_value("cluster.a.circuit_breakers.default.rq_open"), Some(0));
    }

    proptest! {
        /// Whatever the workers do, the limit holds over all of them, and one worker alone may use all of it.
        #[test]
        fn the_limit_holds_over_all_workers(
            limit in 0_u32..20,
            workers in 1_usize..5,
            steps in prop::collection::vec((0_usize..5, any::<bool>()), 0..200),
        ) {
            let (_, breakers) = breakers(limit, workers);
            let mut held = vec![0_u32; workers];
            for (worker, acquire) in steps {
                let worker = worker % workers;
                if acquire {
                    let before: u32 = held.iter().sum();
                    let taken = breakers.requests.try_acquire(worker);
                    prop_assert_eq!(taken, before < limit);
                    held[worker] += u32::from(taken);
                } else if held[worker] > 0 {
                    breakers.requests.release(worker);
                    held[worker] -= 1;
                }
            }
        }
    }
}
