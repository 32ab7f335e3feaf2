use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use metrics::{counter, gauge, histogram};
use proptest::prelude::*;

use super::*;
use crate::query::Filter;
use crate::render;
use crate::snapshot::Span;

fn text(registry: &Registry, query: &StatsQuery) -> String {
    render::text(&registry.snapshot(query))
}

#[test]
fn scope_names_are_mapped_as_envoy_maps_them() {
    fn check(prefix: &str, expected: &str) {
        let registry = Registry::new(0);
        registry.scope(Shard::MAIN, prefix).counter("n").increment(1);
        assert_eq!(registry.counter_value(expected), Some(1), "{prefix}");
    }
    check("", "n");
    check("cluster.a", "cluster.a.n");
    check("cluster.a.", "cluster.a.n");
    check(".cluster.a", "cluster.a.n");
    check("listener.127.0.0.1:8080", "listener.127.0.0.1_8080.n");
    check("listener.[::1]:8080", "listener.[__1]_8080.n");
    check("listener.l:1://x.y", "listener.l_1_x.y.n");
    check("cluster.http://a:/b:c\0d", "cluster.http_a_b_c_d.n");
    check("a\0/b", "a_/b.n");
}

#[test]
fn shards_add_up_and_one_shard_has_one_cell() {
    let registry = Registry::new(2);
    let scopes =
        [Shard::MAIN, Shard::worker(0), Shard::worker(1)].map(|shard| registry.scope(shard, "a").scope("b"));
    for scope in &scopes {
        let (counter, again) = (scope.counter("c"), scope.counter("c"));
        counter.increment(1);
        again.increment(10);
        scope.gauge("g").increment(2.0);
        scope.histogram("h", Unit::Bytes).record(7.0);
    }
    scopes[2].gauge("g").decrement(5.0);
    registry.flush();
    assert_eq!(registry.counter_value("a.b.c"), Some(33));
    assert_eq!(registry.gauge_value("a.b.g"), Some(1));
    assert_eq!(registry.counter_value("a.b.g"), None);
    let snapshot = registry.snapshot(&StatsQuery::default());
    assert_eq!(snapshot.histograms().map(|h| h.count(Span::Cumulative)).collect::<Vec<_>>(), [3]);
    assert_eq!(read(&registry.inner.counters).get("a.b.c").map(|entry| entry.cells.len()), Some(3));
}

#[test]
fn cells_registered_in_turn_on_two_workers_share_no_cache_line() {
    let registry = Registry::new(2);
    for i in 0..100 {
        for worker in 0..2 {
            let _registered = registry.scope(Shard::worker(worker), "").counter(&i.to_string());
        }
    }
    let lines = |worker| {
        let counters = read(&registry.inner.counters);
        let cells = counters.values().flat_map(|entry| &entry.cells);
        let own = cells.filter(|cell| cell.shard == Shard::worker(worker)).map(|cell| cell.address() / 64);
        own.collect::<BTreeSet<_>>()
    };
    assert!(!lines(0).is_empty());
    assert!(lines(0).is_disjoint(&lines(1)));
}

#[test]
fn a_sum_that_is_negative_for_a_moment_shows_as_zero() {
    let registry = Registry::new(1);
    registry.scope(Shard::worker(0), "").gauge("g").decrement(1.0);
    assert_eq!(registry.gauge_value("g"), Some(-1));
    assert_eq!(text(&registry, &StatsQuery::default()), "g: 0\n");
}

#[test]
fn what_exists_and_what_is_used() {
    let registry = Registry::new(1);
    let scope = registry.scope(Shard::worker(0), "s");
    let (counter, gauge, histogram) =
        (scope.counter("c"), scope.gauge("g"), scope.histogram("h", Unit::Milliseconds));
    scope.text_readout("t", "x");
    let used = StatsQuery { used_only: true, ..StatsQuery::default() };
    assert_eq!(
        text(&registry, &StatsQuery::default()),
        "s.t: \"x\"\ns.c: 0\ns.g: 0\ns.h: No recorded values\n"
    );
    assert_eq!(text(&registry, &used), "s.t: \"x\"\n");
    counter.increment(1);
    gauge.set(0.0);
    histogram.record(1.0);
    assert_eq!(text(&registry, &used), "s.t: \"x\"\ns.c: 1\ns.g: 0\n");
    registry.flush();
    assert!(text(&registry, &used).contains("s.h: P0(1.05,1.05)"));
}

#[test]
fn reset_counters_start_again_and_stay_used() {
    let registry = Registry::new(1);
    let counter = registry.scope(Shard::worker(0), "").counter("c");
    let gauge = registry.scope(Shard::MAIN, "").gauge("g");
    counter.increment(5);
    gauge.set(5.0);
    registry.reset_counters();
    let used = StatsQuery { used_only: true, ..StatsQuery::default() };
    assert_eq!(text(&registry, &used), "c: 0\ng: 5\n");
    counter.increment(2);
    assert_eq!(registry.counter_value("c"), Some(2));
    registry.reset_counters();
    assert_eq!(registry.counter_value("c"), Some(0));
}

#[test]
fn intervals_roll_at_each_flush() {
    let registry = Registry::new(1);
    let histogram = registry.scope(Shard::worker(0), "").histogram("h", Unit::Milliseconds);
    let check = |expected: [u64; 2]| {
        registry.flush();
        let snapshot = registry.snapshot(&StatsQuery::default());
        let counts = snapshot.histograms().map(|h| [h.count(Span::Interval), h.count(Span::Cumulative)]);
        assert_eq!(counts.collect::<Vec<_>>(), [expected]);
    };
    check([0, 0]);
    histogram.record(1.0);
    histogram.record(100.0);
    check([2, 2]);
    histogram.record(1.0);
    check([1, 3]);
    check([0, 3]);
}

#[test]
fn the_macros_of_the_metrics_crate_reach_their_shard() {
    let registry = Registry::new(1);
    metrics::with_local_recorder(&registry.recorder(Shard::worker(0)), || {
        counter!("cluster.a.upstream_rq_total").increment(3);
        counter!("requests", "zone" => "z1").increment(4);
        gauge!("cluster.a.upstream_cx_active").set(2.0);
        histogram!("cluster.a.upstream_rq_time").record(5.0);
    });
    assert_eq!(registry.counter_value("cluster.a.upstream_rq_total"), Some(3));
    assert_eq!(registry.counter_value("requests.zone.z1"), Some(4));
    assert_eq!(registry.gauge_value("cluster.a.upstream_cx_active"), Some(2));
    registry.flush();
    let query = StatsQuery { filter: Some(Filter::new("rq_time$").unwrap()), ..StatsQuery::default() };
    assert_eq!(registry.snapshot(&query).histograms().count(), 1);
}

#[test]
fn a_snapshot_visits_everything_once_however_many_there_are() {
    for count in [0, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH] {
        let registry = Registry::new(0);
        let scope = registry.scope(Shard::MAIN, "");
        for i in 0..count {
            scope.counter(&format!("c{i}")).increment(i as u64);
        }
        let snapshot = registry.snapshot(&StatsQuery::default());
        let names: Vec<&str> = snapshot.counters().map(|(name, _)| name).collect();
        assert_eq!(names.len(), count);
        assert!(names.is_sorted());
    }
}

#[test]
fn threads_count_together() {
    let registry = Registry::new(4);
    thread::scope(|threads| {
        for worker in 0..4 {
            let registry = &registry;
            threads.spawn(move || {
                let scope = registry.scope(Shard::worker(worker), "w");
                let (counter, histogram) = (scope.counter("c"), scope.histogram("h", Unit::Bytes));
                for i in 0..10_000_u32 {
                    counter.increment(1);
                    histogram.record(f64::from(i % 500));
                    if i % 1000 == 0 {
                        registry.flush();
                    }
                }
            });
        }
    });
    registry.flush();
    assert_eq!(registry.counter_value("w.c"), Some(40_000));
    let snapshot = registry.snapshot(&StatsQuery::default());
    assert_eq!(snapshot.histograms().map(|h| h.count(Span::Cumulative)).sum::<u64>(), 40_000);
}

proptest! {
    /// The registry against a plain map.
    #[test]
    fn counts_like_a_map(writes in prop::collection::vec((0_usize..4, 0_u8..6, 0_u64..100, any::<bool>()), 0..200)) {
        let registry = Registry::new(3);
        let mut counters = BTreeMap::new();
        let mut gauges = BTreeMap::new();
        for (shard, name, amount, is_counter) in writes {
            let scope = registry.scope(if shard == 0 { Shard::MAIN } else { Shard::worker(shard - 1) }, "p");
            let name = format!("n{name}");
            let full = format!("p.{name}");
            if is_counter {
                scope.counter(&name).increment(amount);
                *counters.entry(full).or_insert(0) += amount;
            } else {
                scope.gauge(&name).increment(amount as f64);
                *gauges.entry(full).or_insert(0) += amount;
            }
        }
        let snapshot = registry.snapshot(&StatsQuery { used_only: true, ..StatsQuery::default() });
        let owned = |(name, value): (&str, u64)| (name.to_owned(), value);
        prop_assert_eq!(snapshot.counters().map(owned).collect::<BTreeMap<_, _>>(), counters);
        prop_assert_eq!(snapshot.gauges().map(owned).collect::<BTreeMap<_, _>>(), gauges);
    }
}
