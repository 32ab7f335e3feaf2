//! Route tables: virtual hosts, their routes and what routes match.

use super::{
    fields::{Fields, list, percent as share_of, text},
    header, rate_limit,
    reader::{Object, Upgrade, copied_whole, describe},
    route_action,
    schema::{
        Schema, boolean, choice, list as list_key, millis, object, percent, text as text_key, texts,
        unique_texts, word,
    },
};
use crate::{
    error::ErrorKind,
    tree::{Node, Plain},
};

pub(super) const TABLE: Schema = Schema::new(
    "a v1 route table",
    &[
        list_key("virtual_hosts", 0).required(),
        boolean("validate_clusters"),
        texts("internal_only_headers"),
        list_key("response_headers_to_add", 1),
        texts("response_headers_to_remove"),
        list_key("request_headers_to_add", 0),
    ],
);

const VIRTUAL_HOST: Schema = Schema::new(
    "a v1 virtual host",
    &[
        word("name").required(),
        unique_texts("domains", 0).required(),
        list_key("routes", 0).required(),
        choice("require_ssl", &[("all", "ALL"), ("external_only", "EXTERNAL_ONLY")]),
        list_key("virtual_clusters", 0),
        list_key("rate_limits", 0),
        list_key("request_headers_to_add", 0),
        object("cors"),
    ],
);

const VIRTUAL_CLUSTER: Schema = Schema::new(
    "a v1 virtual cluster",
    &[word("name").required(), word("pattern").required(), word("method")],
);

const ROUTE: Schema = Schema::new(
    "a v1 route",
    &[
        text_key("prefix"),
        text_key("path"),
        text_key("regex"),
        boolean("case_sensitive"),
        object("runtime"),
        list_key("headers", 1),
        list_key("query_parameters", 1),
        word("cluster"),
        word("cluster_header"),
        object("weighted_clusters"),
        text_key("host_redirect"),
        text_key("path_redirect"),
        text_key("prefix_rewrite"),
        text_key("host_rewrite"),
        boolean("auto_host_rewrite"),
        boolean("use_websocket"),
        millis("timeout_ms"),
        object("retry_policy"),
        object("shadow"),
        choice("priority", &[("default", "DEFAULT"), ("high", "HIGH")]),
        list_key("rate_limits", 0),
        boolean("include_vh_rate_limits"),
        object("hash_policy"),
        list_key("request_headers_to_add", 0),
        object("opaque_config"),
        object("cors"),
        object("decorator"),
    ],
)
.mistakes(&[
    ("match", "it belongs to the v3 format; v1 has \"prefix\", \"path\" or \"regex\" in the route itself"),
    ("route", "it belongs to the v3 format; v1 has \"cluster\" in the route itself"),
]);

const RUNTIME: Schema =
    Schema::new("a v1 runtime condition", &[word("key").required(), percent("default").required()]);

const CORS: Schema = Schema::new(
    "a v1 CORS policy",
    &[
        boolean("enabled"),
        texts("allow_origin"),
        text_key("allow_methods"),
        text_key("allow_headers"),
        text_key("expose_headers"),
        text_key("max_age"),
        boolean("allow_credentials"),
    ],
);

const DECORATOR: Schema = Schema::new("a v1 decorator", &[word("operation").required()]);

pub(super) fn table<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Node<'t> {
    if !object.texts("internal_only_headers").is_empty() {
        up.trusts_nobody(object, "internal_only_headers");
    }
    Fields::at(object.mark)
        .with("virtual_hosts", up.each(object, "virtual_hosts", &VIRTUAL_HOST, virtual_host))
        .with("validate_clusters", object.copied("validate_clusters"))
        .with("internal_only_headers", object.copied_texts("internal_only_headers"))
        .with("response_headers_to_add", headers(up, object, "response_headers_to_add"))
        .with("response_headers_to_remove", object.copied_texts("response_headers_to_remove"))
        .with("request_headers_to_add", headers(up, object, "request_headers_to_add"))
        .node()
}

fn headers<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>, key: &'static str) -> Option<Node<'t>> {
    up.each(object, key, &header::ADDED, header::added)
}

fn virtual_host<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    if object.choice("require_ssl") == Some("EXTERNAL_ONLY") {
        up.trusts_nobody(object, "require_ssl");
    }
    for (index, (mark, domain)) in object.texts("domains").into_iter().enumerate() {
        if domain.len() > 1 && domain.ends_with('*') {
            let message = "every name that begins so fits; v1 took the \"*\" at the end as it is";
            up.lossy(mark, &object.path.field("domains").index(index), message);
        }
    }
    let host = Fields::at(object.mark)
        .with("name", object.copied("name"))
        .with("domains", object.copied_texts("domains"))
        .with("routes", up.each(object, "routes", &ROUTE, route))
        .with("require_tls", object.chosen("require_ssl"))
        .with("virtual_clusters", up.each(object, "virtual_clusters", &VIRTUAL_CLUSTER, virtual_cluster))
        .with("rate_limits", up.each(object, "rate_limits", &rate_limit::LIMIT, rate_limit::limit))
        .with("request_headers_to_add", headers(up, object, "request_headers_to_add"))
        .with("typed_per_filter_config", up.child(object, "cors", &CORS, cors));
    Some(host.node())
}

/// v1 had a pattern for the path with its query, and a method.
fn virtual_cluster<'t>(_: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let condition = |key: &str, name: &'static str, matcher: Node<'t>| {
        let mark = object.mark_of(key);
        let condition = Fields::at(mark).with("name", text(mark, name));
        condition.with("string_match", matcher).node()
    };
    let mark = object.mark_of("pattern");
    let pattern = Fields::at(mark).with("safe_regex", header::regex(mark, object.copied("pattern")));
    let mut conditions = vec![condition("pattern", ":path", pattern.node())];
    if let Some(method) = object.text("method") {
        let exact = header::exact(object.mark_of("method"), method.to_owned());
        conditions.push(condition("method", ":method", exact));
    }
    let cluster = Fields::at(object.mark).with("name", object.copied("name"));
    Some(cluster.with("headers", list(object.mark, conditions)).node())
}

fn route<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let mut route = Fields::at(object.mark);
    route.set("match", route_match(up, object).node());
    route_action::action(up, object, &mut route);
    route.set("request_headers_to_add", headers(up, object, "request_headers_to_add"));
    route.set("metadata", opaque_config(up, object));
    route.set("typed_per_filter_config", up.child(object, "cors", &CORS, cors));
    let decorator = up.child(object, "decorator", &DECORATOR, |_, decorator| {
        Fields::at(decorator.mark).with("operation", decorator.copied("operation")).node()
    });
    route.set("decorator", decorator);
    Some(route.node())
}

fn route_match<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Fields<'t> {
    let mut found = Fields::at(object.mark);
    match up.one_of(object, &["prefix", "path", "regex"], true) {
        Some("regex") => {
            let mark = object.mark_of("regex");
            found.set("safe_regex", object.copied("regex").map(|regex| header::regex(mark, Some(regex))));
        }
        Some(key) => found.set(key, object.copied(key)),
        None => {}
    }
    found.set("case_sensitive", object.copied("case_sensitive"));
    let fraction = up.child(object, "runtime", &RUNTIME, |_, runtime| {
        let mark = runtime.mark_of("default");
        let share = runtime.integer("default").map(|share| share_of(mark, share));
        Fields::at(runtime.mark)
            .with("default_value", share)
            .with("runtime_key", runtime.copied("key"))
            .node()
    });
    found.set("runtime_fraction", fraction);
    found.set("headers", up.each(object, "headers", &header::MATCHER, header::matcher));
    found.set("query_parameters", up.each(object, "query_parameters", &header::PARAMETER, header::parameter));
    found
}

/// Strings for filters to read.
fn opaque_config<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let node = object.get("opaque_config")?;
    let at = object.path.field("opaque_config");
    for entry in node.entries().unwrap_or_default() {
        let is_text =
            entry.value.scalar().is_some_and(|scalar| matches!(scalar.plain(), None | Some(Plain::Text)));
        if !is_text {
            let message = format!("expected a string, found {}", describe(&entry.value));
            up.error(entry.value.mark, &at.key(&entry.key), ErrorKind::Type, message);
        }
    }
    let copy = copied_whole(node);
    let mark = node.mark;
    let filters = Fields::at(mark).with("envoy.filters.http.router", copy);
    Some(Fields::at(mark).with("filter_metadata", filters.node()).node())
}

fn cors<'t>(_: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Node<'t> {
    let mut policy = Fields::of_type(object.mark, "envoy.extensions.filters.http.cors.v3.CorsPolicy");
    if object.is_written("allow_origin") {
        let origins = object.texts("allow_origin").into_iter();
        let origins = origins.map(|(mark, origin)| header::exact(mark, origin.to_owned()));
        policy.set("allow_origin_string_match", list(object.mark_of("allow_origin"), origins.collect()));
    }
    for field in ["allow_methods", "allow_headers", "expose_headers", "max_age", "allow_credentials"] {
        policy.set(field, object.copied(field));
    }
    if object.boolean("enabled") == Some(false) {
        let mark = object.mark_of("enabled");
        let never = share_of(mark, 0);
        policy.set("filter_enabled", Fields::at(mark).with("default_value", never).node());
    }
    Fields::at(object.mark).with("envoy.filters.http.cors", policy.node()).node()
}
