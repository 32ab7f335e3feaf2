//! What Nuncio does not honour is refused by name and place, and let through only where that is safe.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use common::{TLS, check_errors, check_errors_with, check_loads, cluster, load_with, manager, routes};
use nuncio_config::{ErrorKind, LoadOptions, WarningKind};

const ALLOW: LoadOptions<'static> = LoadOptions {
    allow_unsupported: true,
    allow_unknown_static_fields: false,
    limits: nuncio_config::Limits {
        bytes: 1 << 20,
        nodes: 10_000,
        depth: 100,
        alias_nodes: 1000,
        alias_bytes: 1 << 20,
    },
    externals: None,
};

/// Refused by default, let through with a warning on request.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    check_errors(text, expected);
    let loaded = load_with(text, &ALLOW).unwrap_or_else(|errors| panic!("{errors}"));
    let shown: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(shown, expected);
    assert!(loaded.warnings.iter().all(|warning| warning.kind == WarningKind::Unsupported));
}

/// Refused always.
#[track_caller]
fn check_guard(text: &str, expected: &[&str]) {
    check_errors(text, expected);
    check_errors_with(text, &ALLOW, expected);
}

#[test]
fn fields() {
    check(
        &cluster(
            "outlier_detection: {}\nhealth_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {}}]",
        ),
        &[
            "f:4:24: static_resources.clusters[0].outlier_detection: \"outlier_detection\" is not supported",
            "f:5:20: static_resources.clusters[0].health_checks: \"health_checks\" is not supported",
        ],
    );
    check(
        "tracing: {http: {name: x}}\nheader_prefix: x-y",
        &[
            "f:1:10: tracing: \"tracing\" is not supported",
            "f:2:16: header_prefix: \"header_prefix\" is not supported",
        ],
    );
    check(
        &manager("via: x\nupgrade_configs: [{upgrade_type: websocket}]"),
        &[
            "f:13:16: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.via: \"via\" is not supported",
            "f:14:28: …filters[0].typed_config.upgrade_configs: \"upgrade_configs\" is not supported",
        ],
    );
}

/// The rules hold in what is not supported, whether it is let through or not.
#[test]
fn mistakes_in_what_is_not_supported() {
    let text = cluster("outlier_detection: {interval: 0s, max_ejection_percent: 101}");
    let interval =
        "f:4:35: static_resources.clusters[0].outlier_detection.interval: must be greater than 0s but is 0s";
    let percent = "f:4:61: static_resources.clusters[0].outlier_detection.max_ejection_percent: must be at most 100 but is 101";
    let refused =
        "f:4:24: static_resources.clusters[0].outlier_detection: \"outlier_detection\" is not supported";
    check_errors(&text, &[refused, interval, percent]);
    check_errors_with(&text, &ALLOW, &[interval, percent]);
    // What is in it is not listed as unsupported one by one.
    check(&cluster("outlier_detection: {interval: 1s, max_ejection_percent: 100}"), &[refused]);
}

#[test]
fn values() {
    check(
        &cluster("lb_policy: MAGLEV"),
        &[
            "f:4:16: static_resources.clusters[0].lb_policy: MAGLEV is not supported; ROUND_ROBIN, RANDOM and LEAST_REQUEST are",
        ],
    );
    check(
        &manager("add_user_agent: true\ncodec_type: HTTP3"),
        &[
            "f:13:27: …filters[0].typed_config.add_user_agent: only false is supported",
            "f:14:23: …filters[0].typed_config.codec_type: HTTP/3 is not supported",
        ],
    );
    check_loads(&manager(
        "add_user_agent: false\nnormalize_path: false\nstream_error_on_invalid_http_message: false",
    ));
}

#[test]
fn extensions() {
    let filter = |type_name: &str, fields: &str| {
        manager("").replace("[{name: router", &format!("[{{name: x, typed_config: {{'@type': type.googleapis.com/{type_name}{fields}}}}}, {{name: router"))
    };
    let gzip = filter("envoy.extensions.filters.http.grpc_web.v3.GrpcWeb", "");
    check(
        &gzip,
        &[
            "f:12:50: …typed_config.http_filters[0].typed_config: the extension envoy.extensions.filters.http.grpc_web.v3.GrpcWeb \
         is not supported",
        ],
    );
    let rbac = filter("envoy.extensions.filters.http.rbac.v3.RBAC", "");
    check_guard(
        &rbac,
        &[
            "f:12:50: …typed_config.http_filters[0].typed_config: the extension envoy.extensions.filters.http.rbac.v3.RBAC is not \
         supported",
        ],
    );
}

#[test]
fn what_guards_access_is_never_left_out() {
    let tls = |context: &str| {
        let chain = format!(
            "transport_socket: {{name: t, typed_config: {{'@type': {TLS}, {context}, common_tls_context: {{tls_certificates: {{certificate_chain: {{inline_string: a}}, private_key: {{inline_string: b}}}}}}}}}}"
        );
        manager("").replacen("    -\n", &format!("    -\n      {chain}\n"), 1)
    };
    check_loads(&tls("require_client_certificate: false"));
    check_guard(
        &tls("require_client_certificate: true"),
        &["f:6:171: …transport_socket.typed_config.require_client_certificate: is not supported"],
    );
    check_guard(
        &tls("session_timeout: 5s"),
        &["f:6:160: …transport_socket.typed_config.session_timeout: \"session_timeout\" is not supported"],
    );
    check_guard(
        &manager("normalize_path: true"),
        &["f:13:27: …filters[0].typed_config.normalize_path: only false is supported"],
    );
    check_guard(
        &manager("merge_slashes: true"),
        &["f:13:26: …filters[0].typed_config.merge_slashes: \"merge_slashes\" is not supported"],
    );
    let matched = "- match: {prefix: /, headers: [{name: x, present_match: true}]}\n  route: {cluster: a}";
    check_guard(&routes(matched), &["f:17:45: …routes[0].match.headers: \"headers\" is not supported"]);
    let chain = manager("").replacen("    -\n", "    -\n      filter_chain_match: {server_names: [a]}\n", 1);
    check_guard(
        &chain,
        &[
            "f:6:42: static_resources.listeners[0].filter_chains[0].filter_chain_match.server_names: \"server_names\" is not supported",
        ],
    );
    check_guard(
        "admin: {allow_paths: [{exact: /stats}], address: {socket_address: {address: 127.0.0.1, port_value: 1}}}",
        &["f:1:22: admin.allow_paths: \"allow_paths\" is not supported"],
    );
    check_guard(
        &cluster(
            "transport_socket: {name: tls, typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext}}",
        ),
        &["f:4:49: static_resources.clusters[0].transport_socket.typed_config: the extension \
         envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext is not supported"][..1],
    );
}

/// Leaving these out leaves nothing to run.
#[test]
fn what_cannot_do_without_is_refused_even_if_allowed() {
    let check = |text: &str, expected: &[&str]| check_errors_with(text, &ALLOW, expected);
    let tcp = "static_resources: {listeners: [{address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: \
               {filters: {name: t, typed_config: {'@type': \
               type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}}}]}";
    check(
        tcp,
        &[
            "f:1:122: static_resources.listeners[0].filter_chains[0].filters: nothing is left that answers requests",
        ],
    );
    check(
        "admin: {address: {pipe: {path: /x}}}",
        &["f:1:18: admin.address: without this address there is no admin server"],
    );
    check(
        &cluster("cluster_type: {name: envoy.cluster.eds}"),
        &["f:4:19: static_resources.clusters[0].cluster_type: without its type the cluster has no hosts"],
    );
    check(
        &routes("- match: {prefix: /}\n  route: {cluster_header: x}"),
        &["f:18:24: …virtual_hosts[0].routes[0].route: without a cluster the route leads nowhere"],
    );
}

#[test]
fn what_has_no_effect_is_accepted_with_all_that_is_in_it() {
    let loaded = check_loads(
        "node: {id: me, user_agent_build_version: {version: {major_number: 1}}, extensions: [{name: x}]}\n\
         watchdogs: {main_thread_watchdog: {miss_timeout: 1s}}",
    );
    assert_eq!(loaded.bootstrap.node.id, "me");
    assert!(loaded.warnings.is_empty());
}

#[test]
fn runtime_keys_that_decide_nothing_here_are_told() {
    let layer =
        |entry: &str| format!("layered_runtime: {{layers: [{{name: a, static_layer: {{{entry}}}}}]}}");
    let loaded = check_loads(&layer(
        "envoy.reloadable_features.x: true, mine: 5, envoy: {resource_limits: {listener: {l: {connection_limit: 7}}}}",
    ));
    let shown: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "f:1:82: layered_runtime.layers[0].static_layer[\"envoy.reloadable_features.x\"]: the runtime key \"envoy.reloadable_features.x\" has no effect",
        ]
    );
    assert_eq!(loaded.bootstrap.runtime.listener_connection_limit("l"), Some(7));
    assert_eq!(loaded.bootstrap.runtime.get("mine"), Some("5"));
    check_guard(
        &layer("overload.global_downstream_max_connections: 5"),
        &[
            "f:1:97: layered_runtime.layers[0].static_layer[\"overload.global_downstream_max_connections\"]: the global connection \
         limit is not supported",
        ],
    );
}

#[test]
fn the_kind_says_unsupported() {
    let errors = common::load_text(&cluster("outlier_detection: {}")).unwrap_err();
    assert_eq!(errors.errors()[0].kind, ErrorKind::Unsupported);
}

#[test]
fn edits_of_request_headers_are_never_left_out() {
    for edit in [
        "request_headers_to_remove: [x-user]",
        "request_headers_to_add: [{header: {key: x-user, value: none}}]",
    ] {
        let text = routes(&format!("- {{match: {{prefix: /}}, route: {{cluster: a}}, {edit}}}"));
        let errors = load_with(&text, &ALLOW).unwrap_err();
        assert_eq!(errors.errors().len(), 1, "{errors}");
        assert_eq!(errors.errors()[0].kind, ErrorKind::Unsupported, "{errors}");
    }
    let answers =
        routes("- {match: {prefix: /}, route: {cluster: a}, response_headers_to_remove: [x-powered-by]}");
    assert!(load_with(&answers, &ALLOW).is_ok());
}
