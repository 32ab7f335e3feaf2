//! Names of Envoy's v1 configuration, and where their meaning stands today. Only for hints, where a name leads nowhere
//! in v3.

/// A clause that says where to look, if the name is one of the old format.
pub(super) fn hint(name: &str) -> Option<String> {
    let (_, now) = NAMES.iter().find(|(old, _)| *old == name)?;
    Some(format!("{name} is a name of Envoy's v1 format; the v3 API has {now}"))
}

const NAMES: &[(&str, &str)] = &[
    ("base_ejection_time_ms", "OutlierDetection.base_ejection_time"),
    ("cleanup_interval_ms", "Cluster.cleanup_interval"),
    ("clusters", "Bootstrap.StaticResources.clusters"),
    ("connect_timeout_ms", "Cluster.connect_timeout"),
    ("dns_refresh_rate_ms", "Cluster.dns_refresh_rate"),
    ("drain_timeout_ms", "HttpConnectionManager.drain_timeout"),
    ("features", "Cluster.http2_protocol_options"),
    ("forward_client_cert", "HttpConnectionManager.forward_client_cert_details"),
    ("health_check", "Cluster.health_checks"),
    ("hosts", "Cluster.load_assignment"),
    ("http1_settings", "HttpConnectionManager.http_protocol_options"),
    ("http2_settings", "Cluster.http2_protocol_options"),
    ("idle_timeout_s", "HttpProtocolOptions.idle_timeout"),
    ("interval_ms", "HealthCheck.interval"),
    ("lb_type", "Cluster.lb_policy"),
    ("listeners", "Bootstrap.StaticResources.listeners"),
    ("opaque_config", "Route.metadata"),
    ("per_try_timeout_ms", "RetryPolicy.per_try_timeout"),
    ("regex", "RouteMatch.safe_regex"),
    ("require_ssl", "VirtualHost.require_tls"),
    ("runtime", "Bootstrap.layered_runtime"),
    ("sds", "Bootstrap.dynamic_resources"),
    ("service_name", "Cluster.EdsClusterConfig.service_name"),
    ("shadow", "RouteAction.request_mirror_policies"),
    ("ssl_context", "FilterChain.transport_socket"),
    ("stats_flush_interval_ms", "Bootstrap.stats_flush_interval"),
    ("statsd_tcp_cluster_name", "Bootstrap.stats_sinks"),
    ("statsd_udp_ip_address", "Bootstrap.stats_sinks"),
    ("timeout_ms", "RouteAction.timeout"),
    ("watchdog_megamiss_timeout_ms", "Watchdog.megamiss_timeout"),
    ("watchdog_miss_timeout_ms", "Watchdog.miss_timeout"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hint_leads_somewhere() {
        for (old, now) in NAMES {
            assert!(crate::explain(now).is_ok(), "{old}: {:?}", crate::explain(now));
        }
        assert!(NAMES.is_sorted());
    }
}
