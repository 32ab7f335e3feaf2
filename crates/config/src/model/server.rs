//! The bootstrap itself and what belongs to the whole server.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use super::{AccessLog, Cluster, Listener, Place};

/// Everything that a server starts from. Follows `envoy.config.bootstrap.v3.Bootstrap`.
#[derive(Clone, Debug, Default)]
pub struct Bootstrap {
    /// Who this server is; the command line overrides the file.
    pub node: Node,
    /// The admin server; without it there is none.
    pub admin: Option<Admin>,
    /// `static_resources.listeners`, in the file's order.
    pub listeners: Vec<Listener>,
    /// `static_resources.clusters`, in the file's order.
    pub clusters: Vec<Cluster>,
    /// `layered_runtime`.
    pub runtime: Runtime,
    /// The resolver for clusters that name none: `typed_dns_resolver_config` of the bootstrap.
    pub dns_resolver: DnsResolver,
    /// `stats_flush_interval`: 5 s by default.
    pub stats_flush_interval: Option<Duration>,
}

impl Bootstrap {
    /// How many routes all listeners have.
    pub fn route_count(&self) -> usize {
        let chains = self.listeners.iter().flat_map(|listener| &listener.filter_chains);
        let hosts = chains.flat_map(|chain| chain.http_connection_manager.routes.virtual_hosts());
        hosts.map(|host| host.routes().len()).sum()
    }
}

/// Who a server is. Follows `envoy.config.core.v3.Node`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `id`, or `--service-node`.
    pub id: String,
    /// `cluster`, or `--service-cluster`.
    pub cluster: String,
    /// `locality.zone`, or `--service-zone`.
    pub zone: String,
}

/// The admin server. Follows `envoy.config.bootstrap.v3.Admin`.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where its requests are logged: `access_log` and the deprecated `access_log_path`.
    pub access_log: Vec<AccessLog>,
    /// Where the address is written, for an error at bind time.
    pub place: Place,
}

/// `layered_runtime`, flattened: the final value of each key and the value in each layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// The layers, lowest first.
    pub layers: Vec<RuntimeLayer>,
}

/// One static layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeLayer {
    /// The layer's name.
    pub name: String,
    /// Dotted keys and their values as text.
    pub entries: BTreeMap<String, String>,
}

impl Runtime {
    /// The value of `key` in the highest layer that has one.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.layers.iter().rev().find_map(|layer| layer.entries.get(key)).map(String::as_str)
    }

    /// The value of `key` as an unsigned integer; `None` if it is not set or is not one.
    pub fn integer(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    /// `envoy.resource_limits.listener.<name>.connection_limit`.
    pub fn listener_connection_limit(&self, listener: &str) -> Option<u64> {
        self.integer(&format!("envoy.resource_limits.listener.{listener}.connection_limit"))
    }
}

/// Which name servers answer. Follows `CaresDnsResolverConfig` for explicit servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsResolver {
    /// Name servers to ask; empty: those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// `dns_resolver_options.use_tcp_for_dns_lookups`.
    pub use_tcp: bool,
    /// `dns_resolver_options.no_default_search_domain`.
    pub no_default_search_domain: bool,
}
