//! What an error looks like, to the letter.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use common::{ROUTER, TLS, check_errors, cluster, listener, load_text, manager, routes};
use nuncio_config::{ConfigError, ErrorKind, LoadOptions, Source, load, load_and_check, model::Place};

/// Three mistakes of different phases in the file of the example, all found in one run.
#[test]
fn all_mistakes_of_a_file_at_once() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/config/front-envoy.yaml");
    let text = std::fs::read_to_string(path)
        .unwrap()
        .replacen("port_value: 8080", "port_value: https", 1)
        .replacen("cluster: service2", "cluster: servce2", 1)
        .replacen("connect_timeout", "connect_timeot", 1);
    let errors = load(&[Source::new("front-envoy.yaml", text)], &LoadOptions::default()).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "front-envoy.yaml:10:21: static_resources.listeners[0].address.socket_address.port_value: \
         expected a 32-bit unsigned integer, found the string \"https\"\n\
         front-envoy.yaml:32:28: …routes[1].route.cluster: \
         no cluster is named \"servce2\" (did you mean \"service2\"?)\n\
         front-envoy.yaml:125:5: static_resources.clusters[0]: unknown field \"connect_timeot\" in \
         envoy.config.cluster.v3.Cluster (did you mean \"connect_timeout\"?)\n\
         3 errors; nothing was started"
    );
    let kinds: Vec<_> = errors.errors().iter().map(|error| error.kind).collect();
    assert_eq!(kinds, [ErrorKind::Type, ErrorKind::Semantic, ErrorKind::Unknown]);
    assert_eq!(errors.errors()[2].path(), "static_resources.clusters[0]");
}

#[test]
fn one_error_is_counted_as_one() {
    let text = load_text("a: 1").unwrap_err().to_string();
    assert_eq!(
        text,
        "f:1:1: unknown field \"a\" in envoy.config.bootstrap.v3.Bootstrap\n1 error; nothing was started"
    );
}

/// A v3 file that forgets its `static_resources` is not taken for one of the v1 format.
#[test]
fn lists_at_the_wrong_level() {
    let unknown = |at: &str, key: &str| {
        format!(
            "{at}: unknown field {key:?} in envoy.config.bootstrap.v3.Bootstrap ({key:?} stands in \
             \"static_resources\")"
        )
    };
    let check = |text: &str, expected: &[String]| {
        check_errors(text, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    };
    check(
        "listeners:\n- name: a\n  address: {socket_address: {address: 0.0.0.0, port_value: 1}}\n  filter_chains: []\n\
         clusters:\n- name: b\n  \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n",
        &[unknown("f:1:1", "listeners"), unknown("f:5:1", "clusters")],
    );
    check("listeners: []\nclusters: []", &[unknown("f:1:1", "listeners"), unknown("f:2:1", "clusters")]);
    check("node: {id: a}\nsecrets: []", &[unknown("f:2:1", "secrets")]);
    check(
        "node: {id: a, cluster: b}\nadmin: {address: \"tcp://127.0.0.1:1\"}",
        &["f:2:18: admin.address: expected a map with the fields of envoy.config.core.v3.Address, found the string \
           \"tcp://127.0.0.1:1\""
            .to_owned()],
    );
}

/// That the defaults are taken by the name is not said of a type that was told to be wrong.
#[test]
fn a_wrong_type_is_not_told_as_a_missing_one() {
    let file = |config: &str| {
        let router = format!("{{name: router, typed_config: {{\"@type\": {ROUTER}}}}}");
        manager("").replace(&router, &format!("{{name: router{config}}}"))
    };
    let warnings = |config: &str| match load_text(&file(config)) {
        Ok(loaded) => loaded.warnings.len(),
        Err(errors) => {
            assert_eq!(errors.errors().len(), 1, "{errors}");
            errors.warnings().len()
        }
    };
    assert_eq!(warnings(""), 1);
    assert_eq!(warnings(", typed_config: {}"), 1);
    assert_eq!(warnings(", typed_config: {\"@type\": type.googleapis.com/envoy.NoSuch}"), 0);
    assert_eq!(warnings(", typed_config: {dynamic_stats: true}"), 0);
    assert_eq!(warnings(", typedConfig: router"), 0);
}

#[test]
fn text_that_is_no_configuration() {
    check_errors(
        "",
        &["f:1:1: expected a map with the fields of envoy.config.bootstrap.v3.Bootstrap, found nothing"],
    );
    check_errors(
        "[]",
        &["f:1:1: expected a map with the fields of envoy.config.bootstrap.v3.Bootstrap, found a list"],
    );
    check_errors(
        "a: 1\n---\nb: 1",
        &["f:2:1: a second document starts here; a configuration is one document"],
    );
    let errors = load_text("a: [1").unwrap_err();
    assert_eq!(errors.errors()[0].kind, ErrorKind::Syntax);
}

#[test]
fn values_of_the_wrong_type() {
    let at = "static_resources.clusters[0]";
    let check = |fields: &str, expected: &str| check_errors(&cluster(fields), &[&expected.replace("AT", at)]);
    check(
        "connect_timeout: 5",
        "f:4:22: AT.connect_timeout: expected a duration in seconds such as 1.5s, found the number 5 (did you mean \"5s\"?)",
    );
    check("respect_dns_ttl: 1", "f:4:22: AT.respect_dns_ttl: expected true or false, found the number 1");
    check("alt_stat_name: yes", "f:4:20: AT.alt_stat_name: expected a string, found true (put it in quotes)");
    check("alt_stat_name: [a]", "f:4:20: AT.alt_stat_name: expected a string, found a list");
    check(
        "circuit_breakers: x",
        "f:4:23: AT.circuit_breakers: expected a map with the fields of envoy.config.cluster.v3.CircuitBreakers, found \
         the string \"x\"",
    );
    check(
        "dns_lookup_family: v4only",
        "f:4:24: AT.dns_lookup_family: expected AUTO, V4_ONLY, V6_ONLY, V4_PREFERRED or ALL, found the string \
         \"v4only\" (did you mean \"V4_ONLY\"?)",
    );
    check("respect_dns_ttl: true\nrespect_dns_ttl: true", "f:5:5: AT: \"respect_dns_ttl\" is given twice");
    check(
        "respect_dns_ttl: true\nrespectDnsTtl: true",
        "f:5:5: AT: \"respect_dns_ttl\" and \"respectDnsTtl\" are the same field, given twice",
    );
    check(
        "round_robin_lb_config: {}\nleast_request_lb_config: {}",
        "f:5:5: AT: \"round_robin_lb_config\" and \"least_request_lb_config\" exclude each other",
    );
    check(
        "metadata: {filter_metadata: 1}",
        "f:4:33: AT.metadata.filter_metadata: expected a map, found the number 1",
    );
    check(
        "<<: {respect_dns_ttl: true}",
        "f:4:5: AT: unknown field \"<<\" in envoy.config.cluster.v3.Cluster (merge keys are not applied; write the fields \
         out)",
    );
}

#[test]
fn types_in_any() {
    let check = |config: &str, expected: &str| {
        check_errors(
            &cluster(&format!("transport_socket: {{name: x, typed_config: {config}}}")),
            &[expected],
        );
    };
    let at = "static_resources.clusters[0].transport_socket.typed_config";
    check("{a: 1}", &format!("f:4:47: {at}: \"@type\" is missing, so the type of this map is not known"));
    check("5", &format!("f:4:47: {at}: expected a map with an \"@type\", found the number 5"));
    check(
        "{'@type': type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBufer}",
        &format!(
            "f:4:57: {at}: unknown message type \"envoy.extensions.transport_sockets.raw_buffer.v3.RawBufer\" (did you \
             mean \"envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer\"?)"
        ),
    );
    check(
        "{'@type': envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}",
        &format!(
            "f:4:57: {at}: \"envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer\" is not a type URL (did you \
             mean \"type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer\"?)"
        ),
    );
}

#[test]
fn broken_rules() {
    let check = |fields: &str, expected: &[&str]| check_errors(&cluster(fields), expected);
    check(
        "connect_timeout: 0s",
        &["f:4:22: static_resources.clusters[0].connect_timeout: must be greater than 0s but is 0s"],
    );
    check(
        "lb_policy: 77",
        &[
            "f:4:16: static_resources.clusters[0].lb_policy: 77 is not a value of envoy.config.cluster.v3.Cluster.LbPolicy",
        ],
    );
    check(
        "load_assignment: {endpoints: [{lb_endpoints: {endpoint: {address: {socket_address: {address: 1.2.3.4}}}}}]}",
        &[
            "f:4:22: static_resources.clusters[0].load_assignment.cluster_name: must not be empty",
            "f:4:88: …endpoint.address.socket_address: one of \"port_value\", \"named_port\" is required",
        ],
    );
    // A value that could not be read is not reported as missing as well.
    check(
        "load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: {endpoint: {address: {socket_address: {address: 1.2.3.4, port_value: x}}}}}]}",
        &[
            "f:4:136: …address.socket_address.port_value: expected a 32-bit unsigned integer, found the string \"x\"",
        ],
    );
    // Inside an Any too.
    check_errors(
        &manager("http2_protocol_options: {max_concurrent_streams: 0}"),
        &[
            "f:13:60: …typed_config.http2_protocol_options.max_concurrent_streams: must be at least 1 and at most 2147483647 \
         but is 0",
        ],
    );
    check_errors(
        &routes("- match: {prefix: /}\n  route: {cluster: ''}"),
        &["f:18:34: …routes[0].route.cluster: must not be empty"],
    );
    check_errors(
        &routes("- match: {prefix: /}"),
        &[
            "f:17:17: …route_config.virtual_hosts[0].routes[0]: one of \"route\", \"redirect\", \"direct_response\", \"filter_action\", \
         \"non_forwarding_action\" is required",
        ],
    );
}

#[test]
fn values_that_do_not_fit_the_rest() {
    check_errors(
        "static_resources: {clusters: [{name: a}, {name: b}, {name: a}]}",
        &["f:1:60: static_resources.clusters[2].name: clusters[0] has the name \"a\" already"],
    );
    let socket = "address: {socket_address: {address: 127.0.0.1, port_value: 9}}";
    let two = manager("").replace("port_value: 0", "port_value: 9");
    let text = format!("{two}  - {socket}\n    filter_chains: [{{filters: []}}]\n");
    check_errors(
        &text,
        &[
            "f:13:14: static_resources.listeners[1].address: listeners[0] listens on 127.0.0.1:9 already",
            "f:14:31: static_resources.listeners[1].filter_chains[0].filters: a filter chain without an HTTP connection \
         manager is not supported",
        ],
    );
    check_errors(
        &routes("- match: {prefix: /}\n  route: {cluster: A}\n- match: {prefix: /}\n  route: {cluster: zzz}"),
        &[
            "f:18:34: …routes[0].route.cluster: no cluster is named \"A\" (did you mean \"a\"?)",
            "f:20:34: …routes[1].route.cluster: no cluster is named \"zzz\"",
        ],
    );
    check_errors(
        &routes("").replace("['*']", "['a.b', '*', 'A.B']"),
        &[
            "f:15:37: …route_config.virtual_hosts[0].domains[2]: duplicate domain \"A.B\": virtual host \"v\" has it already",
        ],
    );
    check_errors(
        &routes("- match: {prefix: /}\n  route: {cluster: a, timeout: -1s}"),
        &["f:18:46: …routes[0].route.timeout: must not be negative"],
    );
    check_errors(
        "admin: {address: {socket_address: {address: localhost, port_value: 1}}}",
        &["f:1:45: admin.address.socket_address.address: \"localhost\" is not an IP address"],
    );
    check_errors(
        "layered_runtime: {layers: [{name: a, static_layer: {x: [1]}}, {name: a, admin_layer: {}}]}",
        &[
            "f:1:56: layered_runtime.layers[0].static_layer[\"x\"]: a runtime value is a number, a string, a boolean or a map",
            "f:1:70: layered_runtime.layers[1].name: another layer is named \"a\"",
        ],
    );
    check_errors(
        &cluster(
            "type: STATIC\nload_assignment: {cluster_name: c, endpoints: [{lb_endpoints: {endpoint: {address: {socket_address: {address: x.y, port_value: 1}}}}}]}",
        ),
        &[
            "f:5:115: …address.socket_address.address: \"x.y\" is not an IP address; a cluster of type STRICT_DNS \
           resolves names",
        ],
    );
}

#[test]
fn tls_certificates() {
    let check = |context: &str, expected: &[&str]| {
        let chain = format!("transport_socket: {{name: t, typed_config: {{'@type': {TLS}, {context}}}}}");
        let text = manager("").replacen("    -\n", &format!("    -\n      {chain}\n"), 1);
        check_errors(&text, expected);
    };
    check(
        "common_tls_context: {}",
        &[
            "f:6:163: …typed_config.common_tls_context.tls_certificates: TLS towards clients needs at least one certificate",
        ],
    );
    check(
        "common_tls_context: {tls_certificates: {certificate_chain: {filename: /no/such/file}}}",
        &[
            "f:6:182: …common_tls_context.tls_certificates[0].private_key: is required",
            "f:6:213: …tls_certificates[0].certificate_chain.filename: cannot read \"/no/such/file\": No such file or \
         directory (os error 2)",
        ],
    );
    // A secret is not shown, not even where it is not what was expected.
    check(
        "common_tls_context: {tls_certificates: {certificate_chain: {inline_string: a}, private_key: {inline_string: 5}}}",
        &[
            "f:6:251: …tls_certificates[0].private_key.inline_string: expected a string, found a value that is not shown \
         (put it in quotes)",
        ],
    );
}

#[test]
fn a_file_full_of_mistakes_is_counted_to_the_end() {
    let fields: String = (0..1500).map(|number| format!("a{number}: 1\n")).collect();
    let errors = load_text(&fields).unwrap_err();
    assert_eq!((errors.errors().len(), errors.count()), (1000, 1500));
    assert!(errors.to_string().ends_with("\n(500 more are not shown)\n1500 errors; nothing was started"));
}

#[test]
fn a_listener_needs_its_address() {
    let text = listener("", "filters: []")
        .replace("- address: {socket_address: {address: 127.0.0.1, port_value: 0}}", "- name: l");
    check_errors(
        &text,
        &[
            "f:3:5: static_resources.listeners[0].address: is required",
            "f:6:16: static_resources.listeners[0].filter_chains[0].filters: a filter chain without an HTTP connection manager \
         is not supported",
        ],
    );
}

/// Who will run the configuration is asked about what could be read, and not believed about what could not.
#[test]
fn a_check_from_outside_adds_its_errors() {
    let text = |timeout: &str| {
        format!(
            "static_resources:\n  clusters:\n  - name: a\n    connect_timeout: {timeout}\n  - {{name: b, zzz: 1}}\n  - name: c\n"
        )
    };
    #[track_caller]
    fn check(text: &str, wrong: &[&str], expected: &[&str]) {
        let sources = [Source::new("f", text)];
        let result = load_and_check(&sources, &LoadOptions::default(), |bootstrap| {
            assert_eq!(bootstrap.clusters.len(), 3, "what is right is there");
            let error = |path: &&str| {
                let place = Place { source: "f".into(), line: 6, column: 3, width: 0, path: (*path).into() };
                ConfigError { place, kind: ErrorKind::Machine, message: "no".to_owned() }
            };
            wrong.iter().map(error).collect()
        });
        let errors = result.unwrap_err();
        let shown: Vec<String> = errors.errors().iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected);
    }
    let typo =
        "f:5:15: static_resources.clusters[1]: unknown field \"zzz\" in envoy.config.cluster.v3.Cluster";
    let no = |at: &str| format!("f:6:3: static_resources.clusters{at}: no");
    check(&text("1s"), &["static_resources.clusters[2].name"], &[typo, &no("[2].name")]);
    // The place of an error is not asked for what is in it, and an unknown field says nothing about its neighbours.
    check(
        &text("1s"),
        &["static_resources.clusters[1]", "static_resources.clusters[1].name"],
        &[typo, &no("[1].name")],
    );
    let bad = "f:4:22: static_resources.clusters[0].connect_timeout: expected a duration in seconds such as 1.5s, found the \
               string \"x\"";
    check(
        &text("x"),
        &[
            "static_resources.clusters[0].connect_timeout.seconds",
            "static_resources.clusters[0]",
            "",
            "other",
        ],
        &[bad, typo, "f:6:3: other: no"],
    );
}
