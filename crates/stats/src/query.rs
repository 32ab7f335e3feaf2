//! Which stats a reader asks for: the query parameters of `/stats` and `/stats/prometheus` as a value.

use std::fmt;

use regex_automata::meta;
use regex_syntax::ast::{ErrorKind, Span};

/// What to show of the stats; the default shows everything.
#[derive(Clone, Debug, Default)]
pub struct StatsQuery {
    /// Leave out what was never written (`usedonly`).
    pub used_only: bool,
    /// Keep only names in which the expression is found (`filter`).
    pub filter: Option<Filter>,
    /// Keep only names in which the expression of `filter` is not found (`invert_filter`).
    pub invert_filter: bool,
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
    /// Where the expression is malformed or too large; the text is Envoy's.
    pub fn new(expression: &str) -> Result<Filter, QueryError> {
        compile(expression).map(|regex| Filter { regex })
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
    /// The query that the decoded parameters of `/stats` ask for. Parameters that concern the format are left to the
    /// caller; unknown ones are ignored, as Envoy ignores them.
    ///
    /// # Errors
    /// Where a value is not one that the parameter has; the text is the body of Envoy's answer 400.
    pub fn from_params<'a>(
        params: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<StatsQuery, QueryError> {
        let mut query = StatsQuery::default();
        for (key, value) in params {
            match key {
                "usedonly" => query.used_only = true,
                "filter" if !value.is_empty() => query.filter = Some(Filter::new(value)?),
                "invert_filter" => query.invert_filter = true,
                "type" => query.kind = kind(value)?,
                "histogram_buckets" => query.histogram_buckets = histogram_buckets(value)?,
                "text_readouts" => query.text_readouts = true,
                _ => {}
            }
        }
        Ok(query)
    }

    /// The query that the decoded parameters of `/stats/prometheus` ask for. It knows no `type`, and fewer forms of
    /// histograms.
    ///
    /// # Errors
    /// As [`from_params`](Self::from_params).
    pub fn from_prometheus_params<'a>(
        params: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<StatsQuery, QueryError> {
        let query = StatsQuery::from_params(params.into_iter().filter(|(key, _)| *key != "type"))?;
        match query.histogram_buckets {
            HistogramBuckets::Disjoint | HistogramBuckets::Detailed => {
                Err(QueryError("unsupported prometheus histogram bucket mode".to_owned()))
            }
            HistogramBuckets::Unset | HistogramBuckets::Summary | HistogramBuckets::Cumulative => Ok(query),
        }
    }

    /// Whether the query shows stats of this kind at all.
    pub(crate) fn shows(&self, kind: StatKind) -> bool {
        self.kind.is_none_or(|only| only == kind)
    }

    /// Whether the query shows a stat of this name and state.
    pub(crate) fn keeps(&self, name: &str, used: impl FnOnce() -> bool) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(name) != self.invert_filter)
            && (!self.used_only || used())
    }
}

fn kind(value: &str) -> Result<Option<StatKind>, QueryError> {
    match value {
        "All" => Ok(None),
        "Counters" => Ok(Some(StatKind::Counter)),
        "Gauges" => Ok(Some(StatKind::Gauge)),
        "Histograms" => Ok(Some(StatKind::Histogram)),
        "TextReadouts" => Ok(Some(StatKind::TextReadout)),
        _ => Err(QueryError("invalid &type= param".to_owned())),
    }
}

fn histogram_buckets(value: &str) -> Result<HistogramBuckets, QueryError> {
    let usage = "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n";
    match value {
        "" => Ok(HistogramBuckets::Unset),
        "none" | "summary" => Ok(HistogramBuckets::Summary),
        "cumulative" => Ok(HistogramBuckets::Cumulative),
        "disjoint" => Ok(HistogramBuckets::Disjoint),
        "detailed" => Ok(HistogramBuckets::Detailed),
        "prometheusnative" => Err(QueryError(
            "unsupported prometheusnative histogram type when not using protobuf exposition format"
                .to_owned(),
        )),
        _ => Err(QueryError(usage.to_owned())),
    }
}

/// Compiles an expression, or says what is wrong with it in RE2's words.
pub(crate) fn compile(expression: &str) -> Result<meta::Regex, QueryError> {
    meta::Regex::new(expression).map_err(|error| {
        let reason = match error.syntax_error() {
            Some(regex_syntax::Error::Parse(error)) => re2_reason(expression, error.kind(), error.span()),
            _ => format!("pattern too large - compile failed: {expression}"),
        };
        QueryError(format!("Invalid re2 regex: {reason}"))
    })
}

fn re2_reason(expression: &str, kind: &ErrorKind, span: &Span) -> String {
    let (start, end) = (span.start.offset, span.end.offset);
    let at = expression.get(start..end).unwrap_or_default();
    match kind {
        ErrorKind::ClassUnclosed => {
            format!("missing ]: {}", expression.get(start..).unwrap_or_default())
        }
        ErrorKind::ClassRangeInvalid => format!("invalid character class range: {at}"),
        ErrorKind::GroupUnclosed => format!("missing ): {expression}"),
        ErrorKind::GroupUnopened => format!("unexpected ): {expression}"),
        ErrorKind::GroupNameInvalid | ErrorKind::GroupNameEmpty | ErrorKind::GroupNameUnexpectedEof => {
            format!("invalid named capture group: {expression}")
        }
        ErrorKind::FlagUnrecognized | ErrorKind::FlagUnexpectedEof | ErrorKind::UnsupportedLookAround => {
            let group = expression.get(..end).and_then(|text| text.rfind('(')).unwrap_or(start);
            format!("invalid perl operator: {}", expression.get(group..end).unwrap_or_default())
        }
        ErrorKind::RepetitionMissing => {
            let operator = expression.get(start..).and_then(|rest| rest.chars().next()).unwrap_or_default();
            format!("no argument for repetition operator: {operator}")
        }
        ErrorKind::RepetitionCountInvalid
        | ErrorKind::RepetitionCountUnclosed
        | ErrorKind::RepetitionCountDecimalEmpty => format!("invalid repetition size: {at}"),
        ErrorKind::EscapeUnexpectedEof => "trailing \\".to_owned(),
        ErrorKind::EscapeUnrecognized | ErrorKind::UnsupportedBackreference => {
            format!("invalid escape sequence: {at}")
        }
        ErrorKind::UnicodeClassInvalid => format!("invalid character class range: {at}"),
        other => format!("{other}: {expression}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_filters_are_refused_in_re2s_words() {
        fn check(expression: &str, expected: &str) {
            let error = Filter::new(expression).map(|_| ()).unwrap_err();
            assert_eq!(error.to_string(), format!("Invalid re2 regex: {expected}"));
        }
        check("[a", "missing ]: [a");
        check("(a", "missing ): (a");
        check("*", "no argument for repetition operator: *");
        check("a{2,1}", "invalid repetition size: {2,1}");
        check("a)", "unexpected ): a)");
        check("a\\", "trailing \\");
        check("[z-a]", "invalid character class range: z-a");
        check("\\q", "invalid escape sequence: \\q");
        check("(?Z)", "invalid perl operator: (?Z");
        check("(?P<n", "invalid named capture group: (?P<n");
    }

    #[test]
    fn parameters() {
        fn check(params: &[(&str, &str)], expected: Result<&str, &str>) {
            let query = StatsQuery::from_params(params.iter().copied());
            match (query, expected) {
                (Ok(query), Ok(expected)) => {
                    let shows = |kind| query.shows(kind);
                    let all =
                        [StatKind::Counter, StatKind::Gauge, StatKind::Histogram, StatKind::TextReadout];
                    let seen = format!(
                        "{:?} {} {} {} {:?}",
                        all.map(shows),
                        query.keeps("server.live", || true),
                        query.keeps("server.live", || false),
                        query.keeps("other", || true),
                        query.histogram_buckets
                    );
                    assert_eq!(seen, expected, "{params:?}");
                }
                (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected, "{params:?}"),
                (query, expected) => panic!("{params:?}: {query:?} instead of {expected:?}"),
            }
        }
        check(&[], Ok("[true, true, true, true] true true true Unset"));
        check(&[("usedonly", "0")], Ok("[true, true, true, true] true false true Unset"));
        check(&[("filter", "LIVE$")], Ok("[true, true, true, true] false false false Unset"));
        check(&[("filter", "(?i)LIVE$")], Ok("[true, true, true, true] true true false Unset"));
        check(
            &[("invert_filter", ""), ("filter", "live")],
            Ok("[true, true, true, true] false false true Unset"),
        );
        check(&[("type", "Gauges")], Ok("[false, true, false, false] true true true Unset"));
        check(
            &[("type", "All"), ("histogram_buckets", "none")],
            Ok("[true, true, true, true] true true true Summary"),
        );
        check(&[("type", "Foo")], Err("invalid &type= param"));
        check(
            &[("histogram_buckets", "foo")],
            Err("usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n"),
        );
        let error = StatsQuery::from_prometheus_params([("type", "Foo"), ("histogram_buckets", "detailed")]);
        assert_eq!(error.unwrap_err().to_string(), "unsupported prometheus histogram bucket mode");
    }
}
