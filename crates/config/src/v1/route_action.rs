//! What a route does with a request: forward it, or redirect.

use super::{
    fields::{Fields, boolean as truth, duration, integer as number, list, text},
    rate_limit,
    reader::{Object, Upgrade},
    schema::{Schema, count, list as list_key, percent, positive_millis, text as text_key, word},
};
use crate::{
    error::ErrorKind,
    tree::{Node, Value},
};

const WEIGHTED: Schema = Schema::new(
    "a v1 weighted cluster list",
    &[list_key("clusters", 1).required(), text_key("runtime_key_prefix")],
);

const WEIGHTED_CLUSTER: Schema =
    Schema::new("a v1 weighted cluster", &[word("name").required(), percent("weight").required()]);

const RETRY: Schema = Schema::new(
    "a v1 retry policy",
    &[text_key("retry_on").required(), count("num_retries"), positive_millis("per_try_timeout_ms")],
);

const SHADOW: Schema = Schema::new("a v1 shadow policy", &[word("cluster").required(), word("runtime_key")]);

const HASH: Schema = Schema::new("a v1 hash policy", &[word("header_name").required()]);

const TARGETS: &[&str] = &["cluster", "cluster_header", "weighted_clusters"];
const REDIRECTS: &[&str] = &["host_redirect", "path_redirect"];

/// Sets `route` or `redirect`.
pub(super) fn action<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>, route: &mut Fields<'t>) {
    let redirects = REDIRECTS.iter().any(|key| object.is_written(key));
    let forwards = TARGETS.iter().any(|key| object.is_written(key));
    if redirects && forwards {
        let message = "a route either redirects or forwards to a cluster, not both";
        up.error(object.mark, &object.path, ErrorKind::Rule, message);
    } else if redirects {
        if object.is_true("use_websocket") {
            let at = object.path.field("use_websocket");
            up.semantic(object.mark_of("use_websocket"), &at, "a redirect cannot use WebSocket");
        }
        unused(up, object);
        route.set("redirect", redirect(object));
    } else {
        route.set("route", forward(up, object));
    }
}

/// What a redirect has no use for must still be right.
fn unused<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) {
    for (key, schema) in [("retry_policy", &RETRY), ("shadow", &SHADOW), ("hash_policy", &HASH)] {
        up.child(object, key, schema, |_, _| ());
    }
    up.each(object, "rate_limits", &rate_limit::LIMIT, rate_limit::limit);
}

fn redirect<'t>(object: &Object<'_, '_, 't>) -> Node<'t> {
    let mut redirect = Fields::at(object.mark);
    for field in REDIRECTS {
        redirect.set(*field, object.copied(field));
    }
    // v1's path stood for the path and the query; v3 keeps the query of the request where the new path has none.
    if object.text("path_redirect").is_some_and(|path| !path.is_empty() && !path.contains('?')) {
        redirect.set("strip_query", truth(object.mark_of("path_redirect"), true));
    }
    redirect.node()
}

fn forward<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Node<'t> {
    let mut action = Fields::at(object.mark);
    match up.one_of(object, TARGETS, true) {
        Some("weighted_clusters") => {
            action.set("weighted_clusters", up.child(object, "weighted_clusters", &WEIGHTED, weighted));
        }
        Some(target) => action.set(target, object.copied(target)),
        None => {}
    }
    action.set("prefix_rewrite", object.copied("prefix_rewrite"));
    if object.is_written("host_rewrite") && object.is_true("auto_host_rewrite") {
        let message = "\"host_rewrite\" and \"auto_host_rewrite\" exclude each other";
        up.error(object.mark_of("auto_host_rewrite"), &object.path, ErrorKind::Rule, message);
    } else {
        action.set("host_rewrite_literal", object.copied("host_rewrite"));
        let auto = object.copied("auto_host_rewrite").filter(|_| object.is_true("auto_host_rewrite"));
        action.set("auto_host_rewrite", auto);
    }
    if object.is_true("use_websocket") {
        let mark = object.mark_of("use_websocket");
        let message = "an upgrade to WebSocket goes through the filters, and other requests are forwarded; v1 made the \
                       connection a raw pipe and refused other requests with 426";
        up.lossy(mark, &object.path.field("use_websocket"), message);
        let upgrade = Fields::at(mark).with("upgrade_type", text(mark, "websocket"));
        action.set("upgrade_configs", list(mark, vec![upgrade.node()]));
        // A pipe knew no time limit. That for the response does not run in an upgrade.
        action.set("idle_timeout", duration(mark, 0));
    }
    action.set("timeout", object.duration("timeout_ms"));
    let retry = up.child(object, "retry_policy", &RETRY, |_, retry| {
        Fields::at(retry.mark)
            .with("retry_on", retry.copied("retry_on"))
            .with("num_retries", retry.copied("num_retries"))
            .with("per_try_timeout", retry.duration("per_try_timeout_ms"))
            .node()
    });
    action.set("retry_policy", retry);
    action.set("request_mirror_policies", up.child(object, "shadow", &SHADOW, shadow));
    action.set("priority", object.chosen("priority"));
    action.set("rate_limits", up.each(object, "rate_limits", &rate_limit::LIMIT, rate_limit::limit));
    action.set("include_vh_rate_limits", object.copied("include_vh_rate_limits"));
    let hash = up.child(object, "hash_policy", &HASH, |_, hash| {
        let header = Fields::at(hash.mark).with("header_name", hash.copied("header_name"));
        list(hash.mark, vec![Fields::at(hash.mark).with("header", header.node()).node()])
    });
    action.set("hash_policy", hash);
    action.node()
}

fn weighted<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Node<'t> {
    let mut weights = Vec::new();
    let clusters = up.each(object, "clusters", &WEIGHTED_CLUSTER, |_, cluster| {
        weights.extend(cluster.integer("weight"));
        let fields = Fields::at(cluster.mark).with("name", cluster.copied("name"));
        Some(fields.with("weight", cluster.copied("weight")).node())
    });
    let written = match object.get("clusters").map(Node::resolved) {
        Some(Value::List(items)) => items.len(),
        _ => 0,
    };
    let sum: i64 = weights.iter().sum();
    // A weight that could not be read has been reported.
    if weights.len() == written && written > 0 && sum != 100 {
        let message = format!("the weights must add up to 100 but make {sum}");
        up.semantic(object.mark_of("clusters"), &object.path.field("clusters"), message);
    }
    Fields::at(object.mark)
        .with("clusters", clusters)
        .with("runtime_key_prefix", object.copied("runtime_key_prefix"))
        .node()
}

/// Without a key every request is mirrored; with one, as many as the runtime says, and none if it says nothing.
fn shadow<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Node<'t> {
    let mut policy = Fields::at(object.mark).with("cluster", object.copied("cluster"));
    if object.is_written("runtime_key") {
        let mark = object.mark_of("runtime_key");
        let message = "a number that the runtime has under this key is read as percent; v1 read it as hundredths of a \
                       percent";
        up.lossy(mark, &object.path.field("runtime_key"), message);
        let never = Fields::at(mark)
            .with("numerator", number(mark, 0))
            .with("denominator", text(mark, "TEN_THOUSAND"));
        let fraction = Fields::at(mark).with("default_value", never.node());
        policy.set("runtime_fraction", fraction.with("runtime_key", object.copied("runtime_key")).node());
    }
    list(object.mark, vec![policy.node()])
}
