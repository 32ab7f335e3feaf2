//! Network filters, by their v1 names.

use super::{
    address,
    fields::{Fields, extension, list, percent, text},
    http,
    listener::Found,
    rate_limit,
    reader::{Object, Upgrade, copied_whole, describe, shortened},
    schema::{
        Schema, integer, list as list_key, millis, object, percent as percent_key, positive_millis, texts,
        word,
    },
    tcp_proxy,
};
use crate::{
    error::ErrorKind,
    path::Path,
    suggest::did_you_mean,
    tree::{Node, Value},
};

/// One filter chain of a listener whose TCP proxy decides by addresses.
pub(super) struct Chain<'t> {
    /// None if every connection fits that no other chain takes.
    pub(super) matches: Option<Node<'t>>,
    pub(super) proxy: Node<'t>,
}

const NAMES: &[&str] = &[
    "http_connection_manager",
    "tcp_proxy",
    "redis_proxy",
    "mongo_proxy",
    "ratelimit",
    "echo",
    "ext_authz",
    "client_ssl_auth",
];

const ECHO: Schema = Schema::new("a v1 echo filter", &[]);

const REDIS: Schema = Schema::new(
    "a v1 Redis proxy",
    &[word("cluster_name").required(), word("stat_prefix").required(), object("conn_pool").required()],
);

const REDIS_POOL: Schema =
    Schema::new("a v1 Redis connection pool", &[positive_millis("op_timeout_ms").required()]);

const MONGO: Schema =
    Schema::new("a v1 Mongo proxy", &[word("stat_prefix").required(), word("access_log"), object("fault")]);

const MONGO_FAULT: Schema = Schema::new("a v1 fault of a Mongo proxy", &[object("fixed_delay").required()]);

const MONGO_DELAY: Schema = Schema::new(
    "a v1 delay of a Mongo proxy",
    &[percent_key("percent").required(), positive_millis("duration_ms").required()],
);

const RATE_LIMIT: Schema = Schema::new(
    "a v1 rate limit filter",
    &[
        word("stat_prefix").required(),
        word("domain").required(),
        list_key("descriptors", 1).required(),
        millis("timeout_ms"),
    ],
);

const ENTRY: Schema =
    Schema::new("a v1 entry of a descriptor", &[word("key").required(), word("value").required()]);

const CLIENT_SSL_AUTH: Schema = Schema::new(
    "a v1 client certificate filter",
    &[
        word("auth_api_cluster").required(),
        word("stat_prefix").required(),
        integer("refresh_delay_ms", 1, i64::MAX),
        texts("ip_white_list"),
    ],
);

pub(super) fn upgrade<'t>(
    up: &mut Upgrade<'_, 't>,
    filter: &Object<'_, '_, 't>,
    found: &mut Found<'t>,
) -> Option<Node<'t>> {
    let name = filter.text("name")?;
    match name.strip_prefix("envoy.").unwrap_or(name) {
        "http_connection_manager" => {
            let manager =
                up.child(filter, "config", &http::MANAGER, |up, config| http::manager(up, config, found))?;
            named(filter, "envoy.filters.network.http_connection_manager", manager)
        }
        "tcp_proxy" => {
            let proxy = up.child(filter, "config", &tcp_proxy::PROXY, |up, config| {
                tcp_proxy::upgrade(up, filter, config, found)
            });
            proxy.flatten()
        }
        "redis_proxy" => {
            let config = up.child(filter, "config", &REDIS, redis)?;
            named(filter, "envoy.filters.network.redis_proxy", config)
        }
        "mongo_proxy" => {
            let config = up.child(filter, "config", &MONGO, mongo)?;
            named(filter, "envoy.filters.network.mongo_proxy", config)
        }
        "ratelimit" => {
            let config = up.child(filter, "config", &RATE_LIMIT, rate_limit)?;
            named(filter, "envoy.filters.network.ratelimit", config?)
        }
        "echo" => {
            let config = up.child(filter, "config", &ECHO, |_, config| {
                Fields::of_type(config.mark, "envoy.extensions.filters.network.echo.v3.Echo")
            })?;
            named(filter, "envoy.filters.network.echo", config)
        }
        "ext_authz" => {
            let config = ext_authz(up, filter, "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz")?;
            named(filter, "envoy.filters.network.ext_authz", config)
        }
        "client_ssl_auth" => {
            up.child(filter, "config", &CLIENT_SSL_AUTH, |up, config| {
                for (index, (mark, range)) in config.texts("ip_white_list").into_iter().enumerate() {
                    address::cidr(up, mark, &config.path.field("ip_white_list").index(index), range);
                }
            });
            let message =
                "Envoy has no client_ssl_auth filter any more, and without it everybody would get in";
            up.error(filter.mark_of("name"), &filter.path.field("name"), ErrorKind::Unsupported, message);
            None
        }
        other => {
            unknown(up, filter, "network", other, NAMES);
            None
        }
    }
}

/// A filter whose name says nothing.
pub(super) fn unknown(
    up: &mut Upgrade<'_, '_>,
    filter: &Object<'_, '_, '_>,
    sort: &str,
    name: &str,
    names: &'static [&'static str],
) {
    let meant = did_you_mean(name, names.iter().copied());
    let message = format!("v1 has no {sort} filter {:?}{meant}", shortened(name));
    up.error(filter.mark_of("name"), &filter.path.field("name"), ErrorKind::Unknown, message);
}

/// The filter of v3 with this payload, at the place of the v1 filter.
pub(super) fn named<'t>(
    filter: &Object<'_, '_, 't>,
    name: &'static str,
    config: Fields<'t>,
) -> Option<Node<'t>> {
    let Node { value, .. } = extension(name, config).node();
    Some(Node { mark: filter.mark, value })
}

/// The configuration of a filter that never had a form of its own in v1: its fields are those of today's message.
pub(super) fn free_form<'t>(
    up: &mut Upgrade<'_, 't>,
    filter: &Object<'_, '_, 't>,
    type_name: &str,
) -> Option<Fields<'t>> {
    let node = filter.get("config")?;
    let at = filter.path.field("config");
    let Some(entries) = node.entries() else {
        let message = format!("expected an object, found {}", describe(node));
        up.error(node.mark, &at, ErrorKind::Type, message);
        return None;
    };
    let mut config = Fields::of_type(node.mark, type_name);
    for entry in entries {
        config.set(entry.key.clone(), copied_whole(&entry.value));
    }
    Some(config)
}

/// Servers of v1's time spoke another version of the protocol, and v3 wants to be told which.
pub(super) fn ext_authz<'t>(
    up: &mut Upgrade<'_, 't>,
    filter: &Object<'_, '_, 't>,
    type_name: &str,
) -> Option<Fields<'t>> {
    const VERSION: &str = "transport_api_version";
    let mut config = free_form(up, filter, type_name)?;
    let node = filter.get("config")?;
    if let Some(service) = node.get("grpc_service").filter(|_| node.get(VERSION).is_none()) {
        let at = filter.path.field("config");
        let message = "the authorization service is asked in the v3 protocol; v1 spoke that of its time";
        up.lossy(service.value.mark, &at.field("grpc_service"), message);
        config.set(VERSION, text(service.value.mark, "V3"));
    }
    Some(config)
}

fn redis<'t>(up: &mut Upgrade<'_, 't>, config: &Object<'_, '_, 't>) -> Fields<'t> {
    let mark = config.mark_of("cluster_name");
    let route = Fields::at(mark).with("cluster", config.copied("cluster_name"));
    let routes = Fields::at(mark).with("catch_all_route", route.node());
    let settings = up.child(config, "conn_pool", &REDIS_POOL, |_, pool| {
        Fields::at(pool.mark).with("op_timeout", pool.duration("op_timeout_ms")).node()
    });
    Fields::of_type(config.mark, "envoy.extensions.filters.network.redis_proxy.v3.RedisProxy")
        .with("stat_prefix", config.copied("stat_prefix"))
        .with("settings", settings)
        .with("prefix_routes", routes.node())
}

fn mongo<'t>(up: &mut Upgrade<'_, 't>, config: &Object<'_, '_, 't>) -> Fields<'t> {
    let delay = up.child(config, "fault", &MONGO_FAULT, |up, fault| {
        up.child(fault, "fixed_delay", &MONGO_DELAY, |_, delay| {
            let share = delay.integer("percent").map(|share| percent(delay.mark_of("percent"), share));
            let delay = Fields::at(delay.mark).with("fixed_delay", delay.duration("duration_ms"));
            delay.with("percentage", share).node()
        })
    });
    Fields::of_type(config.mark, "envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy")
        .with("stat_prefix", config.copied("stat_prefix"))
        .with("access_log", config.copied("access_log"))
        .with("delay", delay.flatten())
}

fn rate_limit<'t>(up: &mut Upgrade<'_, 't>, config: &Object<'_, '_, 't>) -> Option<Fields<'t>> {
    let mut descriptors = Vec::new();
    up.items(config, "descriptors", |up, item, at| descriptors.extend(descriptor(up, item, at)));
    let descriptors = list(config.mark_of("descriptors"), descriptors);
    let service = rate_limit::service(up, config)?;
    let filter = Fields::of_type(config.mark, "envoy.extensions.filters.network.ratelimit.v3.RateLimit")
        .with("stat_prefix", config.copied("stat_prefix"))
        .with("domain", config.copied("domain"))
        .with("descriptors", descriptors)
        .with("timeout", config.duration("timeout_ms"))
        .with("rate_limit_service", service);
    Some(filter)
}

/// A descriptor is a list of entries.
fn descriptor<'t>(up: &mut Upgrade<'_, 't>, node: &Node<'t>, path: Path<'_>) -> Option<Node<'t>> {
    let Value::List(items) = node.resolved() else {
        let message = format!("expected a list of entries, found {}", describe(node));
        up.error(node.mark, &path, ErrorKind::Type, message);
        return None;
    };
    let mut entries = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(entry) = up.read(item, path.index(index), &ENTRY) {
            let fields = Fields::at(entry.mark).with("key", entry.copied("key"));
            entries.push(fields.with("value", entry.copied("value")).node());
        }
    }
    Some(Fields::at(node.mark).with("entries", list(node.mark, entries)).node())
}
