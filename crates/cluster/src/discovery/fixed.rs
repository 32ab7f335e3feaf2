//! `STATIC`: the hosts stand in the configuration.

use nuncio_config::model::EndpointAddress;

use super::Discovery;

/// Publishes the configured addresses. The configuration's check lets no names through for this type; one that a
/// caller put in by hand has no address and is left out.
pub(super) fn discover(discovery: &Discovery) {
    let hosts: Vec<_> = discovery
        .targets()
        .iter()
        .filter_map(|target| match target.address {
            EndpointAddress::Socket(address) => Some(target.host(address)),
            EndpointAddress::Name { .. } => None,
        })
        .collect();
    discovery.stats.total_match_count.increment(hosts.len() as u64);
    discovery.publish(&hosts);
    discovery.set_initialized();
}
