//! Clusters and their endpoints.

use super::{Entry, guards, honoured, message, no_effect};

const METADATA: &str = "nothing that is supported reads metadata";

pub(super) const ENTRIES: &[Entry] = &[
    message(
        "envoy.config.cluster.v3.Cluster",
        &[
            honoured(&[
                "name",
                "alt_stat_name",
                "type",
                "connect_timeout",
                "per_connection_buffer_limit_bytes",
                "lb_policy",
                "load_assignment",
                "max_requests_per_connection",
                "circuit_breakers",
                "common_http_protocol_options",
                "http_protocol_options",
                "http2_protocol_options",
                "typed_extension_protocol_options",
                "dns_refresh_rate",
                "dns_jitter",
                "dns_failure_refresh_rate",
                "respect_dns_ttl",
                "dns_lookup_family",
                "use_tcp_for_dns_lookups",
                "dns_resolution_config",
                "typed_dns_resolver_config",
                "least_request_lb_config",
                "round_robin_lb_config",
                "common_lb_config",
                "transport_socket",
            ]),
            no_effect(METADATA, &["metadata"]),
            no_effect("only ORIGINAL_DST clusters clean up, and they are refused", &["cleanup_interval"]),
            no_effect(
                "health checks are refused, so no host ever fails one",
                &["close_connections_on_host_health_failure", "ignore_health_on_host_removal"],
            ),
            guards(&[
                "transport_socket_matches",
                "transport_socket_matcher",
                "upstream_http_protocol_options",
            ]),
        ],
    ),
    message("envoy.config.cluster.v3.Cluster.RefreshRate", &[honoured(&["base_interval", "max_interval"])]),
    message(
        "envoy.config.cluster.v3.Cluster.LeastRequestLbConfig",
        &[honoured(&["choice_count", "active_request_bias"])],
    ),
    message("envoy.config.cluster.v3.Cluster.RoundRobinLbConfig", &[]),
    message("envoy.config.cluster.v3.Cluster.CommonLbConfig", &[honoured(&["healthy_panic_threshold"])]),
    message("envoy.config.cluster.v3.CircuitBreakers", &[honoured(&["thresholds"])]),
    message(
        "envoy.config.cluster.v3.CircuitBreakers.Thresholds",
        &[honoured(&["priority", "max_connections", "max_pending_requests", "max_requests", "max_retries"])],
    ),
    message("envoy.config.endpoint.v3.ClusterLoadAssignment", &[honoured(&["cluster_name", "endpoints"])]),
    message(
        "envoy.config.endpoint.v3.LocalityLbEndpoints",
        &[
            honoured(&["locality", "lb_endpoints", "priority"]),
            no_effect(METADATA, &["metadata"]),
            no_effect(
                "only locality weighted load balancing reads it, and that is refused",
                &["load_balancing_weight"],
            ),
        ],
    ),
    message(
        "envoy.config.endpoint.v3.LbEndpoint",
        &[
            honoured(&["endpoint", "health_status", "load_balancing_weight"]),
            no_effect(METADATA, &["metadata"]),
        ],
    ),
    message(
        "envoy.config.endpoint.v3.Endpoint",
        &[
            honoured(&["address", "hostname"]),
            no_effect("health checks are refused", &["health_check_config"]),
        ],
    ),
    message(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        &[
            honoured(&["common_http_protocol_options", "explicit_http_config"]),
            guards(&["upstream_http_protocol_options", "header_validation_config"]),
        ],
    ),
    message(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig",
        &[honoured(&["http_protocol_options", "http2_protocol_options"])],
    ),
];
