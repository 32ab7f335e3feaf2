//! Active health checks.

use prost_reflect::DynamicMessage;

use super::super::{Check, Scope, fields::Fields as _};
use crate::path::Path;

pub(super) fn of_message(full_name: &str) -> Option<Check> {
    Some(match full_name {
        "envoy.config.core.v3.HealthCheck.Payload" => payload,
        "envoy.config.core.v3.HealthCheck.HttpHealthCheck" => http,
        _ => return None,
    })
}

/// What holds for all health checks of a cluster together.
pub(super) fn of_cluster(scope: &mut Scope<'_>, cluster: &DynamicMessage, path: &Path<'_>) {
    let at = path.field("health_checks");
    let several = cluster.items("health_checks").len() > 1;
    for (index, check) in cluster.messages("health_checks").enumerate() {
        let at = at.index(index);
        if several && check.text("name").is_empty() {
            scope.error(&at.field("name"), "is required where a cluster has several health checks");
        }
        if check.has("grpc_health_check") && !may_speak_http2(cluster) {
            let message =
                "needs a cluster that speaks HTTP/2: set explicit_http_config.http2_protocol_options";
            scope.error(&at.field("grpc_health_check"), message);
        }
    }
}

/// Options in an extension are not looked at any closer.
fn may_speak_http2(cluster: &DynamicMessage) -> bool {
    ["http2_protocol_options", "typed_extension_protocol_options"].iter().any(|field| cluster.has(field))
}

fn payload(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let text = message.text("text");
    if text.len() % 2 == 1 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        scope.error(&path.field("text"), "must be bytes in hexadecimal digits, two for each");
    }
}

fn http(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    for field in ["expected_statuses", "retriable_statuses"] {
        let at = path.field(field);
        for (index, range) in message.messages(field).enumerate() {
            let (start, end) = (range.number("start").unwrap_or(0), range.number("end").unwrap_or(0));
            let at = at.index(index);
            if start >= end {
                let message =
                    format!("must be above start, which is {start} (the end itself is not in the range)");
                scope.error(&at.field("end"), message);
            } else if start < 100 || end > 600 {
                scope.error(&at, "must lie within 100 and 600 (the end itself is not in the range)");
            }
        }
    }
}
