use super::*;

#[track_caller]
fn check(path: &str, expected: &str) {
    match explain(path) {
        Ok(explanation) => assert_eq!(explanation.to_text(false), expected, "{path}"),
        Err(error) => panic!("{path}: {error}"),
    }
}

#[track_caller]
fn check_error(path: &str, expected: &str) {
    assert_eq!(explain(path).map_err(|error| error.to_string()), Err(expected.to_owned()), "{path}");
}

/// The paths lead to the same.
#[track_caller]
fn check_same(paths: &[&str], title: &str) {
    for path in paths {
        match explain(path) {
            Ok(explanation) => assert_eq!(explanation.title, title, "{path}"),
            Err(error) => panic!("{path}: {error}"),
        }
    }
}

#[test]
fn the_end_of_a_path_is_enough() {
    check_same(
        &["…routes[1].route.cluster", "…virtual_hosts[0].routes[1].route.cluster"],
        "envoy.config.route.v3.RouteAction.cluster",
    );
    check_same(
        &["…address.socket_address.port_value", "…socket_address.port_value"],
        "envoy.config.core.v3.SocketAddress.port_value",
    );
    check_error("…no_such.name", "no path of the API ends in no_such.name");
    check_error("…", "nothing stands behind the …");
    let several = explain("…connect_timeout").map_err(|error| error.to_string());
    let several = several.and_then(|_| explain("…name").map_err(|error| error.to_string())).unwrap_err();
    assert!(several.starts_with("…name may be envoy.config."), "{several}");
}

#[test]
fn a_field_is_explained() {
    check(
        "Cluster.connect_timeout",
        "envoy.config.cluster.v3.Cluster.connect_timeout\n  type      duration in seconds such as 1.5s\n  \
         default   5s\n  rules     must be greater than 0s\n  support   honoured\n  also      may be written connectTimeout\n",
    );
    // No effect, a default that is the zero of its type, and nothing to say about rules.
    check(
        "perf_tracing_file_path",
        "envoy.config.bootstrap.v3.Bootstrap.perf_tracing_file_path\n  type      string\n  default   \"\"\n  \
         support   no effect: there is no such profiler here\n  also      may be written perfTracingFilePath\n",
    );
    // An enum, deprecation, and members of a oneof.
    check(
        "Cluster.protocol_selection",
        "envoy.config.cluster.v3.Cluster.protocol_selection\n  \
         type         envoy.config.cluster.v3.Cluster.ClusterProtocolSelection\n  \
         values       USE_CONFIGURED_PROTOCOL, USE_DOWNSTREAM_PROTOCOL; in any case, or the number\n  \
         default      USE_CONFIGURED_PROTOCOL\n  \
         support      not supported: refused, unless --allow-unsupported is given\n  \
         deprecated   Envoy's API may lose it; it is accepted with a warning\n  \
         also         may be written protocolSelection\n",
    );
    check(
        "Route.direct_response",
        "envoy.config.route.v3.Route.direct_response\n  type      envoy.config.route.v3.DirectResponseAction\n  \
         one of    exactly one of route, redirect, direct_response, filter_action, non_forwarding_action\n  \
         support   honoured\n  also      may be written directResponse\n\n\
         fields of envoy.config.route.v3.DirectResponseAction\n  \
         status       honoured, required  32-bit unsigned integer\n  \
         body         honoured            envoy.config.core.v3.DataSource\n  \
         body_format  refused             envoy.config.core.v3.SubstitutionFormatString\n",
    );
    check(
        "SocketAddress.protocol",
        "envoy.config.core.v3.SocketAddress.protocol\n  type      envoy.config.core.v3.SocketAddress.Protocol\n  \
         values    TCP; in any case, or the number\n  refused   UDP, which is not supported\n  default   TCP\n  \
         support   honoured\n",
    );
    // An extension, a list with rules, and what guards.
    check(
        "AccessLog.typed_config",
        "envoy.config.accesslog.v3.AccessLog.typed_config\n  type        extension, a map with an \"@type\"\n  \
         supported   envoy.extensions.access_loggers.file.v3.FileAccessLog,\n              \
         envoy.extensions.access_loggers.stream.v3.StderrAccessLog,\n              \
         envoy.extensions.access_loggers.stream.v3.StdoutAccessLog\n  \
         one of      at most one of typed_config\n  support     honoured\n  also        may be written typedConfig\n",
    );
    check(
        "VirtualHost.domains",
        "envoy.config.route.v3.VirtualHost.domains\n  type      list of string\n  \
         rules     is required; each element only characters that can stand in a header value\n  support   honoured\n",
    );
    check(
        "VirtualHost.require_tls",
        "envoy.config.route.v3.VirtualHost.require_tls\n  \
         type      envoy.config.route.v3.VirtualHost.TlsRequirementType\n  \
         values    NONE, EXTERNAL_ONLY, ALL; in any case, or the number\n  default   NONE\n  \
         support   not supported: always refused, because leaving it out would weaken security\n  \
         also      may be written requireTls\n",
    );
}

#[test]
fn a_message_is_explained() {
    check(
        "RawBuffer",
        "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer\n  type      message\n  support   honoured\n",
    );
    check(
        "envoy.config.core.v3.RuntimeDouble",
        "envoy.config.core.v3.RuntimeDouble\n  type   message\n\nfields of envoy.config.core.v3.RuntimeDouble\n  \
         default_value  honoured  number\n  runtime_key    honoured  string\n",
    );
}

#[test]
fn titles_are_bold_only_where_that_is_asked_for() {
    let text = explain("Route.direct_response").unwrap().to_text(true);
    assert!(text.starts_with("\x1b[1menvoy.config.route.v3.Route.direct_response\x1b[0m\n"), "{text:?}");
    assert!(text.contains("\n\n\x1b[1mfields of envoy.config.route.v3.DirectResponseAction\x1b[0m\n"));
}

#[test]
fn every_field_and_message_of_the_api_can_be_explained() {
    for message in nuncio_api::descriptors().all_messages().filter(|message| !message.is_map_entry()) {
        check_same(&[message.full_name()], message.full_name());
        for field in message.fields() {
            check_same(&[field.full_name()], field.full_name());
        }
    }
}

#[test]
fn a_path_that_leads_nowhere_says_what_may_be_meant() {
    check_error("", "the path is empty");
    check_error("[0]", "the path is empty");
    check_error(
        "static_resource.clusters",
        "\"static_resource\" is neither a field of the bootstrap nor a message of the API (did you mean \
         \"static_resources\"?)",
    );
    check_error(
        "static_resources.clusters.connect_timeot",
        "unknown field \"connect_timeot\" in envoy.config.cluster.v3.Cluster (did you mean \
         \"connect_timeout\"?)",
    );
    check_error(
        "Clustr.name",
        "\"Clustr\" is neither a field of the bootstrap nor a message of the API (did you mean \
         \"Cluster\"?)",
    );
    check_error(
        "domains",
        "\"domains\" is neither a field of the bootstrap nor a message of the API; it is a field of \
         VirtualHost",
    );
    check_error(
        "connect_timeout_ms",
        "\"connect_timeout_ms\" is neither a field of the bootstrap nor a message of the API; \
         connect_timeout_ms is a name of Envoy's v1 format; the v3 API has Cluster.connect_timeout",
    );
    check_error(
        "Cluster.connect_timeout_ms",
        "unknown field \"connect_timeout_ms\" in envoy.config.cluster.v3.Cluster; connect_timeout_ms is \
         a name of Envoy's v1 format; the v3 API has Cluster.connect_timeout",
    );
    check_error(
        "cluster_manager.clusters.connect_timeout_ms",
        "unknown field \"clusters\" in envoy.config.bootstrap.v3.ClusterManager; clusters is a name of \
         Envoy's v1 format; the v3 API has Bootstrap.StaticResources.clusters",
    );
    check_error(
        "Cluster.connect_timeout.seconds",
        "envoy.config.cluster.v3.Cluster.connect_timeout is a duration in seconds such as 1.5s: the API \
         names nothing below it",
    );
    check_error(
        "Filter.typed_config.stat_prefx",
        "\"stat_prefx\" is neither the name of an extension nor a field of one that is supported in \
         envoy.config.listener.v3.Filter.typed_config: HttpConnectionManager (did you mean \
         \"stat_prefix\"?)",
    );
    check_error(
        "TypedExtensionConfig.typed_config.HttpConnectionManager.nam",
        "unknown field \"nam\" in \
         envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    );
    check_error(
        "AccessLog.typed_config.log_format",
        "several extensions have \"log_format\": write FileAccessLog or StderrAccessLog or \
         StdoutAccessLog before it",
    );
    check_error(
        "RateLimit",
        "RateLimit is the name of several messages: envoy.config.route.v3.RateLimit, \
         envoy.extensions.filters.http.ratelimit.v3.RateLimit, \
         envoy.extensions.filters.network.ratelimit.v3.RateLimit, \
         envoy.extensions.filters.network.thrift_proxy.filters.ratelimit.v3.RateLimit",
    );
    check_error("frobnicate", "\"frobnicate\" is neither a field of the bootstrap nor a message of the API");
}

#[test]
fn a_path_may_start_in_several_places() {
    check_same(
        &[
            "static_resources.clusters.connect_timeout",
            "static_resources.clusters[0].connect_timeout",
            "staticResources.clusters.connectTimeout",
            "Cluster.connect_timeout",
            "Bootstrap.StaticResources.clusters.connect_timeout",
            "envoy.config.cluster.v3.Cluster.connect_timeout",
        ],
        "envoy.config.cluster.v3.Cluster.connect_timeout",
    );
    let stat_prefix =
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.stat_prefix";
    let filter = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config";
    check_same(
        &[
            &format!("{filter}.stat_prefix"),
            &format!("{filter}.HttpConnectionManager.stat_prefix"),
            &format!("{filter}.{stat_prefix}"),
            "HttpConnectionManager.stat_prefix",
            stat_prefix,
        ],
        stat_prefix,
    );
    let options = "static_resources.clusters[0].typed_extension_protocol_options";
    let explicit = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.explicit_http_config";
    check_same(
        &[
            &format!(
                "{options}[\"envoy.extensions.upstreams.http.v3.HttpProtocolOptions\"].explicit_http_config"
            ),
            &format!("{options}.HttpProtocolOptions.explicit_http_config"),
        ],
        explicit,
    );
    check_same(
        &["static_resources.clusters", "static_resources.clusters[3]"],
        "envoy.config.bootstrap.v3.Bootstrap.StaticResources.clusters",
    );
    check_same(&["Cluster"], "envoy.config.cluster.v3.Cluster");
}
