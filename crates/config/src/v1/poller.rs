//! The discovery services of v1, which poll an HTTP server for JSON: `sds`, `cds`, `lds` and `rds`.

use super::{
    cluster,
    fields::{Fields, duration, list, text},
    reader::{Object, Upgrade, copied},
    schema::{Schema, choice, object, positive_millis, word},
};
use crate::{error::ErrorKind, tree::Node};

const LEGACY: &str = "REST_LEGACY";
const API_TYPES: &[(&str, &str)] = &[(LEGACY, LEGACY), ("REST", "REST"), ("GRPC", "GRPC")];
const DEFAULT_REFRESH_MS: i64 = 30_000;

/// `cluster` is the name of a static cluster.
pub(super) const LDS: Schema = Schema::new(
    "a v1 listener discovery service",
    &[word("cluster").required(), positive_millis("refresh_delay_ms")],
);

/// `cluster` is a whole cluster.
pub(super) const SDS: Schema = Schema::new(
    "a v1 service discovery service",
    &[object("cluster").required(), positive_millis("refresh_delay_ms").required()],
);

/// `cluster` is a whole cluster.
pub(super) const CDS: Schema = Schema::new(
    "a v1 cluster discovery service",
    &[object("cluster").required(), positive_millis("refresh_delay_ms"), choice("api_type", API_TYPES)],
);

/// `cluster` is the name of a static cluster.
pub(super) const RDS: Schema = Schema::new(
    "a v1 route discovery service",
    &[
        word("cluster").required(),
        word("route_config_name").required(),
        positive_millis("refresh_delay_ms"),
        choice("api_type", API_TYPES),
    ],
);

pub(super) fn lds<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) {
    refuse(up, object, "listener discovery service (GET /v1/listeners/...)");
}

/// The cluster that is asked, an ordinary one. Clusters of the type `sds` are what asks it.
pub(super) fn sds<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    up.child(object, "cluster", &cluster::CLUSTER, |up, inner| {
        if inner.choice("type") == Some(cluster::SDS) {
            let at = inner.path.field("type");
            up.semantic(
                inner.mark_of("type"),
                &at,
                "the cluster that the discovery service is asked through cannot be discovered",
            );
            return None;
        }
        cluster::upgrade(up, inner)
    })
    .flatten()
}

/// The cluster that is asked, and how.
pub(super) fn cds<'t>(
    up: &mut Upgrade<'_, 't>,
    object: &Object<'_, '_, 't>,
) -> (Option<Node<'t>>, Option<Node<'t>>) {
    let cluster = up.child(object, "cluster", &cluster::CLUSTER, cluster::upgrade).flatten();
    if is_legacy(object) {
        refuse(up, object, "cluster discovery service (GET /v1/clusters/...)");
        return (cluster, None);
    }
    let name = cluster.as_ref().and_then(|cluster| copied(&cluster.get("name")?.value));
    (cluster, name.map(|name| source(up, object, name)))
}

pub(super) fn rds<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    if is_legacy(object) {
        refuse(up, object, "route discovery service (GET /v1/routes/...)");
        return None;
    }
    let source = source(up, object, object.copied("cluster")?);
    let rds = Fields::at(object.mark).with("config_source", source);
    Some(rds.with("route_config_name", object.copied("route_config_name")).node())
}

/// Whether v1's own protocol is asked for, and not by a word that could not be read.
fn is_legacy(object: &Object<'_, '_, '_>) -> bool {
    object.choice("api_type").map_or(!object.is_written("api_type"), |kind| kind == LEGACY)
}

/// The `ConfigSource` of today's protocols.
fn source<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>, cluster: Node<'t>) -> Node<'t> {
    let mark = object.mark;
    up.lossy(
        mark,
        &object.path,
        "the management server is asked for v3 resources; servers of v1's time spoke v2",
    );
    let mut api = Fields::at(mark);
    api.set("api_type", object.chosen("api_type"));
    api.set("transport_api_version", text(mark, "V3"));
    if object.choice("api_type") == Some("GRPC") {
        let grpc = Fields::at(cluster.mark).with("cluster_name", cluster);
        let service = Fields::at(mark).with("envoy_grpc", grpc.node()).node();
        api.set("grpc_services", list(mark, vec![service]));
    } else {
        api.set("cluster_names", list(cluster.mark, vec![cluster]));
        let refresh = object.integer("refresh_delay_ms").unwrap_or(DEFAULT_REFRESH_MS);
        api.set("refresh_delay", duration(object.mark_of("refresh_delay_ms"), refresh));
    }
    Fields::at(mark)
        .with("resource_api_version", text(mark, "V3"))
        .with("api_config_source", api.node())
        .node()
}

fn refuse(up: &mut Upgrade<'_, '_>, object: &Object<'_, '_, '_>, what: &str) {
    let message = format!("v1's {what} is not supported yet");
    up.error(object.mark, &object.path, ErrorKind::Unsupported, message);
}
