//! Counters, gauges, histograms and text readouts under Envoy's names.
//!
//! People replace Envoy under dashboards, alerts and scripts that know its stats by name. This crate keeps stats so
//! that those go on working, and so that keeping them costs next to nothing:
//!
//! - A [`Registry`] holds the stats of a process. A [`Scope`] is a prefix of names such as `cluster.service1`, bound
//!   to a [`Shard`]: one worker, or the main runtime.
//! - Registering a name gives a handle of the [`metrics`] crate. It holds the cell itself, so incrementing it is one
//!   relaxed atomic addition, without a lookup, a lock or an allocation. Register when the configuration is loaded.
//! - Each shard has cells of its own, and no two shards share a cache line. What a reader sees is the sum. A worker
//!   therefore never waits for another one, however busy both are.
//! - Names are what Envoy calls them, to the letter; the registry never invents one. Tags (`envoy_cluster_name` and so
//!   on) follow from the names by [`TagRules`], when stats are read.
//! - A [`Snapshot`] is what a [`StatsQuery`] selects, and [`render`] turns it into the text, JSON and Prometheus forms
//!   of Envoy's admin endpoints, byte for byte, whole or in chunks.
//!
//! ```
//! use nuncio_stats::{Filter, Registry, Shard, StatsQuery, Unit, render};
//!
//! let registry = Registry::new(2);
//!
//! // On each worker, when its configuration is loaded:
//! let cluster = registry.scope(Shard::worker(0), "cluster.service1");
//! let total = cluster.counter("upstream_rq_total");
//! let active = cluster.gauge("upstream_rq_active");
//! let time = cluster.histogram("upstream_rq_time", Unit::Milliseconds);
//! let elsewhere = registry.scope(Shard::worker(1), "cluster.service1").counter("upstream_rq_total");
//!
//! // For each request:
//! total.increment(1);
//! active.increment(1.0);
//! time.record(3.0);
//! active.decrement(1.0);
//! elsewhere.increment(1);
//!
//! // Every few seconds, on the main runtime:
//! registry.flush();
//!
//! // When the admin endpoint is asked:
//! let query = StatsQuery { filter: Some(Filter::new("_rq_t")?), ..StatsQuery::default() };
//! let text = render::text(&registry.snapshot(&query));
//! assert!(text.starts_with("cluster.service1.upstream_rq_total: 2\ncluster.service1.upstream_rq_time: P0(3.05,3.05)"));
//! let text = render::prometheus(&registry.snapshot(&query));
//! assert!(text.contains("envoy_cluster_upstream_rq_total{envoy_cluster_name=\"service1\"} 2\n"));
//! # Ok::<(), nuncio_stats::QueryError>(())
//! ```
//!
//! # What differs from Envoy
//! - A gauge is set through `f64`, as `metrics` has it, so numbers beyond 2^53 are rounded.
//! - Filters are searched with Rust's expressions, which accept a few that RE2 refuses (`a**`, `a{1001}`). Both are
//!   linear in the length of a name.
//! - A stat lives as long as its registry.
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
