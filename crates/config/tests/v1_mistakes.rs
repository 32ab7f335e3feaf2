//! Mistakes in v1 files, apart from listeners: each is reported at its place in the file, by its v1 path.

#![allow(clippy::panic, reason = "a test may fail loudly")]

#[path = "common/v1.rs"]
mod v1;

use v1::{check, cluster, document, listener, manager};

/// Mistakes that the documents about v1 make, with what was meant.
#[test]
fn what_the_tutorials_get_wrong() {
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "sds", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &[
            "f.json:5:68: cluster_manager.clusters[0].lb_type: must be one of \"round_robin\", \"least_request\", \"random\", \"ring_hash\", \"original_dst_lb\" but is the string \"sds\": \"type\" is what becomes \"sds\"; \"lb_type\" says how to choose among the hosts",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}], "sds": {}"#,
        ),
        &[
            "f.json:5:119: cluster_manager.clusters[0]: \"sds\" is no key of a v1 cluster: the discovery service stands in \"cluster_manager\", beside \"clusters\", and the cluster that uses it has the type \"sds\"",
        ],
    );
    check(
        &cluster(r#""sds": {"cluster": {}, "refresh_delay_ms": 1}"#),
        &[
            "f.json:5:1: cluster_manager.clusters[0]: \"sds\" is no key of a v1 cluster: the discovery service stands in \"cluster_manager\", beside \"clusters\", and the cluster that uses it has the type \"sds\"",
        ],
    );
    check(
        &document(r#""#, r#""clusters": {"sds": {}}"#, r#""#),
        &[
            "f.json:5:13: cluster_manager.clusters: expected a list, found an object: \"sds\" stands in \"cluster_manager\", beside \"clusters\"",
        ],
    );
    check(
        &document(r#""#, r#""clusters": []"#, r#", "sds": {}"#),
        &[
            "f.json:7:3: \"sds\" is no key of a v1 configuration: it stands in \"cluster_manager\", beside \"clusters\"",
        ],
    );
    check(
        &document(r#""#, r#""clusters": []"#, r#", "clusters": []"#),
        &[
            "f.json:7:3: \"clusters\" is no key of a v1 configuration: it stands in \"cluster_manager\", or in a v3 file in \"static_resources\"",
        ],
    );
    check(
        &listener(r#""address": "tcp://127.0.0.1:8001/", "filters": []"#),
        &[
            "f.json:3:12: listeners[0].address: \"tcp://127.0.0.1:8001/\" ends with \"/\", which does not belong to an address (did you mean \"tcp://127.0.0.1:8001\"?)",
        ],
    );
    check(
        &listener(r#""address": "tcp://localhost:80", "filters": []"#),
        &[
            "f.json:3:12: listeners[0].address: \"localhost\" is not an IP address; a listener is bound to an address, not to a name (0.0.0.0 stands for all)",
        ],
    );
    check(
        &listener(r#""address": "127.0.0.1:80", "filters": []"#),
        &[
            "f.json:3:12: listeners[0].address: \"127.0.0.1:80\" does not say how to connect (did you mean \"tcp://127.0.0.1:80\"?)",
        ],
    );
    check(
        &listener(r#""address": "0.0.0.0", "filters": []"#),
        &[
            "f.json:3:12: listeners[0].address: \"0.0.0.0\" does not say how to connect (did you mean \"tcp://0.0.0.0:80\"?)",
        ],
    );
    check(
        &cluster(r#""name": "a", "type": "sds", "connect_timeout_ms": 1, "lb_type": "random""#),
        &[
            "f.json:5:22: cluster_manager.clusters[0].type: a cluster of the type \"sds\" needs \"sds\" in \"cluster_manager\", beside \"clusters\"",
        ],
    );
    check(
        &document(
            r#""#,
            r#""clusters": [{"name": "b", "type": "sds", "connect_timeout_ms": 1, "lb_type": "random"}], "sds": {"cluster": {"name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}]}, "refresh_delay_ms": 15000}"#,
            r#""#,
        ),
        &[
            "f.json:5:36: cluster_manager.clusters[0].type: clusters of v1's type \"sds\" (service discovery by GET /v1/registration/...) are not supported yet",
        ],
    );
    check(
        &document(
            r#""#,
            r#""clusters": [], "sds": {"cluster": {"name": "a", "type": "sds", "connect_timeout_ms": 1, "lb_type": "random"}, "refresh_delay_ms": 1}"#,
            r#""#,
        ),
        &[
            "f.json:5:58: cluster_manager.sds.cluster.type: the cluster that the discovery service is asked through cannot be discovered",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "strict_dns", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "http://a:80"}, {"url": "https://a"}, {"url": "a:80"}, {"url": "/tmp/a"}]"#,
        ),
        &[
            "f.json:5:100: cluster_manager.clusters[0].hosts[0].url: \"http://a:80\" starts with \"http\"; only \"tcp\" and \"unix\" are known here (did you mean \"tcp://a:80\"?)",
            "f.json:5:124: cluster_manager.clusters[0].hosts[1].url: \"https://a\" starts with \"https\"; only \"tcp\" and \"unix\" are known here (did you mean \"tcp://a:443\"?)",
            "f.json:5:146: cluster_manager.clusters[0].hosts[2].url: \"a:80\" does not say how to connect (did you mean \"tcp://a:80\"?)",
            "f.json:5:163: cluster_manager.clusters[0].hosts[3].url: \"/tmp/a\" does not say how to connect (did you mean \"unix:///tmp/a\"?)",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://usersvc:80"}]"#,
        ),
        &[
            "f.json:5:96: cluster_manager.clusters[0].hosts[0].url: \"usersvc\" is not an IP address; a cluster of the type \"strict_dns\" resolves names",
        ],
    );
}

#[test]
fn objects_are_read_strictly() {
    check(
        r#"{"listeners": []}"#,
        &["f.json:1:1: admin: is required", "f.json:1:1: cluster_manager: is required"],
    );
    check(
        &document(r#""#, r#""clusters": []"#, r#", "listners": []"#),
        &["f.json:7:3: unknown key \"listners\" in a v1 configuration (did you mean \"listeners\"?)"],
    );
    check(
        &document(r#""#, r#""clusters": []"#, r#", "node": {}"#),
        &[
            "f.json:7:3: \"node\" is no key of a v1 configuration: v1 takes the node from --service-node and --service-cluster",
        ],
    );
    check(
        &document(r#""#, r#""clusters": []"#, r#", "admin": {}"#),
        &["f.json:7:3: \"admin\" is given twice"],
    );
    check(
        &document(r#"5"#, r#""clusters": []"#, r#""#),
        &["f.json:3:1: listeners[0]: expected a v1 listener, an object, found the number 5"],
    );
    check(
        &document(r#""#, r#""clusters": [null]"#, r#""#),
        &["f.json:5:14: cluster_manager.clusters[0]: expected a v1 cluster, an object, found null"],
    );
    check(
        &cluster(r#""name": """#),
        &[
            "f.json:4:37: cluster_manager.clusters[0].type: is required",
            "f.json:4:37: cluster_manager.clusters[0].connect_timeout_ms: is required",
            "f.json:4:37: cluster_manager.clusters[0].lb_type: is required",
            "f.json:5:9: cluster_manager.clusters[0].name: must not be empty",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 0, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &["f.json:5:54: cluster_manager.clusters[0].connect_timeout_ms: must be at least 1 but is 0"],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": "250", "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &[
            "f.json:5:54: cluster_manager.clusters[0].connect_timeout_ms: expected an integer, found the string \"250\"",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 2.5, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &[
            "f.json:5:54: cluster_manager.clusters[0].connect_timeout_ms: expected an integer, found the number 2.5",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": true, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &["f.json:5:54: cluster_manager.clusters[0].connect_timeout_ms: expected an integer, found true"],
    );
    check(
        &cluster(
            r#""name": 5, "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &["f.json:5:9: cluster_manager.clusters[0].name: expected a string, found the number 5"],
    );
    check(
        &cluster(
            r#""name": 1.5, "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &["f.json:5:9: cluster_manager.clusters[0].name: expected a string, found the number 1.5"],
    );
    check(
        &cluster(
            r#""name": null, "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &["f.json:5:9: cluster_manager.clusters[0].name: expected a string, found null"],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "ROUND_ROBIN", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &[
            "f.json:5:68: cluster_manager.clusters[0].lb_type: must be one of \"round_robin\", \"least_request\", \"random\", \"ring_hash\", \"original_dst_lb\" but is the string \"ROUND_ROBIN\" (did you mean \"round_robin\"?)",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "round_robbin", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &[
            "f.json:5:68: cluster_manager.clusters[0].lb_type: must be one of \"round_robin\", \"least_request\", \"random\", \"ring_hash\", \"original_dst_lb\" but is the string \"round_robbin\" (did you mean \"round_robin\"?)",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}], "lb_policy": "RANDOM""#,
        ),
        &[
            "f.json:5:119: cluster_manager.clusters[0]: \"lb_policy\" is no key of a v1 cluster: it belongs to the v3 format; v1 has \"lb_type\"",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}], "connect_timout_ms": 1"#,
        ),
        &[
            "f.json:5:119: cluster_manager.clusters[0]: unknown key \"connect_timout_ms\" in a v1 cluster (did you mean \"connect_timeout_ms\"?)",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": {}"#,
        ),
        &["f.json:5:87: cluster_manager.clusters[0].hosts: expected a list, found an object"],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}], "features": "http2,tls""#,
        ),
        &[
            "f.json:5:131: cluster_manager.clusters[0].features: must be one of \"http2\" but is the string \"http2,tls\"",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}], "circuit_breakers": {"default": {"max_conections": 1}, "low": {}}"#,
        ),
        &[
            "f.json:5:152: cluster_manager.clusters[0].circuit_breakers.default: unknown key \"max_conections\" in v1 thresholds of a circuit breaker (did you mean \"max_connections\"?)",
            "f.json:5:174: cluster_manager.clusters[0].circuit_breakers: unknown key \"low\" in v1 circuit breakers",
        ],
    );
    check(
        &manager(
            r#""codec_type": "auto", "stat_prefix": "s", "route_config": {"virtual_hosts": []}, "filters": [{"name": "router", "config": {}}], "generate_request_id": "true", "http2_settings": {"max_concurrent_streams": 0, "initial_stream_window_size": 1}"#,
        ),
        &[
            "f.json:4:152: listeners[0].filters[0].config.generate_request_id: expected true or false, found the string \"true\"",
            "f.json:4:205: listeners[0].filters[0].config.http2_settings.max_concurrent_streams: must be at least 1 but is 0",
            "f.json:4:238: listeners[0].filters[0].config.http2_settings.initial_stream_window_size: must be at least 65535 but is 1",
        ],
    );
}

#[test]
fn addresses() {
    check(&listener(r#""filters": []"#), &["f.json:2:15: listeners[0].address: is required"]);
    check(
        &listener(r#""address": "tcp://127.0.0.1:80", "port": 80, "filters": []"#),
        &["f.json:3:34: listeners[0]: \"address\" and \"port\" exclude each other"],
    );
    check(
        &listener(r#""port": 65536, "filters": []"#),
        &["f.json:3:9: listeners[0].port: must be at most 65535 but is 65536"],
    );
    check(
        &listener(r#""address": "tcp://127.0.0.1", "filters": []"#),
        &["f.json:3:12: listeners[0].address: \"127.0.0.1\" has no port (for instance \"127.0.0.1:80\")"],
    );
    check(
        &listener(r#""address": "tcp://127.0.0.1:99999", "filters": []"#),
        &["f.json:3:12: listeners[0].address: \"99999\" is not a port from 0 to 65535"],
    );
    check(
        &listener(r#""address": "tcp://127.0.0.1:+80", "filters": []"#),
        &["f.json:3:12: listeners[0].address: \"+80\" is not a port from 0 to 65535"],
    );
    check(
        &listener(r#""address": "tcp://::1:80", "filters": []"#),
        &["f.json:3:12: listeners[0].address: \"::1:80\" has no port (for instance \"[::1]:80\")"],
    );
    check(
        &listener(r#""address": "udp://127.0.0.1:80", "filters": []"#),
        &[
            "f.json:3:12: listeners[0].address: \"udp://127.0.0.1:80\" starts with \"udp\"; only \"tcp\" and \"unix\" are known here (did you mean \"tcp://127.0.0.1:80\"?)",
        ],
    );
    check(
        &listener(r#""address": "unix://", "filters": []"#),
        &["f.json:3:12: listeners[0].address: \"unix://\" has no path after \"unix://\""],
    );
    check(
        &cluster(
            r#""name": "a", "type": "strict_dns", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "unix:///tmp/a"}, {"url": "tcp://:80"}]"#,
        ),
        &[
            "f.json:5:100: cluster_manager.clusters[0].hosts[0].url: \"unix:///tmp/a\" is a path, and the hosts of a cluster of this type are found by DNS",
            "f.json:5:126: cluster_manager.clusters[0].hosts[1].url: \"tcp://:80\" has no name before the port",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}], "dns_resolvers": ["tcp://10.0.0.1:53", "a:53", "10.0.0.1"]"#,
        ),
        &[
            "f.json:5:137: cluster_manager.clusters[0].dns_resolvers[0]: \"tcp://10.0.0.1:53\" has a scheme, which does not belong here (did you mean \"10.0.0.1:53\"?)",
            "f.json:5:158: cluster_manager.clusters[0].dns_resolvers[1]: \"a\" is not an IP address",
            "f.json:5:166: cluster_manager.clusters[0].dns_resolvers[2]: \"10.0.0.1\" has no port (for instance \"10.0.0.1:80\")",
        ],
    );
    check(
        &document(r#""#, r#""clusters": []"#, r#", "statsd_udp_ip_address": "localhost:8125""#),
        &["f.json:7:28: statsd_udp_ip_address: \"localhost\" is not an IP address"],
    );
    check(
        &document(
            r#""#,
            r#""clusters": []"#,
            r#", "statsd_udp_ip_address": "127.0.0.1:8125", "statsd_local_udp_port": 8125"#,
        ),
        &["f.json:7:46: \"statsd_udp_ip_address\" and \"statsd_local_udp_port\" exclude each other"],
    );
}

#[test]
fn clusters() {
    check(
        &cluster(r#""name": "a", "type": "strict_dns", "connect_timeout_ms": 1, "lb_type": "random""#),
        &["f.json:4:37: cluster_manager.clusters[0].hosts: is required"],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": []"#,
        ),
        &["f.json:5:87: cluster_manager.clusters[0].hosts: must not be empty"],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}, {"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &[
            "f.json:5:126: cluster_manager.clusters[0].hosts[1].url: \"tcp://127.0.0.1:1\" is in the list already",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "original_dst", "connect_timeout_ms": 1, "lb_type": "original_dst_lb", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &[
            "f.json:5:102: cluster_manager.clusters[0].hosts: a cluster of the type \"original_dst\" has no hosts of its own",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "original_dst_lb", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#,
        ),
        &[
            "f.json:5:68: cluster_manager.clusters[0].lb_type: \"lb_type\" must be \"original_dst_lb\" where \"type\" is \"original_dst\", and only there",
        ],
    );
    check(
        &cluster(r#""name": "a", "type": "original_dst", "connect_timeout_ms": 1, "lb_type": "random""#),
        &[
            "f.json:5:74: cluster_manager.clusters[0].lb_type: \"lb_type\" must be \"original_dst_lb\" where \"type\" is \"original_dst\", and only there",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}], "health_check": {"type": "http", "timeout_ms": 0}"#,
        ),
        &[
            "f.json:5:135: cluster_manager.clusters[0].health_check.interval_ms: is required",
            "f.json:5:135: cluster_manager.clusters[0].health_check.unhealthy_threshold: is required",
            "f.json:5:135: cluster_manager.clusters[0].health_check.healthy_threshold: is required",
            "f.json:5:135: cluster_manager.clusters[0].health_check.path: is required in a health check of the type \"http\"",
            "f.json:5:166: cluster_manager.clusters[0].health_check.timeout_ms: must be at least 1 but is 0",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}], "health_check": {"type": "http", "timeout_ms": 1, "interval_ms": 1, "unhealthy_threshold": 1, "healthy_threshold": 1}"#,
        ),
        &[
            "f.json:5:135: cluster_manager.clusters[0].health_check.path: is required in a health check of the type \"http\"",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}], "health_check": {"type": "tcp", "timeout_ms": 1, "interval_ms": 1, "unhealthy_threshold": 1, "healthy_threshold": 1, "send": [{"binary": "0g"}]}"#,
        ),
        &[
            "f.json:5:135: cluster_manager.clusters[0].health_check.receive: is required in a health check of the type \"tcp\"",
            "f.json:5:256: cluster_manager.clusters[0].health_check.send[0].binary: must be bytes in hexadecimal, two digits each",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}], "outlier_detection": {"max_ejection_percent": 101}"#,
        ),
        &[
            "f.json:5:165: cluster_manager.clusters[0].outlier_detection.max_ejection_percent: must be at most 100 but is 101",
        ],
    );
    check(
        &cluster(
            r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}], "ssl_context": {"cert_chain_file": "a", "crl_file": "b"}"#,
        ),
        &[
            "f.json:5:154: cluster_manager.clusters[0].ssl_context.cert_chain_file: \"cert_chain_file\" needs \"private_key_file\"",
            "f.json:5:159: cluster_manager.clusters[0].ssl_context: unknown key \"crl_file\" in a v1 TLS context of a cluster",
        ],
    );
}
