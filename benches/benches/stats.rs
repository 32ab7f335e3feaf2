//! What keeping and reading stats costs: an increment alone and beside a busy neighbour, a histogram sample,
//! registration, and a scrape of ten thousand clusters.

use std::cell::LazyCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use nuncio_benches::is_smoke_test;
use nuncio_stats::{Filter, Registry, Shard, StatsQuery, Unit, render};

/// Roughly what Envoy has for a cluster: 130 counters and gauges, 8 histograms.
const SCALARS: usize = 130;
const HISTOGRAMS: usize = 8;
const CLUSTERS: usize = 10_000;

fn increments(c: &mut Criterion) {
    let mut group = c.benchmark_group("stats/write");
    let registry = Registry::new(2);
    let [own, other] = [0, 1].map(|worker| registry.scope(Shard::worker(worker), "cluster.a"));
    let (counter, gauge) = (own.counter("upstream_rq_total"), own.gauge("upstream_rq_active"));
    let histogram = own.histogram("upstream_rq_time", Unit::Milliseconds);
    group.bench_function("counter", |b| b.iter(|| black_box(&counter).increment(1)));
    group.bench_function("gauge up and down", |b| {
        b.iter(|| {
            black_box(&gauge).increment(1.0);
            black_box(&gauge).decrement(1.0);
        });
    });
    let mut value = 0_u32;
    group.bench_function("histogram", |b| {
        b.iter(|| {
            value = (value + 7) % 3000;
            black_box(&histogram).record(f64::from(value));
        });
    });

    let neighbour = other.counter("upstream_rq_total");
    let stop = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                neighbour.increment(1);
            }
        });
        group.bench_function("counter, other worker busy with the same name", |b| {
            b.iter(|| black_box(&counter).increment(1));
        });
        stop.store(true, Ordering::Relaxed);
    });
    group.finish();
}

/// Registers the stats of so many clusters on the main shard and on one worker, and uses a few of each.
fn clusters(count: usize) -> Registry {
    let registry = Registry::new(1);
    let names: Vec<String> = (0..SCALARS).map(|i| format!("upstream_rq_of_some_kind_{i}")).collect();
    for cluster in 0..count {
        for shard in [Shard::MAIN, Shard::worker(0)] {
            let scope = registry.scope(shard, &format!("cluster.service_{cluster}"));
            for (i, name) in names.iter().enumerate() {
                if i % 10 == 0 {
                    scope.gauge(name).set(1.0);
                } else {
                    scope.counter(name).increment(1);
                }
            }
            for i in 0..HISTOGRAMS {
                let histogram = scope.histogram(&format!("upstream_rq_time_{i}"), Unit::Milliseconds);
                if i == 0 {
                    histogram.record(cluster as f64);
                }
            }
        }
    }
    registry.flush();
    registry
}

fn registration(c: &mut Criterion) {
    let mut group = c.benchmark_group("stats/register");
    group.sample_size(10);
    group.bench_function("100 clusters on two shards", |b| {
        b.iter_batched(|| (), |()| clusters(100), BatchSize::PerIteration);
    });
    group.finish();
}

fn scrapes(c: &mut Criterion) {
    let mut group = c.benchmark_group("stats/scrape");
    group.sample_size(10);
    for count in if is_smoke_test() { [1, 10] } else { [100, CLUSTERS] } {
        let registry = LazyCell::new(|| clusters(count));
        let all = StatsQuery::default();
        let one = StatsQuery {
            filter: Some(Filter::new(r"^cluster\.service_77\.").expect("the expression is well-formed")),
            ..StatsQuery::default()
        };
        group.bench_function(BenchmarkId::new("snapshot", count), |b| b.iter(|| registry.snapshot(&all)));
        group.bench_function(BenchmarkId::new("snapshot of one cluster", count), |b| {
            b.iter(|| registry.snapshot(&one));
        });
        let sum = |chunks: &mut dyn Iterator<Item = String>| chunks.map(|chunk| chunk.len()).sum::<usize>();
        group.bench_function(BenchmarkId::new("text", count), |b| {
            b.iter(|| sum(&mut render::text_chunks(registry.snapshot(&all))));
        });
        group.bench_function(BenchmarkId::new("prometheus", count), |b| {
            b.iter(|| sum(&mut render::prometheus_chunks(registry.snapshot(&all))));
        });
        group.bench_function(BenchmarkId::new("flush", count), |b| b.iter(|| registry.flush()));
    }
    group.finish();
}

criterion_group!(benches, increments, registration, scrapes);
criterion_main!(benches);
