//! Discovery: which hosts a cluster has, told to the workers by message.

mod fixed;
mod strict_dns;

use std::sync::Arc;

use nuncio_config::model::{self, ClusterDiscovery, EndpointAddress};
use nuncio_stats::{Registry, Shard};
use tokio::{runtime::Handle, sync::watch, task::AbortHandle};

use crate::{
    host::{HostDescription, HostSet},
    resolver::{Resolver, Resolvers},
    stats::{DiscoveryStats, scope},
    status::Locality,
};

/// The discovery of one cluster.
pub(crate) struct Discovery {
    settings: Arc<model::Cluster>,
    resolver: Option<Arc<Resolver>>,
    stats: DiscoveryStats,
    hosts: watch::Sender<Arc<HostSet>>,
    initialized: watch::Sender<bool>,
}

/// An endpoint of the configuration, with what all its hosts have in common.
#[derive(Clone)]
struct Target {
    address: EndpointAddress,
    hostname: Arc<str>,
    weight: u32,
    locality: Arc<Locality>,
}

impl Discovery {
    pub(crate) fn new(
        settings: Arc<model::Cluster>,
        resolvers: &mut Resolvers,
        registry: &Registry,
    ) -> Arc<Self> {
        let scope = scope(registry, Shard::MAIN, settings.stat_name());
        let stats = DiscoveryStats::new(&scope);
        // Shown for all types, counted for none that is supported: an empty DNS answer is a success in Envoy.
        drop(scope.counter("update_empty"));
        let resolver = match &settings.discovery {
            ClusterDiscovery::Static => None,
            ClusterDiscovery::StrictDns(dns) => Some(resolvers.get(dns.resolver.as_ref())),
        };
        let discovery = Self {
            settings,
            resolver,
            stats,
            hosts: watch::Sender::new(Arc::default()),
            initialized: watch::Sender::new(false),
        };
        discovery.show_membership(&HostSet::default());
        discovery.stats.warming_state.set(1.0);
        if discovery.resolver.is_none() {
            fixed::discover(&discovery);
        }
        Arc::new(discovery)
    }

    pub(crate) fn start(self: &Arc<Self>, handle: &Handle) -> Vec<AbortHandle> {
        match (&self.settings.discovery, &self.resolver) {
            (ClusterDiscovery::StrictDns(dns), Some(resolver)) => {
                strict_dns::start(self, dns, resolver, handle)
            }
            _ => Vec::new(),
        }
    }

    /// Whether the hosts may change.
    pub(crate) fn changes(&self) -> bool {
        self.resolver.is_some()
    }

    pub(crate) fn hosts(&self) -> watch::Receiver<Arc<HostSet>> {
        self.hosts.subscribe()
    }

    pub(crate) async fn initialized(&self) {
        // Fails only if the sender is gone, which `self` holds.
        let _ = self.initialized.subscribe().wait_for(|initialized| *initialized).await;
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for locality in &self.settings.endpoints {
            let place = Arc::new(Locality {
                region: locality.region.clone(),
                zone: locality.zone.clone(),
                sub_zone: locality.sub_zone.clone(),
            });
            targets.extend(locality.endpoints.iter().map(|endpoint| Target {
                address: endpoint.address.clone(),
                hostname: match &endpoint.address {
                    EndpointAddress::Name { host, .. } if endpoint.hostname.is_empty() => Arc::from(&**host),
                    // What DNS is asked for is a name, even if it looks like an address.
                    EndpointAddress::Socket(address)
                        if endpoint.hostname.is_empty() && self.resolver.is_some() =>
                    {
                        Arc::from(address.ip().to_string())
                    }
                    _ => Arc::from(&*endpoint.hostname),
                },
                weight: endpoint.weight,
                locality: Arc::clone(&place),
            }));
        }
        targets
    }

    /// Takes over the hosts that have been found; `false` if they are the ones that are there.
    fn publish(&self, found: &[HostDescription]) -> bool {
        let updated = self.hosts.borrow().updated(found);
        let Some(updated) = updated else { return false };
        self.stats.membership_change.increment(1);
        self.show_membership(&updated);
        self.hosts.send_replace(Arc::new(updated));
        true
    }

    fn show_membership(&self, set: &HostSet) {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^52 hosts")]
        let hosts = set.hosts.len() as f64;
        self.stats.membership_total.set(hosts);
        self.stats.membership_healthy.set(hosts);
        self.stats.membership_degraded.set(0.0);
        self.stats.membership_excluded.set(0.0);
        self.stats.max_host_weight.set(f64::from(set.max_weight()));
    }

    /// The first answer is there, or will not come.
    fn set_initialized(&self) {
        if !self.initialized.send_replace(true) {
            self.stats.warming_state.set(0.0);
        }
    }
}

impl Target {
    fn host(&self, address: std::net::SocketAddr) -> HostDescription {
        HostDescription {
            address,
            hostname: Arc::clone(&self.hostname),
            weight: self.weight,
            locality: Arc::clone(&self.locality),
        }
    }
}
