//! Compares all renderings, byte for byte, with what Envoy 1.40 answered.
//!
//! `fixtures/` holds answers that its `record.py` recorded, and says how. The answers of the front-proxy example are
//! not part of the repository; they are compared where they lie beside it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

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
    let rendered = as_prometheus(name);
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

/// What a counter of this name is to Prometheus.
fn as_prometheus(name: &str) -> String {
    let registry = Registry::new(0);
    let _registered = registry.scope(Shard::MAIN, "").counter(name);
    render::prometheus(&registry.snapshot(&StatsQuery::default()))
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
const FRONT_PROXY: &[(&str, &[u64])] = &[
    ("cluster.service1.external.upstream_rq_time", &[2, 3, 3, 5, 6]),
    ("cluster.service1.upstream_cx_connect_ms", &[0, 0, 0]),
    ("cluster.service1.upstream_rq_time", &[2, 3, 3, 5, 6]),
    ("cluster.service2.external.upstream_rq_time", &[3]),
    ("cluster.service2.upstream_cx_connect_ms", &[0]),
    ("cluster.service2.upstream_rq_time", &[3]),
    ("http.ingress_http.downstream_cx_length_ms", &[0, 3, 7, 9, 9, 11, 14]),
    ("http.ingress_http.downstream_rq_time", &[0, 2, 3, 3, 4, 5, 7]),
    ("listener.127.0.0.1_8080.connections_accepted_per_socket_event", &[1, 1, 1, 1, 1, 1]),
    ("listener.127.0.0.1_8080.downstream_cx_length_ms", &[0, 3, 7, 9, 9, 11]),
    ("listener.127.0.0.1_8443.connections_accepted_per_socket_event", &[1]),
    ("listener.127.0.0.1_8443.downstream_cx_length_ms", &[14]),
    ("server.initialization_time_ms", &[44]),
];

#[test]
fn front_proxy_example() {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/envoy-1.40");
    let Ok(stats) = fs::read_to_string(folder.join("stats.txt")) else {
        println!("skipped: no recorded answers of the front-proxy example beside the repository");
        return;
    };
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    let samples: BTreeMap<_, _> = FRONT_PROXY
        .iter()
        .map(|(name, values)| {
            let values = values.iter().map(|value| (*value as f64, 1)).collect();
            ((*name).to_owned(), [values, Samples::new()])
        })
        .collect();
    let prometheus = read("stats_prometheus.txt");
    let kinds = kinds(&prometheus);
    let check = |name: &str, stats: &str, render: fn(&Snapshot) -> String, recorded: &str| {
        let registry = replay(stats, &kinds, &samples);
        // Nothing was recorded in the interval that the answers show.
        registry.flush();
        assert_same(name, &render(&registry.snapshot(&StatsQuery::default())), recorded);
    };
    check("stats.txt", &stats, render::text, &stats);
    // The answers were fetched one after the other, so each has other values in what counts the admin's own requests.
    let json = read("stats_format_json.txt");
    check("stats_format_json.txt", &values_of_json(&json), render::json, &json);
    check(
        "stats_prometheus.txt",
        &values_of_prometheus(&stats, &prometheus),
        render::prometheus,
        &prometheus,
    );
}

/// The text form of an answer in JSON, as far as it has values.
fn values_of_json(json: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let stats = json["stats"].as_array().unwrap();
    let scalars =
        stats.iter().filter_map(|stat| Some(format!("{}: {}\n", stat["name"].as_str()?, stat["value"])));
    let histograms = stats.last().unwrap()["histograms"]["computed_quantiles"].as_array().unwrap();
    let histograms = histograms.iter().map(|stat| format!("{}: P\n", stat["name"].as_str().unwrap()));
    scalars.chain(histograms).collect()
}

/// An answer in text form with the values of one for Prometheus.
fn values_of_prometheus(stats: &str, prometheus: &str) -> String {
    let values: BTreeMap<&str, &str> = prometheus.lines().filter_map(|line| line.rsplit_once(' ')).collect();
    let lines = stats.lines().map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        let value = value.parse::<u64>().map_or(value, |_| {
            let series = as_prometheus(name).lines().nth(1).unwrap().trim_end_matches(" 0").to_owned();
            values.get(series.as_str()).unwrap_or_else(|| panic!("{name} became {series}"))
        });
        format!("{name}: {value}\n")
    });
    lines.collect()
}
