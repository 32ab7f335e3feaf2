//! `/stats/prometheus`: Prometheus' text format, with the tags taken out of the names.

use std::fmt::Write as _;

use metrics_exporter_prometheus::formatting::sanitize_metric_name;

use super::{Render, Scalars};
use crate::snapshot::Snapshot;

pub(super) struct Prometheus {
    scalars: Scalars,
}

impl Prometheus {
    pub(super) fn new(_: &Snapshot) -> Prometheus {
        Prometheus { scalars: Scalars::default() }
    }
}

impl Render for Prometheus {
    fn step(&mut self, snapshot: &Snapshot, out: &mut String) -> bool {
        let Some((name, value)) = self.scalars.next(snapshot) else { return false };
        let _ = writeln!(out, "envoy_{}{{}} {value}", sanitize_metric_name(name));
        true
    }
}
