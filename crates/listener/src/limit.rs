//! The limit on a listener's open connections, over all workers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// `envoy.resource_limits.listener.<name>.connection_limit`. Clones share one count; it is touched when a connection
/// opens and when it closes, never by a request.
#[derive(Clone, Debug)]
pub struct ConnectionLimit(Arc<State>);

#[derive(Debug)]
struct State {
    maximum: u64,
    open: AtomicU64,
}

/// The right to one open connection, given back when dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit(Arc<State>);

impl ConnectionLimit {
    /// Allows so many connections at a time.
    pub fn new(maximum: u64) -> Self {
        Self(Arc::new(State { maximum, open: AtomicU64::new(0) }))
    }

    /// How many are open.
    pub fn open(&self) -> u64 {
        self.0.open.load(Ordering::Relaxed)
    }

    pub(crate) fn acquire(&self) -> Option<ConnectionPermit> {
        let more = |open| (open < self.0.maximum).then_some(open + 1);
        self.0.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(ConnectionPermit(Arc::clone(&self.0)))
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_one_count() {
        let limit = ConnectionLimit::new(2);
        let other = limit.clone();
        let permits = [limit.acquire().expect("one"), other.acquire().expect("two")];
        assert!(limit.acquire().is_none() && other.acquire().is_none());
        assert_eq!(limit.open(), 2);
        drop(permits);
        assert_eq!(other.open(), 0);
        assert!(other.acquire().is_some());
        assert!(ConnectionLimit::new(0).acquire().is_none());
    }
}
