//! The top level of a v1 file: `listeners`, `admin`, `cluster_manager` and what the server itself is told.

use std::rc::Rc;

use super::{
    access_log, address, cluster,
    fields::{Fields, boolean, extension, list, text},
    listener, poller,
    reader::{Object, Upgrade},
    schema::{
        Key, Schema, choice, integer as integer_key, list as list_key, millis, object, positive_millis,
        text as text_key, word,
    },
    tracing,
};
use crate::{
    path::Path,
    tree::{Node, Value},
};

const ROOT: Schema = Schema::new(
    "a v1 configuration",
    &[
        list_key("listeners", 0).required(),
        object("lds"),
        object("admin").required(),
        object("cluster_manager").required(),
        text_key("flags_path"),
        text_key("statsd_udp_ip_address"),
        PORT_OF_STATSD,
        word("statsd_tcp_cluster_name"),
        positive_millis("stats_flush_interval_ms"),
        millis("watchdog_miss_timeout_ms"),
        millis("watchdog_megamiss_timeout_ms"),
        millis("watchdog_kill_timeout_ms"),
        millis("watchdog_multikill_timeout_ms"),
        object("tracing"),
        object("rate_limit_service"),
        object("runtime"),
    ],
)
.mistakes(&[
    ("clusters", "it stands in \"cluster_manager\", or in a v3 file in \"static_resources\""),
    ("sds", "it stands in \"cluster_manager\", beside \"clusters\""),
    ("cds", "it stands in \"cluster_manager\", beside \"clusters\""),
    ("node", "v1 takes the node from --service-node and --service-cluster"),
]);

const PORT_OF_STATSD: Key = integer_key("statsd_local_udp_port", 1, 65_535);

const ADMIN: Schema = Schema::new(
    "a v1 admin server",
    &[
        word("access_log_path").required(),
        word("address"),
        integer_key("port", 0, 65_535),
        word("profile_path"),
    ],
);

const CLUSTER_MANAGER: Schema = Schema::new(
    "a v1 cluster manager",
    &[
        list_key("clusters", 0)
            .meant(&[("sds", "\"sds\" stands in \"cluster_manager\", beside \"clusters\"")])
            .required(),
        object("sds"),
        object("cds"),
        word("local_cluster_name"),
        object("outlier_detection"),
    ],
);

const OUTLIER_LOG: Schema = Schema::new("v1 outlier detection settings", &[word("event_log_path")]);

const RATE_LIMIT_SERVICE: Schema = Schema::new(
    "a v1 rate limit service",
    &[choice("type", &[("grpc_service", "")]).required(), object("config").required()],
);

const RATE_LIMIT_CONFIG: Schema = Schema::new("a v1 rate limit service", &[word("cluster_name").required()]);

const RUNTIME: Schema = Schema::new(
    "a v1 runtime",
    &[
        text_key("symlink_root").required(),
        text_key("subdirectory").required(),
        text_key("override_subdirectory"),
    ],
);

/// The bootstrap that a v1 file stands for. What is wrong goes to the issues of `up`.
pub(super) fn bootstrap<'t>(up: &mut Upgrade<'_, 't>, node: &Node<'t>) -> Node<'t> {
    let mut bootstrap = Fields::at(node.mark);
    let Some(root) = up.read(node, Path::ROOT, &ROOT) else { return bootstrap.node() };
    // Listeners need to know these.
    up.globals.tracer = up.child(&root, "tracing", &tracing::ROOT, tracing::provider).flatten().map(Rc::new);
    up.globals.rate_limit_service =
        up.child(&root, "rate_limit_service", &RATE_LIMIT_SERVICE, rate_limit_service).flatten().map(Rc::new);

    bootstrap.set("admin", up.child(&root, "admin", &ADMIN, admin));
    let mut resources = Fields::at(node.mark);
    resources.set("listeners", up.each(&root, "listeners", &listener::LISTENER, listener::upgrade));
    up.child(&root, "lds", &poller::LDS, poller::lds);
    let manager = up.child(&root, "cluster_manager", &CLUSTER_MANAGER, |up, object| {
        cluster_manager(up, object, &mut resources, &mut bootstrap)
    });
    bootstrap.set("static_resources", resources.node());
    bootstrap.set("cluster_manager", manager.flatten());
    bootstrap.set("flags_path", root.copied("flags_path"));
    bootstrap.set("stats_flush_interval", root.duration("stats_flush_interval_ms"));
    bootstrap.set("stats_sinks", stats_sinks(up, &root));
    bootstrap.set("watchdogs", watchdogs(&root));
    bootstrap.set("layered_runtime", up.child(&root, "runtime", &RUNTIME, |_, object| runtime(object)));
    bootstrap.node()
}

fn admin<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Node<'t> {
    let mut admin = Fields::at(object.mark);
    admin.set("address", address::listening(up, object));
    // No access log is what /dev/null asks for.
    if object.text("access_log_path").is_some_and(|path| path != "/dev/null") {
        let mark = object.mark_of("access_log_path");
        let log = access_log::file(mark, object.copied("access_log_path"));
        admin.set("access_log", list(mark, vec![log.node()]));
    }
    admin.set("profile_path", object.copied("profile_path"));
    admin.node()
}

fn cluster_manager<'t>(
    up: &mut Upgrade<'_, 't>,
    object: &Object<'_, '_, 't>,
    resources: &mut Fields<'t>,
    bootstrap: &mut Fields<'t>,
) -> Option<Node<'t>> {
    up.globals.has_sds = object.is_written("sds");
    // The clusters of the discovery services come first, in this order.
    let mut clusters = Vec::new();
    clusters.extend(up.child(object, "sds", &poller::SDS, poller::sds).flatten());
    if let Some((cluster, config)) = up.child(object, "cds", &poller::CDS, poller::cds) {
        clusters.extend(cluster);
        let config = config.map(|config| Fields::at(object.mark).with("cds_config", config).node());
        bootstrap.set("dynamic_resources", config);
    }
    if let Some(node) = up.each(object, "clusters", &cluster::CLUSTER, cluster::upgrade)
        && let Value::List(others) = node.value
    {
        clusters.extend(others);
        resources.set("clusters", list(node.mark, clusters));
    }
    let mut manager = Fields::at(object.mark);
    manager.set("local_cluster_name", object.copied("local_cluster_name"));
    let outliers = up.child(object, "outlier_detection", &OUTLIER_LOG, |_, outliers| {
        Fields::at(outliers.mark).with("event_log_path", outliers.copied("event_log_path")).node_if_any()
    });
    manager.set("outlier_detection", outliers.flatten());
    manager.node_if_any()
}

/// The service as every rate limit filter of v3 names it.
fn rate_limit_service<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let service = up.child(object, "config", &RATE_LIMIT_CONFIG, |_, config| {
        let mark = config.mark_of("cluster_name");
        let grpc = Fields::at(mark).with("cluster_name", config.copied("cluster_name"));
        let service = Fields::at(mark).with("envoy_grpc", grpc.node());
        Fields::at(config.mark)
            .with("grpc_service", service.node())
            .with("transport_api_version", text(mark, "V3"))
            .node()
    })?;
    up.lossy(
        object.mark,
        &object.path,
        "the rate limit service is asked in the v3 protocol; v1 spoke pb.lyft.ratelimit.RateLimitService",
    );
    Some(service)
}

fn stats_sinks<'t>(up: &mut Upgrade<'_, 't>, root: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let udp = match up.one_of(root, &["statsd_udp_ip_address", "statsd_local_udp_port"], false) {
        Some("statsd_local_udp_port") => {
            let mark = root.mark_of("statsd_local_udp_port");
            let port = root.integer("statsd_local_udp_port");
            port.map(|port| (mark, address::socket(mark, "127.0.0.1", port, true)))
        }
        Some(key) => {
            let mark = root.mark_of(key);
            let at = root.path.field(key);
            let address = root.text(key).and_then(|text| address::ip_and_port(up, mark, &at, text, true));
            address.map(|address| (mark, address))
        }
        None => None,
    };
    let sink = |mark, field: &'static str, value| {
        let config = Fields::of_type(mark, "envoy.config.metrics.v3.StatsdSink").with(field, value);
        extension("envoy.stat_sinks.statsd", config).node()
    };
    let mut sinks = Vec::new();
    if let Some((mark, address)) = udp {
        sinks.push(sink(mark, "address", Some(address)));
    }
    if let Some(name) = root.copied("statsd_tcp_cluster_name") {
        sinks.push(sink(name.mark, "tcp_cluster_name", Some(name)));
    }
    let mark = sinks.first()?.mark;
    Some(list(mark, sinks))
}

/// v1 watched all threads alike.
fn watchdogs<'t>(root: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let timeouts = || {
        let mut watchdog = Fields::at(root.mark);
        for (key, field) in [
            ("watchdog_miss_timeout_ms", "miss_timeout"),
            ("watchdog_megamiss_timeout_ms", "megamiss_timeout"),
            ("watchdog_kill_timeout_ms", "kill_timeout"),
            ("watchdog_multikill_timeout_ms", "multikill_timeout"),
        ] {
            watchdog.set(field, root.duration(key));
        }
        watchdog.node_if_any()
    };
    let mut watchdogs = Fields::at(root.mark);
    watchdogs.set("main_thread_watchdog", timeouts());
    watchdogs.set("worker_watchdog", timeouts());
    watchdogs.node_if_any()
}

fn runtime<'t>(object: &Object<'_, '_, 't>) -> Node<'t> {
    let layer = |name: &'static str, kind: &'static str, fields: Fields<'t>| {
        Fields::at(object.mark).with("name", text(object.mark, name)).with(kind, fields.node()).node()
    };
    let disk = |subdirectory| {
        Fields::at(object.mark)
            .with("symlink_root", object.copied("symlink_root"))
            .with("subdirectory", object.copied(subdirectory))
    };
    let mut layers = vec![layer("root", "disk_layer", disk("subdirectory"))];
    if object.text("override_subdirectory").is_some_and(|text| !text.is_empty()) {
        let append = boolean(object.mark_of("override_subdirectory"), true);
        layers.push(layer(
            "override",
            "disk_layer",
            disk("override_subdirectory").with("append_service_cluster", append),
        ));
    }
    layers.push(layer("admin", "admin_layer", Fields::at(object.mark)));
    Fields::at(object.mark).with("layers", list(object.mark, layers)).node()
}
