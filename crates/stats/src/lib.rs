//! Counters, gauges and histograms under Envoy's names.
#![warn(missing_docs)]

mod cell;
pub mod histogram;
mod query;
mod registry;
pub mod render;
mod snapshot;
mod tags;

pub use histogram::Unit;
pub use query::{Filter, HistogramBuckets, QueryError, StatKind, StatsQuery};
pub use registry::{Recorder, Registry, Scope, Shard};
pub use snapshot::{HistogramSnapshot, Snapshot, Span};
pub use tags::TagRules;
