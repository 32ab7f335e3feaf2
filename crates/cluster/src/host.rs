//! Hosts, and the immutable sets in which discovery hands them to the workers.
//!
//! A [`Host`] lives as long as its address stays in the cluster: an update of the set keeps the object, and with it
//! the host's stats and every worker's connections.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use crossbeam_utils::CachePadded;

use crate::status::{HostStatus, Locality};

/// What discovery knows of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostDescription {
    pub(crate) address: SocketAddr,
    pub(crate) hostname: Arc<str>,
    pub(crate) weight: u32,
    pub(crate) locality: Arc<Locality>,
}

/// A host of a cluster.
pub(crate) struct Host {
    pub(crate) description: HostDescription,
    /// Active requests over all workers. Counted for clusters that balance by it only, since it is the one value
    /// that workers share.
    pub(crate) active: CachePadded<AtomicU32>,
    cells: Mutex<Vec<Arc<CachePadded<HostCell>>>>,
}

/// What one worker counts for one host. Written by that worker alone.
#[derive(Default)]
pub(crate) struct HostCell {
    pub(crate) cx_active: Value,
    pub(crate) cx_connect_fail: Value,
    pub(crate) cx_total: Value,
    pub(crate) rq_active: Value,
    pub(crate) rq_error: Value,
    pub(crate) rq_pending_active: Value,
    pub(crate) rq_success: Value,
    pub(crate) rq_timeout: Value,
    pub(crate) rq_total: Value,
}

/// One number.
#[derive(Default)]
pub(crate) struct Value(AtomicU64);

impl Value {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Host {
    pub(crate) fn new(description: HostDescription) -> Arc<Self> {
        Arc::new(Self { description, active: CachePadded::default(), cells: Mutex::default() })
    }

    /// A new cell, for a worker that begins to use the host.
    pub(crate) fn cell(&self) -> Arc<CachePadded<HostCell>> {
        let cell = Arc::new(CachePadded::new(HostCell::default()));
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&cell));
        cell
    }

    pub(crate) fn status(&self) -> HostStatus {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |value: fn(&HostCell) -> &Value| {
            cells.iter().fold(0_u64, |sum, cell| sum.wrapping_add(value(cell).0.load(Ordering::Relaxed)))
        };
        HostStatus {
            address: self.description.address,
            hostname: Arc::clone(&self.description.hostname),
            weight: self.description.weight,
            locality: Arc::clone(&self.description.locality),
            priority: 0,
            health_flags: "healthy",
            cx_active: sum(|cell| &cell.cx_active),
            cx_connect_fail: sum(|cell| &cell.cx_connect_fail),
            cx_total: sum(|cell| &cell.cx_total),
            rq_active: sum(|cell| &cell.rq_active),
            rq_error: sum(|cell| &cell.rq_error),
            rq_pending_active: sum(|cell| &cell.rq_pending_active),
            rq_success: sum(|cell| &cell.rq_success),
            rq_timeout: sum(|cell| &cell.rq_timeout),
            rq_total: sum(|cell| &cell.rq_total),
        }
    }
}

/// The hosts of a cluster at one time.
#[derive(Clone, Default)]
pub(crate) struct HostSet {
    pub(crate) hosts: Vec<Arc<Host>>,
}

impl HostSet {
    /// The set after an update, in the order of `wanted`; `None` where the same hosts are in it.
    ///
    /// Hosts that stay keep their object. Of several descriptions of one address the first counts. A host whose
    /// weight, name or locality changed is a new host, as in Envoy.
    pub(crate) fn updated(&self, wanted: &[HostDescription]) -> Option<Self> {
        let mut present: HashMap<SocketAddr, &Arc<Host>> =
            self.hosts.iter().map(|host| (host.description.address, host)).collect();
        let mut taken = std::collections::HashSet::with_capacity(wanted.len());
        let mut hosts = Vec::with_capacity(wanted.len());
        let mut changed = false;
        for description in wanted {
            if !taken.insert(description.address) {
                continue;
            }
            match present.remove(&description.address) {
                Some(host) if host.description == *description => hosts.push(Arc::clone(host)),
                _ => {
                    changed = true;
                    hosts.push(Host::new(description.clone()));
                }
            }
        }
        (changed || !present.is_empty()).then_some(Self { hosts })
    }

    /// The largest weight, for the stat of that name.
    pub(crate) fn max_weight(&self) -> u32 {
        self.hosts.iter().map(|host| host.description.weight).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn description(last: u8, weight: u32) -> HostDescription {
        HostDescription {
            address: SocketAddr::from(([127, 0, 0, last], 80)),
            hostname: Arc::from("h"),
            weight,
            locality: Arc::default(),
        }
    }

    proptest! {
        #[test]
        fn an_update_keeps_what_stays_and_takes_the_order_of_the_answer(
            before in prop::collection::vec((0_u8..8, 1_u32..3), 0..8),
            after in prop::collection::vec((0_u8..8, 1_u32..3), 0..8),
        ) {
            let make = |wanted: &[(u8, u32)]| -> Vec<_> {
                wanted.iter().map(|&(last, weight)| description(last, weight)).collect()
            };
            let first = HostSet::default().updated(&make(&before)).unwrap_or_default();
            let second = first.updated(&make(&after));

            let mut seen = HashSet::new();
            let expected: Vec<_> = make(&after).into_iter().filter(|d| seen.insert(d.address)).collect();
            let as_set = |set: &[HostDescription]| -> HashSet<(SocketAddr, u32)> {
                set.iter().map(|d| (d.address, d.weight)).collect()
            };
            let now: Vec<_> = first.hosts.iter().map(|host| host.description.clone()).collect();
            prop_assert_eq!(second.is_none(), as_set(&now) == as_set(&expected));
            if let Some(second) = second {
                let got: Vec<_> = second.hosts.iter().map(|host| host.description.clone()).collect();
                prop_assert_eq!(&got, &expected);
                for host in &second.hosts {
                    let kept = first.hosts.iter().any(|old| Arc::ptr_eq(old, host));
                    let was = first.hosts.iter().any(|old| old.description == host.description);
                    prop_assert_eq!(kept, was);
                }
            }
        }
    }
}
