//! `/stats/prometheus`: Prometheus' text format, with the tags taken out of the names.
//!
//! Stats whose names differ in their tags only form a family and share a name and a `# TYPE` line. Families come in
//! the order of their names before those are made fit for Prometheus, kind after kind.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use metrics_exporter_prometheus::formatting::sanitize_label_key;

use super::number::{push_digits, push_shortest};
use super::{Render, shown_buckets};
use crate::histogram::{BUCKETS, QUANTILES};
use crate::query::HistogramBuckets;
use crate::snapshot::{HistogramSnapshot, Snapshot, Span};
use crate::tags::Extracted;

/// Significant digits of sums and bounds.
const DIGITS: usize = 32;

pub(super) struct Prometheus {
    kind: Kind,
    families: std::vec::IntoIter<(String, Vec<u32>)>,
    /// The family being written: its name for Prometheus, and which stats of the kind are left.
    family: String,
    members: std::vec::IntoIter<u32>,
    extracted: Extracted,
    labels: String,
    /// The bounds of buckets as text, which is the same for all histograms.
    bounds: [String; BUCKETS.len()],
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Start,
    Counter,
    Gauge,
    TextReadout,
    Histogram,
    Done,
}

impl Default for Prometheus {
    fn default() -> Prometheus {
        let bounds = BUCKETS.map(|bound| {
            let mut text = String::new();
            push_digits(&mut text, bound, DIGITS);
            text
        });
        Prometheus {
            kind: Kind::Start,
            families: Vec::new().into_iter(),
            family: String::new(),
            members: Vec::new().into_iter(),
            extracted: Extracted::default(),
            labels: String::new(),
            bounds,
        }
    }
}

impl Kind {
    fn next(self) -> Kind {
        match self {
            Kind::Start => Kind::Counter,
            Kind::Counter => Kind::Gauge,
            Kind::Gauge => Kind::TextReadout,
            Kind::TextReadout => Kind::Histogram,
            Kind::Histogram | Kind::Done => Kind::Done,
        }
    }
}

impl Render for Prometheus {
    fn step(&mut self, snapshot: &Snapshot, out: &mut String) -> bool {
        if let Some(member) = self.members.next() {
            self.push(snapshot, member as usize, out);
        } else if let Some((name, members)) = self.families.next() {
            self.family = sanitize_label_key(&format!("envoy_{name}"));
            self.members = members.into_iter();
            let kind = match self.kind {
                Kind::Counter => "counter",
                Kind::Histogram if is_summary(snapshot) => "summary",
                Kind::Histogram => "histogram",
                _ => "gauge",
            };
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(out, "# TYPE {} {kind}", self.family);
        } else {
            self.kind = self.kind.next();
            self.families = match self.kind {
                Kind::Counter => self.group(snapshot, snapshot.counters.iter().map(|(name, _)| &**name)),
                Kind::Gauge => self.group(snapshot, snapshot.gauges.iter().map(|(name, _)| &**name)),
                Kind::TextReadout if snapshot.show_text_readouts => {
                    self.group(snapshot, snapshot.text_readouts.iter().map(|(name, _)| &**name))
                }
                Kind::Histogram => {
                    self.group(snapshot, snapshot.histograms.iter().map(|histogram| &*histogram.name))
                }
                _ => Vec::new().into_iter(),
            };
        }
        self.kind != Kind::Done
    }
}

impl Prometheus {
    /// Sorts stats, whose names come in order, into families.
    fn group<'a>(
        &mut self,
        snapshot: &Snapshot,
        names: impl Iterator<Item = &'a str>,
    ) -> std::vec::IntoIter<(String, Vec<u32>)> {
        let mut families: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (member, full) in (0..).zip(names) {
            snapshot.tags.extract(full, &mut self.extracted);
            match families.get_mut(&self.extracted.name) {
                Some(members) => members.push(member),
                None => {
                    families.insert(self.extracted.name.clone(), vec![member]);
                }
            }
        }
        families.into_iter().collect::<Vec<_>>().into_iter()
    }

    fn push(&mut self, snapshot: &Snapshot, member: usize, out: &mut String) {
        let scalar = |scalars: &[(_, u64)]| scalars.get(member).map(|(_, value)| *value);
        match self.kind {
            Kind::Counter | Kind::Gauge => {
                let scalars = if self.kind == Kind::Counter { &snapshot.counters } else { &snapshot.gauges };
                let (Some((name, _)), Some(value)) = (scalars.get(member), scalar(scalars)) else { return };
                self.label(snapshot, name);
                for text in [&self.family, "{", &self.labels, "} "] {
                    out.push_str(text);
                }
                push_count(out, value);
            }
            Kind::TextReadout => {
                let Some((name, value)) = snapshot.text_readouts.get(member) else { return };
                self.label(snapshot, name);
                push_label(&mut self.labels, "text_value", value);
                let _ = writeln!(out, "{}{{{}}} 0", self.family, self.labels);
            }
            Kind::Histogram => {
                let Some(histogram) = snapshot.histograms.get(member) else { return };
                self.label(snapshot, &histogram.name);
                if is_summary(snapshot) {
                    self.push_summary(histogram, out);
                } else {
                    self.push_histogram(histogram, out);
                }
            }
            Kind::Start | Kind::Done => {}
        }
    }

    fn push_histogram(&self, histogram: &HistogramSnapshot, out: &mut String) {
        let (family, labels) = (&self.family, &self.labels);
        let comma = if labels.is_empty() { "" } else { "," };
        let buckets = shown_buckets(histogram, HistogramBuckets::Cumulative);
        for (bound, (_, _, cumulative)) in self.bounds.iter().zip(buckets) {
            for text in [family, "_bucket{", labels, comma, "le=\"", bound, "\"} "] {
                out.push_str(text);
            }
            push_count(out, cumulative);
        }
        let count = histogram.count(Span::Cumulative);
        let _ = writeln!(out, "{family}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}");
        self.push_sum_and_count(histogram, Span::Cumulative, out);
    }

    fn push_summary(&self, histogram: &HistogramSnapshot, out: &mut String) {
        let (family, labels) = (&self.family, &self.labels);
        let comma = if labels.is_empty() { "" } else { "," };
        for quantile in QUANTILES {
            let _ = write!(out, "{family}{{{labels}{comma}quantile=\"");
            push_shortest(out, quantile);
            out.push_str("\"} ");
            match histogram.quantile(Span::Interval, quantile) {
                Some(value) => push_digits(out, value, DIGITS),
                None => out.push_str("nan"),
            }
            out.push('\n');
        }
        self.push_sum_and_count(histogram, Span::Interval, out);
    }

    fn push_sum_and_count(&self, histogram: &HistogramSnapshot, span: Span, out: &mut String) {
        let _ = write!(out, "{}_sum{{{}}} ", self.family, self.labels);
        push_digits(out, histogram.sum(span), DIGITS);
        let _ = writeln!(out, "\n{}_count{{{}}} {}", self.family, self.labels, histogram.count(span));
    }

    fn label(&mut self, snapshot: &Snapshot, full: &str) {
        snapshot.tags.extract(full, &mut self.extracted);
        self.labels.clear();
        for (tag, value) in snapshot.tags.tags(full, &self.extracted) {
            push_label(&mut self.labels, tag, value);
        }
    }
}

fn push_count(out: &mut String, count: u64) {
    let _ = writeln!(out, "{count}");
}

fn is_summary(snapshot: &Snapshot) -> bool {
    snapshot.histogram_buckets == HistogramBuckets::Summary
}

fn push_label(out: &mut String, tag: &str, value: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    out.extend(tag.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
    out.push_str("=\"");
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            _ => out.push(c),
        }
    }
    out.push('"');
}
