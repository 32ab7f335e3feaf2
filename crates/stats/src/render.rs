//! The three shapes in which Envoy's admin endpoints show stats, byte for byte.
//!
//! Each exists as a function that returns the whole text and as an iterator of chunks for answers that are too large
//! to be held at once.

mod json;
mod number;
mod prometheus;
mod text;

use std::sync::Arc;

use crate::histogram::BUCKETS;
use crate::query::HistogramBuckets;
use crate::snapshot::{HistogramSnapshot, Snapshot, Span};

/// A chunk is handed out when it has grown to this many bytes.
const CHUNK: usize = 64 * 1024;

/// The text of `/stats`.
pub fn text(snapshot: &Snapshot) -> String {
    whole(text::Text::default(), snapshot)
}

/// The body of `/stats?format=json`.
pub fn json(snapshot: &Snapshot) -> String {
    whole(json::Json::default(), snapshot)
}

/// The text of `/stats/prometheus`.
pub fn prometheus(snapshot: &Snapshot) -> String {
    whole(prometheus::Prometheus::default(), snapshot)
}

/// [`text()`] in chunks of about 64 KiB.
pub fn text_chunks(snapshot: Snapshot) -> impl Iterator<Item = String> + Send + 'static {
    Chunks { render: text::Text::default(), snapshot }
}

/// [`json()`] in chunks of about 64 KiB.
pub fn json_chunks(snapshot: Snapshot) -> impl Iterator<Item = String> + Send + 'static {
    Chunks { render: json::Json::default(), snapshot }
}

/// [`prometheus()`] in chunks of about 64 KiB.
pub fn prometheus_chunks(snapshot: Snapshot) -> impl Iterator<Item = String> + Send + 'static {
    Chunks { render: prometheus::Prometheus::default(), snapshot }
}

/// A rendering that is made piece by piece.
trait Render {
    /// Appends the next piece; false when there is none left.
    fn step(&mut self, snapshot: &Snapshot, out: &mut String) -> bool;
}

struct Chunks<R> {
    render: R,
    snapshot: Snapshot,
}

impl<R: Render> Iterator for Chunks<R> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut out = String::with_capacity(CHUNK + CHUNK / 8);
        while out.len() < CHUNK && self.render.step(&self.snapshot, &mut out) {}
        (!out.is_empty()).then_some(out)
    }
}

fn whole(mut render: impl Render, snapshot: &Snapshot) -> String {
    let mut out = String::new();
    while render.step(snapshot, &mut out) {}
    out
}

/// Goes through counters and gauges in the order of their names.
#[derive(Default)]
struct Scalars {
    counters: usize,
    gauges: usize,
}

impl Scalars {
    fn next<'a>(&mut self, snapshot: &'a Snapshot) -> Option<&'a (Arc<str>, u64)> {
        let (counter, gauge) = (snapshot.counters.get(self.counters), snapshot.gauges.get(self.gauges));
        if counter.is_some_and(|counter| gauge.is_none_or(|gauge| counter.0 <= gauge.0)) {
            self.counters += 1;
            return counter;
        }
        self.gauges += 1;
        gauge
    }
}

/// The buckets of a histogram that are shown: upper bound, samples in the interval, samples over all time.
fn shown_buckets(
    histogram: &HistogramSnapshot,
    form: HistogramBuckets,
) -> impl Iterator<Item = (f64, u64, u64)> {
    let mut below = (0, 0);
    BUCKETS.into_iter().map(move |bound| {
        let interval = histogram.count_below(Span::Interval, bound);
        let cumulative = histogram.count_below(Span::Cumulative, bound);
        let before = std::mem::replace(&mut below, (interval, cumulative));
        match form {
            HistogramBuckets::Disjoint => (bound, interval - before.0, cumulative - before.1),
            _ => (bound, interval, cumulative),
        }
    })
}
