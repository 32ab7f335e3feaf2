//! Later sources merge over the first as Envoy merges `--config-yaml` over its file. Each expectation was compared with
//! the `/config_dump` of Envoy 1.40.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

use nuncio_config::{LoadOptions, Source, load};

const BASE: &str = "
node: {id: a, cluster: b, metadata: {x: 1, y: {z: 2}}}
static_resources:
  clusters:
  - {name: c1, connect_timeout: 1.5s}
stats_flush_interval: 1.5s
typed_dns_resolver_config:
  name: cares
  typed_config:
    '@type': type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig
    resolvers: [{socket_address: {address: 127.0.0.1, port_value: 53}}]
";

fn sources(over: &str) -> [Source; 2] {
    [Source::new("file", BASE), Source::new("--config-yaml", over)]
}

#[track_caller]
fn check(over: &str, pointer: &str, expected: &str) {
    let loaded = load(&sources(over), &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
    assert_eq!(loaded.document.bootstrap_json().pointer(pointer), Some(&expected), "{over}");
}

#[test]
fn merging_is_that_of_protobuf() {
    check("node: {id: z}", "/node/id", r#""z""#);
    check("node: {id: z}", "/node/cluster", r#""b""#);
    check("node: {id: ''}", "/node/id", r#""a""#);
    check("node: {metadata: {y: {w: 3}}}", "/node/metadata", r#"{"x": 1.0, "y": {"w": 3.0}}"#);
    check("stats_flush_interval: 2s", "/stats_flush_interval", r#""2.500s""#);
    check("static_resources: {clusters: {name: c2}}", "/static_resources/clusters/1/name", r#""c2""#);
    let typed =
        "'@type': type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig";
    let port = "/typed_dns_resolver_config/typed_config/resolvers/0/socket_address/port_value";
    check(
        &format!(
            "typed_dns_resolver_config: {{typed_config: {{{typed}, resolvers: [{{socket_address: {{address: 127.0.0.2, port_value: 54}}}}]}}}}"
        ),
        port,
        "54",
    );
    check(&format!("typed_dns_resolver_config: {{typed_config: {{{typed}}}}}"), port, "53");
}

#[test]
fn places_are_those_of_the_source() {
    let check = |over: &str, expected: &[&str]| {
        let errors = load(&sources(over), &LoadOptions::default()).unwrap_err();
        let shown: Vec<String> = errors.errors().iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected, "{over}");
    };
    check(
        "static_resources: {clusters: [{name: c2}, {name: c1}]}",
        &["--config-yaml:1:50: static_resources.clusters[2].name: clusters[0] has the name \"c1\" already"],
    );
    check(
        "static_resources: {clusters: [{nam: c2}]}",
        &["--config-yaml:1:32: static_resources.clusters[1]: unknown field \"nam\" in \
           envoy.config.cluster.v3.Cluster (did you mean \"name\"?)"],
    );
    check(
        "stats_flush_interval: 400s",
        &[
            "--config-yaml:1:23: stats_flush_interval: must be at least 0.001s and less than 300s but is 400.5s",
        ],
    );
}
