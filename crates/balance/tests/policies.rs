//! What the policies promise, over generated host sets.

use std::num::NonZeroU32;
use std::sync::Arc;

use nuncio_balance::{Balancer, Health, Host, HostSet, LeastRequest, Policy};
use proptest::collection::vec;
use proptest::prelude::*;

const LEAST_REQUEST: fn() -> Policy = || Policy::LeastRequest(LeastRequest::new());

fn host(weight: u32) -> Host {
    Host::new().weight(NonZeroU32::new(weight).expect("weights are at least 1"))
}

fn hosts(weights: &[u32]) -> Arc<HostSet> {
    Arc::new(HostSet::new(weights.iter().copied().map(host)))
}

/// Evenly distributed numbers, the same in every run.
fn randoms() -> impl FnMut() -> u64 {
    let mut state = 1_u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state ^ (state >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

fn counts(balancer: &mut Balancer, picks: usize, active: impl Fn(usize) -> u64) -> Vec<usize> {
    let mut counts = vec![0; balancer.hosts().len()];
    let mut random = randoms();
    for _ in 0..picks {
        let host = balancer.pick(random(), &active).expect("there are hosts");
        *counts.get_mut(host).expect("a place in the set") += 1;
    }
    counts
}

proptest! {
    #[test]
    fn equal_weights_take_turns(count in 1..50_usize, weight in 1..9_u32, seed: u64) {
        let mut balancer = Balancer::new(Policy::RoundRobin, seed, hosts(&vec![weight; count]));
        let start = (seed % count as u64) as usize;
        for turn in 0..3 * count {
            prop_assert_eq!(balancer.pick(0, |_| 0), Some((start + turn) % count));
        }
    }

    #[test]
    fn unequal_weights_get_their_share_in_every_round(weights in vec(1..40_u32, 1..40), seed: u64, rounds in 1..4_usize) {
        for policy in [Policy::RoundRobin, LEAST_REQUEST()] {
            let equal = weights.iter().all(|weight| Some(weight) == weights.first());
            if equal && policy != Policy::RoundRobin {
                continue;
            }
            let round: u32 = weights.iter().sum();
            let mut balancer = Balancer::new(policy, seed, hosts(&weights));
            let counts = counts(&mut balancer, round as usize * rounds, |_| 0);
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert!(count.abs_diff(*weight as usize * rounds) <= 1, "{:?} {:?}", counts, weights);
            }
        }
    }

    #[test]
    fn only_hosts_of_the_set_that_may_be_picked(health in vec(0..3_u8, 0..30), weighted: bool, seed: u64, random: u64) {
        let set = health.iter().map(|health| match health {
            0 => Health::Healthy,
            1 => Health::Degraded,
            _ => Health::Unhealthy,
        });
        let set = set.enumerate().map(|(at, health)| host(if weighted { at as u32 % 3 + 1 } else { 1 }).health(health));
        let set = Arc::new(HostSet::new(set));
        for policy in [Policy::RoundRobin, Policy::Random, LEAST_REQUEST()] {
            let mut balancer = Balancer::new(policy, seed, Arc::clone(&set));
            for step in 0..20 {
                let picked = balancer.pick(random.wrapping_mul(step * 2 + 1), |host| host as u64);
                prop_assert_eq!(picked.is_none(), set.is_empty());
                let Some(host) = picked.and_then(|host| set.hosts().get(host)) else { continue };
                prop_assert!(set.in_panic() || host.health != Health::Unhealthy);
            }
        }
    }

    #[test]
    fn picks_depend_on_nothing_else(weights in vec(1..5_u32, 1..20), seed: u64, numbers in vec(any::<u64>(), 1..50)) {
        for policy in [Policy::RoundRobin, Policy::Random, LEAST_REQUEST()] {
            let picks = || {
                let mut balancer = Balancer::new(policy, seed, hosts(&weights));
                numbers.iter().map(|random| balancer.pick(*random, |host| host as u64 % 3)).collect::<Vec<_>>()
            };
            prop_assert_eq!(picks(), picks());
        }
    }
}

#[test]
fn no_hosts_no_pick() {
    for policy in [Policy::RoundRobin, Policy::Random, LEAST_REQUEST()] {
        assert_eq!(Balancer::new(policy, 7, hosts(&[])).pick(7, |_| 0), None);
    }
}

// The rounds in which Envoy 1.40 went through clusters of these weights, up to where they start.
#[test]
fn order_by_weight() {
    fn check(weights: &[u32], expected: &[usize]) {
        let mut balancer = Balancer::new(Policy::RoundRobin, 0, hosts(weights));
        let picks: Vec<_> = (0..expected.len()).filter_map(|_| balancer.pick(0, |_| 0)).collect();
        let twice = [expected, expected].concat();
        assert!(twice.windows(expected.len()).any(|window| window == picks), "{weights:?}: {picks:?}");
    }
    check(&[1, 2, 3], &[2, 2, 1, 2, 0, 1]);
    check(&[5, 1, 1], &[0, 0, 0, 0, 0, 1, 2]);
    check(&[1, 3], &[1, 1, 1, 0]);
}

#[test]
fn the_first_pick_follows_the_weights() {
    let mut random = randoms();
    let mut first = [0_usize; 3];
    for _ in 0..6_000 {
        let host = Balancer::new(Policy::RoundRobin, random(), hosts(&[1, 2, 3])).pick(0, |_| 0);
        *host.and_then(|host| first.get_mut(host)).expect("a place in the set") += 1;
    }
    assert!(
        first.iter().zip([1_000, 2_000, 3_000]).all(|(count, share)| count.abs_diff(share) < 150),
        "{first:?}"
    );
}

#[test]
fn random_ignores_weights() {
    let mut balancer = Balancer::new(Policy::Random, 0, hosts(&[1, 9]));
    let counts = counts(&mut balancer, 10_000, |_| 0);
    assert!(counts.iter().all(|count| count.abs_diff(5_000) < 300), "{counts:?}");
}

#[test]
fn least_request_avoids_busy_hosts() {
    fn check(policy: LeastRequest, weights: &[u32], busy: u64, expected: &[usize]) {
        let mut balancer = Balancer::new(Policy::LeastRequest(policy), 0, hosts(weights));
        let counts = counts(&mut balancer, 12_000, |host| if host == 0 { busy } else { 0 });
        let close = counts.iter().zip(expected).all(|(count, expected)| count.abs_diff(*expected) < 300);
        assert!(close, "{policy:?} {weights:?}: {counts:?}");
    }
    let policy = LeastRequest::new();
    // The busy host is taken only if it is drawn every time.
    check(policy, &[1, 1, 1], 5, &[1_333, 5_333, 5_333]);
    check(policy.choice_count(3), &[1, 1], 5, &[1_500, 10_500]);
    check(policy.choice_count(1), &[1, 1], 5, &[6_000, 6_000]);
    // With unequal weights the busy host has its weight divided.
    check(policy, &[2, 1, 1], 0, &[6_000, 3_000, 3_000]);
    check(policy, &[2, 1, 1], 1, &[4_000, 4_000, 4_000]);
    check(policy.active_request_bias(0.0), &[2, 1, 1], 9, &[6_000, 3_000, 3_000]);
    check(policy.active_request_bias(2.0), &[4, 1, 1], 1, &[4_000, 4_000, 4_000]);
}

#[test]
fn round_robin_goes_on_when_the_hosts_change() {
    let mut balancer = Balancer::new(Policy::RoundRobin, 0, hosts(&[1, 1]));
    let mut picks = vec![balancer.pick(0, |_| 0)];
    balancer.set_hosts(hosts(&[1, 1, 1]));
    picks.extend((0..3).map(|_| balancer.pick(0, |_| 0)));
    balancer.set_hosts(hosts(&[1, 9]));
    picks.push(balancer.pick(0, |_| 0));
    balancer.set_hosts(hosts(&[]));
    picks.push(balancer.pick(0, |_| 0));
    assert_eq!(picks, [Some(0), Some(1), Some(2), Some(0), Some(1), None]);
}
