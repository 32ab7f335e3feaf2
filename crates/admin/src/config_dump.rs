//! `/config_dump`: the running configuration, cut into the sections in which Envoy shows it.
//!
//! The sections are found in the bootstrap's JSON: everything that runs here came from it.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{answer::Answer, handles::ConfigDump, query::Query};

const TYPE: &str = "type.googleapis.com/envoy.admin.v3.";
const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const ROUTES: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

/// A list of resources of one kind.
struct Section {
    /// The message that holds the list.
    message: &'static str,
    /// The list's field.
    field: &'static str,
    /// The message of an element, below `message`.
    element: &'static str,
    elements: Vec<Value>,
}

pub(crate) fn answer(query: &Query, dump: &ConfigDump) -> Answer {
    for name in ["mask", "name_regex", "include_eds"] {
        if query.has(name) {
            return Answer::bare_text(StatusCode::BAD_REQUEST, format!("{name} is not supported\n"));
        }
    }
    let sections = sections(dump);
    let Some(resource) = query.non_empty("resource") else {
        return Answer::json(&json!({ "configs": all(dump, sections) }));
    };
    if resource == "bootstrap" {
        let body = format!("{resource} is not a repeated field. Use ?mask={resource} to get only this field");
        return Answer::bare_text(StatusCode::BAD_REQUEST, body);
    }
    let Some(section) = sections.into_iter().find(|section| section.field == resource) else {
        return Answer::bare_text(StatusCode::NOT_FOUND, format!("{resource} not found in config dump"));
    };
    let type_url = format!("{TYPE}{}.{}", section.message, section.element);
    let configs: Vec<Value> =
        section.elements.into_iter().map(|element| with_type(&type_url, element)).collect();
    Answer::json(&if configs.is_empty() { json!({}) } else { json!({ "configs": configs }) })
}

fn all(dump: &ConfigDump, sections: [Section; 3]) -> Vec<Value> {
    let [clusters, listeners, routes] = sections.map(|Section { message, field, elements, .. }| {
        let body = if elements.is_empty() { json!({}) } else { json!({ field: elements }) };
        with_type(&format!("{TYPE}{message}"), body)
    });
    let bootstrap = json!({ "bootstrap": dump.bootstrap });
    let empty = |message: &str| with_type(&format!("{TYPE}{message}"), json!({}));
    vec![
        with_type(&format!("{TYPE}BootstrapConfigDump"), dated(dump, bootstrap)),
        clusters,
        listeners,
        empty("ScopedRoutesConfigDump"),
        routes,
        empty("SecretsConfigDump"),
    ]
}

fn sections(dump: &ConfigDump) -> [Section; 3] {
    let resources = |kind: &str| dump.bootstrap.pointer(&format!("/static_resources/{kind}"));
    let elements = |name: &str, type_url: &str, values: &[Value]| {
        let entry = |value: &Value| dated(dump, json!({ name: with_type(type_url, value.clone()) }));
        values.iter().map(entry).collect()
    };
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let listeners = list(resources("listeners"));
    let mut routes = Vec::new();
    for listener in &listeners {
        push_route_configs(listener, &mut routes);
    }
    [
        Section {
            message: "ClustersConfigDump",
            field: "static_clusters",
            element: "StaticCluster",
            elements: elements("cluster", CLUSTER, &list(resources("clusters"))),
        },
        Section {
            message: "ListenersConfigDump",
            field: "static_listeners",
            element: "StaticListener",
            elements: elements("listener", LISTENER, &listeners),
        },
        Section {
            message: "RoutesConfigDump",
            field: "static_route_configs",
            element: "StaticRouteConfig",
            elements: elements("route_config", ROUTES, &routes),
        },
    ]
}

/// Collects the `route_config` of every filter of a listener.
fn push_route_configs(listener: &Value, routes: &mut Vec<Value>) {
    let list =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let chains =
        list(listener, "filter_chains").into_iter().chain(listener.get("default_filter_chain").cloned());
    for chain in chains {
        for filter in list(&chain, "filters") {
            routes.extend(filter.pointer("/typed_config/route_config").cloned());
        }
    }
}

/// Puts `@type` in front of an object's fields, as the JSON form of `Any` has it.
fn with_type(type_url: &str, value: Value) -> Value {
    let mut object = Map::new();
    object.insert("@type".to_owned(), type_url.into());
    if let Value::Object(fields) = value {
        object.extend(fields);
    }
    Value::Object(object)
}

fn dated(dump: &ConfigDump, mut value: Value) -> Value {
    if let (Some(time), Value::Object(fields)) = (dump.last_updated, &mut value) {
        fields.insert("last_updated".to_owned(), humantime::format_rfc3339_millis(time).to_string().into());
    }
    value
}
