//! What the stats were at one time, ready to be rendered without holding any lock.

use std::sync::Arc;

use crate::histogram::{Bins, Unit};
use crate::query::{HistogramBuckets, StatsQuery};
use crate::tags::TagRules;

/// The stats that a [`StatsQuery`] asked for, each kind sorted by name. Made by
/// [`Registry::snapshot`](crate::Registry::snapshot).
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) counters: Vec<(Arc<str>, u64)>,
    pub(crate) gauges: Vec<(Arc<str>, u64)>,
    pub(crate) text_readouts: Vec<(Arc<str>, Arc<str>)>,
    pub(crate) histograms: Vec<HistogramSnapshot>,
    pub(crate) histogram_buckets: HistogramBuckets,
    /// Whether Prometheus is shown the text readouts.
    pub(crate) show_text_readouts: bool,
    pub(crate) tags: Arc<TagRules>,
}

/// One histogram as of the last flush.
#[derive(Clone, Debug)]
pub struct HistogramSnapshot {
    pub(crate) name: Arc<str>,
    pub(crate) unit: Unit,
    pub(crate) cumulative: Arc<Bins>,
    pub(crate) interval: Arc<Bins>,
}

impl Snapshot {
    pub(crate) fn new(query: &StatsQuery, tags: Arc<TagRules>) -> Snapshot {
        Snapshot {
            counters: Vec::new(),
            gauges: Vec::new(),
            text_readouts: Vec::new(),
            histograms: Vec::new(),
            histogram_buckets: query.histogram_buckets,
            show_text_readouts: query.text_readouts,
            tags,
        }
    }

    /// Counters, by name.
    pub fn counters(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counters.iter().map(|(name, value)| (&**name, *value))
    }

    /// Gauges, by name. A sum that was negative for a moment is shown as 0.
    pub fn gauges(&self) -> impl Iterator<Item = (&str, u64)> {
        self.gauges.iter().map(|(name, value)| (&**name, *value))
    }

    /// Text readouts, by name.
    pub fn text_readouts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text_readouts.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Histograms, by name.
    pub fn histograms(&self) -> impl Iterator<Item = &HistogramSnapshot> {
        self.histograms.iter()
    }
}

impl HistogramSnapshot {
    /// The stat's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of samples, since the start or in the last interval.
    pub fn count(&self, span: Span) -> u64 {
        self.bins(span).count()
    }

    /// The sum of the samples, each taken as the middle of its bucket.
    pub fn sum(&self, span: Span) -> f64 {
        self.bins(span).sum() * self.unit.scale()
    }

    /// The value at a quantile, such as 0.999; `None` without samples.
    pub fn quantile(&self, span: Span, quantile: f64) -> Option<f64> {
        self.bins(span).quantile(quantile).map(|value| value * self.unit.scale())
    }

    /// The number of samples in buckets that begin at or below a bound.
    pub fn count_below(&self, span: Span, bound: f64) -> u64 {
        self.bins(span).count_below(bound / self.unit.scale())
    }

    /// The buckets that hold samples: lower bound, width, number.
    pub fn buckets(&self, span: Span) -> impl Iterator<Item = (f64, f64, u64)> {
        let scale = self.unit.scale();
        self.bins(span).iter().map(move |(bin, count)| {
            let (low, width) = bin.bounds();
            (low * scale, width * scale, count)
        })
    }

    fn bins(&self, span: Span) -> &Bins {
        match span {
            Span::Cumulative => &self.cumulative,
            Span::Interval => &self.interval,
        }
    }
}

/// Which samples of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// All up to the last flush.
    Cumulative,
    /// Those between the last two flushes.
    Interval,
}
