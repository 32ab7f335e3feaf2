//! The HTTP connection manager, its filters, routes and protocol options.

use super::{Entry, guards, honoured, message, no_effect};

const METADATA: &str = "nothing that is supported reads metadata";

/// They take away or overwrite what a client says of itself, for whoever trusts such a header.
const REQUEST_HEADER_EDITS: &[&str] = &["request_headers_to_add", "request_headers_to_remove"];

pub(super) const ENTRIES: &[Entry] = &[
    message(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        &[
            honoured(&[
                "codec_type",
                "stat_prefix",
                "route_config",
                "http_filters",
                "add_user_agent",
                "common_http_protocol_options",
                "http_protocol_options",
                "http2_protocol_options",
                "server_name",
                "server_header_transformation",
                "max_request_headers_kb",
                "stream_idle_timeout",
                "request_timeout",
                "request_headers_timeout",
                "delayed_close_timeout",
                "access_log",
                "use_remote_address",
                "xff_num_trusted_hops",
                "skip_xff_append",
                "generate_request_id",
                "preserve_external_request_id",
                "always_set_request_id_in_response",
                "normalize_path",
                "stream_error_on_invalid_http_message",
            ]),
            no_effect(
                "the second GOAWAY follows as soon as the client has acknowledged the first",
                &["drain_timeout"],
            ),
            guards(&[
                "original_ip_detection_extensions",
                "early_header_mutation_extensions",
                "internal_address_config",
                "forward_client_cert_details",
                "set_current_client_cert_details",
                "forward_client_cert_matcher",
                "merge_slashes",
                "path_with_escaped_slashes_action",
                "path_normalization_options",
                "typed_header_validation_config",
            ]),
        ],
    ),
    message(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
        &[honoured(&["name", "typed_config", "is_optional"])],
    ),
    message(
        "envoy.extensions.filters.http.router.v3.Router",
        &[honoured(&["dynamic_stats"]), guards(&["strict_check_headers"])],
    ),
    message(
        "envoy.config.core.v3.HttpProtocolOptions",
        &[
            honoured(&[
                "idle_timeout",
                "max_connection_duration",
                "max_headers_count",
                "max_requests_per_connection",
            ]),
            guards(&["headers_with_underscores_action"]),
        ],
    ),
    message("envoy.config.core.v3.Http1ProtocolOptions", &[honoured(&["allow_absolute_url"])]),
    message(
        "envoy.config.core.v3.Http2ProtocolOptions",
        &[honoured(&[
            "max_concurrent_streams",
            "initial_stream_window_size",
            "initial_connection_window_size",
        ])],
    ),
    message(
        "envoy.config.route.v3.RouteConfiguration",
        &[
            honoured(&[
                "name",
                "virtual_hosts",
                "validate_clusters",
                "max_direct_response_body_size_bytes",
                "ignore_port_in_host_matching",
            ]),
            no_effect(METADATA, &["metadata"]),
            guards(REQUEST_HEADER_EDITS),
            guards(&[
                "internal_only_headers",
                "typed_per_filter_config",
                "ignore_path_parameters_in_path_matching",
            ]),
        ],
    ),
    message(
        "envoy.config.route.v3.VirtualHost",
        &[
            honoured(&["name", "domains", "routes"]),
            no_effect(METADATA, &["metadata"]),
            guards(REQUEST_HEADER_EDITS),
            guards(&["require_tls", "matcher", "rate_limits", "cors", "typed_per_filter_config"]),
        ],
    ),
    message(
        "envoy.config.route.v3.Route",
        &[
            honoured(&["name", "match", "route", "redirect", "direct_response"]),
            no_effect(METADATA, &["metadata"]),
            no_effect("it names spans of traces, and tracing is refused", &["decorator"]),
            guards(REQUEST_HEADER_EDITS),
            guards(&["filter_action", "non_forwarding_action", "typed_per_filter_config"]),
        ],
    ),
    // A condition that is left out lets more requests through.
    message(
        "envoy.config.route.v3.RouteMatch",
        &[
            honoured(&["prefix", "path", "case_sensitive", "runtime_fraction"]),
            guards(&[
                "safe_regex",
                "connect_matcher",
                "path_separated_prefix",
                "path_match_policy",
                "headers",
                "query_parameters",
                "cookies",
                "grpc",
                "tls_context",
                "dynamic_metadata",
                "filter_state",
            ]),
        ],
    ),
    message(
        "envoy.config.route.v3.RouteAction",
        &[
            honoured(&[
                "cluster",
                "cluster_not_found_response_code",
                "timeout",
                "prefix_rewrite",
                "host_rewrite_literal",
            ]),
            guards(&["rate_limits", "cors"]),
        ],
    ),
    message(
        "envoy.config.route.v3.RedirectAction",
        &[honoured(&[
            "https_redirect",
            "scheme_redirect",
            "host_redirect",
            "port_redirect",
            "path_redirect",
            "prefix_rewrite",
            "response_code",
            "strip_query",
        ])],
    ),
    message("envoy.config.route.v3.DirectResponseAction", &[honoured(&["status", "body"])]),
];
