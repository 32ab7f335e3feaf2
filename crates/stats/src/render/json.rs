//! `/stats?format=json`: one object, whose last stat holds all histograms.

use std::fmt::Write as _;

use super::number::push_compact;
use super::{Render, Scalars, shown_buckets};
use crate::histogram::QUANTILES;
use crate::query::HistogramBuckets;
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
        // Writing to a string cannot fail, here and below.
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
            let _ = write!(out, ",\"value\":{value}}}");
        } else if snapshot.histograms.is_empty() {
            out.push_str("]}");
            self.stage = Stage::Done;
        } else {
            self.separate(out);
            self.comma = false;
            match snapshot.histogram_buckets {
                HistogramBuckets::Unset | HistogramBuckets::Summary => {
                    out.push_str("{\"histograms\":{\"supported_quantiles\":");
                    push_supported(out);
                    out.push_str(",\"computed_quantiles\":[");
                }
                HistogramBuckets::Detailed => {
                    out.push_str("{\"histograms\":{\"supported_percentiles\":");
                    push_supported(out);
                    out.push_str(",\"details\":[");
                }
                HistogramBuckets::Cumulative | HistogramBuckets::Disjoint => {
                    out.push_str("{\"histograms\":[")
                }
            }
            self.stage = Stage::Histograms;
        }
    }

    fn histogram(&mut self, snapshot: &Snapshot, out: &mut String) {
        let form = snapshot.histogram_buckets;
        let Some(histogram) = snapshot.histograms.get(self.histograms) else {
            out.push_str(match form {
                HistogramBuckets::Cumulative | HistogramBuckets::Disjoint => "]}]}",
                _ => "]}}]}",
            });
            self.stage = Stage::Done;
            return;
        };
        self.histograms += 1;
        self.separate(out);
        out.push_str("{\"name\":");
        push_string(out, &histogram.name);
        match form {
            HistogramBuckets::Unset | HistogramBuckets::Summary => {
                out.push_str(",\"values\":");
                push_quantiles(out, histogram);
            }
            HistogramBuckets::Detailed => {
                out.push_str(",\"totals\":");
                push_bins(out, histogram, Span::Cumulative);
                out.push_str(",\"intervals\":");
                push_bins(out, histogram, Span::Interval);
                out.push_str(",\"percentiles\":");
                push_quantiles(out, histogram);
            }
            HistogramBuckets::Cumulative | HistogramBuckets::Disjoint => {
                out.push_str(",\"buckets\":");
                push_list(out, shown_buckets(histogram, form), |out, (bound, interval, cumulative)| {
                    out.push_str("{\"upper_bound\":");
                    push_compact(out, bound);
                    let _ = write!(out, ",\"interval\":{interval},\"cumulative\":{cumulative}}}");
                });
            }
        }
        out.push('}');
    }

    fn separate(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.comma, true) {
            out.push(',');
        }
    }
}

fn push_supported(out: &mut String) {
    push_list(out, QUANTILES.into_iter(), |out, quantile| push_compact(out, quantile * 100.0));
}

fn push_quantiles(out: &mut String, histogram: &HistogramSnapshot) {
    push_list(out, QUANTILES.into_iter(), |out, quantile| {
        out.push_str("{\"cumulative\":");
        push_quantile(out, histogram.quantile(Span::Cumulative, quantile));
        out.push_str(",\"interval\":");
        push_quantile(out, histogram.quantile(Span::Interval, quantile));
        out.push('}');
    });
}

fn push_bins(out: &mut String, histogram: &HistogramSnapshot, span: Span) {
    push_list(out, histogram.buckets(span), |out, (low, width, count)| {
        out.push_str("{\"lower_bound\":");
        push_compact(out, low);
        out.push_str(",\"width\":");
        push_compact(out, width);
        let _ = write!(out, ",\"count\":{count}}}");
    });
}

fn push_list<T>(out: &mut String, items: impl Iterator<Item = T>, push: impl Fn(&mut String, T)) {
    out.push('[');
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(',');
        }
        push(out, item);
    }
    out.push(']');
}

fn push_quantile(out: &mut String, value: Option<f64>) {
    match value {
        Some(value) => push_compact(out, value),
        None => out.push_str("null"),
    }
}

fn push_string(out: &mut String, text: &str) {
    if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}
