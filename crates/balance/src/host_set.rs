//! The hosts of a cluster at one moment, and which of them may be picked from.

use std::num::NonZeroU32;

/// What a balancer has to know of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// `load_balancing_weight`; 1 by default.
    pub weight: NonZeroU32,
    /// Whether requests should go there.
    pub health: Health,
}

impl Host {
    /// A healthy host of weight 1.
    #[must_use]
    pub fn new() -> Self {
        Self { weight: NonZeroU32::MIN, health: Health::Healthy }
    }

    /// The same host with another weight.
    #[must_use]
    pub fn weight(self, weight: NonZeroU32) -> Self {
        Self { weight, ..self }
    }

    /// The same host in another state.
    #[must_use]
    pub fn health(self, health: Health) -> Self {
        Self { health, ..self }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether requests should go to a host, once all opinions on its health are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// `HEALTHY` or `UNKNOWN`.
    #[default]
    Healthy,
    /// `DEGRADED`: as long as healthy hosts suffice, others are preferred.
    Degraded,
    /// `UNHEALTHY`, `DRAINING` or `TIMEOUT`: only in panic.
    Unhealthy,
}

/// When the choice of hosts widens (`Cluster.CommonLbConfig`, `ClusterLoadAssignment.Policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Thresholds {
    /// `healthy_panic_threshold`: below so many per cent of healthy and degraded hosts, health counts for nothing.
    /// 50 by default, 0 is never. Envoy drops what follows the decimal point.
    pub healthy_panic_threshold: u32,
    /// `overprovisioning_factor`: what the share of healthy hosts, in per cent, is multiplied by (and divided by 100)
    /// to say how many per cent of the requests they can bear. 140 by default.
    pub overprovisioning_factor: u32,
}

impl Thresholds {
    /// The same with another panic threshold, in per cent.
    #[must_use]
    pub fn healthy_panic_threshold(self, per_cent: u32) -> Self {
        Self { healthy_panic_threshold: per_cent, ..self }
    }

    /// The same with another overprovisioning factor, in per cent.
    #[must_use]
    pub fn overprovisioning_factor(self, per_cent: u32) -> Self {
        Self { overprovisioning_factor: per_cent, ..self }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { healthy_panic_threshold: 50, overprovisioning_factor: 140 }
    }
}

/// An immutable snapshot of a cluster's hosts.
///
/// A host is known by its place, counted from 0 in the order in which the hosts were given.
#[derive(Clone, Debug)]
pub struct HostSet {
    hosts: Box<[Host]>,
    pools: [Pool; 3],
    load: Load,
}

impl HostSet {
    /// A set of these hosts with Envoy's default thresholds.
    #[must_use]
    pub fn new(hosts: impl IntoIterator<Item = Host>) -> Self {
        Self::with_thresholds(hosts, Thresholds::default())
    }

    /// A set of these hosts with other thresholds.
    #[must_use]
    pub fn with_thresholds(hosts: impl IntoIterator<Item = Host>, thresholds: Thresholds) -> Self {
        let hosts: Box<[Host]> = hosts.into_iter().collect();
        let healthy = Pool::new(&hosts, |host| host.health == Health::Healthy);
        let degraded = Pool::new(&hosts, |host| host.health == Health::Degraded);
        let load = Load::new(hosts.len(), healthy.len, degraded.len, thresholds);
        let pools = [Pool::new(&hosts, |_| true), healthy, degraded];
        Self { hosts, pools, load }
    }

    /// The number of hosts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there are no hosts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The hosts, in order.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// How many hosts are healthy (`membership_healthy`).
    #[must_use]
    pub fn healthy_count(&self) -> usize {
        self.pool(PoolKind::Healthy).len
    }

    /// How many hosts are degraded (`membership_degraded`).
    #[must_use]
    pub fn degraded_count(&self) -> usize {
        self.pool(PoolKind::Degraded).len
    }

    /// Whether health counts for nothing (each pick then adds to Envoy's `lb_healthy_panic`).
    #[must_use]
    pub fn in_panic(&self) -> bool {
        self.load == Load::Panic
    }

    /// From which hosts a request with this random number is served.
    pub(crate) fn choose_pool(&self, random: u64) -> PoolKind {
        match self.load {
            Load::Panic => PoolKind::All,
            Load::Healthy { per_cent: 100 } => PoolKind::Healthy,
            // The remainder and not the upper bits, which choose the host.
            Load::Healthy { per_cent } if random % 100 < u64::from(per_cent) => PoolKind::Healthy,
            Load::Healthy { .. } => PoolKind::Degraded,
        }
    }

    pub(crate) fn pool(&self, kind: PoolKind) -> &Pool {
        let [all, healthy, degraded] = &self.pools;
        match kind {
            PoolKind::All => all,
            PoolKind::Healthy => healthy,
            PoolKind::Degraded => degraded,
        }
    }

    /// The weight of a host, 0 if there is no such host.
    pub(crate) fn weight(&self, host: usize) -> u32 {
        self.hosts.get(host).map_or(0, |host| host.weight.get())
    }
}

/// The hosts that one pick chooses among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoolKind {
    All,
    Healthy,
    Degraded,
}

/// Some of the hosts of a set.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) len: usize,
    pub(crate) equal_weights: bool,
    /// The places of the hosts in the set, or `None` if all hosts are in the pool.
    members: Option<Box<[u32]>>,
}

impl Pool {
    fn new(hosts: &[Host], belongs: impl Fn(&Host) -> bool) -> Self {
        let members = || (0..).zip(hosts).filter(|(_, host)| belongs(host));
        let len = members().count();
        let mut weights = members().map(|(_, host)| host.weight);
        let first = weights.next();
        Self {
            len,
            equal_weights: weights.all(|weight| Some(weight) == first),
            members: (len < hosts.len()).then(|| members().map(|(at, _)| at).collect()),
        }
    }

    /// The place in the set of a member of the pool.
    pub(crate) fn host(&self, member: usize) -> Option<usize> {
        match &self.members {
            None => (member < self.len).then_some(member),
            Some(members) => members.get(member).map(|host| *host as usize),
        }
    }
}

/// How the requests are shared out among healthy and degraded hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// Among all hosts, whatever their health.
    Panic,
    /// So many per cent to the healthy ones, the rest to the degraded ones.
    Healthy { per_cent: u32 },
}

impl Load {
    fn new(hosts: usize, healthy: usize, degraded: usize, thresholds: Thresholds) -> Self {
        let bearable = |share: usize| {
            let share = share as u64 * u64::from(thresholds.overprovisioning_factor);
            share.checked_div(hosts as u64).unwrap_or(0).min(100)
        };
        let (by_healthy, by_degraded) = (bearable(healthy), bearable(degraded));
        let together = (by_healthy + by_degraded).min(100);
        // Compared without rounding: below the threshold is a share of 49.9 %, too.
        let threshold = u64::from(thresholds.healthy_panic_threshold.min(100));
        let too_few = (healthy as u64 + degraded as u64) * 100 < threshold * hosts as u64;
        if together < 100 && too_few {
            return Self::Panic;
        }
        let per_cent = (by_healthy * 100).checked_div(together).unwrap_or(100);
        Self::Healthy { per_cent: u32::try_from(per_cent).unwrap_or(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What Envoy 1.40 does with clusters of these hosts, seen by where 120 or 300 requests went: H healthy,
    // D degraded, U unhealthy.
    #[test]
    fn load() {
        fn check(hosts: &str, threshold: u32, expected: Load) {
            let hosts = hosts.chars().map(|health| {
                Host::new().health(match health {
                    'H' => Health::Healthy,
                    'D' => Health::Degraded,
                    _ => Health::Unhealthy,
                })
            });
            let hosts: Vec<_> = hosts.collect();
            let set = HostSet::with_thresholds(
                hosts.clone(),
                Thresholds::default().healthy_panic_threshold(threshold),
            );
            assert_eq!(set.load, expected, "{hosts:?} {threshold}");
            assert_eq!(set.in_panic(), expected == Load::Panic);
        }
        let healthy = |per_cent| Load::Healthy { per_cent };
        check("HHHH", 50, healthy(100));
        check("HHUU", 50, healthy(100));
        check("HUUU", 50, Load::Panic);
        check("HUUU", 0, healthy(100));
        check("UUU", 50, Load::Panic);
        check("UUU", 0, healthy(100));
        check("HHHU", 80, healthy(100));
        check("HHHHHHHUUU", 80, Load::Panic);
        check("HUU", 33, healthy(100));
        check("HUU", 34, Load::Panic);
        check("HDUU", 50, healthy(50));
        check("UDDU", 50, healthy(0));
        check("DUUU", 50, Load::Panic);
        check("UDUU", 0, healthy(0));
        check("HHHD", 50, healthy(100));
        check("HHD", 50, healthy(93));
        check("", 50, healthy(100));
    }

    #[test]
    fn pools() {
        let hosts = [
            Host::new(),
            Host::new().health(Health::Degraded).weight(NonZeroU32::new(2).unwrap()),
            Host::new().health(Health::Unhealthy),
            Host::new(),
        ];
        let set = HostSet::new(hosts);
        let check = |kind: PoolKind, expected: &[usize], equal_weights: bool| {
            let pool = set.pool(kind);
            let members: Vec<_> = (0..=pool.len).map_while(|member| pool.host(member)).collect();
            assert_eq!((members.as_slice(), pool.equal_weights), (expected, equal_weights), "{kind:?}");
        };
        check(PoolKind::All, &[0, 1, 2, 3], false);
        check(PoolKind::Healthy, &[0, 3], true);
        check(PoolKind::Degraded, &[1], true);
        assert_eq!((set.len(), set.healthy_count(), set.degraded_count()), (4, 2, 1));
        assert_eq!((set.weight(1), set.weight(9)), (2, 0));
        assert!(!set.is_empty());
        assert_eq!(set.hosts(), hosts);
    }

    #[test]
    fn degraded_hosts_get_what_is_left() {
        let set = HostSet::new([Host::new(), Host::new(), Host::new().health(Health::Degraded)]);
        let healthy = (0..100).filter(|random| set.choose_pool(*random) == PoolKind::Healthy).count();
        assert_eq!(healthy, 93);
    }
}
