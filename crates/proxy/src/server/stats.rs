//! The stats of the process itself, under Envoy's names: `server.`, `listener_manager.`,
//! `cluster_manager.`, `runtime.`.

use std::time::{Duration, Instant, SystemTime};

use metrics::{Counter, Gauge, Histogram};
use nuncio_admin::ServerState;
use nuncio_config::{Loaded, Warning, WarningKind, model::Runtime};
use nuncio_listener::stat_name;
use nuncio_stats::{Registry, Scope, Shard, Unit};
use nuncio_tls::{CertificateInfo, days_until_first_expiration};

use super::prepare::PreparedListener;
use crate::memory;

/// What `server.days_until_first_cert_expiring` shows where there is no certificate.
const NO_CERTIFICATE: u64 = u32::MAX as u64;

/// Handles of the stats that change, and what their values are made from.
pub(super) struct ServerStats {
    registry: Registry,
    started: Instant,
    certificates: Vec<CertificateInfo>,
    /// The names of the gauges that count each listener's connections.
    connections: Vec<String>,
    live: Gauge,
    state: Gauge,
    uptime: Gauge,
    total_connections: Gauge,
    memory_allocated: Gauge,
    memory_heap_size: Gauge,
    memory_physical_size: Gauge,
    days_until_first_cert_expiring: Gauge,
    initialization_time_ms: Histogram,
    workers_started: Gauge,
    listeners_active: Gauge,
    listeners_draining: Gauge,
    listeners_created: Counter,
    listeners_stopped: Counter,
}

impl ServerStats {
    /// Registers everything and sets what will not change.
    pub(super) fn new(
        registry: &Registry,
        loaded: &Loaded,
        listeners: &[PreparedListener],
        workers: usize,
        started: Instant,
    ) -> Self {
        let server = registry.scope(Shard::MAIN, "server");
        let manager = registry.scope(Shard::MAIN, "listener_manager");
        constants(&server, &loaded.warnings, workers);
        runtime(&registry.scope(Shard::MAIN, "runtime"), &loaded.bootstrap.runtime, &loaded.warnings);
        clusters(registry, loaded.bootstrap.clusters.len() as u64, workers);
        manager.counter("listener_added").increment(listeners.len() as u64);
        // Listeners never change here, so these stay at zero.
        for never in
            ["listener_modified", "listener_removed", "listener_in_place_updated", "listener_create_failure"]
        {
            let _ = manager.counter(never);
        }
        manager.gauge("total_listeners_warming").set(0.0);
        let _ = manager.gauge("total_filter_chains_draining");
        let certificates = listeners
            .iter()
            .filter_map(|listener| listener.tls.as_ref())
            .flat_map(|tls| tls.certificates())
            .cloned();
        let active = |listener: &PreparedListener| {
            // Names map colons so, as scopes do.
            format!("{}.downstream_cx_active", stat_name(&listener.config).replace(':', "_"))
        };
        Self {
            registry: registry.clone(),
            started,
            certificates: certificates.collect(),
            connections: listeners.iter().map(active).collect(),
            live: server.gauge("live"),
            state: server.gauge("state"),
            uptime: server.gauge("uptime"),
            total_connections: server.gauge("total_connections"),
            memory_allocated: server.gauge("memory_allocated"),
            memory_heap_size: server.gauge("memory_heap_size"),
            memory_physical_size: server.gauge("memory_physical_size"),
            days_until_first_cert_expiring: server.gauge("days_until_first_cert_expiring"),
            initialization_time_ms: server.histogram("initialization_time_ms", Unit::Milliseconds),
            workers_started: manager.gauge("workers_started"),
            listeners_active: manager.gauge("total_listeners_active"),
            listeners_draining: manager.gauge("total_listeners_draining"),
            listeners_created: manager.counter("listener_create_success"),
            listeners_stopped: manager.counter("listener_stopped"),
        }
    }

    /// The server has come into another part of its life.
    pub(super) fn entered(&self, state: ServerState) {
        self.state.set(f64::from(state.number()));
        self.live.set(if state == ServerState::Live { 1.0 } else { 0.0 });
    }

    /// All workers run.
    pub(super) fn workers_started(&self, workers: usize) {
        let listeners = self.connections.len();
        self.workers_started.set(1.0);
        self.listeners_active.set(to_f64(listeners as u64));
        self.listeners_created.increment((listeners * workers) as u64);
        self.initialization_time_ms.record(milliseconds(self.started.elapsed()));
    }

    /// The listeners accept no more.
    pub(super) fn draining(&self) {
        let listeners = self.connections.len() as u64;
        self.listeners_active.set(0.0);
        self.listeners_draining.set(to_f64(listeners));
        self.listeners_stopped.increment(listeners);
    }

    /// Brings everything up to date that nobody counts, and gathers histograms: once each stats flush interval.
    pub(super) fn flush(&self) {
        let memory = memory::read();
        let connections: i64 =
            self.connections.iter().filter_map(|name| self.registry.gauge_value(name)).sum();
        let days =
            days_until_first_expiration(&self.certificates, SystemTime::now()).unwrap_or(NO_CERTIFICATE);
        self.uptime.set(to_f64(self.started.elapsed().as_secs()));
        self.total_connections.set(to_f64(u64::try_from(connections).unwrap_or(0)));
        self.memory_allocated.set(to_f64(memory.allocated));
        self.memory_heap_size.set(to_f64(memory.heap_size));
        self.memory_physical_size.set(to_f64(memory.total_physical_bytes));
        self.days_until_first_cert_expiring.set(to_f64(days));
        self.registry.flush();
    }
}

fn constants(server: &Scope, warnings: &[Warning], workers: usize) {
    let unknown = count(warnings, WarningKind::Unknown);
    server.counter("static_unknown_fields").increment(unknown);
    for (name, value) in
        [("concurrency", workers as u64), ("version", version()), ("hot_restart_generation", 1)]
    {
        server.gauge(name).set(to_f64(value));
    }
    // What there is none of: hot restart, dynamic configuration, stapled OCSP responses, a FIPS build, recorded look-ups.
    for never in
        ["hot_restart_epoch", "parent_connections", "stats_recent_lookups", "compilation_settings.fips_mode"]
    {
        server.gauge(never).set(0.0);
    }
    for never in ["dynamic_unknown_fields", "wip_protos"] {
        server.counter(never).increment(0);
    }
    for never in
        ["dropped_stat_flushes", "debug_assertion_failures", "envoy_bug_failures", "envoy_notifications"]
    {
        let _ = server.counter(never);
    }
    let _ = server.gauge("seconds_until_first_ocsp_response_expiring");
}

fn clusters(registry: &Registry, clusters: u64, workers: usize) {
    let manager = registry.scope(Shard::MAIN, "cluster_manager");
    manager.gauge("active_clusters").set(to_f64(clusters));
    manager.gauge("warming_clusters").set(0.0);
    manager.counter("cluster_added").increment(clusters);
    // Clusters come from the file only, so these stay at zero.
    for never in ["cluster_modified", "cluster_removed", "cluster_updated"] {
        let _ = manager.counter(never);
    }
    // Every worker has every cluster from the start.
    let threads = registry.scope(Shard::MAIN, "thread_local_cluster_manager");
    let names = (0..workers).map(|worker| format!("worker_{worker}"));
    for name in std::iter::once("main_thread".to_owned()).chain(names) {
        threads.gauge(&format!("{name}.clusters_inflated")).set(to_f64(clusters));
    }
}

fn runtime(scope: &Scope, runtime: &Runtime, warnings: &[Warning]) {
    let deprecated = count(warnings, WarningKind::Deprecated);
    let mut keys: Vec<&String> = runtime.layers.iter().flat_map(|layer| layer.entries.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    scope.gauge("num_keys").set(to_f64(keys.len() as u64));
    scope.gauge("num_layers").set(to_f64(runtime.layers.len() as u64));
    let _ = scope.gauge("admin_overrides_active");
    scope.gauge("deprecated_feature_seen_since_process_start").set(to_f64(deprecated));
    scope.counter("deprecated_feature_use").increment(deprecated);
    scope.counter("load_success").increment(1);
    for never in ["load_error", "override_dir_exists", "override_dir_not_exists"] {
        let _ = scope.counter(never);
    }
}

fn count(warnings: &[Warning], kind: WarningKind) -> u64 {
    warnings.iter().filter(|warning| warning.kind == kind).count() as u64
}

/// The version as one number, a byte for each part, where Envoy shows the first digits of its commit.
fn version() -> u64 {
    let parts =
        [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")];
    parts.iter().fold(0, |number, part| number << 8 | part.parse::<u64>().unwrap_or(0) & 0xff)
}

fn milliseconds(time: Duration) -> f64 {
    to_f64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "gauges show whole numbers far below 2^53")]
fn to_f64(value: u64) -> f64 {
    value as f64
}
