//! Compares all renderings, byte for byte, with what Envoy 1.40 answered.
//!
//! `fixtures/` holds answers that its `record.py` recorded, and says how. The answers of the front-proxy example are
//! not part of the repository; they are compared where they lie beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nuncio_stats::{HistogramBuckets, Registry, Scope, Shard, Snapshot, StatKind, StatsQuery, Unit, render};

/// Fills a registry with the stats of an answer in text form, and lets the second half of each histogram's samples
/// fall into the last interval.
fn replay(
    stats: &str,
    kinds: &BTreeMap<String, String>,
    samples: &BTreeMap<String, [Samples; 2]>,
) -> Registry {
    let registry = Registry::new(1);
    let scope = registry.scope(Shard::MAIN, "");
    for line in stats.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if let Some(text) = value.strip_prefix('"') {
            scope.text_readout(name, text.strip_suffix('"').unwrap());
        } else if let Ok(value) = value.parse::<u64>() {
            register(&registry, &scope, name, value, kinds);
        } else {
            let _registered = scope.histogram(name, Unit::Unspecified);
        }
    }
    for interval in [0, 1] {
        for (name, samples) in samples {
            let histogram = scope.histogram(name, Unit::Unspecified);
            for (value, count) in &samples[interval] {
                histogram.record_many(*value, *count);
            }
        }
        registry.flush();
    }
    registry
}

type Samples = Vec<(f64, usize)>;

/// The text form does not tell counters from gauges; the Prometheus form of the same answer does.
fn register(registry: &Registry, scope: &Scope, name: &str, value: u64, kinds: &BTreeMap<String, String>) {
    let probe = Registry::new(0);
    let _registered = probe.scope(Shard::MAIN, "").counter(name);
    let rendered = render::prometheus(&probe.snapshot(&StatsQuery::default()));
    let family = rendered.split_whitespace().nth(2).unwrap();
    match kinds.get(family).map(String::as_str) {
        Some("counter") => scope.counter(name).increment(value),
        // A gauge is a double on its way; the few recorded values beyond 2^53 are hashes and times.
        Some("gauge") => scope.gauge(name).set(value as f64),
        other => panic!("{name} became {family}, which the recording has as {other:?}"),
    }
    let read = registry.counter_value(name).or(registry.gauge_value(name).map(|value| value as u64));
    assert_eq!(read, Some(value), "{name}");
}

fn kinds(prometheus: &str) -> BTreeMap<String, String> {
    let lines = prometheus.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    lines
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// Reads the samples out of the "detailed" form of histograms.
fn detailed(text: &str) -> BTreeMap<String, [Samples; 2]> {
    let mut all: BTreeMap<String, [Samples; 2]> = BTreeMap::new();
    let mut name = "";
    for line in text.lines() {
        let bins = |list: &str| -> Samples {
            let bins = list.split(", ").filter(|bin| !bin.is_empty());
            bins.map(|bin| {
                let (bounds, count) = bin.split_once(':').unwrap();
                (bounds.split_once(',').unwrap().0.parse().unwrap(), count.parse().unwrap())
            })
            .collect()
        };
        if let Some(list) = line.strip_prefix("  totals=") {
            all.entry(name.to_owned()).or_default()[0] = bins(list);
        } else if let Some(list) = line.strip_prefix("  intervals=") {
            let [before, interval] = all.entry(name.to_owned()).or_default();
            *interval = bins(list);
            for (value, count) in interval {
                before.iter_mut().find(|(other, _)| other == value).unwrap().1 -= *count;
            }
        } else if let Some(next) = line.strip_suffix(':') {
            name = next;
        }
    }
    all
}

fn assert_same(what: &str, ours: &str, recorded: &str) {
    let separator = if recorded.starts_with('{') { '}' } else { '\n' };
    for (i, (ours, recorded)) in ours.split(separator).zip(recorded.split(separator)).enumerate() {
        assert_eq!(ours, recorded, "{what}, item {i}");
    }
    assert_eq!(ours.len(), recorded.len(), "{what}");
}

fn fixture(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn recorded_registry() -> Registry {
    let kinds = kinds(&fixture("prometheus.txt"));
    replay(&fixture("stats.txt"), &kinds, &detailed(&fixture("histograms_detailed.txt")))
}

#[test]
fn recorded_answers() {
    let registry = recorded_registry();
    let check = |query: StatsQuery, render: fn(&Snapshot) -> String, name: &str| {
        assert_same(name, &render(&registry.snapshot(&query)), &fixture(name));
    };
    check(StatsQuery::default(), render::text, "stats.txt");
    check(StatsQuery::default(), render::json, "stats.json");
    for (form, name) in [
        (HistogramBuckets::Summary, "summary"),
        (HistogramBuckets::Cumulative, "cumulative"),
        (HistogramBuckets::Disjoint, "disjoint"),
        (HistogramBuckets::Detailed, "detailed"),
    ] {
        let query =
            StatsQuery { kind: Some(StatKind::Histogram), histogram_buckets: form, ..StatsQuery::default() };
        check(query.clone(), render::text, &format!("histograms_{name}.txt"));
        check(query, render::json, &format!("histograms_{name}.json"));
    }
    check(StatsQuery { text_readouts: true, ..StatsQuery::default() }, render::prometheus, "prometheus.txt");
    let summary = StatsQuery { histogram_buckets: HistogramBuckets::Summary, ..StatsQuery::default() };
    check(summary, render::prometheus, "prometheus_summary.txt");
}

#[test]
fn chunks_make_up_the_whole() {
    let registry = recorded_registry();
    let snapshot = registry.snapshot(&StatsQuery::default());
    let check = |chunks: Vec<String>, whole: String| {
        assert_eq!(chunks.concat(), whole);
        assert_eq!(chunks.len(), whole.len().div_ceil(64 * 1024));
    };
    check(render::text_chunks(snapshot.clone()).collect(), render::text(&snapshot));
    check(render::json_chunks(snapshot.clone()).collect(), render::json(&snapshot));
    check(render::prometheus_chunks(snapshot.clone()).collect(), render::prometheus(&snapshot));
}

/// The samples of the front-proxy example's histograms, worked out from their quantiles and sums.
const FRONT_PROXY: &[(&str, &[u64])] = &[];

#[test]
fn front_proxy_example() {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/envoy-1.40");
    let Ok(stats) = fs::read_to_string(folder.join("stats.txt")) else {
        println!("skipped: no recorded answers of the front-proxy example beside the repository");
        return;
    };
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    let samples = FRONT_PROXY.iter().map(|(name, values)| {
        ((*name).to_owned(), [values.iter().map(|value| (*value as f64, 1)).collect(), Samples::new()])
    });
    let registry = replay(&stats, &kinds(&read("stats_prometheus.txt")), &samples.collect());
    let snapshot = registry.snapshot(&StatsQuery::default());
    assert_same("stats.txt", &render::text(&snapshot), &stats);
}
