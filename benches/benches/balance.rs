//! The cost of a pick, by policy and number of hosts, with equal and with unequal weights.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use nuncio_balance::{Balancer, Host, HostSet, LeastRequest, Policy};

fn picks(criterion: &mut Criterion) {
    let policies = [
        ("round_robin", Policy::RoundRobin),
        ("random", Policy::Random),
        ("least_request", Policy::LeastRequest(LeastRequest::new())),
    ];
    for (name, policy) in policies {
        for (weights, weight) in [("equal", (|_| 1) as fn(u32) -> u32), ("unequal", |at| at * 7919 % 100 + 1)]
        {
            let mut group = criterion.benchmark_group(format!("balance/{name}/{weights}"));
            for count in [3, 100, 10_000_u32] {
                let host = |at| Host::new().weight(NonZeroU32::new(weight(at)).unwrap_or(NonZeroU32::MIN));
                let hosts = Arc::new(HostSet::new((0..count).map(host)));
                let active: Vec<_> = (0..u64::from(count)).map(|at| AtomicU64::new(at * 31 % 4)).collect();
                let active =
                    |host: usize| active.get(host).map_or(0, |active| active.load(Ordering::Relaxed));
                let mut balancer = Balancer::new(policy, 12_345_678_901_234_567, hosts);
                let mut random = 1_u64;
                group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                    bencher.iter(|| {
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        balancer.pick(random, active)
                    });
                });
            }
        }
    }
}

criterion_group!(benches, picks);
criterion_main!(benches);
