//! Addresses: v1 writes them as URLs, `tcp://IP:PORT` and `unix://PATH`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    fields::{Fields, integer, text},
    reader::{Object, Upgrade, shortened},
};
use crate::{
    error::ErrorKind,
    path::Path,
    tree::{Mark, Node},
};

/// What may stand between the scheme and the port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    /// An IP address that is listened on.
    Listening,
    /// An IP address of a host of a static cluster.
    Static,
    /// A name or an IP address.
    Name,
}

/// The address of something that listens: `address`, or `port` as versions up to 1.2 had it.
pub(super) fn listening<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    if !object.is_written("address") && !object.is_written("port") {
        up.error(object.mark, &object.path.field("address"), ErrorKind::Rule, "is required");
    }
    match up.one_of(object, &["address", "port"], false)? {
        "port" => {
            let port = object.integer("port")?;
            Some(socket(object.mark_of("port"), "0.0.0.0", port, false))
        }
        _ => {
            let url = object.text("address")?;
            from_url(up, object.mark_of("address"), &object.path.field("address"), url, Host::Listening)
        }
    }
}

/// An address from its URL.
pub(super) fn from_url<'t>(
    up: &mut Upgrade<'_, 't>,
    mark: Mark,
    path: &Path<'_>,
    url: &str,
    host: Host,
) -> Option<Node<'t>> {
    match read_url(url, host) {
        Ok(Parsed::Tcp { host, port }) => Some(socket(mark, &host, port.into(), false)),
        Ok(Parsed::Unix(file)) => {
            let pipe = Fields::at(mark).with("path", text(mark, file)).node();
            Some(Fields::at(mark).with("pipe", pipe).node())
        }
        Err(message) => {
            up.error(mark, path, ErrorKind::Rule, unless_long(url, message));
            None
        }
    }
}

/// Reasons show what is written, which may be long.
fn unless_long(written: &str, message: String) -> String {
    const LONG: usize = 300;
    if written.len() <= LONG { message } else { format!("{:?} is no address", shortened(written)) }
}

/// An IP address and a port without a scheme, as statsd and DNS servers are written.
pub(super) fn ip_and_port<'t>(
    up: &mut Upgrade<'_, 't>,
    mark: Mark,
    path: &Path<'_>,
    written: &str,
    udp: bool,
) -> Option<Node<'t>> {
    let parsed = match written.split_once("://") {
        Some((_, rest)) => {
            Err(format!("{written:?} has a scheme, which does not belong here{}", did_you_mean(rest)))
        }
        None => host_and_port(written)
            .and_then(|(host, port)| if is_ip(host) { Ok((host, port)) } else { Err(not_an_ip(host)) }),
    };
    match parsed {
        Ok((host, port)) => Some(socket(mark, host, port.into(), udp)),
        Err(message) => {
            up.error(mark, path, ErrorKind::Rule, unless_long(written, message));
            None
        }
    }
}

pub(super) fn socket<'t>(mark: Mark, host: &str, port: i64, udp: bool) -> Node<'t> {
    let socket = Fields::at(mark)
        .with("protocol", udp.then(|| text(mark, "UDP")))
        .with("address", text(mark, host.to_owned()))
        .with("port_value", integer(mark, port));
    Fields::at(mark).with("socket_address", socket.node()).node()
}

/// A range of IP addresses, `10.0.0.0/8`. Bits behind the prefix are 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Range {
    is_v4: bool,
    /// The address, its first bit on the left.
    bits: u128,
    length: u8,
}

impl Range {
    fn read(written: &str) -> Option<Self> {
        let (prefix, length) = written.split_once('/')?;
        let (bits, most, is_v4) = match prefix.parse::<IpAddr>().ok()? {
            IpAddr::V4(ip) => (u128::from(ip.to_bits()) << 96, 32, true),
            IpAddr::V6(ip) => (ip.to_bits(), 128, false),
        };
        let length = length.parse::<u8>().ok().filter(|length| *length <= most)?;
        Some(Self { is_v4, bits: bits & mask(length), length })
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        self.is_v4 == other.is_v4
            && self.length <= other.length
            && (self.bits ^ other.bits) & mask(self.length) == 0
    }

    pub(super) fn is_everything(&self) -> bool {
        self.length == 0
    }

    pub(super) fn node<'t>(self, mark: Mark) -> Node<'t> {
        let prefix = if self.is_v4 {
            IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(self.bits >> 96).unwrap_or_default()))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(self.bits))
        };
        let range = Fields::at(mark).with("address_prefix", text(mark, prefix.to_string()));
        range.with("prefix_len", integer(mark, self.length.into())).node()
    }
}

/// So many bits, from the left.
fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

/// A range from its text; something else is reported.
pub(super) fn cidr(up: &mut Upgrade<'_, '_>, mark: Mark, path: &Path<'_>, written: &str) -> Option<Range> {
    let range = Range::read(written);
    if range.is_none() {
        let message =
            format!("{:?} is not a range of IP addresses such as \"10.0.0.0/8\"", shortened(written));
        up.error(mark, path, ErrorKind::Rule, message);
    }
    range
}

enum Parsed {
    Tcp { host: String, port: u16 },
    Unix(String),
}

fn read_url(url: &str, host: Host) -> Result<Parsed, String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        let address = url.strip_prefix("tcp:").map_or(url, |rest| rest.trim_start_matches('/'));
        let (scheme, port) = match (url.starts_with('/'), host_and_port(address)) {
            (true, _) => ("unix", ""),
            (false, Ok(_)) => ("tcp", ""),
            (false, Err(_)) => ("tcp", ":80"),
        };
        let meant = did_you_mean(&format!("{scheme}://{address}{port}"));
        return Err(format!("{url:?} does not say how to connect{meant}"));
    };
    match scheme {
        "unix" if host == Host::Name => {
            Err(format!("{url:?} is a path, and the hosts of a cluster of this type are found by DNS"))
        }
        "unix" if rest.is_empty() => Err(format!("{url:?} has no path after \"unix://\"")),
        "unix" => Ok(Parsed::Unix(rest.to_owned())),
        "tcp" => tcp(url, rest, host),
        _ => {
            let address = rest.split('/').next().unwrap_or_default();
            let port = match (address.contains(':'), scheme) {
                (true, _) => "",
                (false, "https") => ":443",
                (false, _) => ":80",
            };
            let meant = did_you_mean(&format!("tcp://{address}{port}"));
            Err(format!("{url:?} starts with {scheme:?}; only \"tcp\" and \"unix\" are known here{meant}"))
        }
    }
}

fn tcp(url: &str, rest: &str, host: Host) -> Result<Parsed, String> {
    if let Some((address, path)) = rest.split_once('/') {
        let what = if path.is_empty() { "ends with \"/\"" } else { "has a path" };
        let meant = did_you_mean(&format!("tcp://{address}"));
        return Err(format!("{url:?} {what}, which does not belong to an address{meant}"));
    }
    let (name, port) = host_and_port(rest)?;
    match host {
        Host::Name if name.is_empty() => Err(format!("{url:?} has no name before the port")),
        Host::Name => Ok(Parsed::Tcp { host: name.to_owned(), port }),
        Host::Static if !is_ip(name) => {
            Err(format!("{}; a cluster of the type \"strict_dns\" resolves names", not_an_ip(name)))
        }
        Host::Listening if !is_ip(name) => {
            let instead = "a listener is bound to an address, not to a name (0.0.0.0 stands for all)";
            Err(format!("{}; {instead}", not_an_ip(name)))
        }
        Host::Static | Host::Listening => Ok(Parsed::Tcp { host: name.to_owned(), port }),
    }
}

/// The port is behind the last colon; an IPv6 address stands in brackets.
fn host_and_port(written: &str) -> Result<(&str, u16), String> {
    let Some((host, port)) =
        written.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'))
    else {
        let meant = match written.rsplit_once(':') {
            // The port of an IPv6 address without brackets reads as its last part.
            Some((host, port)) if is_ip(host) => format!("[{host}]:{port}"),
            Some(_) if is_ip(written) => format!("[{written}]:80"),
            _ => format!("{written}:80"),
        };
        return Err(format!("{written:?} has no port (for instance {meant:?})"));
    };
    let number: Option<u16> = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()));
    let port = number.ok_or_else(|| format!("{port:?} is not a port from 0 to 65535"))?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok((host, port))
}

fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn not_an_ip(text: &str) -> String {
    format!("{text:?} is not an IP address")
}

fn did_you_mean(meant: &str) -> String {
    format!(" (did you mean {meant:?}?)")
}
