//! Mistakes in the listeners of v1 files, their filters and routes.

#![allow(clippy::panic, reason = "a test may fail loudly")]

#[path = "common/v1.rs"]
mod v1;

use v1::{check, document, http_filter, listener, manager, network_filter, route};

#[test]
fn listeners_and_their_filters() {
    // A v3 listener at the top level of a file is taken for one of v1.
    check(
        &listener(r#""address": {}, "filter_chains": []"#),
        &[
            "f.json:3:12: listeners[0].address: expected a string, found an object",
            "f.json:3:16: listeners[0]: \"filter_chains\" is no key of a v1 listener: it belongs to the v3 format, where listeners stand in \"static_resources\"; v1 has \"filters\" in the listener itself",
        ],
    );
    check(
        &listener(
            r#""address": "tcp://127.0.0.1:0", "drain_type": "Default", "filters": [{"name": "echo", "type": "none"}]"#,
        ),
        &[
            "f.json:3:47: listeners[0].drain_type: must be one of \"default\", \"modify_only\" but is the string \"Default\" (did you mean \"default\"?)",
            "f.json:3:70: listeners[0].filters[0].config: is required",
            "f.json:3:95: listeners[0].filters[0].type: must be one of \"read\", \"write\", \"both\" but is the string \"none\"",
        ],
    );
    check(
        &listener(
            r#""address": "tcp://127.0.0.1:0", "filters": [{"name": "http_conection_manager", "config": {}}]"#,
        ),
        &[
            "f.json:3:54: listeners[0].filters[0].name: v1 has no network filter \"http_conection_manager\" (did you mean \"http_connection_manager\"?)",
        ],
    );
    check(
        &listener(
            r#""address": "tcp://127.0.0.1:0", "filters": [], "ssl_context": {"cert_chain_file": "a"}"#,
        ),
        &["f.json:3:63: listeners[0].ssl_context.private_key_file: is required"],
    );
    check(
        &network_filter("echo", r#"{"a": 1}"#),
        &["f.json:4:2: listeners[0].filters[0].config: unknown key \"a\" in a v1 echo filter"],
    );
    check(
        &network_filter("echo", r#"[]"#),
        &["f.json:4:1: listeners[0].filters[0].config: expected a v1 echo filter, an object, found a list"],
    );
    check(
        &network_filter(
            "client_ssl_auth",
            r#"{"auth_api_cluster": "a", "stat_prefix": "s", "ip_white_list": ["10.0.0.0"]}"#,
        ),
        &[
            "f.json:3:54: listeners[0].filters[0].name: Envoy has no client_ssl_auth filter any more, and without it everybody would get in",
            "f.json:4:65: listeners[0].filters[0].config.ip_white_list[0]: \"10.0.0.0\" is not a range of IP addresses such as \"10.0.0.0/8\"",
        ],
    );
    check(
        &network_filter("tcp_proxy", r#"{"stat_prefix": "s", "cluster": "a"}"#),
        &[
            "f.json:4:1: listeners[0].filters[0].config.route_config: is required",
            "f.json:4:22: listeners[0].filters[0].config: \"cluster\" is no key of a v1 TCP proxy: the cluster stands in the routes of \"route_config\"",
        ],
    );
    check(
        &network_filter(
            "tcp_proxy",
            r#"{"stat_prefix": "s", "route_config": {"routes": [{"cluster": "a", "source_ip_list": ["10.0.0.0/33"], "source_ports": "1-x", "destination_ports": "1-5000"}]}}"#,
        ),
        &[
            "f.json:4:86: listeners[0].filters[0].config.route_config.routes[0].source_ip_list[0]: \"10.0.0.0/33\" is not a range of IP addresses such as \"10.0.0.0/8\"",
            "f.json:4:118: listeners[0].filters[0].config.route_config.routes[0].source_ports: \"1-x\" is neither a port nor a range of ports such as \"1024-2048\"",
            "f.json:4:146: listeners[0].filters[0].config.route_config.routes[0].destination_ports: more than 4096 ports have no counterpart in v3, where each is named",
        ],
    );
    check(
        &network_filter(
            "ratelimit",
            r#"{"stat_prefix": "s", "domain": "d", "descriptors": [{}, [{"key": "k"}]]}"#,
        ),
        &[
            "f.json:4:53: listeners[0].filters[0].config.descriptors[0]: expected a list of entries, found an object",
            "f.json:4:58: listeners[0].filters[0].config.descriptors[1][0].value: is required",
        ],
    );
    // The log of several filter chains is read once.
    check(
        &network_filter(
            "tcp_proxy",
            r#"{"stat_prefix": "s", "route_config": {"routes": [{"cluster": "a", "source_ports": "1,2", "destination_ports": "1,2"}]}, "access_log": [{}]}"#,
        ),
        &["f.json:4:136: listeners[0].filters[0].config.access_log[0].path: is required"],
    );
    check(
        &network_filter("redis_proxy", r#"{"cluster_name": "a", "stat_prefix": "s", "conn_pool": {}}"#),
        &["f.json:4:56: listeners[0].filters[0].config.conn_pool.op_timeout_ms: is required"],
    );
    check(
        &network_filter(
            "mongo_proxy",
            r#"{"stat_prefix": "s", "fault": {"fixed_delay": {"percent": 200, "duration_ms": 0}}}"#,
        ),
        &[
            "f.json:4:59: listeners[0].filters[0].config.fault.fixed_delay.percent: must be at most 100 but is 200",
            "f.json:4:79: listeners[0].filters[0].config.fault.fixed_delay.duration_ms: must be at least 1 but is 0",
        ],
    );
}

#[test]
fn connection_managers() {
    check(
        &manager(r#""stat_prefix": "s", "filters": []"#),
        &[
            "f.json:3:91: listeners[0].filters[0].config.codec_type: is required",
            "f.json:3:91: listeners[0].filters[0].config: one of \"route_config\", \"rds\" is required",
            "f.json:4:32: listeners[0].filters[0].config.filters: must not be empty",
        ],
    );
    check(
        &manager(
            r#""codec_type": "auto", "stat_prefix": "s", "route_config": {"virtual_hosts": []}, "filters": [{"name": "router", "config": {}}], "rds": {"cluster": "a", "route_config_name": "r"}"#,
        ),
        &[
            "f.json:4:129: listeners[0].filters[0].config: \"route_config\" and \"rds\" exclude each other",
            "f.json:4:136: listeners[0].filters[0].config.rds: v1's route discovery service (GET /v1/routes/...) is not supported yet",
        ],
    );
    check(
        &manager(
            r#""codec_type": "auto", "stat_prefix": "s", "filters": [{"name": "router", "config": {}}]"#,
        ),
        &["f.json:3:91: listeners[0].filters[0].config: one of \"route_config\", \"rds\" is required"],
    );
    check(
        &manager(
            r#""codec_type": "auto", "stat_prefix": "s", "rds": {"cluster": "a", "route_config_name": "r", "api_type": "rest"}, "filters": [{"name": "router", "config": {}}]"#,
        ),
        &[
            "f.json:4:105: listeners[0].filters[0].config.rds.api_type: must be one of \"REST_LEGACY\", \"REST\", \"GRPC\" but is the string \"rest\" (did you mean \"REST\"?)",
        ],
    );
    check(
        &manager(
            r#""codec_type": "auto", "stat_prefix": "s", "rds": {"cluster": "a", "route_config_name": "r"}, "filters": [{"name": "router", "config": {}}]"#,
        ),
        &[
            "f.json:4:50: listeners[0].filters[0].config.rds: v1's route discovery service (GET /v1/routes/...) is not supported yet",
        ],
    );
    check(
        &manager(
            r#""codec_type": "HTTP1", "stat_prefix": "s", "route_config": {"virtual_hosts": []}, "filters": [{"name": "router", "config": {}}]"#,
        ),
        &[
            "f.json:4:15: listeners[0].filters[0].config.codec_type: must be one of \"http1\", \"http2\", \"auto\" but is the string \"HTTP1\" (did you mean \"http1\"?)",
        ],
    );
    check(
        &manager(
            r#""codec_type": "auto", "stat_prefix": "s", "route_config": {"virtual_hosts": []}, "filters": [{"name": "router", "config": {}}], "tracing": {}, "forward_client_cert": "none", "set_current_client_cert_details": ["Subject", "San", "Subject"]"#,
        ),
        &[
            "f.json:4:140: listeners[0].filters[0].config.tracing.operation_name: is required",
            "f.json:4:167: listeners[0].filters[0].config.forward_client_cert: must be one of \"sanitize\", \"forward_only\", \"append_forward\", \"sanitize_set\", \"always_forward_only\" but is the string \"none\"",
            "f.json:4:229: listeners[0].filters[0].config.set_current_client_cert_details[2]: \"Subject\" is in the list already",
        ],
    );
    check(
        &manager(
            r#""codec_type": "auto", "stat_prefix": "s", "route_config": {"virtual_hosts": []}, "filters": [{"name": "router", "config": {}}], "set_current_client_cert_details": ["san"]"#,
        ),
        &[
            "f.json:4:165: listeners[0].filters[0].config.set_current_client_cert_details[0]: must be one of \"Subject\", \"SAN\" but is the string \"san\" (did you mean \"SAN\"?)",
        ],
    );
    check(
        &manager(
            r#""codec_type": "auto", "stat_prefix": "s", "route_config": {"virtual_hosts": []}, "filters": [{"name": "router", "config": {}}], "routes": []"#,
        ),
        &[
            "f.json:4:129: listeners[0].filters[0].config: \"routes\" is no key of a v1 HTTP connection manager: routes stand in \"route_config\", in \"virtual_hosts\"",
        ],
    );
    check(
        &manager(
            r#""codec_type": "auto", "stat_prefix": "s", "route_config": {"virtual_hosts": []}, "filters": [{"name": "router", "config": {}}], "access_log": [{"path": "a", "filter": {"type": "status_code", "op": ">", "value": -1}}]"#,
        ),
        &[
            "f.json:4:198: listeners[0].filters[0].config.access_log[0].filter.op: must be one of \">=\", \"=\" but is the string \">\" (did you mean \">=\"?)",
            "f.json:4:212: listeners[0].filters[0].config.access_log[0].filter.value: must be at least 0 but is -1",
        ],
    );
    check(
        &manager(
            r#""codec_type": "auto", "stat_prefix": "s", "route_config": {"virtual_hosts": []}, "filters": [{"name": "router", "config": {}}], "access_log": [{"path": "a", "filter": {"type": "logical_or", "filters": [{"type": "not_healthcheck", "value": 1}]}}, {"filter": {"type": "runtime"}}]"#,
        ),
        &[
            "f.json:4:202: listeners[0].filters[0].config.access_log[0].filter.filters: must have at least 2 elements but has 1",
            "f.json:4:247: listeners[0].filters[0].config.access_log[1].path: is required",
            "f.json:4:258: listeners[0].filters[0].config.access_log[1].filter.key: is required",
        ],
    );
}

#[test]
fn routes() {
    check(
        &route(r#""cluster": "a""#),
        &[
            "f.json:4:168: listeners[0].filters[0].config.route_config.virtual_hosts[0].routes[0]: one of \"prefix\", \"path\", \"regex\" is required",
        ],
    );
    check(
        &route(r#""prefix": "/", "path": "/", "cluster": "a""#),
        &[
            "f.json:5:16: listeners[0].filters[0].config.route_config.virtual_hosts[0].routes[0]: \"prefix\" and \"path\" exclude each other",
        ],
    );
    check(
        &route(r#""prefix": "/""#),
        &[
            "f.json:4:168: listeners[0].filters[0].config.route_config.virtual_hosts[0].routes[0]: one of \"cluster\", \"cluster_header\", \"weighted_clusters\" is required",
        ],
    );
    check(
        &route(r#""prefix": "/", "cluster": "a", "host_redirect": "b""#),
        &[
            "f.json:4:168: listeners[0].filters[0].config.route_config.virtual_hosts[0].routes[0]: a route either redirects or forwards to a cluster, not both",
        ],
    );
    check(
        &route(r#""prefix": "/", "cluster": "a", "cluster_header": "b""#),
        &[
            "f.json:5:32: listeners[0].filters[0].config.route_config.virtual_hosts[0].routes[0]: \"cluster\" and \"cluster_header\" exclude each other",
        ],
    );
    check(
        &route(r#""prefix": "/", "host_redirect": "b", "use_websocket": true"#),
        &["f.json:5:55: …virtual_hosts[0].routes[0].use_websocket: a redirect cannot use WebSocket"],
    );
    check(
        &route(r#""prefix": "/", "cluster": "a", "host_rewrite": "b", "auto_host_rewrite": true"#),
        &[
            "f.json:5:74: listeners[0].filters[0].config.route_config.virtual_hosts[0].routes[0]: \"host_rewrite\" and \"auto_host_rewrite\" exclude each other",
        ],
    );
    check(
        &route(
            r#""prefix": "/", "weighted_clusters": {"clusters": [{"name": "a", "weight": 60}, {"name": "a", "weight": 41}]}"#,
        ),
        &["f.json:5:50: …routes[0].weighted_clusters.clusters: the weights must add up to 100 but make 101"],
    );
    check(
        &route(
            r#""prefix": "/", "weighted_clusters": {"clusters": [{"name": "a", "weight": 101}, {"name": "a", "weight": 1}]}"#,
        ),
        &["f.json:5:75: …weighted_clusters.clusters[0].weight: must be at most 100 but is 101"],
    );
    check(
        &route(r#""match": {"prefix": "/"}, "route": {"cluster": "a"}"#),
        &[
            "f.json:5:1: listeners[0].filters[0].config.route_config.virtual_hosts[0].routes[0]: \"match\" is no key of a v1 route: it belongs to the v3 format; v1 has \"prefix\", \"path\" or \"regex\" in the route itself",
            "f.json:5:27: listeners[0].filters[0].config.route_config.virtual_hosts[0].routes[0]: \"route\" is no key of a v1 route: it belongs to the v3 format; v1 has \"cluster\" in the route itself",
        ],
    );
    check(
        &route(
            r#""prefix": "/", "cluster": "a", "runtime": {"key": "k", "default": 101}, "headers": [], "query_parameters": [{"value": "v"}]"#,
        ),
        &[
            "f.json:5:67: …routes[0].runtime.default: must be at most 100 but is 101",
            "f.json:5:84: listeners[0].filters[0].config.route_config.virtual_hosts[0].routes[0].headers: must not be empty",
            "f.json:5:109: …routes[0].query_parameters[0].name: is required",
        ],
    );
    check(
        &route(
            r#""prefix": "/", "cluster": "a", "retry_policy": {"per_try_timeout_ms": 0}, "priority": "low", "timeout_ms": -1"#,
        ),
        &[
            "f.json:5:48: …routes[0].retry_policy.retry_on: is required",
            "f.json:5:71: …routes[0].retry_policy.per_try_timeout_ms: must be at least 1 but is 0",
            "f.json:5:87: listeners[0].filters[0].config.route_config.virtual_hosts[0].routes[0].priority: must be one of \"default\", \"high\" but is the string \"low\"",
            "f.json:5:108: …virtual_hosts[0].routes[0].timeout_ms: must be at least 0 but is -1",
        ],
    );
    check(
        &route(
            r#""prefix": "/", "cluster": "a", "opaque_config": {"a": 1}, "rate_limits": [{"stage": 11, "actions": [{"type": "generic_key"}, {"type": "key"}]}]"#,
        ),
        &[
            "f.json:5:55: …virtual_hosts[0].routes[0].opaque_config[\"a\"]: expected a string, found the number 1",
            "f.json:5:85: …routes[0].rate_limits[0].stage: must be at most 10 but is 11",
            "f.json:5:101: …rate_limits[0].actions[0].descriptor_value: is required",
            "f.json:5:135: …rate_limits[0].actions[1].type: must be one of \"source_cluster\", \"destination_cluster\", \"request_headers\", \"remote_address\", \"generic_key\", \"header_value_match\" but is the string \"key\"",
        ],
    );
    check(
        &route(r#""prefix": "/", "cluster": "missing""#),
        &["f.json:5:27: …routes[0].route.cluster: no cluster is named \"missing\""],
    );
}

#[test]
fn http_filters() {
    check(
        &http_filter("rooter", r#"{}"#),
        &[
            "f.json:4:103: listeners[0].filters[0].config.filters[0].name: v1 has no HTTP filter \"rooter\" (did you mean \"router\"?)",
        ],
    );
    check(
        &http_filter("router", r#"{"dynamic_stats": 1}"#),
        &[
            "f.json:5:19: listeners[0].filters[0].config.filters[0].config.dynamic_stats: expected true or false, found the number 1",
        ],
    );
    check(
        &http_filter("health_check", r#"{"pass_through_mode": false, "endpoint": "/", "cache_time_ms": 1}"#),
        &[
            "f.json:5:64: listeners[0].filters[0].config.filters[0].config.cache_time_ms: there is nothing to cache: \"pass_through_mode\" is false",
        ],
    );
    check(
        &http_filter("fault", r#"{}"#),
        &[
            "f.json:5:1: listeners[0].filters[0].config.filters[0].config: one of \"abort\", \"delay\" is required",
        ],
    );
    check(
        &http_filter(
            "fault",
            r#"{"abort": {"abort_percent": 101, "http_status": 100}, "delay": {"type": "random", "fixed_delay_percent": 1, "fixed_duration_ms": 0}}"#,
        ),
        &[
            "f.json:5:29: listeners[0].filters[0].config.filters[0].config.abort.abort_percent: must be at most 100 but is 101",
            "f.json:5:49: listeners[0].filters[0].config.filters[0].config.abort.http_status: must be at least 200 but is 100",
            "f.json:5:73: listeners[0].filters[0].config.filters[0].config.delay.type: must be one of \"fixed\" but is the string \"random\"",
            "f.json:5:130: listeners[0].filters[0].config.filters[0].config.delay.fixed_duration_ms: must be at least 1 but is 0",
        ],
    );
    check(
        &http_filter("buffer", r#"{"max_request_bytes": 1}"#),
        &["f.json:5:1: listeners[0].filters[0].config.filters[0].config.max_request_time_s: is required"],
    );
    check(
        &http_filter("lua", r#"{}"#),
        &["f.json:5:1: listeners[0].filters[0].config.filters[0].config.inline_code: is required"],
    );
    check(
        &http_filter("grpc_json_transcoder", r#"{"proto_descriptor": "p", "services": ["a", "a"]}"#),
        &[
            "f.json:5:45: listeners[0].filters[0].config.filters[0].config.services[1]: \"a\" is in the list already",
        ],
    );
    check(
        &http_filter("ext_authz", r#"5"#),
        &[
            "f.json:5:1: listeners[0].filters[0].config.filters[0].config: expected an object, found the number 5",
        ],
    );
}

#[test]
fn the_discovery_services_of_v1_are_not_there_yet() {
    check(
        &document(r#""#, r#""clusters": []"#, r#", "lds": {"cluster": "a", "refresh_delay_ms": 1000}"#),
        &["f.json:7:10: lds: v1's listener discovery service (GET /v1/listeners/...) is not supported yet"],
    );
    check(
        &document(
            r#""#,
            r#""clusters": [], "cds": {"cluster": {"name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}]}}"#,
            r#""#,
        ),
        &[
            "f.json:5:24: cluster_manager.cds: v1's cluster discovery service (GET /v1/clusters/...) is not supported yet",
        ],
    );
    check(
        &document(
            r#""#,
            r#""clusters": [], "sds": {"cluster": {"name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}]}}"#,
            r#""#,
        ),
        &["f.json:5:24: cluster_manager.sds.refresh_delay_ms: is required"],
    );
    check(
        &document(r#""#, r#""clusters": []"#, r#", "lds": {"refresh_delay_ms": 0}"#),
        &[
            "f.json:7:10: lds.cluster: is required",
            "f.json:7:10: lds: v1's listener discovery service (GET /v1/listeners/...) is not supported yet",
            "f.json:7:31: lds.refresh_delay_ms: must be at least 1 but is 0",
        ],
    );
}
