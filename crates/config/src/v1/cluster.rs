//! Clusters.

use super::{
    address::{self, Host},
    fields::{Fields, boolean as truth, duration, extension, integer as number, list, text},
    health_check, http,
    reader::{Object, Upgrade},
    schema::{
        Schema, boolean, choice, count, integer, list as list_key, object, percent, positive_millis, texts,
        word,
    },
    tls,
};
use crate::{error::ErrorKind, tree::Node};

/// What the type `sds` is in v3.
pub(super) const SDS: &str = "EDS";

const SDS_BESIDE: &str = "the discovery service stands in \"cluster_manager\", beside \"clusters\", and the cluster \
                          that uses it has the type \"sds\"";

pub(super) const CLUSTER: Schema = Schema::new(
    "a v1 cluster",
    &[
        word("name").required(),
        choice(
            "type",
            &[
                ("static", "STATIC"),
                ("strict_dns", "STRICT_DNS"),
                ("logical_dns", "LOGICAL_DNS"),
                ("original_dst", "ORIGINAL_DST"),
                ("sds", SDS),
            ],
        )
        .required(),
        positive_millis("connect_timeout_ms").required(),
        choice(
            "lb_type",
            &[
                ("round_robin", "ROUND_ROBIN"),
                ("least_request", "LEAST_REQUEST"),
                ("random", "RANDOM"),
                ("ring_hash", "RING_HASH"),
                ("original_dst_lb", "CLUSTER_PROVIDED"),
            ],
        )
        .meant(&[("sds", "\"type\" is what becomes \"sds\"; \"lb_type\" says how to choose among the hosts")])
        .required(),
        integer("per_connection_buffer_limit_bytes", 1, u32::MAX as i64),
        object("ring_hash_lb_config"),
        list_key("hosts", 1),
        word("service_name"),
        object("health_check"),
        integer("max_requests_per_connection", 1, u32::MAX as i64),
        object("circuit_breakers"),
        object("ssl_context"),
        choice("features", &[("http2", "")]),
        object("http2_settings"),
        http::CODEC_OPTIONS,
        positive_millis("cleanup_interval_ms"),
        positive_millis("dns_refresh_rate_ms"),
        choice("dns_lookup_family", &[("v4_only", "V4_ONLY"), ("v6_only", "V6_ONLY"), ("auto", "AUTO")]),
        texts("dns_resolvers"),
        object("outlier_detection"),
    ],
)
.mistakes(&[("sds", SDS_BESIDE), ("lb_policy", "it belongs to the v3 format; v1 has \"lb_type\"")]);

const HOST: Schema = Schema::new("a v1 host", &[word("url").required()]);

const RING_HASH: Schema = Schema::new(
    "v1 ring hash settings",
    &[integer("minimum_ring_size", 0, 8 << 20), boolean("use_std_hash")],
)
.open();

const BREAKERS: Schema = Schema::new("v1 circuit breakers", &[object("default"), object("high")]);

const THRESHOLDS: Schema = Schema::new(
    "v1 thresholds of a circuit breaker",
    &[count("max_connections"), count("max_pending_requests"), count("max_requests"), count("max_retries")],
);

const OUTLIERS: Schema = Schema::new(
    "v1 outlier detection",
    &[
        count("consecutive_5xx"),
        count("consecutive_gateway_failure"),
        positive_millis("interval_ms"),
        positive_millis("base_ejection_time_ms"),
        percent("max_ejection_percent"),
        percent("enforcing_consecutive_5xx"),
        percent("enforcing_consecutive_gateway_failure"),
        percent("enforcing_success_rate"),
        count("success_rate_minimum_hosts"),
        count("success_rate_request_volume"),
        count("success_rate_stdev_factor"),
    ],
);

pub(super) fn upgrade<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let mut cluster = Fields::at(object.mark);
    cluster.set("name", object.copied("name"));
    cluster.set("type", object.chosen("type"));
    cluster.set("connect_timeout", object.duration("connect_timeout_ms"));
    cluster.set("per_connection_buffer_limit_bytes", object.copied("per_connection_buffer_limit_bytes"));
    cluster.set("lb_policy", object.chosen("lb_type"));
    balanced_as_discovered(up, object);
    cluster.set("ring_hash_lb_config", ring_hash(up, object));
    cluster.set("load_assignment", hosts(up, object));
    if object.choice("type") == Some(SDS) {
        discovered(up, object);
    }
    dns(up, object, &mut cluster);
    cluster.set(
        "health_checks",
        up.child(object, "health_check", &health_check::CHECK, health_check::upgrade).flatten(),
    );
    cluster.set("circuit_breakers", up.child(object, "circuit_breakers", &BREAKERS, breakers));
    cluster.set(
        "outlier_detection",
        up.child(object, "outlier_detection", &OUTLIERS, |_, outliers| {
            outlier_detection(outliers, object.is_written("health_check"))
        }),
    );
    cluster.set("typed_extension_protocol_options", protocol(up, object));
    cluster.set("transport_socket", up.child(object, "ssl_context", &tls::UPSTREAM, tls::upstream));
    cluster.set("cleanup_interval", object.duration("cleanup_interval_ms"));
    Some(cluster.node())
}

/// Connections to where the client wanted to go cannot be balanced.
fn balanced_as_discovered<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) {
    let (Some(discovery), Some(policy)) = (object.choice("type"), object.choice("lb_type")) else { return };
    if (discovery == "ORIGINAL_DST") != (policy == "CLUSTER_PROVIDED") {
        let message =
            "\"lb_type\" must be \"original_dst_lb\" where \"type\" is \"original_dst\", and only there";
        up.semantic(object.mark_of("lb_type"), &object.path.field("lb_type"), message);
    }
}

fn ring_hash<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let settings = up.child(object, "ring_hash_lb_config", &RING_HASH, |_, settings| {
        (
            settings.copied("minimum_ring_size"),
            settings.boolean("use_std_hash"),
            settings.mark_of("use_std_hash"),
        )
    });
    if object.choice("lb_type") != Some("RING_HASH") {
        return None;
    }
    let (size, std_hash, mark) = settings.unwrap_or((None, None, object.mark_of("lb_type")));
    let mut ring = Fields::at(object.mark_of("ring_hash_lb_config"));
    ring.set("minimum_ring_size", size);
    if std_hash != Some(false) {
        let message = "hosts are hashed by MurmurHash2, which is std::hash of GNU's library; if v1 ran with another \
                       library, requests go to other hosts than they did";
        up.lossy(mark, &object.path.field("ring_hash_lb_config").field("use_std_hash"), message);
        ring.set("hash_function", text(mark, "MURMUR_HASH_2"));
    }
    ring.node_if_any()
}

/// A cluster whose hosts the discovery service tells.
fn discovered<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) {
    let (mark, at) = (object.mark_of("type"), object.path.field("type"));
    if up.globals.has_sds {
        let message = "clusters of v1's type \"sds\" (service discovery by GET /v1/registration/...) are not supported yet";
        up.error(mark, &at, ErrorKind::Unsupported, message);
    } else {
        let message =
            "a cluster of the type \"sds\" needs \"sds\" in \"cluster_manager\", beside \"clusters\"";
        up.semantic(mark, &at, message);
    }
}

fn hosts<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let discovery = object.choice("type").unwrap_or_default();
    let host = match discovery {
        "STATIC" => Host::Static,
        "STRICT_DNS" | "LOGICAL_DNS" => Host::Name,
        "ORIGINAL_DST" => {
            up.each(object, "hosts", &HOST, |_, _| None);
            if object.is_written("hosts") {
                let message = "a cluster of the type \"original_dst\" has no hosts of its own";
                up.semantic(object.mark_of("hosts"), &object.path.field("hosts"), message);
            }
            return None;
        }
        // The discovery service tells the hosts; v1 did not look where these are.
        _ => {
            up.each(object, "hosts", &HOST, |_, _| None);
            return None;
        }
    };
    if !object.is_written("hosts") {
        up.error(object.mark, &object.path.field("hosts"), ErrorKind::Rule, "is required");
        return None;
    }
    let mark = object.mark_of("hosts");
    let mut seen: std::collections::HashSet<&str> = std::collections::HashSet::new();
    let mut endpoints = Vec::new();
    up.items(object, "hosts", |up, item, at| {
        let Some(entry) = up.read(item, at, &HOST) else { return };
        let Some(url) = entry.text("url") else { return };
        let at = entry.path.field("url");
        if !seen.insert(url) {
            up.error(entry.mark_of("url"), &at, ErrorKind::Rule, format!("{url:?} is in the list already"));
            return;
        }
        if let Some(address) = address::from_url(up, entry.mark_of("url"), &at, url, host) {
            let endpoint = Fields::at(entry.mark).with("address", address);
            endpoints.push(Fields::at(entry.mark).with("endpoint", endpoint.node()).node());
        }
    });
    if discovery == "LOGICAL_DNS" && endpoints.len() > 1 {
        let message = "a cluster of the type \"logical_dns\" has one host; the others are left out, as in v1";
        up.lossy(mark, &object.path.field("hosts"), message);
        endpoints.truncate(1);
    }
    let locality = Fields::at(mark).with("lb_endpoints", list(mark, endpoints));
    let assignment = Fields::at(mark)
        .with("cluster_name", object.copied("name"))
        .with("endpoints", list(mark, vec![locality.node()]));
    Some(assignment.node())
}

fn dns<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>, cluster: &mut Fields<'t>) {
    // v3 asks for both families where a file says nothing.
    let resolves = matches!(object.choice("type"), Some("STRICT_DNS" | "LOGICAL_DNS"));
    let family = object
        .chosen("dns_lookup_family")
        .or_else(|| resolves.then(|| text(object.mark_of("type"), "V4_ONLY")));
    cluster.set("dns_lookup_family", family);
    cluster.set("dns_refresh_rate", object.duration("dns_refresh_rate_ms"));
    let mut resolvers = Vec::new();
    let at = object.path.field("dns_resolvers");
    for (index, (mark, written)) in object.texts("dns_resolvers").into_iter().enumerate() {
        resolvers.extend(address::ip_and_port(up, mark, &at.index(index), written, false));
    }
    if !resolvers.is_empty() {
        let mark = object.mark_of("dns_resolvers");
        let cares =
            Fields::of_type(mark, "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig");
        let cares = cares.with("resolvers", list(mark, resolvers));
        cluster.set("typed_dns_resolver_config", extension("envoy.network.dns_resolver.cares", cares).node());
    }
}

fn breakers<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Node<'t> {
    let mut thresholds = Vec::new();
    for (key, priority) in [("default", "DEFAULT"), ("high", "HIGH")] {
        thresholds.extend(up.child(object, key, &THRESHOLDS, |_, written| {
            let mut threshold = Fields::at(written.mark).with("priority", text(written.mark, priority));
            for key in THRESHOLDS.keys {
                threshold.set(key.name, written.copied(key.name));
            }
            threshold.node()
        }));
    }
    Fields::at(object.mark).with("thresholds", list(object.mark, thresholds)).node()
}

fn outlier_detection<'t>(object: &Object<'_, '_, 't>, health_checked: bool) -> Node<'t> {
    let mut detection = Fields::at(object.mark);
    for key in OUTLIERS.keys {
        match key.name.strip_suffix("_ms") {
            Some(name) => detection.set(name, object.duration(key.name)),
            None => detection.set(key.name, object.copied(key.name)),
        }
    }
    // v1 ejected one host however few there were, and a health check did not bring it back.
    if object.integer("max_ejection_percent") != Some(0) {
        detection.set("always_eject_one_host", truth(object.mark, true));
    }
    if health_checked {
        detection.set("successful_active_health_check_uneject_host", truth(object.mark, false));
    }
    detection.node()
}

/// v1 spoke HTTP/1 unless told otherwise, and kept idle connections; v3 closes them after an hour.
fn protocol<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let mark = object.mark;
    let is_http2 = object.is_written("features") || object.is_written("http2_settings");
    let settings = http::http2(up, object);
    let protocol = if is_http2 {
        Fields::at(object.mark_of("features")).with("http2_protocol_options", settings)
    } else {
        Fields::at(mark).with("http_protocol_options", Fields::at(mark).node())
    };
    let common = Fields::at(mark).with("idle_timeout", duration(mark, 0)).with(
        "max_requests_per_connection",
        object
            .integer("max_requests_per_connection")
            .map(|most| number(object.mark_of("max_requests_per_connection"), most)),
    );
    let options = Fields::of_type(mark, OPTIONS)
        .with("common_http_protocol_options", common.node())
        .with("explicit_http_config", protocol.node());
    Some(Fields::at(mark).with(OPTIONS, options.node()).node())
}
