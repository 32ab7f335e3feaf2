//! Extensions stand where extensions of their kind belong, and have a type.

use prost_reflect::{DynamicMessage, ReflectMessage as _};

use super::{Check, Scope, fields::Fields as _};
use crate::path::Path;

/// A message that holds an extension, what its type may begin with, and what it is called.
struct Point {
    holder: &'static str,
    prefixes: &'static [&'static str],
    what: &'static str,
    /// Names that need no type, because they say all.
    alone: &'static [&'static str],
}

const POINTS: &[Point] = &[
    Point {
        holder: "envoy.config.listener.v3.Filter",
        prefixes: &["envoy.extensions.filters.network."],
        what: "a network filter",
        alone: &[],
    },
    Point {
        holder: "envoy.config.listener.v3.ListenerFilter",
        prefixes: &["envoy.extensions.filters.listener.", "envoy.extensions.filters.udp."],
        what: "a listener filter",
        alone: &[],
    },
    Point {
        holder: "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
        prefixes: &["envoy.extensions.filters.http."],
        what: "an HTTP filter",
        alone: &[],
    },
    Point {
        holder: "envoy.config.accesslog.v3.AccessLog",
        prefixes: &["envoy.extensions.access_loggers."],
        what: "an access log",
        alone: &[],
    },
    Point {
        holder: "envoy.config.accesslog.v3.ExtensionFilter",
        prefixes: &["envoy.extensions.access_loggers.filters."],
        what: "a filter of access logs",
        alone: &[],
    },
    Point {
        holder: "envoy.config.cluster.v3.Filter",
        prefixes: &["envoy.extensions."],
        what: "a filter of connections to hosts",
        alone: &[],
    },
    Point {
        holder: "envoy.config.cluster.v3.Cluster.CustomClusterType",
        prefixes: &["envoy.extensions.clusters."],
        what: "a cluster type",
        alone: &[
            "envoy.cluster.eds",
            "envoy.cluster.logical_dns",
            "envoy.cluster.original_dst",
            "envoy.cluster.static",
            "envoy.cluster.strict_dns",
        ],
    },
    Point {
        holder: "envoy.config.metrics.v3.StatsSink",
        prefixes: &["envoy.extensions.stat_sinks.", "envoy.config.metrics."],
        what: "a sink of stats",
        alone: &[],
    },
    Point {
        holder: "envoy.config.core.v3.TransportSocket",
        prefixes: &["envoy.extensions.transport_sockets."],
        what: "a transport socket",
        alone: &[],
    },
    Point {
        holder: "envoy.extensions.filters.network.http_connection_manager.v3.RequestIDExtension",
        prefixes: &["envoy.extensions.request_id."],
        what: "an extension for request ids",
        alone: &[],
    },
];

pub(super) fn of_message(full_name: &str) -> Option<Check> {
    POINTS.iter().any(|point| point.holder == full_name).then_some(extension as Check)
}

fn extension(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let descriptor = message.descriptor();
    let Some(point) = POINTS.iter().find(|point| point.holder == descriptor.full_name()) else { return };
    // Another member of the oneof says where the configuration comes from.
    if message.has("config_discovery") || message.has("cluster_provided_config") {
        return;
    }
    let at = path.field("typed_config");
    match message.type_name("typed_config") {
        "" if point.alone.contains(&message.text("name")) => {}
        "" => {
            let name = message.text("name");
            scope.error(&at, format!("is required: no extension is known by the name {name:?} alone"));
        }
        found if !point.prefixes.iter().any(|prefix| found.starts_with(prefix)) => {
            scope.error(&at, format!("{found} is not {}", point.what));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_holder_is_in_the_api() {
        for point in POINTS {
            let holder = nuncio_api::descriptors().get_message_by_name(point.holder).expect(point.holder);
            assert!(holder.get_field_by_name("typed_config").is_some(), "{}", point.holder);
            for prefix in point.prefixes {
                let pool = nuncio_api::descriptors();
                let mut messages = pool.all_messages();
                assert!(messages.any(|message| message.full_name().starts_with(prefix)), "{prefix}");
            }
        }
    }
}
