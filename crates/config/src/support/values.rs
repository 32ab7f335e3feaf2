//! Values of honoured fields that are refused, because something else than what the field is about is missing.

/// The values that are refused in the field `field` of the message with the full name `message`, as they are written
/// in a file.
pub(crate) fn refused(message: &str, field: &str) -> &'static [&'static str] {
    REFUSED.iter().find(|(of, name, _)| *of == message && *name == field).map_or(&[], |(_, _, values)| values)
}

const LISTENER: &str = "envoy.config.listener.v3.Listener";
const MANAGER: &str = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const TLS: &str = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
const TLS_PARAMETERS: &str = "envoy.extensions.transport_sockets.tls.v3.TlsParameters";

/// Read by a test, too, which loads each value.
pub(super) const REFUSED: &[(&str, &str, &[&str])] = &[
    (
        "envoy.config.cluster.v3.Cluster",
        "lb_policy",
        &["RING_HASH", "MAGLEV", "CLUSTER_PROVIDED", "LOAD_BALANCING_POLICY_CONFIG"],
    ),
    ("envoy.config.cluster.v3.Cluster", "type", &["LOGICAL_DNS", "EDS", "ORIGINAL_DST"]),
    ("envoy.config.core.v3.SocketAddress", "protocol", &["UDP"]),
    (
        "envoy.config.endpoint.v3.LbEndpoint",
        "health_status",
        &["UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED"],
    ),
    (LISTENER, "bind_to_port", &["false"]),
    (LISTENER, "freebind", &["true"]),
    (LISTENER, "transparent", &["true"]),
    (LISTENER, "use_original_dst", &["true"]),
    ("envoy.extensions.filters.http.router.v3.Router", "dynamic_stats", &["false"]),
    (MANAGER, "add_user_agent", &["true"]),
    (MANAGER, "codec_type", &["HTTP3"]),
    (MANAGER, "normalize_path", &["true"]),
    (MANAGER, "stream_error_on_invalid_http_message", &["true"]),
    (TLS, "full_scan_certs_on_sni_mismatch", &["true"]),
    (TLS, "require_client_certificate", &["true"]),
    (TLS, "require_sni", &["true"]),
    (TLS_PARAMETERS, "tls_maximum_protocol_version", &["TLSv1_0", "TLSv1_1"]),
    (TLS_PARAMETERS, "tls_minimum_protocol_version", &["TLSv1_0", "TLSv1_1"]),
];
