//! `/stats`: a line per stat.

use std::fmt::Write as _;

use super::number::{push_digits, push_shortest};
use super::{Render, Scalars, shown_buckets};
use crate::histogram::QUANTILES;
use crate::query::HistogramBuckets;
use crate::snapshot::{HistogramSnapshot, Snapshot, Span};

#[derive(Default)]
pub(super) struct Text {
    text_readouts: usize,
    scalars: Scalars,
    histograms: usize,
}

impl Render for Text {
    fn step(&mut self, snapshot: &Snapshot, out: &mut String) -> bool {
        // Writing to a string cannot fail, here and below.
        if let Some((name, value)) = snapshot.text_readouts.get(self.text_readouts) {
            self.text_readouts += 1;
            let _ = writeln!(out, "{name}: \"{value}\"");
        } else if let Some((name, value)) = self.scalars.next(snapshot) {
            let _ = writeln!(out, "{name}: {value}");
        } else if let Some(histogram) = snapshot.histograms.get(self.histograms) {
            self.histograms += 1;
            push_histogram(out, histogram, snapshot.histogram_buckets);
        } else {
            return false;
        }
        true
    }
}

fn push_histogram(out: &mut String, histogram: &HistogramSnapshot, form: HistogramBuckets) {
    out.push_str(&histogram.name);
    out.push(':');
    if histogram.cumulative.is_empty() {
        out.push_str(" No recorded values");
    } else {
        match form {
            HistogramBuckets::Unset | HistogramBuckets::Summary => {
                out.push(' ');
                push_quantiles(out, histogram);
            }
            HistogramBuckets::Cumulative | HistogramBuckets::Disjoint => {
                for (bound, interval, cumulative) in shown_buckets(histogram, form) {
                    out.push_str(" B");
                    push_digits(out, bound, 6);
                    let _ = write!(out, "({interval},{cumulative})");
                }
            }
            HistogramBuckets::Detailed => {
                out.push_str("\n  totals=");
                push_bins(out, histogram, Span::Cumulative);
                out.push_str("\n  intervals=");
                push_bins(out, histogram, Span::Interval);
                out.push_str("\n  summary=");
                push_quantiles(out, histogram);
            }
        }
    }
    out.push('\n');
}

fn push_quantiles(out: &mut String, histogram: &HistogramSnapshot) {
    for (i, quantile) in QUANTILES.into_iter().enumerate() {
        let space = if i > 0 { " " } else { "" };
        let _ = write!(out, "{space}P{}(", quantile * 100.0);
        push_quantile(out, histogram.quantile(Span::Interval, quantile));
        out.push(',');
        push_quantile(out, histogram.quantile(Span::Cumulative, quantile));
        out.push(')');
    }
}

fn push_quantile(out: &mut String, value: Option<f64>) {
    match value {
        Some(value) => push_shortest(out, value),
        None => out.push_str("nan"),
    }
}

fn push_bins(out: &mut String, histogram: &HistogramSnapshot, span: Span) {
    for (i, (low, width, count)) in histogram.buckets(span).enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        // Fewer digits than a double has, so that a bound is shown as the whole number that it stands for.
        push_digits(out, low, 15);
        out.push(',');
        push_digits(out, width, 15);
        let _ = write!(out, ":{count}");
    }
}
