//! The HTTP connection manager and the order of its filters.

use std::collections::BTreeSet;

use prost_reflect::DynamicMessage;

use super::{Check, Scope, fields::Fields as _};
use crate::path::Path;

const ROUTER: &str = "envoy.extensions.filters.http.router.v3.Router";

pub(super) fn of_message(full_name: &str) -> Option<Check> {
    match full_name {
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager" => Some(manager),
        _ => None,
    }
}

/// Each kind of upgrade may be in the list `upgrade_configs` of a connection manager or a route once.
pub(super) fn upgrade_types(scope: &mut Scope<'_>, message: &DynamicMessage, at: &Path<'_>) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (index, upgrade) in message.messages("upgrade_configs").enumerate() {
        let kind = upgrade.text("upgrade_type");
        if !seen.insert(kind.to_ascii_lowercase()) {
            scope.error(&at.index(index).field("upgrade_type"), format!("{kind:?} is in the list already"));
        }
    }
}

fn manager(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    filters(scope, message, path, "http_filters");
    let at = path.field("upgrade_configs");
    upgrade_types(scope, message, &at);
    for (index, upgrade) in message.messages("upgrade_configs").enumerate() {
        filters(scope, upgrade, &at.index(index), "filters");
    }
    if message.flag("strip_any_host_port") && message.flag("strip_matching_host_port") {
        let error = "cannot be set together with \"strip_any_host_port\", which does more; use one of them";
        scope.error(&path.field("strip_matching_host_port"), error);
    }
    if message.has("original_ip_detection_extensions") {
        for field in ["use_remote_address", "xff_num_trusted_hops"] {
            if message.flag(field) || message.number(field).is_some_and(|hops| hops > 0) {
                let error =
                    "cannot be set together with \"original_ip_detection_extensions\"; use one of them";
                scope.error(&path.field(field), error);
            }
        }
    }
}

/// The router ends the chain of filters, and nothing else does.
fn filters(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>, field: &str) {
    let at = path.field(field);
    let count = message.items(field).len();
    for (index, filter) in message.messages(field).enumerate() {
        let at = at.index(index);
        let found = filter.type_name("typed_config");
        let is_last = index + 1 == count;
        if found == ROUTER && !is_last {
            scope.error(&at, "the router must be the last HTTP filter");
        } else if found != ROUTER && is_last && found.starts_with("envoy.extensions.filters.http.") {
            scope.error(&at, "the last HTTP filter must be the router");
        } else if is_last && filter.flag("disabled") {
            scope.error(&at.field("disabled"), "the last HTTP filter cannot be switched off");
        }
    }
}
