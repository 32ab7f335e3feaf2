//! Addresses: where something listens, and where an endpoint is.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nuncio_api::envoy::config::core::v3::{
    Address, SocketAddress,
    address::Address as Kind,
    socket_address::{PortSpecifier, Protocol},
};

use super::Context;
use crate::{model::EndpointAddress, path::Path, source::LoadOptions};

/// A literal address.
pub(crate) enum Literal {
    Plain(IpAddr),
    /// A v6 address on the link that an interface, by its number, is attached to.
    Scoped(Ipv6Addr, u32),
}

impl Literal {
    fn with_port(self, port: u16) -> SocketAddr {
        match self {
            Self::Plain(ip) => SocketAddr::new(ip, port),
            Self::Scoped(ip, scope) => SocketAddrV6::new(ip, port, 0, scope).into(),
        }
    }
}

/// Reads a literal address, which may end in the number or the name of an interface: `fe80::1%eth0`.
pub(crate) fn parse_ip(host: &str, options: &LoadOptions<'_>) -> Option<Literal> {
    let Some((ip, interface)) = host.split_once('%') else { return host.parse().ok().map(Literal::Plain) };
    let ip = ip.parse().ok()?;
    if let Ok(number) = interface.parse() {
        return Some(Literal::Scoped(ip, number));
    }
    if interface.contains(['/', '.']) {
        return None;
    }
    // The kernel's number for the name.
    let number = options.externals().file(&format!("/sys/class/net/{interface}/ifindex")).ok()?;
    Some(Literal::Scoped(ip, std::str::from_utf8(&number).ok()?.trim().parse().ok()?))
}

/// The address of a listener, which must be a literal one, and its `ipv4_compat`.
pub(super) fn listening(
    context: &mut Context<'_>,
    at: &Path<'_>,
    address: Address,
) -> Option<(SocketAddr, bool)> {
    let socket = at.field("socket_address");
    let parts = parts(context, at, address)?;
    match parse_ip(&parts.host, context.options) {
        Some(ip) => Some((ip.with_port(parts.port), parts.ipv4_compat)),
        None => {
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
    if let Some(ip) = parse_ip(&parts.host, context.options) {
        return Some(EndpointAddress::Socket(ip.with_port(parts.port)));
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
