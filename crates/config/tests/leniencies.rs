//! What Envoy's reader lets through, and real files rely on. The verdicts were compared with Envoy 1.40.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use common::{ROUTER, check_errors, check_json, check_loads, cluster, listener, manager};
use nuncio_config::{LoadOptions, Source, WarningKind, load};

const CLUSTER: &str = "/static_resources/clusters/0";

#[track_caller]
fn check(fields: &str, pointer: &str, expected: &str) {
    check_json(&cluster(fields), &format!("{CLUSTER}{pointer}"), expected);
}

#[test]
fn enums() {
    for written in ["LEAST_REQUEST", "least_request", "Least_Request", "1", "'1'"] {
        check(&format!("lb_policy: {written}"), "/lb_policy", "\"LEAST_REQUEST\"");
    }
}

#[test]
fn lists() {
    let expected = r#"[{"max_connections": 5}]"#;
    for written in ["[{max_connections: 5}]", "{max_connections: 5}", "[[{max_connections: 5}]]"] {
        check(
            &format!("circuit_breakers: {{thresholds: {written}}}"),
            "/circuit_breakers/thresholds",
            expected,
        );
    }
    check("circuit_breakers: {thresholds: null}", "/circuit_breakers", "{}");
    check("circuit_breakers: {thresholds: [null]}", "/circuit_breakers/thresholds", "[{}]");
}

#[test]
fn null_is_unset() {
    for null in ["null", "~", "", "Null", "NULL"] {
        check(&format!("lb_policy: {null}\ncircuit_breakers: {null}"), "", r#"{"name": "c"}"#);
    }
    check("round_robin_lb_config: null\nleast_request_lb_config: {}", "/least_request_lb_config", "{}");
}

#[test]
fn numbers() {
    for (written, value) in [
        ("5", "5"),
        ("'5'", "5"),
        ("3.0", "3"),
        ("'3.0'", "3"),
        ("1e3", "1000"),
        ("0x10", "16"),
        ("0644", "420"),
        ("+5", "5"),
        ("089", "89"),
    ] {
        check(
            &format!("circuit_breakers: {{thresholds: [{{max_connections: {written}}}]}}"),
            "/circuit_breakers/thresholds/0/max_connections",
            value,
        );
    }
    for (written, value) in
        [("50", "50.0"), ("50.5", "50.5"), ("'50.5'", "50.5"), (".5", "0.5"), ("5.", "5.0"), ("5e1", "50.0")]
    {
        check(
            &format!("common_lb_config: {{healthy_panic_threshold: {{value: {written}}}}}"),
            "/common_lb_config/healthy_panic_threshold/value",
            value,
        );
    }
}

#[test]
fn booleans() {
    for written in ["true", "True", "TRUE", "y", "Y", "yes", "on", "ON", "'true'", "'yes'"] {
        check(&format!("respect_dns_ttl: {written}"), "/respect_dns_ttl", "true");
    }
    for written in ["false", "n", "no", "off", "'false'"] {
        check(&format!("respect_dns_ttl: {written}"), "", r#"{"name": "c"}"#);
    }
}

#[test]
fn strings() {
    for (written, value) in [
        ("x", "x"),
        ("'5'", "5"),
        ("'yes'", "yes"),
        ("5.5", "5.5"),
        ("12345678901", "12345678901"),
        ("! 5", "5"),
        ("|\n  a\n  b", "a\nb\n"),
    ] {
        let expected = serde_json::to_string(value).unwrap();
        check(&format!("alt_stat_name: {written}"), "/alt_stat_name", &expected);
    }
}

#[test]
fn durations() {
    for (written, value) in [
        ("1s", "1s"),
        ("0.25s", "0.250s"),
        ("1.123456789s", "1.123456789s"),
        ("01s", "1s"),
        ("{seconds: 1, nanos: 5}", "1.000000005s"),
    ] {
        check(&format!("connect_timeout: {written}"), "/connect_timeout", &format!("{value:?}"));
    }
    for written in ["1", "1ms", ".5s", "1.s", "+1s", "'1 s'", "1.1234567891s", "1e1s", "s", "315576000001s"] {
        let errors = common::load_text(&cluster(&format!("connect_timeout: {written}"))).unwrap_err();
        assert_eq!(errors.count(), 1, "{written}: {errors}");
    }
}

#[test]
fn names_of_fields() {
    check("connectTimeout: 1s", "/connect_timeout", "\"1s\"");
    check("!ignore whatever: {a: b}", "", r#"{"name": "c"}"#);
    check(
        "circuit_breakers: {thresholds: [{max_connections: {value: 5}}]}",
        "/circuit_breakers/thresholds/0",
        r#"{"max_connections": 5}"#,
    );
}

#[test]
fn aliases() {
    let text = "static_resources:\n  clusters:\n  - &c {name: c, connect_timeout: 1s}\n  - name: d\n    metadata: {filter_metadata: {x: {y: *c}}}\n";
    check_json(
        text,
        "/static_resources/clusters/1/metadata/filter_metadata/x/y",
        r#"{"name": "c", "connect_timeout": "1s"}"#,
    );
}

#[test]
fn free_form_data() {
    let metadata = "metadata: {filter_metadata: {x: {a: 1.5, b: [1, null, {}], c: null, d: yes, e: 'yes', f: 12345678901}}}";
    // As in Envoy, fractions and large integers from YAML arrive as strings.
    let expected =
        r#"{"a": "1.5", "b": [1.0, null, {}], "c": null, "d": true, "e": "yes", "f": "12345678901"}"#;
    check(metadata, "/metadata/filter_metadata/x", expected);
    let json = r#"{"node": {"metadata": {"a": 1.5, "b": 12345678901, "c": "1.5"}}}"#;
    let loaded = load(&[Source::new("f.json", json)], &LoadOptions::default()).unwrap();
    let expected = serde_json::json!({"a": 1.5, "b": 12345678901.0, "c": "1.5"});
    assert_eq!(loaded.document.bootstrap_json()["node"]["metadata"], expected);
}

#[test]
fn forms_of_any() {
    let raw = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";
    let dns = "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig";
    let options = "dns_resolver_options: {use_tcp_for_dns_lookups: true}";
    for typed_config in [
        format!("{{'@type': type.googleapis.com/{dns}, {options}}}"),
        format!("{{{options}, '@type': type.googleapis.com/{dns}}}"),
        format!(
            "{{'@type': type.googleapis.com/xds.type.v3.TypedStruct, type_url: type.googleapis.com/{dns}, value: {{{options}}}}}"
        ),
        format!(
            "{{'@type': type.googleapis.com/udpa.type.v1.TypedStruct, typeUrl: x/{dns}, value: {{{options}}}}}"
        ),
    ] {
        let text = format!("typed_dns_resolver_config: {{name: any name, typed_config: {typed_config}}}");
        assert!(check_loads(&text).bootstrap.dns_resolver.use_tcp, "{text}");
    }
    let chain =
        format!("transport_socket: {{name: any name, typed_config: {{'@type': type.googleapis.com/{raw}}}}}");
    let text = manager("").replacen("    -\n", &format!("    -\n      {chain}\n"), 1);
    assert!(check_loads(&text).bootstrap.listeners[0].filter_chains[0].tls.is_none());
}

#[test]
fn extensions_known_by_name() {
    let typed = format!("{{name: router, typed_config: {{\"@type\": {ROUTER}}}}}");
    for filter in [
        "{name: envoy.filters.http.router}",
        "{name: envoy.filters.http.router, typed_config: {}}",
        "{name: envoy.filters.http.router, typed_config: null}",
        "{name: envoy.router}",
    ] {
        let text = manager("");
        assert!(text.contains(&typed));
        let warnings = check_loads(&text.replace(&typed, filter)).warnings;
        let [warning] = warnings.as_slice() else { panic!("one warning: {warnings:?}") };
        assert_eq!(warning.kind, WarningKind::NameOnly);
    }
    let unknown = manager("").replace(&typed, "{name: router2}");
    check_errors(
        &unknown,
        &[
            "f:12:26: …typed_config.http_filters[0].typed_config: is required: no extension is known by the name \"router2\" alone",
        ],
    );
}

#[test]
fn unknown_fields_can_be_let_through() {
    let options = LoadOptions { allow_unknown_static_fields: true, ..LoadOptions::default() };
    let loaded = common::load_with(&cluster("foo: 1"), &options).unwrap();
    let shown: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["f:4:5: static_resources.clusters[0]: unknown field \"foo\" in envoy.config.cluster.v3.Cluster"]
    );
}

#[test]
fn json_is_read_too() {
    let text = r#"{"admin": {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": 9901}}}}"#;
    assert_eq!(check_loads(text).bootstrap.admin.unwrap().address.port(), 9901);
}

#[test]
fn listeners_without_a_name_get_one() {
    let text = manager("");
    let name = &check_loads(&text).bootstrap.listeners[0].name;
    assert_eq!(name.len(), 36);
    assert_eq!(&name[14..15], "4");
    assert_eq!(
        check_loads(&listener("name: l", &text[text.find("filters:").unwrap()..].replace("\n      ", "\n")))
            .bootstrap
            .listeners[0]
            .name,
        "l"
    );
}
