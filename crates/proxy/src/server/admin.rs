//! What the admin server is given.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use nuncio_admin::{
    AdminHandles, CertificateStatus, CircuitBreakerThresholds, ClusterStatus, ConfigDump, HostStatus,
    ListenerStatus, ServerFacts,
};
use nuncio_cluster::ClusterManager;
use nuncio_config::{Loaded, model::Thresholds};
use nuncio_stats::Registry;
use nuncio_tls::CertificateInfo;
use serde_json::{Value, json};

use super::{Options, QUIT_DRAIN, ServerHandle, prepare::PreparedListener, stats::ServerStats};
use crate::{
    cli::{ENVOY_VERSION, VERSION},
    memory,
};

pub(super) fn handles(
    loaded: &Loaded,
    options: &Options,
    listeners: &[PreparedListener],
    registry: &Registry,
    clusters: &Arc<ClusterManager>,
    handle: &ServerHandle,
    server_stats: &Arc<ServerStats>,
) -> AdminHandles {
    let (clusters, server_stats) = (Arc::clone(clusters), Arc::clone(server_stats));
    let (state, quit, logs, health) = (handle.clone(), handle.clone(), handle.clone(), handle.clone());
    let node = node(loaded);
    AdminHandles {
        stats: registry.clone(),
        facts: ServerFacts {
            version: version(),
            display_version: VERSION.to_owned(),
            hot_restart_version: "disabled".to_owned(),
            started: options.started,
            command_line_options: options.command_line.clone(),
            node: node.clone(),
        },
        config: ConfigDump { bootstrap: dump(loaded, node), last_updated: Some(SystemTime::now()) },
        listeners: listeners
            .iter()
            .map(|listener| ListenerStatus {
                name: listener.config.name.clone(),
                local_address: listener.local_address,
            })
            .collect(),
        certificates: listeners
            .iter()
            .filter_map(|listener| listener.tls.as_ref())
            .map(|tls| tls.certificates().iter().map(certificate).collect())
            .collect(),
        clusters: Box::new(move || clusters.status().into_iter().map(cluster).collect()),
        state: Box::new(move || state.state()),
        memory: Box::new(memory::read),
        fail_health_checks: Box::new(move |fail| {
            health.fail_health_checks(fail);
            server_stats.entered(health.state());
        }),
        quit: Box::new(move || quit.drain(QUIT_DRAIN)),
        reopen_logs: Box::new(move || logs.reopen_logs()),
    }
}

/// Five parts with slashes between them, as tools expect of Envoy: revision, version, state of the source tree,
/// build type, TLS library.
fn version() -> String {
    let build = if cfg!(debug_assertions) { "DEBUG" } else { "RELEASE" };
    format!("nuncio-{}/{ENVOY_VERSION}.0/Clean/{build}/AWS-LC", env!("CARGO_PKG_VERSION"))
}

/// `node` with what Envoy adds of itself, here true of this program.
fn node(loaded: &Loaded) -> Value {
    let node = &loaded.bootstrap.node;
    let number = |part: &str| part.parse::<u32>().unwrap_or(0);
    let mut value = json!({
        "id": node.id,
        "cluster": node.cluster,
        "user_agent_name": "nuncio",
        "user_agent_build_version": {
            "version": {
                "major_number": number(env!("CARGO_PKG_VERSION_MAJOR")),
                "minor_number": number(env!("CARGO_PKG_VERSION_MINOR")),
                "patch": number(env!("CARGO_PKG_VERSION_PATCH")),
            },
            "metadata": { "ssl.version": "AWS-LC" },
        },
    });
    if !node.zone.is_empty()
        && let Value::Object(fields) = &mut value
    {
        fields.insert("locality".to_owned(), json!({ "zone": node.zone }));
    }
    value
}

/// The bootstrap with the node that the server runs as.
fn dump(loaded: &Loaded, node: Value) -> Value {
    let mut bootstrap = serde_json::Map::new();
    bootstrap.insert("node".to_owned(), node);
    if let Value::Object(fields) = loaded.document.bootstrap_json() {
        bootstrap.extend(fields.into_iter().filter(|(name, _)| name != "node"));
    }
    Value::Object(bootstrap)
}

fn certificate(info: &CertificateInfo) -> CertificateStatus {
    let CertificateInfo { path, serial_number, dns_names, uris, ip_addresses, not_before, not_after } = info;
    let names = dns_names.iter().map(|name| ("dns", name.clone()));
    let names = names.chain(uris.iter().map(|uri| ("uri", uri.clone())));
    let names = names.chain(ip_addresses.iter().map(|address| ("ip_address", address.to_string())));
    CertificateStatus {
        path: path.clone(),
        serial_number: serial_number.clone(),
        subject_alt_names: names.collect(),
        valid_from: time(*not_before),
        expiration_time: time(*not_after),
    }
}

/// Seconds from 1970; what lies before is shown as that.
fn time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn cluster(status: nuncio_cluster::ClusterStatus) -> ClusterStatus {
    let nuncio_cluster::ClusterStatus { name, observability_name, circuit_breakers, hosts } = status;
    ClusterStatus {
        name: name.to_string(),
        observability_name: observability_name.to_string(),
        default_priority: thresholds(&circuit_breakers.default),
        high_priority: thresholds(&circuit_breakers.high),
        added_via_api: false,
        hosts: hosts.iter().map(host).collect(),
    }
}

fn thresholds(thresholds: &Thresholds) -> CircuitBreakerThresholds {
    let Thresholds { max_connections, max_pending_requests, max_requests, max_retries } = *thresholds;
    CircuitBreakerThresholds { max_connections, max_pending_requests, max_requests, max_retries }
}

fn host(host: &nuncio_cluster::HostStatus) -> HostStatus {
    HostStatus {
        address: host.address,
        hostname: host.hostname.to_string(),
        health_flags: host.health_flags,
        weight: host.weight,
        priority: host.priority,
        region: host.locality.region.clone(),
        zone: host.locality.zone.clone(),
        sub_zone: host.locality.sub_zone.clone(),
        cx_active: host.cx_active,
        cx_connect_fail: host.cx_connect_fail,
        cx_total: host.cx_total,
        rq_active: host.rq_active,
        rq_error: host.rq_error,
        rq_pending_active: host.rq_pending_active,
        rq_success: host.rq_success,
        rq_timeout: host.rq_timeout,
        rq_total: host.rq_total,
    }
}
