//! What a cluster tells of itself: the values behind the admin page `/clusters`.

use std::{net::SocketAddr, sync::Arc};

use nuncio_config::model::CircuitBreakers;

/// One cluster.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// Its name.
    pub name: Arc<str>,
    /// The name under which its stats stand (`observability_name`).
    pub observability_name: Arc<str>,
    /// Its limits.
    pub circuit_breakers: CircuitBreakers,
    /// Its hosts, in the order in which discovery found them.
    pub hosts: Vec<HostStatus>,
}

/// One host. The names of the counts are Envoy's; `*_active` are gauges, all others counters.
#[derive(Clone, Debug)]
pub struct HostStatus {
    /// Where it is.
    pub address: SocketAddr,
    /// The name that its address was resolved from, or the configured `hostname`; may be empty.
    pub hostname: Arc<str>,
    /// `load_balancing_weight`.
    pub weight: u32,
    /// Where it stands.
    pub locality: Arc<Locality>,
    /// Its priority, from 0.
    pub priority: u32,
    /// `healthy`, or what is wrong with it, in Envoy's words.
    pub health_flags: &'static str,
    /// Open connections, and those being opened.
    pub cx_active: u64,
    /// Connections that could not be opened.
    pub cx_connect_fail: u64,
    /// Connections ever begun.
    pub cx_total: u64,
    /// Requests sent that have not ended.
    pub rq_active: u64,
    /// Requests answered with 5xx, or not at all.
    pub rq_error: u64,
    /// Requests that wait for a connection.
    pub rq_pending_active: u64,
    /// Requests answered with something other than 5xx.
    pub rq_success: u64,
    /// Requests that were not answered in time.
    pub rq_timeout: u64,
    /// Requests ever sent.
    pub rq_total: u64,
}

/// A locality; empty strings where nothing was configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Locality {
    /// `region`.
    pub region: String,
    /// `zone`.
    pub zone: String,
    /// `sub_zone`.
    pub sub_zone: String,
}
