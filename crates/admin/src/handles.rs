//! What the proxy hands to the admin server: plain rows, and closures where a value changes over time.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use nuncio_stats::Registry;
use serde::Serialize;
use serde_json::Value;

/// Everything that the admin endpoints show or set off.
pub struct AdminHandles {
    /// All stats of the process.
    pub stats: Registry,
    /// What the server is and was started with.
    pub facts: ServerFacts,
    /// The configuration that it was started with.
    pub config: ConfigDump,
    /// The listeners, in the order of the configuration.
    pub listeners: Vec<ListenerStatus>,
    /// The certificates of each listener that speaks TLS.
    pub certificates: Vec<Vec<CertificateStatus>>,
    /// The clusters and their hosts as they are now.
    pub clusters: Box<dyn Fn() -> Vec<ClusterStatus> + Send + Sync>,
    /// Which part of its life the server is in.
    pub state: Box<dyn Fn() -> ServerState + Send + Sync>,
    /// How much memory the process uses.
    pub memory: Box<dyn Fn() -> Memory + Send + Sync>,
    /// `POST /healthcheck/fail` and, with `false`, `/healthcheck/ok`. Must return at once; what `state` says follows.
    pub fail_health_checks: Box<dyn Fn(bool) + Send + Sync>,
    /// `POST /quitquitquit`: ends the server. Must return at once.
    pub quit: Box<dyn Fn() + Send + Sync>,
    /// `POST /reopen_logs`: opens the access log files anew. Must return at once.
    pub reopen_logs: Box<dyn Fn() + Send + Sync>,
}

/// What does not change while the server runs.
#[derive(Clone, Debug)]
pub struct ServerFacts {
    /// The version as `/server_info` shows it, five parts with slashes between them.
    pub version: String,
    /// The version as the admin page shows it.
    pub display_version: String,
    /// `hot_restart_version` of `/server_info`.
    pub hot_restart_version: String,
    /// When the process was started.
    pub started: std::time::Instant,
    /// `command_line_options` of `/server_info`.
    pub command_line_options: Value,
    /// `node` of `/server_info`.
    pub node: Value,
}

/// Which part of its life the server is in. Follows `envoy.admin.v3.ServerInfo.State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServerState {
    /// It takes requests.
    Live,
    /// It ends.
    Draining,
    /// It waits for its clusters.
    PreInitializing,
    /// Its clusters are there and its workers start.
    Initializing,
}

impl ServerState {
    /// The name that `/ready` and `/server_info` show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "LIVE",
            Self::Draining => "DRAINING",
            Self::PreInitializing => "PRE_INITIALIZING",
            Self::Initializing => "INITIALIZING",
        }
    }

    /// The number that the gauge `server.state` shows.
    pub fn number(self) -> u8 {
        match self {
            Self::Live => 0,
            Self::Draining => 1,
            Self::PreInitializing => 2,
            Self::Initializing => 3,
        }
    }
}

/// The configuration that the server runs.
#[derive(Clone, Debug, Default)]
pub struct ConfigDump {
    /// The bootstrap as JSON with the field names of the protobuf files, without secrets.
    pub bootstrap: Value,
    /// When it was loaded.
    pub last_updated: Option<SystemTime>,
}

/// One listener.
#[derive(Clone, Debug)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// The address that it is bound to.
    pub local_address: SocketAddr,
}

/// One certificate that is shown to clients.
#[derive(Clone, Debug)]
pub struct CertificateStatus {
    /// The file that it was read from, if it was.
    pub path: Option<String>,
    /// In hexadecimal digits.
    pub serial_number: String,
    /// Its alternative names, by kind: `dns`, `uri` or `ip_address`.
    pub subject_alt_names: Vec<(&'static str, String)>,
    /// The first second in which it is valid.
    pub valid_from: SystemTime,
    /// The last second in which it is valid.
    pub expiration_time: SystemTime,
}

/// One cluster.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// `name`.
    pub name: String,
    /// `alt_stat_name`, or the name.
    pub observability_name: String,
    /// Limits for requests of default priority.
    pub default_priority: CircuitBreakerThresholds,
    /// Limits for requests of high priority.
    pub high_priority: CircuitBreakerThresholds,
    /// Whether it came by an API and not from the file.
    pub added_via_api: bool,
    /// Its hosts.
    pub hosts: Vec<HostStatus>,
}

/// The limits of one routing priority.
#[derive(Clone, Copy, Debug)]
pub struct CircuitBreakerThresholds {
    /// `max_connections`.
    pub max_connections: u32,
    /// `max_pending_requests`.
    pub max_pending_requests: u32,
    /// `max_requests`.
    pub max_requests: u32,
    /// `max_retries`.
    pub max_retries: u32,
}

/// One host of a cluster, its stats summed over the workers.
#[derive(Clone, Debug)]
pub struct HostStatus {
    /// Where it is.
    pub address: SocketAddr,
    /// The name that was resolved, or that the configuration gives.
    pub hostname: String,
    /// `healthy`, or what is wrong with it, in Envoy's words.
    pub health_flags: &'static str,
    /// Its load balancing weight.
    pub weight: u32,
    /// Its priority; 0 is the highest.
    pub priority: u32,
    /// Its locality: region.
    pub region: String,
    /// Its locality: zone.
    pub zone: String,
    /// Its locality: sub-zone.
    pub sub_zone: String,
    /// Connections that are open.
    pub cx_active: u64,
    /// Connections that could not be made.
    pub cx_connect_fail: u64,
    /// Connections ever begun.
    pub cx_total: u64,
    /// Requests under way.
    pub rq_active: u64,
    /// Requests that failed.
    pub rq_error: u64,
    /// Requests that wait for a connection.
    pub rq_pending_active: u64,
    /// Requests that were answered without error.
    pub rq_success: u64,
    /// Requests that were not answered in time.
    pub rq_timeout: u64,
    /// Requests ever sent.
    pub rq_total: u64,
}

/// How much memory the process uses, in bytes. Follows `envoy.admin.v3.Memory`; what the allocator does not tell
/// is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// `allocated`: private memory in use.
    pub allocated: u64,
    /// `heap_size`: private memory reserved.
    pub heap_size: u64,
    /// `total_physical_bytes`: the resident size.
    pub total_physical_bytes: u64,
}

impl ServerFacts {
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}
