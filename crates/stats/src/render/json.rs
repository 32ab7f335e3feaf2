//! `/stats?format=json`: one object, whose last stat holds all histograms.

use std::fmt::Write as _;

use super::{Render, Scalars, push_f64};
use crate::histogram::QUANTILES;
use crate::snapshot::{HistogramSnapshot, Snapshot, Span};

#[derive(Default)]
pub(super) struct Json {
    stage: Stage,
    text_readouts: usize,
    scalars: Scalars,
    histograms: usize,
    comma: bool,
}

#[derive(Default)]
enum Stage {
    #[default]
    Start,
    Stats,
    Histograms,
    Done,
}

impl Render for Json {
    fn step(&mut self, snapshot: &Snapshot, out: &mut String) -> bool {
        match self.stage {
            Stage::Start => {
                out.push_str("{\"stats\":[");
                self.stage = Stage::Stats;
            }
            Stage::Stats => self.stat(snapshot, out),
            Stage::Histograms => self.histogram(snapshot, out),
            Stage::Done => return false,
        }
        true
    }
}

impl Json {
    fn stat(&mut self, snapshot: &Snapshot, out: &mut String) {
        if let Some((name, value)) = snapshot.text_readouts.get(self.text_readouts) {
            self.text_readouts += 1;
            self.separate(out);
            out.push_str("{\"name\":");
            push_string(out, name);
            out.push_str(",\"value\":");
            push_string(out, value);
            out.push('}');
        } else if let Some((name, value)) = self.scalars.next(snapshot) {
            self.separate(out);
            out.push_str("{\"name\":");
            push_string(out, name);
            // Writing to a string cannot fail.
            let _ = write!(out, ",\"value\":{value}}}");
        } else if snapshot.histograms.is_empty() {
            out.push_str("]}");
            self.stage = Stage::Done;
        } else {
            self.separate(out);
            self.comma = false;
            out.push_str("{\"histograms\":{\"supported_quantiles\":[");
            for (i, percent) in QUANTILES.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                push_f64(out, percent);
            }
            out.push_str("],\"computed_quantiles\":[");
            self.stage = Stage::Histograms;
        }
    }

    fn histogram(&mut self, snapshot: &Snapshot, out: &mut String) {
        let Some(histogram) = snapshot.histograms.get(self.histograms) else {
            out.push_str("]}}]}");
            self.stage = Stage::Done;
            return;
        };
        self.histograms += 1;
        self.separate(out);
        push_quantiles(out, histogram);
    }

    fn separate(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.comma, true) {
            out.push(',');
        }
    }
}

fn push_quantiles(out: &mut String, histogram: &HistogramSnapshot) {
    out.push_str("{\"name\":");
    push_string(out, &histogram.name);
    out.push_str(",\"values\":[");
    for (i, percent) in QUANTILES.into_iter().enumerate() {
        out.push_str(if i > 0 { ",{\"cumulative\":" } else { "{\"cumulative\":" });
        push_quantile(out, histogram.quantile(Span::Cumulative, percent));
        out.push_str(",\"interval\":");
        push_quantile(out, histogram.quantile(Span::Interval, percent));
        out.push('}');
    }
    out.push_str("]}");
}

fn push_quantile(out: &mut String, value: Option<f64>) {
    match value {
        Some(value) => push_f64(out, value),
        None => out.push_str("null"),
    }
}

fn push_string(out: &mut String, text: &str) {
    // A string is always representable; names are short, so the intermediate one does not matter.
    out.push_str(&serde_json::Value::from(text).to_string());
}
