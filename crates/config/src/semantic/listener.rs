//! Listeners: their addresses, and which of their filter chains takes a connection.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
};

use prost_reflect::DynamicMessage;

use super::{Check, Scope, address, fields::Fields as _};
use crate::path::Path;

/// Network filters that answer or forward connections, so that no filter can follow.
const TERMINAL: &[&str] = &[
    "envoy.extensions.filters.network.direct_response.",
    "envoy.extensions.filters.network.dubbo_proxy.",
    "envoy.extensions.filters.network.echo.",
    "envoy.extensions.filters.network.generic_proxy.",
    "envoy.extensions.filters.network.http_connection_manager.",
    "envoy.extensions.filters.network.redis_proxy.",
    "envoy.extensions.filters.network.tcp_proxy.",
    "envoy.extensions.filters.network.thrift_proxy.",
];

/// Network filters that never do.
const NOT_TERMINAL: &[&str] = &[
    "envoy.extensions.filters.network.connection_limit.",
    "envoy.extensions.filters.network.ext_authz.",
    "envoy.extensions.filters.network.local_ratelimit.",
    "envoy.extensions.filters.network.mongo_proxy.",
    "envoy.extensions.filters.network.ratelimit.",
    "envoy.extensions.filters.network.rbac.",
    "envoy.extensions.filters.network.set_filter_state.",
    "envoy.extensions.filters.network.sni_cluster.",
    "envoy.extensions.filters.network.zookeeper_proxy.",
];

pub(super) fn of_message(full_name: &str) -> Option<Check> {
    Some(match full_name {
        "envoy.config.bootstrap.v3.Bootstrap.StaticResources" => resources,
        "envoy.config.listener.v3.Listener" => listener,
        "envoy.config.listener.v3.FilterChain" => chain,
        "envoy.config.listener.v3.FilterChainMatch" => chain_match,
        _ => return None,
    })
}

/// Two listeners cannot have one address, and two secrets cannot have one name.
fn resources(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let mut addresses: HashMap<SocketAddr, usize> = HashMap::new();
    let listeners_at = path.field("listeners");
    for (index, listener) in message.messages("listeners").enumerate() {
        let at = listeners_at.index(index);
        let additional_at = at.field("additional_addresses");
        let first = listener.message("address").map(|address| (address, None));
        let others = listener.messages("additional_addresses").enumerate();
        let others = others.filter_map(|(index, other)| Some((other.message("address")?, Some(index))));
        for (address, additional) in first.into_iter().chain(others) {
            let Some(socket) = address.message("socket_address") else { continue };
            let port = socket.number("port_value").and_then(|port| u16::try_from(port).ok());
            // Port 0 asks for any free port, so two of them do not meet.
            let Some(port) = port.filter(|port| *port != 0) else { continue };
            let Ok(ip) = socket.text("address").parse::<IpAddr>() else { continue };
            let bound = SocketAddr::new(ip, port);
            if let Some(first) = addresses.insert(bound, index) {
                let error = format!("listeners[{first}] listens on {bound} already");
                match additional {
                    None => scope.error(&at.field("address"), error),
                    Some(index) => scope.error(&additional_at.index(index).field("address"), error),
                }
            }
        }
    }
    let mut secrets: BTreeSet<&str> = BTreeSet::new();
    let secrets_at = path.field("secrets");
    for (index, secret) in message.messages("secrets").enumerate() {
        if !secrets.insert(secret.text("name")) {
            let error = format!("another secret is named {:?}", secret.text("name"));
            scope.error(&secrets_at.index(index).field("name"), error);
        }
    }
}

fn listener(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let at = path.field("address");
    if let Some(address) = message.message("address") {
        address::without_resolver(scope, address, &at);
        if address.has("envoy_internal_address") {
            scope.error(
                &at.field("envoy_internal_address"),
                "is not for listeners; set \"internal_listener\" instead",
            );
        }
        if let Some(socket) = address.message("socket_address") {
            self::socket(scope, message, socket, &at.field("socket_address"));
        }
    }
    let chains_at = path.field("filter_chains");
    let chains: Vec<Conditions<'_>> = message
        .messages("filter_chains")
        .map(|chain| Conditions::of(chain.message("filter_chain_match")))
        .collect();
    // Only chains with a port and a server name in common are compared, since there may be thousands.
    let mut alike: HashMap<(Option<&Wanted<'_>>, Option<&Wanted<'_>>), Vec<usize>> = HashMap::new();
    for (index, chain) in chains.iter().enumerate() {
        let mut earlier: Option<usize> = None;
        for key in chain.keys() {
            let with_key = alike.entry(key).or_default();
            let met = with_key.iter().find(|at| chains.get(**at).is_some_and(|other| other.meets(chain)));
            earlier = earlier.into_iter().chain(met.copied()).min();
            with_key.push(index);
        }
        if let Some(earlier) = earlier {
            let error =
                format!("a connection can match filter_chains[{earlier}] as well; their matches must differ");
            scope.error(&chains_at.index(index).field("filter_chain_match"), error);
        }
    }
}

fn socket(scope: &mut Scope<'_>, listener: &DynamicMessage, socket: &DynamicMessage, path: &Path<'_>) {
    const UDP: i128 = 1;
    if socket.number("protocol") == Some(UDP)
        && !listener.has("udp_listener_config")
        && listener.has("filter_chains")
    {
        scope.error(&path.field("protocol"), "UDP has no connections, and filter chains are for connections");
    }
    let ip = socket.text("address").parse::<IpAddr>();
    let takes_both = match ip {
        Ok(IpAddr::V6(ip)) => ip.is_unspecified() || ip.to_ipv4_mapped().is_some(),
        Ok(IpAddr::V4(_)) => false,
        Err(_) => true,
    };
    if socket.flag("ipv4_compat") && !takes_both {
        scope.error(
            &path.field("ipv4_compat"),
            "is only for the address \"::\" and for IPv4-mapped IPv6 addresses",
        );
    }
}

fn chain(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let at = path.field("filters");
    let count = message.items("filters").len();
    for (index, filter) in message.messages("filters").enumerate() {
        let found = filter.type_name("typed_config");
        let is_last = index + 1 == count;
        if !is_last && TERMINAL.iter().any(|prefix| found.starts_with(prefix)) {
            scope.error(&at.index(index), "must be the last filter, because it takes the connection over");
        } else if is_last && NOT_TERMINAL.iter().any(|prefix| found.starts_with(prefix)) {
            scope.error(
                &at.index(index),
                "cannot be the last filter, because it does nothing with the connection",
            );
        }
    }
    let socket = message.message("transport_socket").map(|socket| socket.type_name("typed_config"));
    if let Some(found) = socket.filter(|found| found.contains("Upstream")) {
        let at = path.field("transport_socket");
        scope.error(&at.field("typed_config"), format!("{found} is for clusters, not for listeners"));
    }
}

fn chain_match(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    for field in ["address_suffix", "suffix_len"] {
        if message.has(field) {
            scope.error(&path.field(field), "is not implemented in Envoy either");
        }
    }
    let at = path.field("server_names");
    for (index, name) in message.texts("server_names").enumerate() {
        let body = name.strip_prefix("*.").unwrap_or(name);
        if body.contains('*') {
            let error =
                format!("{name:?} has a wildcard that is not a whole first label; write \"*.example.org\"");
            scope.error(&at.index(index), error);
        }
    }
}

/// Which connections a filter chain takes: for each condition the values that fulfil it; none if any value does. The
/// port comes first, and the server names second.
struct Conditions<'m> {
    each: [BTreeSet<Wanted<'m>>; 8],
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Wanted<'m> {
    Number(i128),
    Text(&'m str),
    Range(IpAddr, u32),
}

impl<'m> Conditions<'m> {
    fn of(message: Option<&'m DynamicMessage>) -> Self {
        let texts = |field: &str| -> BTreeSet<Wanted<'m>> {
            let texts = message.into_iter().flat_map(|message| message.texts(field));
            texts.filter(|text| !text.is_empty()).map(Wanted::Text).collect()
        };
        let ranges = |field: &str| -> BTreeSet<Wanted<'m>> {
            message.into_iter().flat_map(|message| message.messages(field)).filter_map(range).collect()
        };
        let ports = message.into_iter().flat_map(|message| message.items("source_ports"));
        let number = |field: &str| message.and_then(|message| message.number(field));
        let transport =
            message.map(|message| message.text("transport_protocol")).filter(|text| !text.is_empty());
        Self {
            each: [
                number("destination_port").map(Wanted::Number).into_iter().collect(),
                texts("server_names"),
                ranges("prefix_ranges"),
                transport.map(Wanted::Text).into_iter().collect(),
                texts("application_protocols"),
                ranges("direct_source_prefix_ranges"),
                ranges("source_prefix_ranges"),
                number("source_type")
                    .filter(|kind| *kind != 0)
                    .map(|kind| Wanted::Number(-kind))
                    .into_iter()
                    .chain(ports.filter_map(|port| Some(Wanted::Number(port.as_u32()?.into()))))
                    .collect(),
            ],
        }
    }

    /// The port with each of the server names.
    fn keys(&self) -> Vec<(Option<&Wanted<'m>>, Option<&Wanted<'m>>)> {
        let [ports, names, ..] = &self.each;
        let port = ports.first();
        if names.is_empty() {
            vec![(port, None)]
        } else {
            names.iter().map(|name| (port, Some(name))).collect()
        }
    }

    /// Whether both ask for the same in every condition. Of a wider and a narrower one, the narrower wins.
    fn meets(&self, other: &Self) -> bool {
        self.each.iter().zip(&other.each).all(|(mine, theirs)| {
            mine.is_empty() && theirs.is_empty() || mine.intersection(theirs).next().is_some()
        })
    }
}

/// The addresses of a range, with its bits beyond the prefix cleared.
fn range(message: &DynamicMessage) -> Option<Wanted<'static>> {
    let length = u32::try_from(message.number("prefix_len").unwrap_or(0)).ok()?;
    Some(match message.text("address_prefix").parse::<IpAddr>().ok()? {
        IpAddr::V4(ip) => {
            let length = length.min(32);
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            Wanted::Range(IpAddr::V4((ip.to_bits() & mask).into()), length)
        }
        IpAddr::V6(ip) => {
            let length = length.min(128);
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            Wanted::Range(IpAddr::V6((ip.to_bits() & mask).into()), length)
        }
    })
}
