//! The three shapes in which Envoy's admin endpoints show stats, byte for byte.
//!
//! Each exists as a function that returns the whole text and as an iterator of chunks for answers that are too large
//! to be held at once.

mod json;
mod prometheus;
mod text;

use std::fmt::Write as _;
use std::sync::Arc;

use crate::snapshot::Snapshot;

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
    whole(prometheus::Prometheus::new(snapshot), snapshot)
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
    Chunks { render: prometheus::Prometheus::new(&snapshot), snapshot }
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

/// Writes a number as C++'s shortest round-trip form does, which differs from Rust's in very large and very small
/// ones only.
fn push_f64(out: &mut String, value: f64) {
    // Writing to a string cannot fail.
    let _ = if value != 0.0 && !(1e-4..1e16).contains(&value.abs()) && value.is_finite() {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        write!(out, "{digits}e{sign}{exponent:0>2}")
    } else {
        write!(out, "{value}")
    };
}
