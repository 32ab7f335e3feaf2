//! Details of the v1 format that are easily lost: what becomes of them, what is said, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

#[path = "common/v1.rs"]
mod v1;

use nuncio_config::{Format, LoadOptions, Source, WarningKind, convert};
use serde_json::{Value, json};
use v1::{check, cluster, http_filter, listener, manager, route};

const CONFIG: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

/// What the file becomes at this place under the connection manager, and how many losses it has.
#[track_caller]
fn becomes(text: &str, pointer: &str, expected: &Value, losses: usize) {
    let converted = convert(&Source::new("f.json", text), Format::Json, &LoadOptions::default());
    let converted = converted.unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    let file: Value = serde_json::from_str(&converted.text).unwrap();
    let found = file.pointer(&format!("{CONFIG}{pointer}")).cloned().unwrap_or_default();
    assert_eq!(&found, expected, "\n{text}");
    let warnings = converted.warnings.iter().filter(|warning| warning.kind == WarningKind::Lossy);
    assert_eq!(warnings.count(), losses, "{:?}", converted.warnings);
}

/// A connection manager with these HTTP filters, routes and their table.
fn with(filters: &str, host: &str, table: &str) -> String {
    manager(&format!(
        r#""codec_type": "auto", "stat_prefix": "s", "filters": [{filters}], "route_config": {{{table} "virtual_hosts": [{{"name": "v", {host} "routes": []}}]}}"#
    ))
}

const ROUTER: &str = r#"{"name": "router", "config": {}}"#;
const ANY: &str = r#""domains": ["*"],"#;

#[test]
fn nobody_is_internal() {
    let hosts = "/route_config/virtual_hosts/0";
    becomes(
        &with(ROUTER, &format!(r#"{ANY} "require_ssl": "external_only","#), ""),
        &format!("{hosts}/require_tls"),
        &json!("EXTERNAL_ONLY"),
        1,
    );
    becomes(
        &with(ROUTER, &format!(r#"{ANY} "require_ssl": "all","#), ""),
        &format!("{hosts}/require_tls"),
        &json!("ALL"),
        0,
    );
    let table = "/route_config/internal_only_headers";
    becomes(&with(ROUTER, ANY, r#""internal_only_headers": ["a"],"#), table, &json!(["a"]), 1);
    becomes(&with(ROUTER, ANY, r#""internal_only_headers": [],"#), table, &Value::Null, 0);
}

#[test]
fn domains_that_end_with_a_star() {
    for (domain, losses) in [("*", 0), ("*.a", 0), ("a", 0), ("a.*", 1)] {
        let text = with(ROUTER, &format!(r#""domains": ["{domain}"],"#), "");
        becomes(&text, "/route_config/virtual_hosts/0/domains/0", &json!(domain), losses);
    }
}

#[test]
fn the_query_of_a_redirect() {
    let place = "/route_config/virtual_hosts/0/routes/0/redirect/strip_query";
    for (path, expected) in [("", Value::Null), ("/a", json!(true)), ("/a?b", Value::Null)] {
        let text = route(&format!(r#""prefix": "/", "host_redirect": "h", "path_redirect": "{path}""#));
        becomes(&text, place, &expected, 0);
    }
}

#[test]
fn the_shortest_time_of_buffer_filters() {
    for (times, expected) in [([5, 3], "3s"), ([3, 5], "3s"), ([0, 5], "5s"), ([5, 0], "5s"), ([0, 0], "0s")]
    {
        let filters: Vec<String> = times
            .iter()
            .map(|time| format!(r#"{{"name": "buffer", "config": {{"max_request_bytes": 1, "max_request_time_s": {time}}}}}"#))
            .collect();
        becomes(&with(&filters.join(","), ANY, ""), "/request_timeout", &json!(expected), 2);
    }
}

#[test]
fn ranges_of_ip_tags_are_strings() {
    let place = "/http_filters/0/typed_config/ip_tags/0/ip_list/0";
    let range = json!({"address_prefix": "10.0.0.0", "prefix_len": 8});
    let old = r#"{"request_type": "both", "ip_tags": [{"ip_tag_name": "t", "ip_list": ["10.0.0.0/8"]}]}"#;
    becomes(&http_filter("ip_tagging", old), place, &range, 0);
    becomes(&http_filter("ip_tagging", &old.replace("both", "external")), place, &range, 1);
    let new =
        format!(r#"{{"request_type": "BOTH", "ip_tags": [{{"ip_tag_name": "t", "ip_list": [{range}]}}]}}"#);
    becomes(&http_filter("ip_tagging", &new), place, &range, 0);
    check(
        &http_filter("ip_tagging", r#"{"ip_tags": [{"ip_tag_name": "t", "ip_list": ["1.2.3.4"]}]}"#),
        &[
            "f.json:5:47: listeners[0].filters[0].config.filters[0].config.ip_tags[0].ip_list[0]: \"1.2.3.4\" is not a range of IP addresses such as \"10.0.0.0/8\"",
        ],
    );
}

/// A null says that a field is not set, in the middle of free-form data, too.
#[test]
fn nulls_take_nothing_with_them() {
    let config = r#"{"ip_tags": [{"ip_tag_name": "t", "ip_list": [{"address_prefix": "10.0.0.0", "prefix_len": null}]}]}"#;
    let range = json!({"address_prefix": "10.0.0.0"});
    becomes(
        &http_filter("ip_tagging", config),
        "/http_filters/0/typed_config/ip_tags/0/ip_list/0",
        &range,
        0,
    );
}

/// What has no use must be right all the same.
#[test]
fn unused_parts_are_checked() {
    check(
        &route(
            r#""prefix": "/", "host_redirect": "b", "retry_policy": {"a": 1}, "shadow": {}, "hash_policy": {}, "rate_limits": [{}]"#,
        ),
        &[
            "f.json:5:54: …routes[0].retry_policy.retry_on: is required",
            "f.json:5:55: …virtual_hosts[0].routes[0].retry_policy: unknown key \"a\" in a v1 retry policy",
            "f.json:5:74: …routes[0].shadow.cluster: is required",
            "f.json:5:93: …routes[0].hash_policy.header_name: is required",
            "f.json:5:113: …routes[0].rate_limits[0].actions: is required",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "original_dst", "connect_timeout_ms": 1, "lb_type": "original_dst_lb", "hosts": [{"uri": "a"}]"#,
        ),
        &[
            "f.json:5:102: cluster_manager.clusters[0].hosts: a cluster of the type \"original_dst\" has no hosts of its own",
            "f.json:5:104: cluster_manager.clusters[0].hosts[0]: unknown key \"uri\" in a v1 host (did you mean \"url\"?)",
        ],
    );
}

/// One mistake, one error.
#[test]
fn nothing_follows_from_a_wrong_type() {
    check(
        &route(
            r#""prefix": "/", "cluster": "a", "rate_limits": [{"actions": [{"type": "generic_keys", "descriptor_value": "x"}, {"descriptor_value": "y"}]}]"#,
        ),
        &[
            "f.json:5:70: …rate_limits[0].actions[0].type: must be one of \"source_cluster\", \"destination_cluster\", \"request_headers\", \"remote_address\", \"generic_key\", \"header_value_match\" but is the string \"generic_keys\" (did you mean \"generic_key\"?)",
            "f.json:5:112: …rate_limits[0].actions[1].type: is required",
        ],
    );
    check(
        &manager(
            r#""codec_type": "auto", "stat_prefix": "s", "route_config": {"virtual_hosts": []}, "filters": [{"name": "router", "config": {}}], "access_log": [{"path": "a", "filter": {"type": "status", "op": ">=", "value": 1}}]"#,
        ),
        &[
            "f.json:4:177: listeners[0].filters[0].config.access_log[0].filter.type: must be one of \"status_code\", \"duration\", \"not_healthcheck\", \"traceable_request\", \"runtime\", \"logical_and\", \"logical_or\" but is the string \"status\"",
        ],
    );
}

#[test]
fn messages_show_the_start_of_what_is_long() {
    let long = "x".repeat(61);
    let shown = "x".repeat(60) + "…";
    check(
        &listener(&format!(
            r#""address": "tcp://127.0.0.1:0", "filters": [{{"name": "{long}", "config": {{}}}}]"#
        )),
        &[&format!("f.json:3:54: listeners[0].filters[0].name: v1 has no network filter \"{shown}\"")],
    );
    let very_long = "x".repeat(301);
    check(
        &listener(&format!(r#""address": "{very_long}", "filters": []"#)),
        &[&format!("f.json:3:12: listeners[0].address: \"{shown}\" is no address")],
    );
    check(
        &listener(r#""address": "tcp:/0.0.0.0:80", "filters": []"#),
        &[
            "f.json:3:12: listeners[0].address: \"tcp:/0.0.0.0:80\" does not say how to connect (did you mean \"tcp://0.0.0.0:80\"?)",
        ],
    );
}
