//! `/clusters`: every cluster with its limits and hosts.

use std::fmt::{Display, Write as _};

use http::StatusCode;
use nuncio_stats::Filter;
use serde_json::{Map, Value, json};

use crate::{
    answer::Answer,
    handles::{CircuitBreakerThresholds, ClusterStatus, HostStatus},
    listeners::socket_address,
    query::Query,
};

pub(crate) fn answer(query: &Query, clusters: &[ClusterStatus]) -> Answer {
    let filter = match query.non_empty("filter").map(Filter::new) {
        None => None,
        Some(Ok(filter)) => Some(filter),
        Some(Err(_)) => return Answer::text(StatusCode::BAD_REQUEST, "Invalid re2 regex"),
    };
    let clusters =
        clusters.iter().filter(|cluster| filter.as_ref().is_none_or(|filter| filter.matches(&cluster.name)));
    if query.get("format") == Some("json") {
        let statuses: Vec<Value> = clusters.map(cluster_json).collect();
        let body = if statuses.is_empty() { json!({}) } else { json!({ "cluster_statuses": statuses }) };
        return Answer::json(&body);
    }
    let mut text = String::new();
    for cluster in clusters {
        push_cluster(&mut text, cluster);
    }
    Answer::text(StatusCode::OK, text)
}

fn push_cluster(text: &mut String, cluster: &ClusterStatus) {
    let ClusterStatus { name, observability_name, default_priority, high_priority, added_via_api, hosts } =
        cluster;
    // Writing to a string cannot fail.
    let mut line = |rest: &[&dyn Display]| {
        text.push_str(name);
        for part in rest {
            let _ = write!(text, "::{part}");
        }
        text.push('\n');
    };
    line(&[&"observability_name", observability_name]);
    for (priority, thresholds) in [("default_priority", default_priority), ("high_priority", high_priority)] {
        let CircuitBreakerThresholds { max_connections, max_pending_requests, max_requests, max_retries } =
            thresholds;
        line(&[&priority, &"max_connections", max_connections]);
        line(&[&priority, &"max_pending_requests", max_pending_requests]);
        line(&[&priority, &"max_requests", max_requests]);
        line(&[&priority, &"max_retries", max_retries]);
    }
    line(&[&"added_via_api", added_via_api]);
    for host in hosts {
        let values: [(&str, &dyn Display); 19] = [
            ("cx_active", &host.cx_active),
            ("cx_connect_fail", &host.cx_connect_fail),
            ("cx_total", &host.cx_total),
            ("rq_active", &host.rq_active),
            ("rq_error", &host.rq_error),
            ("rq_pending_active", &host.rq_pending_active),
            ("rq_success", &host.rq_success),
            ("rq_timeout", &host.rq_timeout),
            ("rq_total", &host.rq_total),
            ("hostname", &host.hostname),
            ("health_flags", &host.health_flags),
            ("weight", &host.weight),
            ("region", &host.region),
            ("zone", &host.zone),
            ("sub_zone", &host.sub_zone),
            ("canary", &false),
            ("priority", &host.priority),
            // There is no outlier detection, for which Envoy shows -1.
            ("success_rate", &-1),
            ("local_origin_success_rate", &-1),
        ];
        for (key, value) in values {
            line(&[&host.address, &key, value]);
        }
    }
}

fn cluster_json(cluster: &ClusterStatus) -> Value {
    let ClusterStatus { name, observability_name, default_priority, high_priority, added_via_api, hosts } =
        cluster;
    let mut status = Object::default();
    status.put("name", name.as_str());
    status.put_unless_default("added_via_api", *added_via_api);
    if !hosts.is_empty() {
        status.put("host_statuses", hosts.iter().map(host_json).collect::<Vec<_>>());
    }
    let thresholds = [thresholds_json(None, default_priority), thresholds_json(Some("HIGH"), high_priority)];
    status.put("circuit_breakers", json!({ "thresholds": thresholds }));
    status.put("observability_name", observability_name.as_str());
    Value::Object(status.0)
}

fn thresholds_json(priority: Option<&str>, thresholds: &CircuitBreakerThresholds) -> Value {
    let CircuitBreakerThresholds { max_connections, max_pending_requests, max_requests, max_retries } =
        thresholds;
    let mut object = Object::default();
    if let Some(priority) = priority {
        object.put("priority", priority);
    }
    object.put("max_connections", *max_connections);
    object.put("max_pending_requests", *max_pending_requests);
    object.put("max_requests", *max_requests);
    object.put("max_retries", *max_retries);
    Value::Object(object.0)
}

fn host_json(host: &HostStatus) -> Value {
    let counters = [
        ("cx_connect_fail", host.cx_connect_fail),
        ("cx_total", host.cx_total),
        ("rq_error", host.rq_error),
        ("rq_success", host.rq_success),
        ("rq_timeout", host.rq_timeout),
        ("rq_total", host.rq_total),
    ];
    let gauges = [
        ("cx_active", host.cx_active),
        ("rq_active", host.rq_active),
        ("rq_pending_active", host.rq_pending_active),
    ];
    let stats = counters
        .into_iter()
        .map(|(name, value)| stat_json(None, name, value))
        .chain(gauges.into_iter().map(|(name, value)| stat_json(Some("GAUGE"), name, value)));
    let mut health = Object::default();
    if host.health_flags.contains("/pending_dynamic_removal") {
        health.put("pending_dynamic_removal", true);
    }
    health.put("eds_health_status", "HEALTHY");
    let mut locality = Object::default();
    locality.put_unless_default("region", host.region.as_str());
    locality.put_unless_default("zone", host.zone.as_str());
    locality.put_unless_default("sub_zone", host.sub_zone.as_str());

    let mut status = Object::default();
    status.put("address", socket_address(host.address));
    status.put("stats", stats.collect::<Vec<_>>());
    status.put("health_status", health.0);
    status.put("weight", host.weight);
    status.put_unless_default("hostname", host.hostname.as_str());
    status.put_unless_default("priority", host.priority);
    status.put("locality", locality.0);
    Value::Object(status.0)
}

fn stat_json(kind: Option<&str>, name: &str, value: u64) -> Value {
    let mut stat = Object::default();
    if let Some(kind) = kind {
        stat.put("type", kind);
    }
    if value != 0 {
        stat.put("value", value.to_string());
    }
    stat.put("name", name);
    Value::Object(stat.0)
}

/// A JSON object as protobuf prints a message: fields in their order, those with their default left out.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn put_unless_default<T: Default + PartialEq + Into<Value>>(&mut self, name: &str, value: T) {
        if value != T::default() {
            self.put(name, value);
        }
    }
}
