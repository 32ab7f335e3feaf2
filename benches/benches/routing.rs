//! The cost of a route lookup by kind and number of routes, and of building a table.

use std::cell::LazyCell;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use nuncio_benches::routes::RouteKind;

fn lookups(criterion: &mut Criterion) {
    for kind in RouteKind::ALL {
        let mut group = criterion.benchmark_group(format!("routing/{}", kind.name()));
        for routes in kind.sizes().iter().copied() {
            let mut lookups = LazyCell::new(|| kind.lookups(routes));
            group.bench_function(BenchmarkId::from_parameter(routes), |bencher| {
                let lookups = LazyCell::force_mut(&mut lookups);
                bencher.iter(|| lookups.step());
            });
        }
    }
}

fn builds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("routing/build");
    for (kind, routes) in [(RouteKind::Mixed, 100), (RouteKind::Mixed, 10_000), (RouteKind::Regex, 100)] {
        let builder = LazyCell::new(|| kind.builder(routes));
        group.bench_function(BenchmarkId::new(kind.name(), routes), |bencher| {
            bencher.iter_batched(
                || builder.clone(),
                |builder| builder.build().is_ok(),
                BatchSize::LargeInput,
            );
        });
    }
}

criterion_group!(benches, lookups, builds);
criterion_main!(benches);
