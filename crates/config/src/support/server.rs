//! The bootstrap, the admin server, the runtime, addresses and data sources.

use super::{Entry, guards, honoured, message, no_effect};

pub(super) const ENTRIES: &[Entry] = &[
    message(
        "envoy.config.bootstrap.v3.Bootstrap",
        &[
            honoured(&[
                "node",
                "static_resources",
                "admin",
                "layered_runtime",
                "stats_flush_interval",
                "typed_dns_resolver_config",
                "dns_resolution_config",
                "use_tcp_for_dns_lookups",
            ]),
            no_effect("they watch the threads of Envoy's own event loop", &["watchdog", "watchdogs"]),
            no_effect("there is no such profiler here", &["perf_tracing_file_path"]),
        ],
    ),
    message("envoy.config.bootstrap.v3.Bootstrap.StaticResources", &[honoured(&["listeners", "clusters"])]),
    message(
        "envoy.config.bootstrap.v3.Admin",
        &[
            honoured(&["access_log", "access_log_path", "address"]),
            no_effect("there is no such profiler here", &["profile_path"]),
            no_effect("there is no global connection limit", &["ignore_global_conn_limit"]),
            guards(&["allow_paths"]),
        ],
    ),
    message("envoy.config.bootstrap.v3.LayeredRuntime", &[honoured(&["layers"])]),
    message(
        "envoy.config.bootstrap.v3.RuntimeLayer",
        &[
            honoured(&["name", "static_layer"]),
            no_effect(
                "the admin server cannot change the runtime, so the layer stays empty",
                &["admin_layer"],
            ),
        ],
    ),
    message(
        "envoy.config.core.v3.Node",
        &[
            honoured(&["id", "cluster", "locality"]),
            no_effect(
                "only a management server is told, and there is none",
                &[
                    "metadata",
                    "dynamic_parameters",
                    "user_agent_name",
                    "user_agent_version",
                    "user_agent_build_version",
                    "extensions",
                    "client_features",
                    "listening_addresses",
                ],
            ),
        ],
    ),
    message("envoy.config.core.v3.Locality", &[honoured(&["region", "zone", "sub_zone"])]),
    message("envoy.config.core.v3.Address", &[honoured(&["socket_address"])]),
    message(
        "envoy.config.core.v3.SocketAddress",
        &[honoured(&["protocol", "address", "port_value", "ipv4_compat"])],
    ),
    message(
        "envoy.config.core.v3.DataSource",
        &[honoured(&["filename", "inline_bytes", "inline_string", "environment_variable"])],
    ),
    message("envoy.config.core.v3.TypedExtensionConfig", &[honoured(&["name", "typed_config"])]),
    message("envoy.config.core.v3.RuntimeFractionalPercent", &[honoured(&["default_value", "runtime_key"])]),
    message("envoy.config.core.v3.RuntimeDouble", &[honoured(&["default_value", "runtime_key"])]),
    message("envoy.type.v3.FractionalPercent", &[honoured(&["numerator", "denominator"])]),
    message("envoy.type.v3.Percent", &[honoured(&["value"])]),
    message("envoy.config.core.v3.DnsResolutionConfig", &[honoured(&["resolvers", "dns_resolver_options"])]),
    message(
        "envoy.config.core.v3.DnsResolverOptions",
        &[honoured(&["use_tcp_for_dns_lookups", "no_default_search_domain"])],
    ),
    message(
        "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
        &[
            honoured(&["resolvers", "dns_resolver_options"]),
            no_effect("the socket for UDP queries is new for each query", &["udp_max_queries"]),
        ],
    ),
    message("envoy.config.accesslog.v3.AccessLog", &[honoured(&["name", "typed_config"])]),
    message(
        "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        &[honoured(&["path", "format", "log_format"])],
    ),
    message("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", &[honoured(&["log_format"])]),
    message("envoy.extensions.access_loggers.stream.v3.StderrAccessLog", &[honoured(&["log_format"])]),
    message(
        "envoy.config.core.v3.SubstitutionFormatString",
        &[
            honoured(&["text_format", "text_format_source"]),
            no_effect("only local replies have a content type", &["content_type"]),
        ],
    ),
];
