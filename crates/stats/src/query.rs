//! Which stats a reader asks for: the query parameters of `/stats` and `/stats/prometheus` as a value.

use std::fmt;

use regex_automata::meta;

/// What to show of the stats; the default shows everything.
#[derive(Clone, Debug, Default)]
pub struct StatsQuery {
    /// Leave out what was never written (`usedonly`).
    pub used_only: bool,
    /// Keep only names in which the expression is found (`filter`).
    pub filter: Option<Filter>,
    /// Keep only stats of one kind (`type`); `None` keeps all.
    pub kind: Option<StatKind>,
    /// How histograms are shown (`histogram_buckets`).
    pub histogram_buckets: HistogramBuckets,
    /// Show text readouts to Prometheus, as gauges of value 0 (`text_readouts`). Other formats always show them.
    pub text_readouts: bool,
}

/// The four kinds of stats, named as the `type` parameter of `/stats` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatKind {
    /// `Counters`.
    Counter,
    /// `Gauges`.
    Gauge,
    /// `Histograms`.
    Histogram,
    /// `TextReadouts`.
    TextReadout,
}

/// How histograms are shown. Prometheus shows buckets unless it is asked for `summary`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistogramBuckets {
    /// What the format shows when nothing is asked for: quantiles in text and JSON, cumulative buckets to Prometheus.
    #[default]
    Unset,
    /// `summary`: quantiles.
    Summary,
    /// `cumulative`: each bucket counts everything up to its upper bound.
    Cumulative,
    /// `disjoint`: each bucket counts what the one before does not.
    Disjoint,
    /// `detailed`: quantiles, and the buckets in which the samples were recorded.
    Detailed,
}

/// A regular expression that is searched for anywhere in a stat's name, as Envoy searches with RE2.
#[derive(Clone, Debug)]
pub struct Filter {
    regex: meta::Regex,
}

/// Why a [`StatsQuery`] could not be made; its text is the body of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError(pub(crate) String);

impl Filter {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Where the expression is malformed or too large.
    pub fn new(expression: &str) -> Result<Filter, QueryError> {
        meta::Regex::new(expression)
            .map(|regex| Filter { regex })
            .map_err(|_| QueryError(format!("Invalid re2 regex: {expression}")))
    }

    /// Whether the expression is found in the name.
    pub fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for QueryError {}

impl StatsQuery {
    /// Whether the query shows stats of this kind at all.
    pub(crate) fn shows(&self, kind: StatKind) -> bool {
        self.kind.is_none_or(|only| only == kind)
    }

    /// Whether the query shows a stat of this name and state.
    pub(crate) fn keeps(&self, name: &str, used: impl FnOnce() -> bool) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(name)) && (!self.used_only || used())
    }
}
