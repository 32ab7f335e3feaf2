//! The endpoints of a cluster.

use nuncio_api::envoy::config::{
    core::v3::{HealthStatus, Locality},
    endpoint::v3::{
        ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier,
    },
};

use super::{Context, address};
use crate::{model, path::Path};

pub(super) fn assignment(
    context: &mut Context<'_>,
    at: &Path<'_>,
    message: ClusterLoadAssignment,
    names_resolved: bool,
) -> Vec<model::LocalityEndpoints> {
    let ClusterLoadAssignment { cluster_name: _, endpoints, named_endpoints: _, policy: _ } = message;
    let at = at.field("endpoints");
    endpoints
        .into_iter()
        .enumerate()
        .map(|(index, message)| locality(context, &at.index(index), message, names_resolved))
        .collect()
}

fn locality(
    context: &mut Context<'_>,
    at: &Path<'_>,
    message: LocalityLbEndpoints,
    names_resolved: bool,
) -> model::LocalityEndpoints {
    let LocalityLbEndpoints {
        locality,
        lb_endpoints,
        priority,
        metadata: _,
        load_balancing_weight: _,
        proximity: _,
        lb_config: _,
    } = message;
    if priority > 0 {
        context.unsupported(&at.field("priority"), "only priority 0 is supported");
    }
    let Locality { region, zone, sub_zone } = locality.unwrap_or_default();
    let at = at.field("lb_endpoints");
    let endpoints = lb_endpoints
        .into_iter()
        .enumerate()
        .filter_map(|(index, message)| endpoint(context, &at.index(index), message, names_resolved))
        .collect();
    model::LocalityEndpoints { region, zone, sub_zone, endpoints }
}

fn endpoint(
    context: &mut Context<'_>,
    at: &Path<'_>,
    message: LbEndpoint,
    names_resolved: bool,
) -> Option<model::Endpoint> {
    let LbEndpoint { health_status, load_balancing_weight, host_identifier, metadata: _ } = message;
    match HealthStatus::try_from(health_status) {
        Ok(HealthStatus::Unknown | HealthStatus::Healthy) | Err(_) => {}
        Ok(other) => {
            let message = format!("{} is not supported", other.as_str_name());
            context.unsupported(&at.field("health_status"), message);
        }
    }
    let at = at.field("endpoint");
    let Endpoint {
        address,
        hostname,
        health_check_config: _,
        additional_addresses: _,
        observability_name: _,
    } = match host_identifier {
        Some(HostIdentifier::Endpoint(endpoint)) => endpoint,
        // Refused by the check before this.
        Some(HostIdentifier::EndpointName(_)) => return None,
        None => {
            context.error(&at, "is required");
            return None;
        }
    };
    let address_at = at.field("address");
    let Some(address) = address else {
        context.error(&address_at, "is required");
        return None;
    };
    let Some(address) = address::endpoint(context, &address_at, address, names_resolved) else {
        context.unusable(&address_at, "without this address the endpoint cannot be reached");
        return None;
    };
    Some(model::Endpoint {
        address,
        weight: load_balancing_weight.unwrap_or(1),
        hostname,
        place: context.place(&at),
    })
}
