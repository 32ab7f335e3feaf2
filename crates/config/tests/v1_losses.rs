//! What v3 cannot say as v1 did: each is a warning of the kind `Lossy` at its place, with what happens instead.

#![allow(clippy::panic, reason = "a test may fail loudly")]

#[path = "common/v1.rs"]
mod v1;

use nuncio_config::{Format, LoadOptions, Source, WarningKind, convert};
use v1::{cluster, document, http_filter, listener, manager, network_filter, route};

/// The file is understood, with exactly these losses.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let converted = convert(&Source::new("f.json", text), Format::Json, &LoadOptions::default());
    let converted = converted.unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    let losses = converted.warnings.iter().filter(|warning| warning.kind == WarningKind::Lossy);
    let shown: Vec<String> = losses.map(ToString::to_string).collect();
    assert_eq!(shown, expected, "\n{text}");
}

#[test]
fn nothing_is_lost_without_a_word() {
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "ring_hash", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &[
            "f.json:5:68: cluster_manager.clusters[0].ring_hash_lb_config.use_std_hash: hosts are hashed by MurmurHash2, which is std::hash of GNU's library; if v1 ran with another library, requests go to other hosts than they did",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "ring_hash", "hosts": [{"url": "tcp://127.0.0.1:1"}], "ring_hash_lb_config": {"use_std_hash": true}"#,
        ),
        &[
            "f.json:5:162: cluster_manager.clusters[0].ring_hash_lb_config.use_std_hash: hosts are hashed by MurmurHash2, which is std::hash of GNU's library; if v1 ran with another library, requests go to other hosts than they did",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "ring_hash", "hosts": [{"url": "tcp://127.0.0.1:1"}], "ring_hash_lb_config": {"use_std_hash": false, "more": 1}"#,
        ),
        &[],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}], "ring_hash_lb_config": {"use_std_hash": true}"#,
        ),
        &[],
    );
    check(
        &cluster(
            r#""name": "a", "type": "logical_dns", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://a:1"}, {"url": "tcp://b:1"}]"#,
        ),
        &[
            "f.json:5:92: cluster_manager.clusters[0].hosts: a cluster of the type \"logical_dns\" has one host; the others are left out, as in v1",
        ],
    );
    check(
        &listener(
            r#""address": "tcp://127.0.0.1:0", "filters": [], "ssl_context": {"cert_chain_file": "a", "private_key_file": "b", "alt_alpn_protocols": "h2"}"#,
        ),
        &[
            "f.json:3:135: listeners[0].ssl_context.alt_alpn_protocols: is left out: v3 has no second list of protocols for the runtime to switch to",
        ],
    );
    check(
        &http_filter("buffer", r#"{"max_request_bytes": 1, "max_request_time_s": 5}"#),
        &[
            "f.json:5:48: listeners[0].filters[0].config.filters[0].config.max_request_time_s: becomes the \"request_timeout\" of the connection manager, where the time runs from the start of the request; v1's ran from its body",
        ],
    );
    check(
        &http_filter("rate_limit", r#"{"domain": "d"}"#),
        &[
            "f.json:5:1: listeners[0].filters[0].config.filters[0].config: the filter is left out: without \"rate_limit_service\" at the top level v1 let everything pass",
        ],
    );
    check(
        &network_filter(
            "ratelimit",
            r#"{"stat_prefix": "s", "domain": "d", "descriptors": [[{"key": "k", "value": "v"}]]}"#,
        ),
        &[
            "f.json:4:1: listeners[0].filters[0].config: the filter is left out: without \"rate_limit_service\" at the top level v1 let everything pass",
        ],
    );
    check(
        &http_filter("http_dynamo_filter", r#"{}"#),
        &[
            "f.json:4:103: listeners[0].filters[0].config.filters[0].name: the filter is left out: Envoy has it no more (it counted requests to DynamoDB)",
        ],
    );
    check(
        &http_filter("squash", r#"{"cluster": "a", "attachment_template": {}}"#),
        &[
            "f.json:4:103: listeners[0].filters[0].config.filters[0].name: the filter is left out: Envoy has it no more (it attached debuggers)",
        ],
    );
    check(
        &route(r#""prefix": "/", "cluster": "a", "use_websocket": true"#),
        &[
            "f.json:5:49: …virtual_hosts[0].routes[0].use_websocket: an upgrade to WebSocket goes through the filters, and other requests are forwarded; v1 made the connection a raw pipe and refused other requests with 426",
        ],
    );
    check(&route(r#""prefix": "/", "cluster": "a", "use_websocket": false"#), &[]);
    check(
        &route(r#""prefix": "/", "cluster": "a", "shadow": {"cluster": "a", "runtime_key": "k"}"#),
        &[
            "f.json:5:74: …routes[0].shadow.runtime_key: a number that the runtime has under this key is read as percent; v1 read it as hundredths of a percent",
        ],
    );
    check(
        &network_filter(
            "tcp_proxy",
            r#"{"stat_prefix": "s", "route_config": {"routes": [{"cluster": "a", "source_ports": "1"}, {"cluster": "a", "source_ports": "2"}]}}"#,
        ),
        &[],
    );
    check(
        &network_filter(
            "tcp_proxy",
            r#"{"stat_prefix": "s", "route_config": {"routes": [{"cluster": "a", "source_ports": "1"}, {"cluster": "a"}]}}"#,
        ),
        &[],
    );
    check(
        &network_filter(
            "tcp_proxy",
            r#"{"stat_prefix": "s", "route_config": {"routes": [{"cluster": "a", "source_ports": "0-65535"}, {"cluster": "b"}]}}"#,
        ),
        &[
            "f.json:4:49: listeners[0].filters[0].config.route_config.routes: routes after routes[0], which takes everything, are left out; v1 did not reach them",
        ],
    );
    check(
        &document(
            r#""#,
            r#""clusters": []"#,
            r#", "rate_limit_service": {"type": "grpc_service", "config": {"cluster_name": "a"}}"#,
        ),
        &[
            "f.json:7:25: rate_limit_service: the rate limit service is asked in the v3 protocol; v1 spoke pb.lyft.ratelimit.RateLimitService",
        ],
    );
    check(
        &document(
            r#""#,
            r#""clusters": []"#,
            r#", "tracing": {"http": {"driver": {"type": "zipkin", "config": {"collector_cluster": "a"}}}}"#,
        ),
        &[
            "f.json:7:63: tracing.http.driver.config.collector_endpoint: spans are sent in the JSON of Zipkin's API v2, to \"/api/v2/spans\"; v1 sent that of API v1",
        ],
    );
    check(
        &document(
            r#""#,
            r#""clusters": []"#,
            r#", "tracing": {"http": {"driver": {"type": "zipkin", "config": {"collector_cluster": "a", "collector_endpoint": "/spans"}}}}"#,
        ),
        &[
            "f.json:7:112: tracing.http.driver.config.collector_endpoint: spans are sent in the JSON of Zipkin's API v2, to \"/spans\"; v1 sent that of API v1",
        ],
    );
    check(
        &document(
            r#""#,
            r#""clusters": []"#,
            r#", "tracing": {"http": {"driver": {"type": "lightstep", "config": {"collector_cluster": "a", "access_token_file": "t"}}}}"#,
        ),
        &["f.json:7:43: tracing.http.driver.type: no spans are sent: Envoy has no LightStep tracer any more"],
    );
    check(
        &document(
            r#""#,
            r#""clusters": [], "cds": {"api_type": "GRPC", "cluster": {"name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}]}}"#,
            r#""#,
        ),
        &[
            "f.json:5:24: cluster_manager.cds: the management server is asked for v3 resources; servers of v1's time spoke v2",
        ],
    );
    check(
        &manager(
            r#""codec_type": "auto", "stat_prefix": "s", "rds": {"cluster": "a", "route_config_name": "r", "api_type": "REST"}, "filters": [{"name": "router", "config": {}}]"#,
        ),
        &[
            "f.json:4:50: listeners[0].filters[0].config.rds: the management server is asked for v3 resources; servers of v1's time spoke v2",
        ],
    );
    check(
        &listener(
            r#""address": "tcp://127.0.0.1:0", "filters": [{"name": "http_connection_manager", "config": {"codec_type": "auto", "stat_prefix": "s", "route_config": {"virtual_hosts": []}, "filters": [{"name": "router", "config": {}}], "tracing": {"operation_name": "ingress"}}}, {"name": "http_connection_manager", "config": {"codec_type": "auto", "stat_prefix": "s", "route_config": {"virtual_hosts": []}, "filters": [{"name": "router", "config": {}}], "tracing": {"operation_name": "egress"}}}]"#,
        ),
        &[
            "f.json:3:469: listeners[0].filters[1].config.tracing.operation_name: a listener has one direction, and this one is INBOUND already",
        ],
    );
}
