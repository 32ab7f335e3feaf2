//! What belongs to the whole server, and where configuration comes from.

use prost_reflect::{DynamicMessage, Value};

use super::{Check, Scope, fields::Fields as _};
use crate::path::Path;

pub(super) fn of_message(full_name: &str) -> Option<Check> {
    Some(match full_name {
        "envoy.config.bootstrap.v3.Bootstrap" => bootstrap,
        "envoy.config.core.v3.ApiConfigSource" => api_source,
        "envoy.config.core.v3.ConfigSource" => config_source,
        "envoy.config.core.v3.DataSource" => data_source,
        "envoy.config.core.v3.PathConfigSource" => path_source,
        _ => return None,
    })
}

fn bootstrap(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    if message.has("watchdog") && message.has("watchdogs") {
        scope.error(
            &path.field("watchdog"),
            "cannot be set together with \"watchdogs\", which has taken its place",
        );
    }
    if message.has("stats_flush_interval") && message.has("stats_flush_on_admin") {
        let error = "cannot be set together with \"stats_flush_interval\"; use one of them";
        scope.error(&path.field("stats_flush_on_admin"), error);
    }
    if let Some(manager) = message.message("cluster_manager") {
        let at = path.field("cluster_manager");
        scope.known_cluster(&at.field("local_cluster_name"), manager.text("local_cluster_name"));
    }
    let log = message.message("admin").map(|admin| admin.text("access_log_path")).unwrap_or_default();
    let at = path.field("admin");
    super::format::openable(scope, log, &at.field("access_log_path"));
}

/// A number in the static layers of the runtime; the highest layer counts.
pub(super) fn runtime_number(bootstrap: &DynamicMessage, key: &str) -> Option<u64> {
    let layers = bootstrap.message("layered_runtime")?.messages("layers");
    let found = layers.filter_map(|layer| number_in(layer.message("static_layer")?, key)).last()?;
    // Envoy takes numbers without a fraction only.
    (found >= 0.0 && found.fract() == 0.0).then_some(found as u64)
}

/// Looks up a dotted key in nested maps, any part of which may have dots itself.
fn number_in(map: &DynamicMessage, key: &str) -> Option<f64> {
    let Value::Map(entries) = map.value("fields")? else { return None };
    entries.iter().find_map(|(name, value)| {
        let (name, value) = (name.as_str()?, value.as_message()?);
        match key.strip_prefix(name)? {
            "" => value.value("number_value")?.as_f64(),
            rest => number_in(value.message("struct_value")?, rest.strip_prefix('.')?),
        }
    })
}

fn api_source(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let at = path.field("cluster_names");
    for (index, name) in message.texts("cluster_names").enumerate() {
        scope.known_cluster(&at.index(index), name);
    }
    let at = path.field("grpc_services");
    for (index, service) in message.messages("grpc_services").enumerate() {
        let Some(grpc) = service.message("envoy_grpc") else { continue };
        let at = at.index(index);
        let at = at.field("envoy_grpc");
        scope.known_cluster(&at.field("cluster_name"), grpc.text("cluster_name"));
    }
}

fn config_source(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    readable(scope, message.text("path"), &path.field("path"));
}

fn path_source(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    readable(scope, message.text("path"), &path.field("path"));
}

fn readable(scope: &mut Scope<'_>, name: &str, at: &Path<'_>) {
    if !name.is_empty()
        && let Err(error) = scope.options.externals().file(name)
    {
        scope.error(at, format!("cannot read {name:?}: {error}"));
    }
}

fn data_source(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    /// Devices and the kernel's own files have no end, or are another each time.
    const REFUSED: &[&str] = &["/dev", "/proc", "/sys"];
    let name = message.text("filename");
    let at = path.field("filename");
    let is_in = |folder: &&str| name.strip_prefix(*folder).is_some_and(|rest| rest.starts_with('/'));
    if REFUSED.iter().any(is_in) {
        scope.error(&at, format!("{name:?} cannot be read: files of the system are not taken"));
    } else {
        readable(scope, name, &at);
    }
    let variable = message.text("environment_variable");
    if !variable.is_empty() && scope.options.externals().variable(variable).is_none() {
        let error = format!("the environment variable {variable:?} is not set");
        scope.error(&path.field("environment_variable"), error);
    }
}
