//! Clusters: where requests go.

use std::{net::SocketAddr, time::Duration};

use super::{DnsResolver, Http2Settings, Place};

/// A cluster. Follows `envoy.config.cluster.v3.Cluster`.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// `name`, unique.
    pub name: String,
    /// `alt_stat_name`: the name in stats, where it differs.
    pub alt_stat_name: Option<String>,
    /// `type`.
    pub discovery: ClusterDiscovery,
    /// `connect_timeout`: 5 s by default.
    pub connect_timeout: Duration,
    /// `lb_policy`.
    pub load_balancing: LoadBalancing,
    /// `common_lb_config.healthy_panic_threshold` in percent: 50 by default.
    pub healthy_panic_threshold: f64,
    /// `load_assignment.endpoints`.
    pub endpoints: Vec<LocalityEndpoints>,
    /// Which protocol the hosts speak.
    pub protocol: UpstreamProtocol,
    /// `circuit_breakers`.
    pub circuit_breakers: CircuitBreakers,
    /// `common_http_protocol_options.idle_timeout`: 1 h by default; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// `common_http_protocol_options.max_connection_duration`.
    pub max_connection_duration: Option<Duration>,
    /// `common_http_protocol_options.max_requests_per_connection`.
    pub max_requests_per_connection: Option<u32>,
    /// `per_connection_buffer_limit_bytes`: 1 MiB by default.
    pub per_connection_buffer_limit_bytes: u32,
    /// Where the cluster is written.
    pub place: Place,
}

impl Cluster {
    /// The name under which the cluster's stats stand.
    pub fn stat_name(&self) -> &str {
        self.alt_stat_name.as_deref().unwrap_or(&self.name)
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: String::new(),
            alt_stat_name: None,
            discovery: ClusterDiscovery::Static,
            connect_timeout: Duration::from_secs(5),
            load_balancing: LoadBalancing::RoundRobin,
            healthy_panic_threshold: 50.0,
            endpoints: Vec::new(),
            protocol: UpstreamProtocol::Http1,
            circuit_breakers: CircuitBreakers::default(),
            idle_timeout: Some(Duration::from_secs(3600)),
            max_connection_duration: None,
            max_requests_per_connection: None,
            per_connection_buffer_limit_bytes: 1 << 20,
            place: Place::default(),
        }
    }
}

/// How a cluster finds its hosts.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterDiscovery {
    /// `STATIC`: literal addresses.
    Static,
    /// `STRICT_DNS`: every address of every name, again and again.
    StrictDns(DnsSettings),
}

/// How names are resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsSettings {
    /// `dns_refresh_rate`: 5 s by default, at least 1 ms.
    pub refresh_rate: Duration,
    /// `dns_failure_refresh_rate`: base and maximum interval of the exponential back-off after a failure;
    /// `None`: as `refresh_rate`.
    pub failure_refresh_rate: Option<(Duration, Duration)>,
    /// `dns_jitter`: at most this much is added to each refresh interval.
    pub jitter: Duration,
    /// `respect_dns_ttl`: the answer's TTL takes the place of `refresh_rate`.
    pub respect_ttl: bool,
    /// `dns_lookup_family`.
    pub lookup_family: DnsLookupFamily,
    /// `typed_dns_resolver_config` of the cluster; `None`: the bootstrap's.
    pub resolver: Option<DnsResolver>,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            refresh_rate: Duration::from_secs(5),
            failure_refresh_rate: None,
            jitter: Duration::ZERO,
            respect_ttl: false,
            lookup_family: DnsLookupFamily::Auto,
            resolver: None,
        }
    }
}

/// Which addresses are asked for. Follows `Cluster.DnsLookupFamily`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsLookupFamily {
    /// v6 first, v4 if there is none.
    #[default]
    Auto,
    /// v4 only.
    V4Only,
    /// v6 only.
    V6Only,
    /// v4 first, v6 if there is none.
    V4Preferred,
    /// Both.
    All,
}

/// How a host is chosen. Follows `Cluster.LbPolicy`.
#[derive(Clone, Debug, PartialEq)]
pub enum LoadBalancing {
    /// `ROUND_ROBIN`.
    RoundRobin,
    /// `RANDOM`.
    Random,
    /// `LEAST_REQUEST`.
    LeastRequest(LeastRequest),
}

/// Follows `Cluster.LeastRequestLbConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct LeastRequest {
    /// `choice_count`: 2 by default.
    pub choice_count: u32,
    /// `active_request_bias`: 1.0 by default.
    pub active_request_bias: f64,
}

impl Default for LeastRequest {
    fn default() -> Self {
        Self { choice_count: 2, active_request_bias: 1.0 }
    }
}

/// The endpoints of one locality. Follows `LocalityLbEndpoints`, priority 0 only.
#[derive(Clone, Debug, Default)]
pub struct LocalityEndpoints {
    /// `locality.region`.
    pub region: String,
    /// `locality.zone`.
    pub zone: String,
    /// `locality.sub_zone`.
    pub sub_zone: String,
    /// `lb_endpoints`.
    pub endpoints: Vec<Endpoint>,
}

/// One endpoint: an address, or a name that stands for any number of them.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its address.
    pub address: EndpointAddress,
    /// `load_balancing_weight`: 1 by default, at least 1.
    pub weight: u32,
    /// `endpoint.hostname`.
    pub hostname: String,
    /// Where it is written.
    pub place: Place,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// A literal address.
    Socket(SocketAddr),
    /// A name to resolve, with the port of every address that comes of it.
    Name {
        /// The host name.
        host: String,
        /// The port.
        port: u16,
    },
}

/// Which protocol an upstream connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2(Http2Settings),
}

/// Follows `envoy.config.cluster.v3.CircuitBreakers`, one set of thresholds for each routing priority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CircuitBreakers {
    /// For requests of default priority.
    pub default: Thresholds,
    /// For requests of high priority.
    pub high: Thresholds,
}

/// The limits of one priority, over all workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// `max_connections`: 1024 by default.
    pub max_connections: u32,
    /// `max_pending_requests`: 1024 by default.
    pub max_pending_requests: u32,
    /// `max_requests`: 1024 by default.
    pub max_requests: u32,
    /// `max_retries`: 3 by default.
    pub max_retries: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { max_connections: 1024, max_pending_requests: 1024, max_requests: 1024, max_retries: 3 }
    }
}
