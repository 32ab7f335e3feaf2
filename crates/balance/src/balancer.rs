//! The state of a policy between picks.

use std::sync::Arc;

use crate::draw;
use crate::host_set::{HostSet, Pool, PoolKind};
use crate::policy::{LeastRequest, Policy};
use crate::schedule::Schedule;

/// Picks hosts of a [`HostSet`] by a [`Policy`].
#[derive(Clone, Debug)]
pub struct Balancer {
    policy: Policy,
    seed: u64,
    hosts: Arc<HostSet>,
    all: Turn,
    healthy: Turn,
    degraded: Turn,
}

/// Whose turn it is among the hosts of a pool.
#[derive(Clone, Debug)]
struct Turn {
    /// For equal weights: counts up with every pick, and goes on when the hosts change.
    next: u64,
    /// For unequal weights: made for the hosts with the first pick.
    schedule: Option<Schedule>,
}

impl Balancer {
    /// A balancer of these hosts. The seed should be random: it chooses where round robin and the weighted policies
    /// start.
    #[must_use]
    pub fn new(policy: Policy, seed: u64, hosts: Arc<HostSet>) -> Self {
        let turn = Turn { next: seed, schedule: None };
        Self { policy, seed, hosts, all: turn.clone(), healthy: turn.clone(), degraded: turn }
    }

    /// Goes on with other hosts.
    pub fn set_hosts(&mut self, hosts: Arc<HostSet>) {
        self.hosts = hosts;
        for turn in [&mut self.all, &mut self.healthy, &mut self.degraded] {
            turn.schedule = None;
        }
    }

    /// The hosts that are picked from.
    #[must_use]
    pub fn hosts(&self) -> &Arc<HostSet> {
        &self.hosts
    }

    /// The place in the host set of the host for the next request, or `None` if there is none to send it to.
    ///
    /// `random` should be evenly distributed over all 64 bits. `active` says how many requests are under way at a
    /// host; only [`Policy::LeastRequest`] asks.
    pub fn pick(&mut self, random: u64, active: impl Fn(usize) -> u64) -> Option<usize> {
        let hosts = &*self.hosts;
        let kind = hosts.choose_pool(random);
        let turn = match kind {
            PoolKind::All => &mut self.all,
            PoolKind::Healthy => &mut self.healthy,
            PoolKind::Degraded => &mut self.degraded,
        };
        let pool = hosts.pool(kind);
        if pool.len == 0 {
            return None;
        }
        let weight = |host: usize| f64::from(hosts.weight(host));
        match self.policy {
            Policy::Random => pool.host(draw::below(random, pool.len as u64) as usize),
            Policy::RoundRobin if pool.equal_weights => pool.host(turn.in_order(pool)),
            Policy::RoundRobin => turn.scheduled(pool, self.seed, weight),
            Policy::LeastRequest(policy) if pool.equal_weights => least_busy(policy, pool, random, active),
            Policy::LeastRequest(policy) => {
                turn.scheduled(pool, self.seed, |host| policy.weight(weight(host), active(host)))
            }
        }
    }
}

impl Turn {
    /// The next member of the pool, which is not empty.
    fn in_order(&mut self, pool: &Pool) -> usize {
        let member = self.next % pool.len as u64;
        self.next = self.next.wrapping_add(1);
        member as usize
    }

    /// The host of the pool that is due.
    fn scheduled(&mut self, pool: &Pool, seed: u64, weight: impl Fn(usize) -> f64) -> Option<usize> {
        let weight = |member| pool.host(member).map_or(0.0, &weight);
        let schedule = self.schedule.get_or_insert_with(|| Schedule::new(pool.len, weight, seed));
        schedule.pick(weight).and_then(|member| pool.host(member))
    }
}

/// The host with the fewest requests of those drawn; of equal ones, the one drawn first.
fn least_busy(
    policy: LeastRequest,
    pool: &Pool,
    random: u64,
    active: impl Fn(usize) -> u64,
) -> Option<usize> {
    let drawn = draw::sequence(random).take(policy.choice_count as usize);
    let hosts = drawn.filter_map(|random| pool.host(draw::below(random, pool.len as u64) as usize));
    hosts.min_by_key(|host| active(*host))
}
