//! Addresses that must be literal ones.

use std::net::IpAddr;

use prost_reflect::DynamicMessage;

use super::{Check, Scope, fields::Fields as _};
use crate::path::Path;

/// Bytes that the path of a Unix domain socket may have.
const LONGEST_PIPE: usize = 107;

pub(super) fn of_message(full_name: &str) -> Option<Check> {
    Some(match full_name {
        "envoy.config.core.v3.Pipe" => pipe,
        "envoy.config.core.v3.CidrRange" => range,
        "envoy.config.core.v3.BindConfig" => bind,
        _ => return None,
    })
}

fn pipe(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let length = message.text("path").len();
    if length > LONGEST_PIPE {
        scope.error(&path.field("path"), format!("must have at most {LONGEST_PIPE} bytes but has {length}"));
    }
}

fn range(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let prefix = message.text("address_prefix");
    if !prefix.is_empty() && prefix.parse::<IpAddr>().is_err() {
        scope.error(&path.field("address_prefix"), format!("{prefix:?} is not an IP address"));
    }
}

fn bind(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    if let Some(socket) = message.message("source_address") {
        literal_socket(scope, socket, &path.field("source_address"));
    }
}

/// An `Address` that nobody resolves.
pub(super) fn literal(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    if let Some(socket) = message.message("socket_address") {
        literal_socket(scope, socket, &path.field("socket_address"));
    }
    without_resolver(scope, message, path);
}

fn literal_socket(scope: &mut Scope<'_>, socket: &DynamicMessage, path: &Path<'_>) {
    let host = socket.text("address");
    if !host.is_empty() && crate::lower::parse_ip(host, scope.options).is_none() {
        scope.error(&path.field("address"), format!("{host:?} is not an IP address"));
    }
}

/// What an `Address` may not have that nobody resolves, whatever its host is.
pub(super) fn without_resolver(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let Some(socket) = message.message("socket_address") else { return };
    let at = path.field("socket_address");
    if socket.has("named_port") {
        scope.error(
            &at.field("named_port"),
            "no port is known by a name here; give its number as \"port_value\"",
        );
    }
    let resolver = socket.text("resolver_name");
    if !matches!(resolver, "" | "envoy.ip") {
        scope.error(&at.field("resolver_name"), format!("no address resolver is named {resolver:?}"));
    }
}
