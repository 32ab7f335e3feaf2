//! What an unset field means, where that is not the zero of its type: most wrappers and durations, and a few others.

#[cfg(test)]
mod tests;

/// What an unset field means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unset {
    /// The same as this value, written as in a file.
    Value(&'static str),
    /// The same as this value, and what that stands for.
    Meaning(&'static str, &'static str),
    /// Something that no value says.
    Words(&'static str),
}

impl Unset {
    /// The value that means the same, if there is one.
    #[cfg(test)]
    pub(crate) fn value(self) -> Option<&'static str> {
        match self {
            Self::Value(value) | Self::Meaning(value, _) => Some(value),
            Self::Words(_) => None,
        }
    }
}

impl std::fmt::Display for Unset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(text) | Self::Words(text) => f.write_str(text),
            Self::Meaning(value, words) => write!(f, "{value} ({words})"),
        }
    }
}

/// What it means that the field `field` of the message with the full name `message` is not set.
pub(crate) fn of(message: &str, field: &str) -> Option<Unset> {
    let (_, fields) = DEFAULTS.iter().find(|(name, _)| *name == message)?;
    fields.iter().find(|(name, _)| *name == field).map(|(_, default)| *default)
}

use Unset::{Meaning, Value, Words};

const NO_LIMIT: &str = "no limit";
const LOG_FORMAT: &str = "Envoy's default format";

const DEFAULTS: &[(&str, &[(&str, Unset)])] = &[
    ("envoy.config.bootstrap.v3.Bootstrap", &[("stats_flush_interval", Value("5s"))]),
    (
        "envoy.config.listener.v3.Listener",
        &[
            ("per_connection_buffer_limit_bytes", Meaning("1048576", "1 MiB")),
            ("enable_reuse_port", Value("true")),
            ("tcp_backlog_size", Words("the system's limit")),
            ("bind_to_port", Value("true")),
            ("use_original_dst", Value("false")),
            ("transparent", Value("false")),
            ("freebind", Value("false")),
        ],
    ),
    (
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        &[
            ("require_client_certificate", Value("false")),
            ("require_sni", Value("false")),
            ("full_scan_certs_on_sni_mismatch", Value("false")),
        ],
    ),
    (
        "envoy.extensions.transport_sockets.tls.v3.TlsParameters",
        &[
            ("tls_minimum_protocol_version", Meaning("TLS_AUTO", "TLS 1.2")),
            ("tls_maximum_protocol_version", Meaning("TLS_AUTO", "TLS 1.3")),
        ],
    ),
    (
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        &[
            ("add_user_agent", Value("false")),
            ("server_name", Value("envoy")),
            ("max_request_headers_kb", Value("60")),
            ("stream_idle_timeout", Meaning("300s", "5 minutes; 0s: no limit")),
            ("request_timeout", Meaning("0s", NO_LIMIT)),
            ("request_headers_timeout", Meaning("0s", NO_LIMIT)),
            ("delayed_close_timeout", Value("1s")),
            ("use_remote_address", Value("false")),
            ("generate_request_id", Value("true")),
            ("normalize_path", Value("false")),
            ("stream_error_on_invalid_http_message", Value("false")),
        ],
    ),
    ("envoy.extensions.filters.http.router.v3.Router", &[("dynamic_stats", Value("true"))]),
    (
        "envoy.config.core.v3.HttpProtocolOptions",
        &[
            ("idle_timeout", Meaning("3600s", "1 hour; 0s: no limit")),
            ("max_connection_duration", Meaning("0s", NO_LIMIT)),
            ("max_headers_count", Value("100")),
            ("max_requests_per_connection", Meaning("0", NO_LIMIT)),
        ],
    ),
    ("envoy.config.core.v3.Http1ProtocolOptions", &[("allow_absolute_url", Value("true"))]),
    (
        "envoy.config.core.v3.Http2ProtocolOptions",
        &[
            ("max_concurrent_streams", Value("1024")),
            ("initial_stream_window_size", Meaning("16777216", "16 MiB")),
            ("initial_connection_window_size", Meaning("25165824", "24 MiB")),
        ],
    ),
    (
        "envoy.config.route.v3.RouteConfiguration",
        &[("validate_clusters", Value("true")), ("max_direct_response_body_size_bytes", Value("4096"))],
    ),
    ("envoy.config.route.v3.RouteMatch", &[("case_sensitive", Value("true"))]),
    ("envoy.config.route.v3.RouteAction", &[("timeout", Meaning("15s", "0s: no limit"))]),
    (
        "envoy.config.cluster.v3.Cluster",
        &[
            ("connect_timeout", Value("5s")),
            ("per_connection_buffer_limit_bytes", Meaning("1048576", "1 MiB")),
            ("max_requests_per_connection", Meaning("0", NO_LIMIT)),
            ("dns_refresh_rate", Value("5s")),
            ("dns_jitter", Meaning("0s", "none")),
            ("dns_failure_refresh_rate", Words("as dns_refresh_rate")),
        ],
    ),
    ("envoy.config.cluster.v3.Cluster.RefreshRate", &[("max_interval", Words("10 times base_interval"))]),
    (
        "envoy.config.cluster.v3.Cluster.LeastRequestLbConfig",
        &[("choice_count", Value("2")), ("active_request_bias", Value("{default_value: 1}"))],
    ),
    ("envoy.config.cluster.v3.Cluster.CommonLbConfig", &[("healthy_panic_threshold", Value("{value: 50}"))]),
    (
        "envoy.config.cluster.v3.CircuitBreakers.Thresholds",
        &[
            ("max_connections", Value("1024")),
            ("max_pending_requests", Value("1024")),
            ("max_requests", Value("1024")),
            ("max_retries", Value("3")),
        ],
    ),
    ("envoy.config.endpoint.v3.LbEndpoint", &[("load_balancing_weight", Value("1"))]),
    (
        "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        &[("log_format", Words(LOG_FORMAT)), ("format", Words(LOG_FORMAT))],
    ),
    ("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", &[("log_format", Words(LOG_FORMAT))]),
    ("envoy.extensions.access_loggers.stream.v3.StderrAccessLog", &[("log_format", Words(LOG_FORMAT))]),
];
