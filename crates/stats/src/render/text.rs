//! `/stats`: a line per stat.

use std::fmt::Write as _;

use super::{Render, Scalars, push_f64};
use crate::histogram::QUANTILES;
use crate::snapshot::{HistogramSnapshot, Snapshot, Span};

#[derive(Default)]
pub(super) struct Text {
    text_readouts: usize,
    scalars: Scalars,
    histograms: usize,
}

impl Render for Text {
    fn step(&mut self, snapshot: &Snapshot, out: &mut String) -> bool {
        if let Some((name, value)) = snapshot.text_readouts.get(self.text_readouts) {
            self.text_readouts += 1;
            out.push_str(name);
            out.push_str(": \"");
            push_escaped(out, value);
            out.push_str("\"\n");
        } else if let Some((name, value)) = self.scalars.next(snapshot) {
            out.push_str(name);
            // Writing to a string cannot fail.
            let _ = writeln!(out, ": {value}");
        } else if let Some(histogram) = snapshot.histograms.get(self.histograms) {
            self.histograms += 1;
            push_histogram(out, histogram);
        } else {
            return false;
        }
        true
    }
}

fn push_histogram(out: &mut String, histogram: &HistogramSnapshot) {
    out.push_str(&histogram.name);
    if histogram.cumulative.is_empty() {
        out.push_str(": No recorded values\n");
        return;
    }
    out.push(':');
    for percent in QUANTILES {
        let _ = write!(out, " P{percent}(");
        push_quantile(out, histogram.quantile(Span::Interval, percent));
        out.push(',');
        push_quantile(out, histogram.quantile(Span::Cumulative, percent));
        out.push(')');
    }
    out.push('\n');
}

fn push_quantile(out: &mut String, value: Option<f64>) {
    match value {
        Some(value) => push_f64(out, value),
        None => out.push_str("nan"),
    }
}

/// Values come from configuration servers, and browsers show this page.
fn push_escaped(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
}
