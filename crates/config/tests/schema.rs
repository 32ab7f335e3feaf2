//! The JSON Schema is well formed, takes what loads, and refuses what does not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

#[path = "common/cases.rs"]
mod cases;
#[path = "common/json_schema.rs"]
mod json_schema;

use std::path::Path;

use json_schema::{Schema, regex};
use nuncio_config::{Format, LoadOptions, Source, convert, load, schema};
use serde_json::{Value, json};

fn value(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

#[test]
fn every_reference_pattern_and_keyword_holds() {
    fn visit(schema: &Schema<'_>, at: &Value, referred: &mut Vec<String>) {
        for (keyword, argument) in at.as_object().unwrap() {
            match (keyword.as_str(), argument) {
                ("$ref", Value::String(to)) => {
                    assert!(schema.resolve(to).is_object(), "{to}");
                    referred.push(to.clone());
                }
                ("pattern", Value::String(pattern)) => {
                    regex(pattern);
                }
                ("properties" | "patternProperties" | "$defs", Value::Object(named)) => {
                    named.values().for_each(|inner| visit(schema, inner, referred));
                }
                ("items" | "not" | "propertyNames" | "additionalProperties", inner @ Value::Object(_)) => {
                    visit(schema, inner, referred);
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(inner)) => {
                    assert!(!inner.is_empty());
                    inner.iter().for_each(|inner| visit(schema, inner, referred));
                }
                ("enum", Value::Array(values)) => assert!(!values.is_empty()),
                _ => {}
            }
        }
    }
    let root = schema();
    assert_eq!(root["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let mut referred = Vec::new();
    visit(&Schema { root: &root }, &root, &mut referred);
    for name in root["$defs"].as_object().unwrap().keys() {
        assert!(referred.contains(&format!("#/$defs/{name}")), "nothing refers to {name}");
    }
    assert_eq!(schema().to_string(), root.to_string());
}

#[test]
fn the_example_fits() {
    let root = schema();
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    for file in ["front-envoy.yaml", "service-envoy.yaml"] {
        for path in [folder.join("fixtures/config").join(file), folder.join("../shared/seeds").join(file)] {
            if let Ok(text) = std::fs::read_to_string(&path) {
                Schema { root: &root }.check(&value(&text)).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
}

#[test]
fn whatever_loads_fits_in_its_canonical_form() {
    let root = schema();
    let options = LoadOptions::default();
    let mut checked = 0;
    for prepared in cases::groups().iter().flat_map(|group| cases::cases(group)) {
        let source = Source::new(prepared.file_name(), &*prepared.text);
        if load(std::slice::from_ref(&source), &options).is_err() {
            continue;
        }
        let text = convert(&source, Format::Json, &options).unwrap().text;
        let canonical: Value = serde_json::from_str(&text).unwrap();
        if let Err(error) = (Schema { root: &root }).check(&canonical) {
            panic!("{}: {error}\n{text}", prepared.title());
        }
        checked += 1;
    }
    assert!(checked > 0);
}

/// A bootstrap with one cluster that has these fields besides its name.
fn cluster(fields: &str) -> String {
    format!("static_resources: {{clusters: [{{name: c, {fields}}}]}}")
}

/// A bootstrap with one listener with this filter chain.
fn chain(fields: &str) -> String {
    format!("static_resources: {{listeners: [{{name: l, filter_chains: [{{{fields}}}]}}]}}")
}

/// A bootstrap with one HTTP connection manager with these fields.
fn manager(fields: &str) -> String {
    let name = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    chain(&format!("filters: {{name: m, typed_config: {{'@type': type.googleapis.com/{name}, {fields}}}}}"))
}

/// A bootstrap with one route.
fn route(fields: &str) -> String {
    manager(&format!(
        "stat_prefix: s, route_config: {{virtual_hosts: [{{name: v, domains: ['*'], routes: [{{{fields}}}]}}]}}"
    ))
}

#[test]
fn leniencies_fit() {
    let root = schema();
    for text in [
        "{}".to_owned(),
        cluster("type: strict_dns, lb_policy: Round_Robin, dns_lookup_family: 1"),
        cluster(
            "connectTimeout: {seconds: 1}, respectDnsTtl: yes, per_connection_buffer_limit_bytes: '0x10'",
        ),
        cluster("load_assignment: {clusterName: c, endpoints: {lb_endpoints: []}}"),
        cluster("metadata: {filter_metadata: {a: {b: [1, {c: null}]}}}, cleanup_interval: 1s"),
        manager("statPrefix: s, routeConfig: {}"),
        manager("stat_prefix: s, route_config: {}, http_filters: {name: envoy.router}"),
        manager("stat_prefix: s, route_config: {}, http_filters: [{name: envoy.router, typed_config: {}}]"),
        route("match: {prefix: /}, route: {cluster: c, timeout: 0s}"),
        route("match: {prefix: /}, directResponse: {status: 200}"),
        "node: {listening_addresses: [{pipe: {path: /x, mode: 0}}], extensions: {name: x}}".to_owned(),
    ] {
        Schema { root: &root }.check(&value(&text)).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

#[test]
fn mistakes_do_not_fit() {
    let root = schema();
    for text in [
        "a: 1".to_owned(),
        "static_resources: {cluster: []}".to_owned(),
        // Unknown and unsupported fields, also inside extensions and in what has no effect.
        cluster("connect_timeot: 1s"),
        cluster("outlier_detection: {}"),
        cluster("metadata: {filter_metadat: {}}"),
        manager("stat_prefix: s, route_config: {}, stat_prefixx: s"),
        // Wrong types.
        cluster("connect_timeout: 5"),
        cluster("connect_timeout: 5m"),
        cluster("lb_policy: BEST"),
        cluster("lb_policy: 77"),
        // Values that are not supported.
        cluster("type: EDS"),
        cluster("type: eds"),
        cluster("type: 3"),
        manager("stat_prefix: s, route_config: {}, normalize_path: true"),
        cluster("respect_dns_ttl: 1"),
        cluster("per_connection_buffer_limit_bytes: -1"),
        cluster("per_connection_buffer_limit_bytes: 4294967296"),
        cluster("per_connection_buffer_limit_bytes: many"),
        "node: {id: 7}".to_owned(),
        "node: []".to_owned(),
        // Rules.
        cluster("connect_timeout: 0.0s"),
        cluster("connect_timeout: -1s"),
        "static_resources: {clusters: [{type: STATIC}]}".to_owned(),
        "static_resources: {clusters: [{name: ''}]}".to_owned(),
        manager("route_config: {}"),
        route("route: {cluster: c}"),
        route("match: {prefix: /}, direct_response: {status: 99}"),
        "admin: {address: {socket_address: {address: a, port_value: 65536}}}".to_owned(),
        // Members of a oneof.
        "admin: {address: {socket_address: {address: a, port_value: 1, named_port: b}}}".to_owned(),
        route("match: {prefix: /}"),
        route("match: {prefix: /, path: /}, route: {cluster: c}"),
        route("match: {prefix: /}, route: {cluster: c}, direct_response: {status: 200}"),
        cluster("round_robin_lb_config: {}, leastRequestLbConfig: {}"),
        // Extensions: of another kind, without a type, unknown.
        chain("filters: [{name: m, typed_config: {}}]"),
        chain(
            "filters: [{name: m, typed_config: {'@type': \
             type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]",
        ),
        chain("filters: [{name: m, typed_config: {'@type': type.googleapis.com/x.Y}}]"),
    ] {
        assert_ne!(Schema { root: &root }.check(&value(&text)), Ok(()), "{text}");
    }
}

#[test]
fn a_message_looks_like_this() {
    let root = schema();
    assert_eq!(
        root["$defs"]["envoy.config.core.v3.SocketAddress"],
        json!({
            "type": "object",
            "properties": {
                "protocol": {
                    "$ref": "#/$defs/values:envoy.config.core.v3.SocketAddress.protocol",
                    "description": "envoy.config.core.v3.SocketAddress.Protocol. Default: TCP. Not supported: UDP.",
                },
                "address": {"type": "string", "minLength": 1, "description": "String. Is required."},
                "port_value": {
                    "$ref": "#/$defs/uint32",
                    "maximum": 65535,
                    "description": "32-bit unsigned integer. Must be at most 65535.",
                },
                "ipv4_compat": {"$ref": "#/$defs/boolean", "description": "Boolean. Default: false."},
            },
            "patternProperties": {
                "^portValue$": {"$ref": "#/$defs/envoy.config.core.v3.SocketAddress/properties/port_value"},
                "^ipv4Compat$": {"$ref": "#/$defs/envoy.config.core.v3.SocketAddress/properties/ipv4_compat"},
            },
            "additionalProperties": false,
            "required": ["address"],
            "allOf": [{"oneOf": [{"anyOf": [{"required": ["port_value"]}, {"required": ["portValue"]}]}]}],
        })
    );
    assert_eq!(
        root["$defs"]["values:envoy.config.core.v3.SocketAddress.protocol"],
        json!({"anyOf": [
            {"enum": ["TCP"]},
            {"type": "string", "pattern": "^(?:[Tt][Cc][Pp])$"},
            {"enum": [0]},
        ]})
    );
    let dns = &root["$defs"]["envoy.config.cluster.v3.Cluster"]["properties"]["dns_refresh_rate"];
    assert_eq!(
        *dns,
        json!({
            "$ref": "#/$defs/duration",
            "not": dns["not"],
            "description": dns["description"],
            "deprecated": true,
        })
    );
}
