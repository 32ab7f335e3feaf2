//! Clusters.

use std::{collections::HashMap, time::Duration};

use nuncio_api::envoy::{
    config::{
        cluster::v3::{
            CircuitBreakers, Cluster, circuit_breakers,
            cluster::{
                ClusterDiscoveryType, CommonLbConfig, DiscoveryType, DnsLookupFamily, LbConfig, LbPolicy,
                LeastRequestLbConfig, RefreshRate, RoundRobinLbConfig,
            },
        },
        core::v3::{Http2ProtocolOptions, RoutingPriority},
    },
    extensions::upstreams::http::v3::{
        HttpProtocolOptions,
        http_protocol_options::{
            ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config::ProtocolConfig,
        },
    },
};
use prost_types::Any;

use super::{Context, dns, endpoint, http_protocol, http_protocol::Common, is};
use crate::{
    encoded::Resources,
    error::WarningKind,
    model::{self, ClusterDiscovery, DnsSettings, LeastRequest, LoadBalancing, Thresholds, UpstreamProtocol},
    path::Path,
};

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

pub(super) fn clusters(
    context: &mut Context<'_>,
    at: &Path<'_>,
    messages: &Resources,
) -> Vec<model::Cluster> {
    let mut names: HashMap<String, usize> = HashMap::with_capacity(messages.len());
    let mut lowered = Vec::with_capacity(messages.len());
    for (index, message) in messages.clusters().enumerate() {
        let at = at.index(index);
        let Some(message) = message else {
            context.too_deep(&at);
            continue;
        };
        if let Some(first) = names.insert(message.name.clone(), index) {
            let error = format!("clusters[{first}] has the name {:?} already", message.name);
            context.error(&at.field("name"), error);
        }
        lowered.push(cluster(context, &at, message));
    }
    lowered
}

fn cluster(context: &mut Context<'_>, at: &Path<'_>, message: Cluster) -> model::Cluster {
    let Cluster {
        name,
        alt_stat_name,
        connect_timeout,
        per_connection_buffer_limit_bytes,
        lb_policy,
        load_assignment,
        max_requests_per_connection,
        circuit_breakers,
        common_http_protocol_options,
        http_protocol_options,
        http2_protocol_options,
        typed_extension_protocol_options,
        dns_refresh_rate,
        dns_jitter,
        dns_failure_refresh_rate,
        respect_dns_ttl,
        dns_lookup_family,
        use_tcp_for_dns_lookups,
        dns_resolution_config,
        typed_dns_resolver_config,
        common_lb_config,
        cluster_discovery_type,
        lb_config,
        // Refused by the check before this, unless it is the one for plain text: leaving TLS out would send in plain
        // text what was meant to be secret.
        transport_socket: _,
        // They have no effect here, for the reasons in the support table.
        metadata: _,
        cleanup_interval: _,
        close_connections_on_host_health_failure: _,
        ignore_health_on_host_removal: _,
        transport_socket_matches: _,
        stats_matcher: _,
        eds_cluster_config: _,
        per_connection_buffer_high_watermark_timeout: _,
        health_checks: _,
        upstream_http_protocol_options: _,
        dns_resolvers: _,
        wait_for_warm_on_init: _,
        outlier_detection: _,
        upstream_bind_config: _,
        lb_subset_config: _,
        protocol_selection: _,
        upstream_connection_options: _,
        filters: _,
        load_balancing_policy: _,
        lrs_server: _,
        lrs_report_endpoint_metrics: _,
        track_timeout_budgets: _,
        upstream_config: _,
        track_cluster_stats: _,
        preconnect_policy: _,
        connection_pool_per_downstream_connection: _,
        queuing_policies: _,
    } = message;
    let default = model::Cluster::default();
    let names_resolved = matches!(
        cluster_discovery_type.as_ref().map(kind_of),
        Some(DiscoveryType::StrictDns | DiscoveryType::LogicalDns)
    );
    let resolver = dns::resolver(
        context,
        at,
        dns::Fields {
            typed: typed_dns_resolver_config,
            resolution: dns_resolution_config,
            use_tcp: use_tcp_for_dns_lookups,
        },
    );
    let settings = dns_settings(
        context,
        at,
        DnsFields {
            refresh_rate: dns_refresh_rate,
            jitter: dns_jitter,
            failure_refresh_rate: dns_failure_refresh_rate,
            respect_ttl: respect_dns_ttl,
            lookup_family: dns_lookup_family,
            resolver,
            is_used: names_resolved,
        },
    );
    let discovery = discovery(context, at, cluster_discovery_type.as_ref(), settings);
    let endpoints = load_assignment
        .map(|message| endpoint::assignment(context, &at.field("load_assignment"), message, names_resolved))
        .unwrap_or_default();
    let load_balancing = load_balancing(context, at, lb_policy, lb_config);
    let http_at = at.field("typed_extension_protocol_options");
    let (common, protocol) = match http_options(context, &http_at, typed_extension_protocol_options) {
        Some(options) => options,
        None => {
            if let Some(options) = &http_protocol_options {
                http_protocol::upstream_http1(context, &at.field("http_protocol_options"), options);
                if http2_protocol_options.is_some() {
                    context.error(
                        &at.field("http2_protocol_options"),
                        "\"http_protocol_options\" is set too, and a host is spoken to in one protocol",
                    );
                }
            }
            let common_at = at.field("common_http_protocol_options");
            let common = upstream_common(context, &common_at, common_http_protocol_options);
            (common, http2_protocol_options.as_ref().map_or(UpstreamProtocol::Http1, http2))
        }
    };
    let connect_timeout = context.optional_duration(&at.field("connect_timeout"), connect_timeout);
    let (healthy_panic_threshold, circuit_breakers) =
        (panic_threshold(common_lb_config), circuit_breakers.map(breakers).unwrap_or_default());
    model::Cluster {
        name,
        alt_stat_name: Some(alt_stat_name).filter(|name| !name.is_empty()),
        discovery,
        connect_timeout: connect_timeout.unwrap_or(default.connect_timeout),
        load_balancing,
        healthy_panic_threshold: healthy_panic_threshold.unwrap_or(default.healthy_panic_threshold),
        endpoints,
        protocol,
        circuit_breakers,
        idle_timeout: common.idle_timeout,
        max_connection_duration: common.max_connection_duration,
        max_requests_per_connection: common
            .max_requests_per_connection
            .or(max_requests_per_connection.filter(|most| *most > 0)),
        per_connection_buffer_limit_bytes: per_connection_buffer_limit_bytes
            .unwrap_or(default.per_connection_buffer_limit_bytes),
        place: context.place(at),
    }
}

fn discovery(
    context: &mut Context<'_>,
    at: &Path<'_>,
    message: Option<&ClusterDiscoveryType>,
    settings: DnsSettings,
) -> ClusterDiscovery {
    if let Some(ClusterDiscoveryType::ClusterType(_)) = message {
        context.unusable(&at.field("cluster_type"), "without its type the cluster has no hosts");
        return ClusterDiscovery::Static;
    }
    let kind = message.map(kind_of).unwrap_or_default();
    match kind {
        DiscoveryType::Static => ClusterDiscovery::Static,
        DiscoveryType::StrictDns => ClusterDiscovery::StrictDns(settings),
        DiscoveryType::LogicalDns | DiscoveryType::Eds | DiscoveryType::OriginalDst => {
            let message = format!("{} is not supported; STATIC and STRICT_DNS are", kind.as_str_name());
            context.guard(&at.field("type"), message);
            ClusterDiscovery::Static
        }
    }
}

/// The type of a cluster; static for one whose type is an extension.
fn kind_of(message: &ClusterDiscoveryType) -> DiscoveryType {
    match message {
        ClusterDiscoveryType::Type(kind) => DiscoveryType::try_from(*kind).unwrap_or_default(),
        ClusterDiscoveryType::ClusterType(_) => DiscoveryType::Static,
    }
}

struct DnsFields {
    refresh_rate: Option<prost_types::Duration>,
    jitter: Option<prost_types::Duration>,
    failure_refresh_rate: Option<RefreshRate>,
    respect_ttl: bool,
    lookup_family: i32,
    resolver: Option<model::DnsResolver>,
    /// Whether the cluster resolves names: Envoy looks at the fields only then.
    is_used: bool,
}

fn dns_settings(context: &mut Context<'_>, at: &Path<'_>, fields: DnsFields) -> DnsSettings {
    let default = DnsSettings::default();
    let refresh_rate = context.optional_duration(&at.field("dns_refresh_rate"), fields.refresh_rate);
    let jitter = context.optional_duration(&at.field("dns_jitter"), fields.jitter);
    let failure_refresh_rate = fields.failure_refresh_rate.map(|message| {
        failure_refresh_rate(context, &at.field("dns_failure_refresh_rate"), message, fields.is_used)
    });
    let lookup_family = match DnsLookupFamily::try_from(fields.lookup_family) {
        Ok(DnsLookupFamily::V4Only) => model::DnsLookupFamily::V4Only,
        Ok(DnsLookupFamily::V6Only) => model::DnsLookupFamily::V6Only,
        Ok(DnsLookupFamily::V4Preferred) => model::DnsLookupFamily::V4Preferred,
        Ok(DnsLookupFamily::All) => model::DnsLookupFamily::All,
        Ok(DnsLookupFamily::Auto) | Err(_) => model::DnsLookupFamily::Auto,
    };
    DnsSettings {
        refresh_rate: refresh_rate.unwrap_or(default.refresh_rate),
        failure_refresh_rate,
        jitter: jitter.unwrap_or(default.jitter),
        respect_ttl: fields.respect_ttl,
        lookup_family,
        resolver: fields.resolver,
    }
}

fn failure_refresh_rate(
    context: &mut Context<'_>,
    at: &Path<'_>,
    message: RefreshRate,
    is_used: bool,
) -> (Duration, Duration) {
    let RefreshRate { base_interval, max_interval } = message;
    let base = context.optional_duration(&at.field("base_interval"), base_interval).unwrap_or_default();
    let max_at = at.field("max_interval");
    let max = context.optional_duration(&max_at, max_interval).unwrap_or(base.saturating_mul(10));
    if is_used && max < base {
        context.error(&max_at, "must not be less than base_interval");
    }
    (base, max)
}

fn load_balancing(
    context: &mut Context<'_>,
    at: &Path<'_>,
    policy: i32,
    config: Option<LbConfig>,
) -> LoadBalancing {
    let least_request = match config {
        Some(LbConfig::LeastRequestLbConfig(config)) => {
            least_request(context, &at.field("least_request_lb_config"), config)
        }
        Some(LbConfig::RoundRobinLbConfig(RoundRobinLbConfig { slow_start_config: _ })) => {
            LeastRequest::default()
        }
        // Refused by the check before this.
        Some(
            LbConfig::RingHashLbConfig(_) | LbConfig::MaglevLbConfig(_) | LbConfig::OriginalDstLbConfig(_),
        )
        | None => LeastRequest::default(),
    };
    let policy = LbPolicy::try_from(policy).unwrap_or_default();
    match policy {
        LbPolicy::RoundRobin => LoadBalancing::RoundRobin,
        LbPolicy::Random => LoadBalancing::Random,
        LbPolicy::LeastRequest => LoadBalancing::LeastRequest(least_request),
        LbPolicy::RingHash
        | LbPolicy::Maglev
        | LbPolicy::ClusterProvided
        | LbPolicy::LoadBalancingPolicyConfig => {
            let message = format!(
                "{} is not supported; ROUND_ROBIN, RANDOM and LEAST_REQUEST are",
                policy.as_str_name()
            );
            context.unsupported(&at.field("lb_policy"), message);
            LoadBalancing::RoundRobin
        }
    }
}

fn least_request(context: &mut Context<'_>, at: &Path<'_>, message: LeastRequestLbConfig) -> LeastRequest {
    let LeastRequestLbConfig { choice_count, active_request_bias, slow_start_config: _ } = message;
    let default = LeastRequest::default();
    let bias = active_request_bias.map_or(default.active_request_bias, |bias| {
        let set = context.runtime.get(&bias.runtime_key).and_then(|text| text.parse().ok());
        set.unwrap_or(bias.default_value)
    });
    let valid = bias.is_finite() && bias >= 0.0;
    if !valid {
        let message =
            format!("{bias} is not a bias; as in Envoy, {} holds instead", default.active_request_bias);
        context.warn(&at.field("active_request_bias"), WarningKind::Doubtful, message);
    }
    LeastRequest {
        choice_count: choice_count.unwrap_or(default.choice_count),
        active_request_bias: if valid { bias } else { default.active_request_bias },
    }
}

/// The options that take the place of the deprecated fields of a cluster.
fn http_options(
    context: &mut Context<'_>,
    at: &Path<'_>,
    options: HashMap<String, Any>,
) -> Option<(Common, UpstreamProtocol)> {
    let mut found = None;
    for (name, any) in options {
        // Everything else has been refused by the check before this.
        if name == HTTP_OPTIONS && is::<HttpProtocolOptions>(&any) {
            found = http_options_payload(context, &at.key(&name), &any);
        }
    }
    found
}

fn http_options_payload(
    context: &mut Context<'_>,
    at: &Path<'_>,
    any: &Any,
) -> Option<(Common, UpstreamProtocol)> {
    let HttpProtocolOptions {
        common_http_protocol_options,
        upstream_protocol_options,
        upstream_http_protocol_options: _,
        http_filters: _,
        header_validation_config: _,
        outlier_detection: _,
        request_mirror_policies: _,
        hash_policy: _,
        retry_policy: _,
    } = context.unpack(any, at)?;
    let common =
        upstream_common(context, &at.field("common_http_protocol_options"), common_http_protocol_options);
    let protocol = match upstream_protocol_options {
        Some(UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config })) => {
            let at = at.field("explicit_http_config");
            match protocol_config {
                Some(ProtocolConfig::HttpProtocolOptions(options)) => {
                    http_protocol::upstream_http1(context, &at.field("http_protocol_options"), &options);
                    UpstreamProtocol::Http1
                }
                Some(ProtocolConfig::Http2ProtocolOptions(options)) => http2(&options),
                // Refused by the check before this, or required.
                Some(ProtocolConfig::Http3ProtocolOptions(_)) | None => UpstreamProtocol::Http1,
            }
        }
        // Refused by the check before this, or required.
        Some(
            UpstreamProtocolOptions::UseDownstreamProtocolConfig(_) | UpstreamProtocolOptions::AutoConfig(_),
        )
        | None => UpstreamProtocol::Http1,
    };
    Some((common, protocol))
}

fn http2(options: &Http2ProtocolOptions) -> UpstreamProtocol {
    UpstreamProtocol::Http2(http_protocol::http2(options))
}

fn upstream_common(
    context: &mut Context<'_>,
    at: &Path<'_>,
    options: Option<nuncio_api::envoy::config::core::v3::HttpProtocolOptions>,
) -> Common {
    let common = http_protocol::common(context, at, options);
    if common.max_headers_count.is_some() {
        context.unsupported(&at.field("max_headers_count"), "is not supported for a cluster");
    }
    common
}

fn panic_threshold(config: Option<CommonLbConfig>) -> Option<f64> {
    let CommonLbConfig {
        healthy_panic_threshold,
        update_merge_window: _,
        ignore_new_hosts_until_first_hc: _,
        close_connections_on_host_set_change: _,
        consistent_hashing_lb_config: _,
        override_host_status: _,
        locality_config_specifier: _,
    } = config?;
    Some(healthy_panic_threshold?.value)
}

fn breakers(message: CircuitBreakers) -> model::CircuitBreakers {
    let CircuitBreakers { thresholds, per_host_thresholds: _ } = message;
    // As in Envoy, the first of each priority counts.
    let of = |priority: RoutingPriority| {
        thresholds
            .iter()
            .find(|thresholds| thresholds.priority == priority as i32)
            .map(self::thresholds)
            .unwrap_or_default()
    };
    model::CircuitBreakers { default: of(RoutingPriority::Default), high: of(RoutingPriority::High) }
}

fn thresholds(message: &circuit_breakers::Thresholds) -> Thresholds {
    let circuit_breakers::Thresholds {
        priority: _,
        max_connections,
        max_pending_requests,
        max_requests,
        max_retries,
        retry_budget: _,
        track_remaining: _,
        max_connection_pools: _,
    } = message;
    let default = Thresholds::default();
    Thresholds {
        max_connections: max_connections.unwrap_or(default.max_connections),
        max_pending_requests: max_pending_requests.unwrap_or(default.max_pending_requests),
        max_requests: max_requests.unwrap_or(default.max_requests),
        max_retries: max_retries.unwrap_or(default.max_retries),
    }
}
