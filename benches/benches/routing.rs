//! The cost of a route lookup and of building a table, by the number of routes and of domains.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Method};
use nuncio_router::{Forward, RequestHead, Route, RouteMatch, RouteTable, RouteTableBuilder, VirtualHost};

/// Prefixes and exact paths in turn, and a last route for everything else.
fn builder(routes: usize) -> RouteTableBuilder {
    let route = |at: usize| {
        let matcher = match at % 2 {
            0 => RouteMatch::prefix(format!("/api/v1/service-{at}/")),
            _ => RouteMatch::path(format!("/api/v1/service-{at}/items")),
        };
        Route::new(matcher, Forward::to_cluster("service"))
    };
    let rest = Route::new(RouteMatch::prefix("/"), Forward::to_cluster("rest"));
    let host = VirtualHost::new("all").domain("*").with_routes((1..routes).map(route)).route(rest);
    RouteTable::builder().virtual_host(host)
}

fn table(routes: usize) -> RouteTable {
    builder(routes).build().expect("the table is sound")
}

/// Paths that go through the routes in no order that a processor could foresee.
fn paths(routes: usize) -> Vec<String> {
    let path = |step: usize| {
        let at = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        match at % routes {
            at if at % 2 == 0 => format!("/api/v1/service-{at}/items/77?page=1"),
            at => format!("/api/v1/service-{at}/items"),
        }
    };
    (0..4096).map(path).collect()
}

fn lookups(criterion: &mut Criterion) {
    let headers = HeaderMap::new();
    for (outcome, paths) in
        [("spread", paths as fn(usize) -> Vec<String>), ("last", |_| vec!["/about/us".into()])]
    {
        let mut group = criterion.benchmark_group(format!("routing/{outcome}"));
        for routes in [1, 4, 16, 100, 1_000, 10_000, 100_000] {
            let (table, paths) = (table(routes), paths(routes));
            let mut paths = paths.iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(routes), |bencher| {
                bencher.iter(|| {
                    let path = paths.next().map_or("", String::as_str);
                    let head = RequestHead::new(&Method::GET, "www.example.com", path, &headers);
                    table.route(black_box(&head), 7).is_ok()
                });
            });
        }
    }
}

fn domains(criterion: &mut Criterion) {
    let headers = HeaderMap::new();
    for (kind, authority) in [("exact", "host-0.example.com"), ("suffix", "www.sub-0.example.com")] {
        let mut group = criterion.benchmark_group(format!("domains/{kind}"));
        for hosts in [1, 100, 10_000] {
            let hosts = (0..hosts).map(|at| {
                VirtualHost::new(format!("host-{at}"))
                    .domain(format!("host-{at}.example.com"))
                    .domain(format!("*.sub-{at}.example.com"))
                    .route(Route::new(RouteMatch::prefix("/"), Forward::to_cluster("service")))
            });
            let table = RouteTable::builder().with_virtual_hosts(hosts).build().expect("the table is sound");
            let head = RequestHead::new(&Method::GET, authority, "/about/us", &headers);
            group.bench_function(BenchmarkId::from_parameter(table.virtual_hosts().len()), |bencher| {
                bencher.iter(|| table.route(black_box(&head), 7).is_ok());
            });
        }
    }
}

fn builds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("routing/build");
    for routes in [100, 10_000] {
        let builder = builder(routes);
        group.bench_function(BenchmarkId::from_parameter(routes), |bencher| {
            bencher.iter_batched(
                || builder.clone(),
                |builder| builder.build().is_ok(),
                BatchSize::LargeInput,
            );
        });
    }
}

criterion_group!(benches, lookups, domains, builds);
criterion_main!(benches);
