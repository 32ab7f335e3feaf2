//! What the compatibility report says, to the letter.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use common::{HCM, ROUTER, cluster, manager, routes};
use nuncio_config::{
    ConfigError, ErrorKind, LoadOptions, Source,
    model::Place,
    report::{Report, What, report},
    support::Support,
};

fn report_of(text: &str) -> Report {
    report(&[Source::new("f", text)], &LoadOptions::default(), |_| Vec::new())
}

/// The text of the report without the part about what is honoured.
#[track_caller]
fn check(text: &str, expected: &str) {
    let shown = report_of(text).to_string();
    let (before, after) = shown.split_once("\nHonoured\n").unwrap_or((&shown, ""));
    let after = after.split_once("\n\n").map(|(_, after)| format!("\n{after}")).unwrap_or_default();
    assert_eq!(format!("{before}{after}"), expected, "\n{text}\n{shown}");
}

#[test]
fn the_whole_report() {
    let text = "\
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}, profile_path: /p, allow_paths: [{exact: /}]}
flags_path: /some/flags
static_resources:
  clusters:
  - {name: a, type: STATIC, outlier_detection: {}, metadata: {}}
  - {name: b, type: STATIC, outlier_detection: {}, alt_stat_name: c}
  - {name: c, type: EDS}
";
    assert_eq!(
        report_of(text).to_string(),
        "\
compatibility of 'f': 10 honoured, 2 without effect, 4 unsupported (2 of them refused always); 1 mistake

Unsupported, and refused
  envoy.config.bootstrap.v3.Admin
    allow_paths (guards security)  1:104
  envoy.config.bootstrap.v3.Bootstrap
    flags_path  2:13
  envoy.config.cluster.v3.Cluster
    outlier_detection  5:48, 6:48
  values of fields that are honoured
    EDS is not supported; STATIC and STRICT_DNS are (refused always)  7:21
  (what guards security is refused always: --allow-unsupported does not let it pass)

Accepted without effect
  envoy.config.bootstrap.v3.Admin
    profile_path  1:87
      there is no such profiler here
  envoy.config.cluster.v3.Cluster
    metadata  5:62
      nothing that is supported reads metadata

Honoured
  envoy.config.bootstrap.v3.Bootstrap
    admin             1:8
    static_resources  4:3
  envoy.config.bootstrap.v3.Admin
    address  1:18
  envoy.config.core.v3.Address
    socket_address  1:35
  envoy.config.core.v3.SocketAddress
    address     1:45
    port_value  1:68
  envoy.config.bootstrap.v3.Bootstrap.StaticResources
    clusters  5:5
  envoy.config.cluster.v3.Cluster
    name           5:12, 6:12, 7:12
    type           5:21, 6:21, 7:21
    alt_stat_name  6:67

Mistakes (what is in such a value may be missing above)
  f:7:5: static_resources.clusters[2].eds_cluster_config: is required for a cluster of type EDS
"
    );
}

#[test]
fn what_is_used_often_is_listed_once() {
    let many: String = (0..12).map(|_| "- {match: {prefix: /}, route: {cluster: a}}\n").collect();
    let report = report_of(&routes(&many));
    assert!(report.is_supported());
    let prefix = What::Field { message: "envoy.config.route.v3.RouteMatch".into(), field: "prefix".into() };
    let prefix = report.uses().iter().find(|used| used.what == prefix).unwrap();
    assert_eq!((prefix.count, prefix.places.len()), (12, 10));
    assert!(report.to_string().contains("    prefix  17:34, 18:34, 19:34 and 9 more\n"), "{report}");
    let lines: Vec<u32> = prefix.places.iter().map(|place| place.line).collect();
    assert_eq!(lines, (17..27).collect::<Vec<_>>());
    let extensions: Vec<&What> = report
        .uses()
        .iter()
        .map(|used| &used.what)
        .filter(|what| matches!(what, What::Extension { .. }))
        .collect();
    let name = |url: &str| What::Extension { name: url.rsplit('/').next().unwrap().to_owned() };
    assert_eq!(extensions, [&name(HCM), &name(ROUTER)]);
}

#[test]
fn extensions_that_are_not_supported() {
    let filters = |extension: &str| {
        manager("").replacen(
            "http_filters: [",
            &format!(
                "http_filters: [{{name: x, typed_config: {{'@type': \
        type.googleapis.com/{extension}, rules: {{}}, unknown: 1}}}}, "
            ),
            1,
        )
    };
    let text = filters("envoy.extensions.filters.http.rbac.v3.RBAC").replace(", unknown: 1", "");
    check(
        &text,
        "\
compatibility of 'f': 17 honoured, 0 without effect, 1 unsupported (1 of them refused always)

Unsupported, and refused
  extensions
    envoy.extensions.filters.http.rbac.v3.RBAC (guards security)  12:50
  (what guards security is refused always: --allow-unsupported does not let it pass)
",
    );
}

#[test]
fn a_value_that_is_refused_always_says_so() {
    let text = manager("http_protocol_options: {}").replace(
        "    filter_chains:\n    -\n",
        &format!(
            "    filter_chains:\n    - transport_socket: {{name: t, typed_config: {{'@type': {}, require_sni: true, \
             common_tls_context: {{}}}}}}\n     \n",
            common::TLS
        ),
    );
    let report = report_of(&text);
    let values: Vec<_> = report
        .uses()
        .iter()
        .filter(|used| matches!(used.what, What::Value { .. }))
        .map(|used| used.support)
        .collect();
    assert_eq!(values, [Support::Guard], "{report}");
    assert_eq!(report.errors().len(), 1, "no certificate: {report}");
}

#[test]
fn files_with_mistakes_have_a_report_too() {
    check(
        &cluster("type: STATIC\noutlier_detection: {}\nzzz: 1\nuse_tcp_for_dns_lookups: true\nrespect_dns_ttl: 1"),
        "\
compatibility of 'f': 5 honoured, 0 without effect, 1 unsupported; 2 mistakes

Unsupported, and refused
  envoy.config.cluster.v3.Cluster
    outlier_detection  5:24

Mistakes (what is in such a value may be missing above)
  f:6:5: static_resources.clusters[0]: unknown field \"zzz\" in envoy.config.cluster.v3.Cluster
  f:8:22: static_resources.clusters[0].respect_dns_ttl: expected true or false, found the number 1

Warnings
  f:7:30: static_resources.clusters[0].use_tcp_for_dns_lookups: \"use_tcp_for_dns_lookups\" is deprecated in Envoy's API
",
    );
    check(
        "a: [1",
        "compatibility of 'f': 0 honoured, 0 without effect, 0 unsupported; 1 mistake\n\nMistakes (what is in such a \
         value may be missing above)\n  f:1:4: not valid YAML: unclosed bracket '['\n",
    );
    assert!(!report_of("a: [1").is_supported());
    let place = || Place { line: 1, column: 1, ..Place::generated("node") };
    let error = || ConfigError { place: place(), kind: ErrorKind::Semantic, message: "no".to_owned() };
    let checked = report(&[Source::new("f", "{}")], &LoadOptions::default(), |_| vec![error()]);
    assert_eq!((checked.errors().len(), checked.is_supported()), (1, false));
}

#[test]
fn what_the_options_allow_does_not_change_the_report() {
    let text = cluster("type: STATIC\noutlier_detection: {}");
    let strict = report_of(&text);
    let options = LoadOptions { allow_unsupported: true, ..LoadOptions::default() };
    let lenient = report(&[Source::new("f", text)], &options, |_| Vec::new());
    assert_eq!(strict.to_string(), lenient.to_string());
    assert!(!lenient.is_supported());
}

#[test]
fn several_sources_are_one_configuration() {
    let sources = [Source::new("f", "node: {id: a}"), Source::new("g", "node: {id: b}\nflags_path: /f")];
    let report = report(&sources, &LoadOptions::default(), |_| Vec::new());
    let shown = report.to_string();
    assert!(shown.contains("    flags_path  g:2:13\n"), "{shown}");
    assert!(shown.contains("    id  g:1:12\n"), "{shown}");
}

#[test]
fn the_object_for_programs() {
    let object = report_of("flags_path: /some/flags\nadmin: {profile_path: /p}\nzzz: 1").to_json();
    let summary = serde_json::json!({
        "supported": false, "unsupported": 1, "refused_always": 0, "no_effect": 1, "honoured": 1, "errors": 1,
        "warnings": 0
    });
    assert_eq!(object["summary"], summary);
    let field = serde_json::json!({
        "message": "envoy.config.bootstrap.v3.Admin",
        "field": "profile_path",
        "support": "no_effect",
        "refused_always": false,
        "reason": "there is no such profiler here",
        "count": 1,
        "places": [{"file": "f", "line": 2, "column": 23, "end_column": 25}],
    });
    assert_eq!(object["fields"][1], field);
    let members: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        members,
        ["version", "file", "summary", "fields", "extensions", "values", "errors", "warnings"]
    );
    assert_eq!(object["errors"][0]["kind"], "unknown");
}
