//! Names and the cells behind them: registration, reading, resetting and the periodic merge of histograms.
//!
//! A stat's name maps to one cell per shard that registered it. Registration takes a lock; what it returns holds
//! the cell itself, so writing never looks anything up. Reading adds the shards' cells, and holds the lock for a
//! few hundred names at a time only, so that a scrape of a large configuration does not hold up a worker that
//! registers a name meanwhile.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString};

use crate::cell::{Cell, Slabs};
use crate::histogram::{Bins, HistogramCell, Unit};
use crate::query::{StatKind, StatsQuery};
use crate::snapshot::{HistogramSnapshot, Snapshot};
use crate::tags::TagRules;

/// Names that a reader visits before it lets go of the lock.
const BATCH: usize = 512;

/// All stats of a process. Cloning gives another handle to the same stats.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

/// Whose cells a stat is counted in: one worker's or the main runtime's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard(u32);

/// A prefix of names, bound to the shard whose cells the stats under it use.
#[derive(Clone)]
pub struct Scope {
    inner: Arc<Inner>,
    shard: Shard,
    /// Ends with a dot unless it is empty.
    prefix: Arc<str>,
}

/// Registers what the macros of the `metrics` crate name, on one shard.
///
/// A key's name is the stat's name to the letter. Labels are appended as Envoy appends tags to a name, each as
/// `.key.value`.
#[derive(Clone, Debug)]
pub struct Recorder {
    scope: Scope,
}

struct Inner {
    workers: usize,
    tags: Arc<TagRules>,
    slabs: Mutex<HashMap<Shard, Slabs>>,
    counters: RwLock<Map<CounterEntry>>,
    gauges: RwLock<Map<Cells>>,
    histograms: RwLock<Map<Arc<HistogramEntry>>>,
    text_readouts: RwLock<Map<Arc<str>>>,
}

type Map<T> = BTreeMap<Arc<str>, T>;
type Cells = Vec<Cell>;

#[derive(Default)]
struct CounterEntry {
    cells: Cells,
    /// The sum at the last reset. Cells are written by their own shard only, so a reset moves the zero instead.
    zero: u64,
}

struct HistogramEntry {
    unit: Unit,
    state: Mutex<HistogramState>,
}

#[derive(Default)]
struct HistogramState {
    cells: Vec<(Shard, Arc<HistogramCell>)>,
    cumulative: Arc<Bins>,
    interval: Arc<Bins>,
}

impl Shard {
    /// The shard of everything that does not run on a worker.
    pub const MAIN: Shard = Shard(0);

    /// The shard of a worker; the first worker is 0.
    pub fn worker(index: usize) -> Shard {
        Shard(u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1))
    }
}

impl Registry {
    /// An empty registry for a main runtime and so many workers, with Envoy's default tags.
    pub fn new(workers: usize) -> Registry {
        Registry::with_tags(workers, TagRules::default())
    }

    /// An empty registry with other rules for the tags that Prometheus is shown.
    pub fn with_tags(workers: usize, tags: TagRules) -> Registry {
        Registry {
            inner: Arc::new(Inner {
                workers,
                tags: Arc::new(tags),
                slabs: Mutex::default(),
                counters: RwLock::default(),
                gauges: RwLock::default(),
                histograms: RwLock::default(),
                text_readouts: RwLock::default(),
            }),
        }
    }

    /// The number of workers that the registry was made for.
    pub fn workers(&self) -> usize {
        self.inner.workers
    }

    /// A scope for names that begin with `prefix` and a dot, or for all names where it is empty.
    pub fn scope(&self, shard: Shard, prefix: &str) -> Scope {
        let root = Scope { inner: Arc::clone(&self.inner), shard, prefix: Arc::from("") };
        if prefix.is_empty() { root } else { root.scope(prefix) }
    }

    /// A recorder for the macros of the `metrics` crate. Install one per worker thread with
    /// [`metrics::set_default_local_recorder`].
    pub fn recorder(&self, shard: Shard) -> Recorder {
        Recorder { scope: self.scope(shard, "") }
    }

    /// The stats that a query asks for, each kind sorted by name.
    pub fn snapshot(&self, query: &StatsQuery) -> Snapshot {
        let mut snapshot = Snapshot::new(query, Arc::clone(&self.inner.tags));
        // Growing step by step would take twice the memory, which matters when everything is asked for.
        let everything = query.filter.is_none() && !query.used_only;
        if query.shows(StatKind::TextReadout) {
            visit(&self.inner.text_readouts, |name, value| {
                if query.keeps(name, || true) {
                    snapshot.text_readouts.push((Arc::clone(name), Arc::clone(value)));
                }
            });
        }
        if query.shows(StatKind::Counter) {
            if everything {
                snapshot.counters.reserve_exact(read(&self.inner.counters).len());
            }
            visit(&self.inner.counters, |name, entry| {
                if query.keeps(name, || is_used(&entry.cells)) {
                    snapshot.counters.push((Arc::clone(name), entry.value()));
                }
            });
        }
        if query.shows(StatKind::Gauge) {
            if everything {
                snapshot.gauges.reserve_exact(read(&self.inner.gauges).len());
            }
            visit(&self.inner.gauges, |name, cells| {
                if query.keeps(name, || is_used(cells)) {
                    // One shard may be read before and another after a pair of opposite changes.
                    let value = sum(cells).cast_signed().max(0).cast_unsigned();
                    snapshot.gauges.push((Arc::clone(name), value));
                }
            });
        }
        if query.shows(StatKind::Histogram) {
            if everything {
                snapshot.histograms.reserve_exact(read(&self.inner.histograms).len());
            }
            visit(&self.inner.histograms, |name, entry| {
                let state = lock(&entry.state);
                if query.keeps(name, || !state.cumulative.is_empty()) {
                    let (cumulative, interval) = (Arc::clone(&state.cumulative), Arc::clone(&state.interval));
                    let name = Arc::clone(name);
                    snapshot.histograms.push(HistogramSnapshot {
                        name,
                        unit: entry.unit,
                        cumulative,
                        interval,
                    });
                }
            });
        }
        snapshot
    }

    /// A counter's value, or `None` where no counter has this name.
    pub fn counter_value(&self, name: &str) -> Option<u64> {
        read(&self.inner.counters).get(name).map(CounterEntry::value)
    }

    /// A gauge's value, or `None` where no gauge has this name.
    pub fn gauge_value(&self, name: &str) -> Option<i64> {
        read(&self.inner.gauges).get(name).map(|cells| sum(cells).cast_signed())
    }

    /// Sets all counters to zero, as `POST /reset_counters` does. They stay "used".
    pub fn reset_counters(&self) {
        for entry in write(&self.inner.counters).values_mut() {
            entry.zero = sum(&entry.cells);
        }
    }

    /// Gathers the histograms' samples and begins a new interval. To be called every stats flush interval; until
    /// the first call after a sample was recorded, the sample is not shown.
    pub fn flush(&self) {
        visit(&self.inner.histograms, |_, entry| lock(&entry.state).merge());
    }
}

impl Scope {
    /// A scope below this one.
    ///
    /// The name is mapped as Envoy maps it: one dot at either end is dropped; `://`, `:/`, `:` and NUL become `_`.
    pub fn scope(&self, name: &str) -> Scope {
        let mut prefix = String::with_capacity(self.prefix.len() + name.len() + 1);
        prefix.push_str(&self.prefix);
        push_sanitized(&mut prefix, name);
        if !prefix.is_empty() && !prefix.ends_with('.') {
            prefix.push('.');
        }
        Scope { inner: Arc::clone(&self.inner), shard: self.shard, prefix: prefix.into() }
    }

    /// Registers a counter, or finds the one that this shard registered under the name before.
    pub fn counter(&self, name: &str) -> Counter {
        let mut counters = write(&self.inner.counters);
        let cells = &mut counters.entry(self.full_name(name)).or_default().cells;
        Counter::from_arc(Arc::new(self.cell(cells)))
    }

    /// Registers a gauge, or finds the one that this shard registered under the name before.
    ///
    /// A gauge is a whole number. Its value is the sum over the shards, so setting it makes sense on one shard only.
    pub fn gauge(&self, name: &str) -> Gauge {
        let mut gauges = write(&self.inner.gauges);
        Gauge::from_arc(Arc::new(self.cell(gauges.entry(self.full_name(name)).or_default())))
    }

    /// Registers a histogram, or finds the one that this shard registered under the name before. The unit is that of
    /// the first registration.
    pub fn histogram(&self, name: &str, unit: Unit) -> Histogram {
        let mut histograms = write(&self.inner.histograms);
        let entry = histograms
            .entry(self.full_name(name))
            .or_insert_with(|| Arc::new(HistogramEntry { unit, state: Mutex::default() }));
        let cells = &mut lock(&entry.state).cells;
        let present = cells.iter().find(|(shard, _)| *shard == self.shard).map(|(_, cell)| Arc::clone(cell));
        let cell = present.unwrap_or_else(|| {
            let cell = Arc::new(HistogramCell::new(entry.unit));
            cells.push((self.shard, Arc::clone(&cell)));
            cell
        });
        Histogram::from_arc(cell)
    }

    /// Sets a text readout, which needs no handle since it changes rarely. It is shared by all shards.
    pub fn text_readout(&self, name: &str, value: &str) {
        write(&self.inner.text_readouts).insert(self.full_name(name), value.into());
    }

    fn full_name(&self, name: &str) -> Arc<str> {
        if self.prefix.is_empty() { name.into() } else { [&self.prefix, name].concat().into() }
    }

    fn cell(&self, cells: &mut Cells) -> Cell {
        if let Some(cell) = cells.iter().find(|cell| cell.shard == self.shard) {
            return cell.clone();
        }
        let cell = lock(&self.inner.slabs).entry(self.shard).or_default().take(self.shard);
        // Most names get one cell, or one on each worker; growing by doubling would waste more than it saves.
        cells.reserve_exact(1);
        cells.push(cell.clone());
        cell
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("workers", &self.inner.workers).finish_non_exhaustive()
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("prefix", &self.prefix)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.scope.counter(&stat_name(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.scope.gauge(&stat_name(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.scope.histogram(&stat_name(key), Unit::Unspecified)
    }
}

impl CounterEntry {
    fn value(&self) -> u64 {
        sum(&self.cells).wrapping_sub(self.zero)
    }
}

impl HistogramState {
    fn merge(&mut self) {
        let mut now = Bins::default();
        for (_, cell) in &self.cells {
            cell.add_to(&mut now);
        }
        if now == *self.cumulative {
            if !self.interval.is_empty() {
                self.interval = Arc::default();
            }
            return;
        }
        self.interval = Arc::new(now.since(&self.cumulative));
        self.cumulative = Arc::new(now);
    }
}

/// Calls `f` for each entry in order, and lets go of the lock every few hundred entries.
fn visit<T>(map: &RwLock<Map<T>>, mut f: impl FnMut(&Arc<str>, &T)) {
    let mut last: Option<Arc<str>> = None;
    loop {
        let map = read(map);
        let from = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut seen = 0;
        let mut end = None;
        for (name, value) in map.range::<str, _>((from, Bound::Unbounded)).take(BATCH) {
            f(name, value);
            seen += 1;
            end = Some(name);
        }
        if seen < BATCH {
            return;
        }
        last = end.cloned();
    }
}

fn sum(cells: &Cells) -> u64 {
    cells.iter().fold(0, |sum, cell| sum.wrapping_add(cell.value()))
}

fn is_used(cells: &Cells) -> bool {
    cells.iter().any(Cell::is_used)
}

fn push_sanitized(out: &mut String, name: &str) {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut rest = name.strip_prefix('.').unwrap_or(name);
    while let Some(at) = rest.find([':', '\0']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        out.push('_');
        rest =
            ["://", ":/", ":", "\0"].iter().find_map(|mapped| from.strip_prefix(mapped)).unwrap_or_default();
    }
    out.push_str(rest);
}

fn stat_name(key: &Key) -> Cow<'_, str> {
    let mut name = Cow::Borrowed(key.name());
    for label in key.labels() {
        let name = name.to_mut();
        for part in [".", label.key(), ".", label.value()] {
            name.push_str(part);
        }
    }
    name
}

// A thread that panicked while it held one of these locks left the maps whole: each is changed by one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
