//! Headers that are added, replaced and taken away.

use prost_reflect::DynamicMessage;

use super::{Check, Scope, fields::Fields as _};
use crate::{path::Path, substitution};

pub(super) fn of_message(full_name: &str) -> Option<Check> {
    match full_name {
        "envoy.config.core.v3.HeaderValueOption" => Some(added),
        _ => None,
    }
}

/// Reads the lists of headers to take away, which routes and what holds them have.
pub(super) fn removed(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    for field in ["request_headers_to_remove", "response_headers_to_remove"] {
        let at = path.field(field);
        for (index, name) in message.texts(field).enumerate() {
            if routes_by(name) {
                scope.error(&at.index(index), format!("{name:?} cannot be removed: {WHY}"));
            }
        }
    }
}

const WHY: &str = "the host and pseudo-headers (names that begin with a colon) belong to the route";

fn added(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    if message.has("append") && message.number("append_action").unwrap_or(0) != 0 {
        scope.error(
            &path.field("append"),
            "cannot be set together with \"append_action\", which has taken its place",
        );
    }
    let Some(header) = message.message("header") else { return };
    let at = path.field("header");
    let name = header.text("key");
    if routes_by(name) {
        scope.error(&at.field("key"), format!("{name:?} cannot be changed: {WHY}"));
    }
    if let Err(malformed) = substitution::check(header.text("value"), &["PER_REQUEST_STATE"]) {
        scope.error(&at.field("value"), malformed.to_string());
    }
}

fn routes_by(name: &str) -> bool {
    name.starts_with(':') || name.eq_ignore_ascii_case("host")
}
