//! The cost of finding the virtual host of a request, by kind of domain and number of virtual hosts. Each host has one
//! route, whose lookup is in the figure.

use std::cell::LazyCell;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use nuncio_benches::routes::{DomainKind, VIRTUAL_HOSTS};

fn lookups(criterion: &mut Criterion) {
    for kind in DomainKind::ALL {
        let mut group = criterion.benchmark_group(format!("domains/{}", kind.name()));
        for hosts in VIRTUAL_HOSTS {
            let mut lookups = LazyCell::new(|| kind.lookups(hosts));
            group.bench_function(BenchmarkId::from_parameter(hosts), |bencher| {
                let lookups = LazyCell::force_mut(&mut lookups);
                bencher.iter(|| lookups.step());
            });
        }
    }
}

criterion_group!(benches, lookups);
criterion_main!(benches);
