//! Routes: where they lead, and what they may not say at once.

use prost_reflect::{DynamicMessage, Value};

use super::{Check, Scope, fields::Fields as _, headers, http};
use crate::path::Path;

pub(super) fn of_message(full_name: &str) -> Option<Check> {
    Some(match full_name {
        "envoy.config.route.v3.RouteConfiguration" => configuration,
        "envoy.config.route.v3.VirtualHost" => virtual_host,
        "envoy.config.route.v3.Route" => route,
        "envoy.config.route.v3.RouteAction" => action,
        "envoy.config.route.v3.RouteAction.RequestMirrorPolicy" => mirror,
        "envoy.config.route.v3.RetryPolicy.RetryBackOff" => back_off,
        "envoy.config.route.v3.WeightedCluster" => weighted_clusters,
        "envoy.config.route.v3.WeightedCluster.ClusterWeight" => cluster_weight,
        _ => return None,
    })
}

/// Everything here that names a cluster, unless the routes may come before their clusters.
fn configuration(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    headers::removed(scope, message, path);
    per_filter(scope, message, path);
    let plugins: Vec<&str> = message
        .messages("cluster_specifier_plugins")
        .filter_map(|plugin| Some(plugin.message("extension")?.text("name")))
        .collect();
    let validated = !message.has("validate_clusters") || message.flag("validate_clusters");
    if validated {
        mirrors(scope, message, path);
    }
    let hosts_at = path.field("virtual_hosts");
    for (index, host) in message.messages("virtual_hosts").enumerate() {
        let at = hosts_at.index(index);
        if validated {
            mirrors(scope, host, &at);
        }
        let routes_at = at.field("routes");
        for (index, route) in host.messages("routes").enumerate() {
            let Some(action) = route.message("route") else { continue };
            let at = routes_at.index(index);
            let at = at.field("route");
            if validated {
                clusters(scope, action, &at);
            }
            let plugin = action.text("cluster_specifier_plugin");
            if !plugin.is_empty() && !plugins.contains(&plugin) {
                let message = format!("no entry of \"cluster_specifier_plugins\" is named {plugin:?}");
                scope.error(&at.field("cluster_specifier_plugin"), message);
            }
        }
    }
}

fn clusters(scope: &mut Scope<'_>, action: &DynamicMessage, path: &Path<'_>) {
    scope.known_cluster(&path.field("cluster"), action.text("cluster"));
    mirrors(scope, action, path);
    if let Some(weighted) = action.message("weighted_clusters") {
        let at = path.field("weighted_clusters");
        let at = at.field("clusters");
        for (index, cluster) in weighted.messages("clusters").enumerate() {
            scope.known_cluster(&at.index(index).field("name"), cluster.text("name"));
        }
    }
}

fn mirrors(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let at = path.field("request_mirror_policies");
    for (index, policy) in message.messages("request_mirror_policies").enumerate() {
        scope.known_cluster(&at.index(index).field("cluster"), policy.text("cluster"));
    }
}

fn virtual_host(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    headers::removed(scope, message, path);
    per_filter(scope, message, path);
    if message.has("matcher") && message.has("routes") {
        scope.error(&path.field("matcher"), "cannot be set together with \"routes\"; use one of them");
    }
    let at = path.field("virtual_clusters");
    for (index, cluster) in message.messages("virtual_clusters").enumerate() {
        if !cluster.has("headers") {
            scope.error(&at.index(index).field("headers"), "must not be empty");
        }
    }
}

fn route(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    headers::removed(scope, message, path);
    per_filter(scope, message, path);
}

/// Configurations of HTTP filters for some routes only.
fn per_filter(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    const FILTERS: &str = "envoy.extensions.filters.http.";
    let Some(Value::Map(entries)) = message.value("typed_per_filter_config") else { return };
    let path = path.field("typed_per_filter_config");
    let mut names: Vec<&str> = entries.keys().filter_map(|key| key.as_str()).collect();
    names.sort_unstable();
    for name in names {
        let key = prost_reflect::MapKey::String(name.to_owned());
        let Some(any) = entries.get(&key).and_then(Value::as_message) else { continue };
        let found = any.text("type_url").rsplit('/').next().unwrap_or_default();
        if found == "envoy.config.route.v3.FilterConfig" {
            continue;
        }
        if found == "envoy.extensions.filters.http.router.v3.Router" {
            scope.error(&path.key(name), "the router has no configuration for single routes");
        } else if !found.starts_with(FILTERS) {
            scope.error(&path.key(name), format!("{found:?} is not the configuration of an HTTP filter"));
        }
    }
}

fn action(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let rewrites = ["prefix_rewrite", "regex_rewrite", "path_rewrite_policy"].into_iter();
    let mut rewrites = rewrites.filter(|field| message.has(field));
    if let (Some(first), Some(second)) = (rewrites.next(), rewrites.next()) {
        scope.error(&path.field(second), format!("{first:?} is set too; a path is rewritten in one way"));
    }
    let at = path.field("upgrade_configs");
    http::upgrade_types(scope, message, &at);
    for (index, upgrade) in message.messages("upgrade_configs").enumerate() {
        if upgrade.has("connect_config") && !upgrade.text("upgrade_type").eq_ignore_ascii_case("connect") {
            scope.error(&at.index(index).field("connect_config"), "is only for the upgrade type CONNECT");
        }
    }
}

fn mirror(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    name_or_header(scope, message, path, "cluster");
}

fn name_or_header(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>, name: &str) {
    match (message.has(name), message.has("cluster_header")) {
        (true, true) => scope.error(
            &path.field("cluster_header"),
            format!("cannot be set together with {name:?}; use one of them"),
        ),
        (false, false) => scope.error(path, format!("one of {name:?}, \"cluster_header\" is required")),
        _ => {}
    }
}

fn back_off(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    if let (Some(base), Some(most)) = (message.nanos("base_interval"), message.nanos("max_interval"))
        && most < base
    {
        scope.error(&path.field("max_interval"), "must not be less than base_interval");
    }
}

fn weighted_clusters(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    if !message.has("clusters") {
        return;
    }
    let at = path.field("clusters");
    let mut sum = Some(0_i128);
    for (index, cluster) in message.messages("clusters").enumerate() {
        let weight = cluster.number("weight");
        if weight.is_none() {
            scope.error(&at.index(index).field("weight"), "is required");
        }
        sum = sum.zip(weight).map(|(sum, weight)| sum + weight);
    }
    match sum {
        Some(0) => scope.error(&at, "the weights are all zero; at least one must be greater"),
        Some(sum) if sum > u32::MAX.into() => {
            scope.error(
                &at,
                format!("the sum of the weights is {sum}, and {} is the most that it may be", u32::MAX),
            );
        }
        _ => {}
    }
}

fn cluster_weight(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    headers::removed(scope, message, path);
    per_filter(scope, message, path);
    name_or_header(scope, message, path, "name");
}
