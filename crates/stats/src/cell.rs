//! The cells that hold counter and gauge values, laid out so that two workers never write to one cache line.
//!
//! Every shard hands out cells from slabs of its own. A slab starts on a cache line and is never split between
//! shards, so the cells of one worker lie close together (good for its cache, cheap in memory) and the cells of
//! two workers never do. A padded cell each would cost 128 bytes a value; a slab costs about twelve.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use metrics::{CounterFn, GaugeFn};

use crate::registry::Shard;

/// Cells in one slab: as many as the slab's word of "used" bits has bits.
const CELLS: usize = 64;

/// Values of one shard, with one bit each that says whether the value was ever written.
struct Slab {
    values: [AtomicU64; CELLS],
    used: AtomicU64,
}

/// One value of one shard. Cloning gives another handle to the same value.
#[derive(Clone)]
pub(crate) struct Cell {
    slab: Arc<CachePadded<Slab>>,
    index: u8,
    pub(crate) shard: Shard,
}

/// Hands out the cells of one shard, in order, and never again.
#[derive(Default)]
pub(crate) struct Slabs {
    current: Option<Arc<CachePadded<Slab>>>,
    taken: u8,
}

impl Slabs {
    pub(crate) fn take(&mut self, shard: Shard) -> Cell {
        let slab = match &self.current {
            Some(slab) if usize::from(self.taken) < CELLS => Arc::clone(slab),
            _ => {
                self.taken = 0;
                let values = [const { AtomicU64::new(0) }; CELLS];
                let slab = Arc::new(CachePadded::new(Slab { values, used: AtomicU64::new(0) }));
                self.current = Some(Arc::clone(&slab));
                slab
            }
        };
        let index = self.taken;
        self.taken += 1;
        Cell { slab, index, shard }
    }
}

impl Cell {
    #[inline]
    fn with<T: Default>(&self, f: impl FnOnce(&AtomicU64) -> T) -> T {
        // The mask lets the compiler see that the index is in range.
        self.slab.values.get(usize::from(self.index) % CELLS).map(f).unwrap_or_default()
    }

    #[inline]
    fn mark_used(&self) {
        let bit = 1_u64 << self.index;
        // Reading first keeps the usual case to a load; only the first write of a cell pays for the second atomic.
        if self.slab.used.load(Relaxed) & bit == 0 {
            self.slab.used.fetch_or(bit, Relaxed);
        }
    }

    pub(crate) fn value(&self) -> u64 {
        self.with(|value| value.load(Relaxed))
    }

    /// Whether the cell was ever written. A counter marks itself only when it is incremented by nothing, since its
    /// value tells otherwise.
    pub(crate) fn is_used(&self) -> bool {
        self.value() != 0 || self.slab.used.load(Relaxed) & (1_u64 << self.index) != 0
    }

    /// Where the value lies, for the test that no two shards share a cache line.
    #[cfg(test)]
    pub(crate) fn address(&self) -> usize {
        self.with(|value| std::ptr::from_ref(value).addr())
    }
}

impl CounterFn for Cell {
    #[inline]
    fn increment(&self, value: u64) {
        self.with(|cell| cell.fetch_add(value, Relaxed));
        if value == 0 {
            self.mark_used();
        }
    }

    fn absolute(&self, value: u64) {
        self.with(|cell| cell.fetch_max(value, Relaxed));
        if value == 0 {
            self.mark_used();
        }
    }
}

/// Gauges are whole numbers, as Envoy's are; the cell holds the two's complement so that shards add up when one of
/// them has only decremented.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is wanted"
)]
impl GaugeFn for Cell {
    #[inline]
    fn increment(&self, value: f64) {
        self.with(|cell| cell.fetch_add(value as i64 as u64, Relaxed));
        self.mark_used();
    }

    #[inline]
    fn decrement(&self, value: f64) {
        self.with(|cell| cell.fetch_sub(value as i64 as u64, Relaxed));
        self.mark_used();
    }

    fn set(&self, value: f64) {
        self.with(|cell| cell.store(value as i64 as u64, Relaxed));
        self.mark_used();
    }
}

#[cfg(test)]
mod tests;
