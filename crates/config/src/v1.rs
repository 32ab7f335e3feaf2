//! The configuration of Envoy's first API, which looks nothing like today's: it is read as strictly as its last release
//! read it and upgraded, tree to tree, to the v3 format.
//!
//! Every value of the new tree has the position of the v1 value that it comes from, so whatever later phases find is
//! reported at the line of the file as its author wrote it. A default that v3 has changed is written out. What v3
//! cannot say is a warning of the kind [`WarningKind::Lossy`](crate::WarningKind::Lossy), or an error where leaving it
//! out would open a door.

use std::sync::Arc;

use crate::{
    error::Issues,
    source::Limits,
    tree::{Node, Plain, Value},
};

mod access_log;
mod address;
mod budget;
mod cluster;
mod fields;
mod header;
mod health_check;
mod http;
mod http_filter;
mod ip_tagging;
mod listener;
mod network_filter;
mod poller;
mod rate_limit;
mod reader;
mod route;
mod route_action;
mod schema;
mod server;
mod tcp_conditions;
mod tcp_proxy;
mod tls;
mod tracing;

/// Whether the document has something that only the v1 format has, and nothing that only v3 has: the lists of a v3 file
/// that forgets its `static_resources` are mistakes of a v3 file.
pub(crate) fn is_v1(tree: &Node<'_>) -> bool {
    let given = |key: &str| tree.get(key).is_some();
    let has = |key: &str, inner: &[&str]| {
        tree.get(key).is_some_and(|entry| inner.iter().any(|key| entry.value.get(key).is_some()))
    };
    if given("static_resources") || given("dynamic_resources") {
        return false;
    }
    if has("cluster_manager", &["clusters", "sds", "cds"]) {
        return true;
    }
    let listeners = tree.get("listeners").map(|entry| entry.value.resolved());
    let is_v3_list =
        |list: &Value<'_>| matches!(list, Value::List(items) if items.iter().any(is_v3_listener));
    if given("node") || given("clusters") || listeners.is_some_and(is_v3_list) {
        return false;
    }
    let admin = tree.get("admin").and_then(|entry| entry.value.get("address"));
    let text = admin.and_then(|entry| entry.value.scalar());
    given("listeners")
        || has("admin", &["port"])
        || text.is_some_and(|scalar| matches!(scalar.plain(), None | Some(Plain::Text)))
}

/// Whether a listener is written as v3 has it.
fn is_v3_listener(listener: &Node<'_>) -> bool {
    listener.get("filter_chains").is_some()
        || listener.get("address").is_some_and(|entry| entry.value.entries().is_some())
}

/// The v3 bootstrap that the v1 document `tree` stands for. Mistakes and warnings go to `issues`; after a mistake the
/// result has a gap where it was.
pub(crate) fn upgrade<'t>(
    tree: &Node<'t>,
    source: &Arc<str>,
    limits: &Limits,
    issues: &mut Issues,
) -> Node<'t> {
    if !budget::keeps(tree, source, limits, issues) {
        return fields::Fields::at(tree.mark).node();
    }
    server::bootstrap(&mut reader::Upgrade::new(source, issues), tree)
}

/// Limits for what `upgrade` gives. The aliases of the file are gone from it; what it has in several places are values
/// that v3 wants in each, and they may be as many as those of a file.
pub(crate) fn limits_after(limits: &Limits) -> Limits {
    Limits { alias_nodes: limits.nodes, alias_bytes: limits.bytes, ..*limits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(is_v1(&parse(text, &Limits::default()).unwrap()), expected, "{text}");
    }

    #[test]
    fn the_old_format_is_recognised() {
        check("{\"listeners\": [], \"cluster_manager\": {\"clusters\": []}}", true);
        check("{\"cluster_manager\": {\"clusters\": []}}", true);
        check("{\"cluster_manager\": {\"sds\": {}}}", true);
        check("{\"cluster_manager\": {\"cds\": {}}}", true);
        check("{\"admin\": {\"address\": \"tcp://127.0.0.1:1\"}}", true);
        check("{\"admin\": {\"port\": 1}}", true);
        check("admin: {address: {socket_address: {}}}", false);
        check("cluster_manager: {local_cluster_name: a}", false);
        check("static_resources: {listeners: []}", false);
        check("{static_resources: {}, listeners: []}", false);
        check("{dynamic_resources: {}, listeners: []}", false);
        check("{listeners: [], clusters: []}", false);
        check("{listeners: [], clusters: [], cluster_manager: {clusters: []}}", true);
        check("{listeners: [], node: {id: a}}", false);
        check("{node: {id: a}, admin: {address: \"tcp://127.0.0.1:1\"}}", false);
        check("listeners: [{address: \"tcp://0.0.0.0:1\"}, {filter_chains: []}]", false);
        check("listeners: [{address: {socket_address: {}}}]", false);
        check("listeners: [{address: \"tcp://0.0.0.0:1\", filters: []}]", true);
        check("", false);
    }
}
