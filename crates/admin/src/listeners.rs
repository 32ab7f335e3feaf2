//! `/listeners`.

use std::fmt::Write as _;

use http::StatusCode;
use serde_json::{Value, json};

use crate::{answer::Answer, handles::ListenerStatus, query::Query};

pub(crate) fn answer(query: &Query, listeners: &[ListenerStatus]) -> Answer {
    if query.get("format") == Some("json") {
        let statuses: Vec<Value> = listeners.iter().map(status).collect();
        let body = if statuses.is_empty() { json!({}) } else { json!({ "listener_statuses": statuses }) };
        return Answer::json(&body);
    }
    let mut text = String::new();
    for ListenerStatus { name, local_address } in listeners {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}::{local_address}");
    }
    Answer::text(StatusCode::OK, text)
}

fn status(ListenerStatus { name, local_address }: &ListenerStatus) -> Value {
    json!({ "name": name, "local_address": socket_address(*local_address) })
}

/// An address as Envoy's `core.v3.Address`.
pub(crate) fn socket_address(address: std::net::SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}
