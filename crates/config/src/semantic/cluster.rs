//! Clusters: what belongs to which type of cluster and to which load balancing policy.

use nuncio_api::envoy::config::cluster::v3::cluster::{DiscoveryType, LbPolicy};
use prost_reflect::{DynamicMessage, Value};

use super::{Check, Scope, address, fields::Fields as _};
use crate::{path::Path, suggest::in_words};

mod health;

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The names under which extensions keep options with a cluster.
const OPTION_NAMES: &[&str] = &[
    HTTP_OPTIONS,
    "envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions",
    "envoy.filters.network.redis_proxy",
    "envoy.filters.network.thrift_proxy",
];

pub(super) fn of_message(full_name: &str) -> Option<Check> {
    Some(match full_name {
        "envoy.config.cluster.v3.Cluster" => cluster,
        "envoy.config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetSelector" => subset_selector,
        "envoy.config.cluster.v3.CircuitBreakers" => circuit_breakers,
        "envoy.config.cluster.v3.OutlierDetection" => outlier_detection,
        "envoy.config.core.v3.Http2ProtocolOptions" => http2,
        "envoy.config.endpoint.v3.ClusterLoadAssignment.Policy" => assignment_policy,
        _ => return health::of_message(full_name),
    })
}

fn cluster(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let custom = message.has("cluster_type");
    let number = |field| i32::try_from(message.number(field).unwrap_or(0)).unwrap_or(-1);
    let kind = DiscoveryType::try_from(number("type")).ok().filter(|_| !custom);
    let policy = LbPolicy::try_from(number("lb_policy")).ok();
    discovery(scope, message, path, kind);
    load_balancing(scope, message, path, kind, policy);
    health::of_cluster(scope, message, path);
    options(scope, message, path);
    let socket = message.message("transport_socket").map(|socket| socket.type_name("typed_config"));
    if let Some(found) = socket.filter(|found| found.contains("Downstream")) {
        let at = path.field("transport_socket");
        scope.error(&at.field("typed_config"), format!("{found} is for listeners, not for clusters"));
    }
}

fn discovery(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>, kind: Option<DiscoveryType>) {
    let assignment = message.message("load_assignment");
    let assignment_at = path.field("load_assignment");
    match (kind, message.has("eds_cluster_config")) {
        (Some(DiscoveryType::Eds), false) => {
            scope.error(&path.field("eds_cluster_config"), "is required for a cluster of type EDS");
        }
        (Some(DiscoveryType::Eds) | None, _) | (_, false) => {}
        (Some(_), true) => {
            scope.error(&path.field("eds_cluster_config"), "is only for clusters of type EDS");
        }
    }
    match kind {
        Some(DiscoveryType::LogicalDns) => {
            let localities =
                || assignment.into_iter().flat_map(|assignment| assignment.messages("endpoints"));
            let endpoints = localities().map(|locality| locality.items("lb_endpoints").len()).sum::<usize>();
            if localities().count() != 1 || endpoints != 1 {
                let message = "a cluster of type LOGICAL_DNS has one locality with one endpoint";
                scope.error(&assignment_at, message);
            }
        }
        Some(DiscoveryType::OriginalDst) if assignment.is_some() => {
            scope.error(&assignment_at, "a cluster of type ORIGINAL_DST has no endpoints of its own");
        }
        _ => {}
    }
    let endpoints_at = assignment_at.field("endpoints");
    let localities = assignment.into_iter().flat_map(|assignment| assignment.messages("endpoints"));
    for (index, locality) in localities.enumerate() {
        let at = endpoints_at.index(index);
        if locality.has("leds_cluster_locality_config") && kind == Some(DiscoveryType::Static) {
            scope.error(&at.field("leds_cluster_locality_config"), "is only for clusters of type EDS");
        }
        let at = at.field("lb_endpoints");
        for (index, endpoint) in locality.messages("lb_endpoints").enumerate() {
            let at = at.index(index);
            match endpoint.message("endpoint") {
                Some(inner) => self::endpoint(scope, inner, &at.field("endpoint"), kind),
                None if kind == Some(DiscoveryType::Static) => {
                    scope.error(&at.field("endpoint"), "is required");
                }
                None => {}
            }
        }
    }
}

fn endpoint(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>, kind: Option<DiscoveryType>) {
    if let Some(check) = message.message("health_check_config")
        && let Some(address) = check.message("address")
    {
        let at = path.field("health_check_config");
        address::literal(scope, address, &at.field("address"));
    }
    match kind {
        Some(DiscoveryType::Static) => {
            if let Some(address) = message.message("address") {
                address::without_resolver(scope, address, &path.field("address"));
            }
            let at = path.field("additional_addresses");
            for (index, additional) in message.messages("additional_addresses").enumerate() {
                if let Some(address) = additional.message("address") {
                    address::literal(scope, address, &at.index(index).field("address"));
                }
            }
        }
        Some(DiscoveryType::StrictDns | DiscoveryType::LogicalDns) => {
            let socket = message.message("address").and_then(|address| address.message("socket_address"));
            if socket.is_some_and(|socket| !socket.text("resolver_name").is_empty()) {
                let at = path.field("address");
                let at = at.field("socket_address");
                scope.error(
                    &at.field("resolver_name"),
                    "cannot be set in a cluster that resolves names itself; leave it out",
                );
            }
        }
        _ => {}
    }
}

fn load_balancing(
    scope: &mut Scope<'_>,
    message: &DynamicMessage,
    path: &Path<'_>,
    kind: Option<DiscoveryType>,
    policy: Option<LbPolicy>,
) {
    let at = path.field("lb_policy");
    let brings_its_own = matches!(kind, None | Some(DiscoveryType::OriginalDst));
    match policy {
        Some(LbPolicy::ClusterProvided) if !brings_its_own => {
            let message = "a cluster of this type brings no load balancing of its own; choose another policy";
            scope.error(&at, message);
        }
        Some(LbPolicy::ClusterProvided) if message.has("lb_subset_config") => {
            scope.error(
                &path.field("lb_subset_config"),
                "cannot be combined with the policy CLUSTER_PROVIDED",
            );
        }
        Some(LbPolicy::LoadBalancingPolicyConfig) if !message.has("load_balancing_policy") => {
            scope.error(
                &path.field("load_balancing_policy"),
                "is required for the policy LOAD_BALANCING_POLICY_CONFIG",
            );
        }
        Some(LbPolicy::ClusterProvided | LbPolicy::LoadBalancingPolicyConfig) | None => {}
        Some(_) if kind == Some(DiscoveryType::OriginalDst) && !message.has("load_balancing_policy") => {
            scope.error(&at, "must be CLUSTER_PROVIDED for a cluster of type ORIGINAL_DST");
        }
        Some(_) => {}
    }
    let ring = message.message("ring_hash_lb_config").filter(|_| policy == Some(LbPolicy::RingHash));
    if let Some(ring) = ring {
        let least = ring.number("minimum_ring_size").unwrap_or(1024);
        let most = ring.number("maximum_ring_size").unwrap_or(8 << 20);
        if least > most {
            let at = path.field("ring_hash_lb_config");
            let message = format!("is {least}, above maximum_ring_size, which is {most}");
            scope.error(&at.field("minimum_ring_size"), message);
        }
    }
    let table = message.message("maglev_lb_config").filter(|_| policy == Some(LbPolicy::Maglev));
    if let Some(size) = table.and_then(|table| table.number("table_size"))
        && !is_prime(size)
    {
        let at = path.field("maglev_lb_config");
        scope.error(&at.field("table_size"), format!("must be a prime number but is {size}"));
    }
}

fn is_prime(number: i128) -> bool {
    number >= 2
        && (2..).take_while(|divisor| divisor * divisor <= number).all(|divisor| number % divisor != 0)
}

/// The options that extensions keep with a cluster.
fn options(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let Some(Value::Map(entries)) = message.value("typed_extension_protocol_options") else { return };
    let path = path.field("typed_extension_protocol_options");
    let mut names: Vec<&str> = entries.keys().filter_map(|key| key.as_str()).collect();
    names.sort_unstable();
    for name in names {
        let key = prost_reflect::MapKey::String(name.to_owned());
        let any = entries.get(&key).and_then(Value::as_message);
        let found = any.map(|any| any.text("type_url")).unwrap_or_default().rsplit('/').next();
        let found = found.unwrap_or_default();
        if !OPTION_NAMES.contains(&name) {
            let hint = in_words(scope.issues.closest(name, OPTION_NAMES.iter().copied()));
            scope.error(&path.key(name), format!("no extension has options under the name {name:?}{hint}"));
        } else if name == HTTP_OPTIONS && found.is_empty() {
            scope.error(&path.key(name), "\"@type\" is missing");
        } else if name == HTTP_OPTIONS && found != HTTP_OPTIONS {
            scope.error(&path.key(name), format!("must be of the type {HTTP_OPTIONS} but is of {found}"));
        }
    }
}

fn subset_selector(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    const KEYS_SUBSET: i128 = 4;
    if message.number("fallback_policy") != Some(KEYS_SUBSET) {
        return;
    }
    let at = path.field("fallback_keys_subset");
    let keys: Vec<&str> = message.texts("keys").collect();
    let subset: Vec<&str> = message.texts("fallback_keys_subset").collect();
    if subset.is_empty() {
        scope.error(&at, "must not be empty with the fallback policy KEYS_SUBSET");
    } else if !subset.iter().all(|key| keys.contains(key)) {
        scope.error(&at, "must only have keys that are in \"keys\"");
    } else if subset.len() == keys.len() {
        scope.error(&at, "must leave out at least one of \"keys\"");
    }
}

fn circuit_breakers(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let at = path.field("per_host_thresholds");
    for (index, thresholds) in message.messages("per_host_thresholds").enumerate() {
        let at = at.index(index);
        for field in [
            "max_pending_requests",
            "max_requests",
            "max_retries",
            "retry_budget",
            "track_remaining",
            "max_connection_pools",
        ] {
            if thresholds.has(field) {
                scope.error(&at.field(field), "has no meaning for a single host; only max_connections has");
            }
        }
    }
}

fn outlier_detection(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    const DEFAULT_BASE: i128 = 30_000_000_000;
    let base = message.nanos("base_ejection_time").unwrap_or(DEFAULT_BASE);
    if message.nanos("max_ejection_time").is_some_and(|most| most < base) {
        scope.error(
            &path.field("max_ejection_time"),
            "must not be less than base_ejection_time (30s if not set)",
        );
    }
}

/// Settings that are sent as they are must not be those that have fields of their own.
fn http2(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    const ENABLE_PUSH: i128 = 2;
    let named = [(1, "hpack_table_size"), (3, "max_concurrent_streams"), (4, "initial_stream_window_size")];
    let at = path.field("custom_settings_parameters");
    for (index, parameter) in message.messages("custom_settings_parameters").enumerate() {
        let at = at.index(index);
        let identifier = parameter.number("identifier").unwrap_or(0);
        if identifier == ENABLE_PUSH && parameter.number("value").unwrap_or(0) == 1 {
            scope.error(&at.field("value"), "server push cannot be switched on");
        }
        for (number, field) in named {
            if identifier == number && message.has(field) {
                scope.error(&at.field("identifier"), format!("{field:?} sets the same; use one of them"));
            }
        }
    }
}

fn assignment_policy(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let at = path.field("drop_overloads");
    if message.items("drop_overloads").len() > 1 {
        scope.error(&at, "must have at most 1 element");
        return;
    }
    for (index, drop) in message.messages("drop_overloads").enumerate() {
        let Some(share) = drop.message("drop_percentage") else { continue };
        let whole = match share.number("denominator") {
            Some(1) => 10_000,
            Some(2) => 1_000_000,
            _ => 100,
        };
        let numerator = share.number("numerator").unwrap_or(0);
        if numerator > whole {
            let at = at.index(index);
            let at = at.field("drop_percentage");
            scope.error(&at.field("numerator"), format!("must be at most {whole} but is {numerator}"));
        }
    }
}
