//! Addresses: where something listens, and where an endpoint is.

use std::net::{IpAddr, SocketAddr};

use nuncio_api::envoy::config::core::v3::{
    Address, SocketAddress,
    address::Address as Kind,
    socket_address::{PortSpecifier, Protocol},
};

use super::Context;
use crate::{model::EndpointAddress, path::Path};

/// The address of a listener, which must be a literal one, and its `ipv4_compat`.
pub(super) fn listening(
    context: &mut Context<'_>,
    at: &Path<'_>,
    address: Address,
) -> Option<(SocketAddr, bool)> {
    let socket = at.field("socket_address");
    let parts = parts(context, at, address)?;
    match parts.host.parse::<IpAddr>() {
        Ok(ip) => Some((SocketAddr::new(ip, parts.port), parts.ipv4_compat)),
        Err(_) => {
            context.error(&socket.field("address"), format!("{:?} is not an IP address", parts.host));
            None
        }
    }
}

/// The address of a DNS server.
pub(super) fn literal(context: &mut Context<'_>, at: &Path<'_>, address: Address) -> Option<SocketAddr> {
    let (address, ipv4_compat) = listening(context, at, address)?;
    refuse_ipv4_compat(context, at, ipv4_compat);
    Some(address)
}

/// The address of an endpoint: a literal one or, where names are resolved, a name.
pub(super) fn endpoint(
    context: &mut Context<'_>,
    at: &Path<'_>,
    address: Address,
    names_resolved: bool,
) -> Option<EndpointAddress> {
    let parts = parts(context, at, address)?;
    refuse_ipv4_compat(context, at, parts.ipv4_compat);
    if let Ok(ip) = parts.host.parse::<IpAddr>() {
        return Some(EndpointAddress::Socket(SocketAddr::new(ip, parts.port)));
    }
    if !names_resolved {
        let message =
            format!("{:?} is not an IP address; a cluster of type STRICT_DNS resolves names", parts.host);
        context.error(&at.field("socket_address").field("address"), message);
        return None;
    }
    Some(EndpointAddress::Name { host: parts.host, port: parts.port })
}

struct Parts {
    host: String,
    port: u16,
    ipv4_compat: bool,
}

fn parts(context: &mut Context<'_>, at: &Path<'_>, address: Address) -> Option<Parts> {
    let Address { address } = address;
    let socket = match address? {
        Kind::SocketAddress(socket) => socket,
        // Refused by the check before this.
        Kind::Pipe(_) | Kind::EnvoyInternalAddress(_) => return None,
    };
    let SocketAddress {
        protocol,
        address: host,
        ipv4_compat,
        port_specifier,
        resolver_name: _,
        network_namespace_filepath: _,
    } = socket;
    let at = at.field("socket_address");
    if protocol != Protocol::Tcp as i32 {
        context.unsupported(&at.field("protocol"), "only TCP is supported");
    }
    let port = match port_specifier? {
        PortSpecifier::PortValue(port) => u16::try_from(port).ok()?,
        PortSpecifier::NamedPort(_) => return None,
    };
    Some(Parts { host, port, ipv4_compat })
}

fn refuse_ipv4_compat(context: &mut Context<'_>, at: &Path<'_>, ipv4_compat: bool) {
    if ipv4_compat {
        let at = at.field("socket_address");
        context.unsupported(&at.field("ipv4_compat"), "is only supported for an address that is listened on");
    }
}
