//! The TCP proxy. In v1 it chose a cluster by addresses and ports; in v3 it has one, and filter chains choose.

use std::{collections::HashSet, rc::Rc};

use super::{
    access_log,
    address::{self, Range},
    fields::{Fields, duration, extension, integer, list},
    listener::Found,
    network_filter::Chain,
    reader::{Object, Upgrade, shared, shortened},
    schema::{Schema, list as list_key, object, texts, word},
    tcp_conditions::Conditions,
};
use crate::{
    error::ErrorKind,
    tree::{Mark, Node},
};

pub(super) const PROXY: Schema = Schema::new(
    "a v1 TCP proxy",
    &[word("stat_prefix").required(), object("route_config").required(), list_key("access_log", 0)],
)
.mistakes(&[("cluster", "the cluster stands in the routes of \"route_config\"")]);

const TABLE: Schema = Schema::new("a v1 route table of a TCP proxy", &[list_key("routes", 0).required()]);

const ROUTE: Schema = Schema::new(
    "a v1 route of a TCP proxy",
    &[
        word("cluster").required(),
        texts("source_ip_list"),
        word("source_ports"),
        texts("destination_ip_list"),
        word("destination_ports"),
    ],
);

/// Filter chains name each port, so there may not be too many.
const MOST_PORTS: usize = 4096;
/// The same for combinations of ports and addresses in all chains of a listener. Envoy keeps each of them.
const MOST_COMBINATIONS: usize = 16_384;
/// Filter chains of a listener.
const MOST_CHAINS: usize = 4096;

/// A route's conditions and its cluster.
struct Route<'t> {
    mark: Mark,
    cluster: Option<Node<'t>>,
    conditions: Conditions,
}

impl<'t> Route<'t> {
    fn target(&self) -> Option<&str> {
        Some(&*self.cluster.as_ref()?.scalar()?.text)
    }
}

/// The filter, if it does not depend on addresses. Otherwise its filter chains go to `found`.
pub(super) fn upgrade<'t>(
    up: &mut Upgrade<'_, 't>,
    filter: &Object<'_, '_, 't>,
    config: &Object<'_, '_, 't>,
    found: &mut Found<'t>,
) -> Option<Node<'t>> {
    let routes = up.child(config, "route_config", &TABLE, |up, table| {
        let mut routes = Vec::new();
        up.items(table, "routes", |up, item, at| {
            if let Some(route) = up.read(item, at, &ROUTE)
                && let Some(read) = read(up, &route, found)
            {
                differs(up, &route, &routes, &read);
                routes.push(read);
            }
        });
        if let Some(all) = routes.iter().position(|route| route.conditions.take_everything())
            && all + 1 < routes.len()
        {
            let message = format!(
                "routes after routes[{all}], which takes everything, are left out; v1 did not reach them"
            );
            up.lossy(table.mark_of("routes"), &table.path.field("routes"), message);
            routes.truncate(all + 1);
        }
        routes
    });
    let proxy = Proxy {
        filter: filter.mark,
        config,
        logs: up.each(config, "access_log", &access_log::LOG, access_log::upgrade).map(Rc::new),
    };
    let mut routes = routes?.into_iter();
    if let Some(first) = routes.as_slice().first()
        && first.conditions.take_everything()
    {
        return routes.next().map(|route| proxy.to(route.cluster));
    }
    let mut taken = HashSet::new();
    for route in routes {
        chains(&proxy, route, found, &mut taken);
    }
    if found.chains.len() > MOST_CHAINS {
        let message = format!("more than {MOST_CHAINS} filter chains would be needed for these routes");
        up.error(
            config.mark_of("route_config"),
            &config.path.field("route_config"),
            ErrorKind::Unsupported,
            message,
        );
        found.chains.clear();
    }
    None
}

/// What the filter is whatever its cluster.
struct Proxy<'p, 'o, 'n, 't> {
    filter: Mark,
    config: &'p Object<'o, 'n, 't>,
    logs: Option<Rc<Node<'t>>>,
}

impl<'t> Proxy<'_, '_, '_, 't> {
    fn to(&self, cluster: Option<Node<'t>>) -> Node<'t> {
        let mark = self.config.mark;
        let payload = Fields::of_type(mark, "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy")
            .with("stat_prefix", self.config.copied("stat_prefix"))
            .with("cluster", cluster)
            // v1 never closed a connection because it was idle; v3 does after an hour.
            .with("idle_timeout", duration(mark, 0))
            .with("access_log", again(&self.logs));
        let Node { value, .. } = extension("envoy.filters.network.tcp_proxy", payload).node();
        Node { mark: self.filter, value }
    }
}

/// A value that every filter chain has.
fn again<'t>(node: &Option<Rc<Node<'t>>>) -> Option<Node<'t>> {
    node.as_ref().map(|node| shared(node.mark, node))
}

/// One connection that a route takes: its destination's port and range, its source's range and port.
type Combination = (Option<u16>, Option<Range>, Option<Range>, Option<u16>);

/// The chains of a route, without what earlier routes have taken.
fn chains<'t>(
    proxy: &Proxy<'_, '_, '_, 't>,
    route: Route<'t>,
    found: &mut Found<'t>,
    taken: &mut HashSet<Combination>,
) {
    let Route { mark, cluster, conditions } = route;
    let cluster = cluster.map(Rc::new);
    let mut add = |port: Option<u16>, ranges: &[Range], source_ranges: &[Range], source_ports: &[u16]| {
        let range_list = |ranges: &[Range]| {
            (!ranges.is_empty()).then(|| list(mark, ranges.iter().map(|range| range.node(mark)).collect()))
        };
        let numbers: Vec<_> = source_ports.iter().map(|port| integer(mark, (*port).into())).collect();
        let matches = Fields::at(mark)
            .with("destination_port", port.map(|port| integer(mark, port.into())))
            .with("prefix_ranges", range_list(ranges))
            .with("source_prefix_ranges", range_list(source_ranges))
            .with("source_ports", (!numbers.is_empty()).then(|| list(mark, numbers)));
        found.chains.push(Chain { matches: matches.node_if_any(), proxy: proxy.to(again(&cluster)) });
    };
    for port in any_or(&conditions.ports) {
        let mut left = Vec::new();
        let mut all = true;
        for range in any_or(&conditions.ranges) {
            for source_range in any_or(&conditions.source_ranges) {
                let mut ports = any_or(&conditions.source_ports);
                let before = ports.len();
                ports.retain(|source_port| taken.insert((port, range, source_range, *source_port)));
                all &= ports.len() == before;
                if !ports.is_empty() {
                    left.push((range, source_range, ports));
                }
            }
        }
        if all {
            add(port, &conditions.ranges, &conditions.source_ranges, &conditions.source_ports);
            continue;
        }
        for (range, source_range, ports) in left {
            let ports: Vec<u16> = ports.into_iter().flatten().collect();
            add(port, range.as_slice(), source_range.as_slice(), &ports);
        }
    }
}

/// Each value, or once none.
fn any_or<T: Copy>(values: &[T]) -> Vec<Option<T>> {
    if values.is_empty() { vec![None] } else { values.iter().copied().map(Some).collect() }
}

/// Reports that Envoy would not always take the route that v1 took.
fn differs<'t>(
    up: &mut Upgrade<'_, 't>,
    route: &Object<'_, '_, 't>,
    earlier: &[Route<'t>],
    read: &Route<'t>,
) {
    // A route that takes everything gets what is left, and later ones nothing.
    if earlier.iter().chain([read]).any(|route| route.conditions.take_everything()) {
        return;
    }
    let clash = earlier
        .iter()
        .position(|other| other.conditions.clash(&read.conditions, other.target() == read.target()));
    if let Some(index) = clash {
        let message = format!(
            "overlaps routes[{index}] in a way that v3 cannot say: v1 took the first route that fits, filter chains the \
             most specific port, then address, then source"
        );
        up.error(route.mark, &route.path, ErrorKind::Unsupported, message);
    }
}

/// None if the route asks for something that cannot be read or is too much, which is reported.
fn read<'t>(
    up: &mut Upgrade<'_, 't>,
    route: &Object<'_, '_, 't>,
    found: &mut Found<'t>,
) -> Option<Route<'t>> {
    let ranges = (ranges(up, route, "destination_ip_list"), ranges(up, route, "source_ip_list"));
    let ports = (ports(up, route, "destination_ports"), ports(up, route, "source_ports"));
    let conditions =
        Conditions { ports: ports.0?, ranges: ranges.0?, source_ranges: ranges.1?, source_ports: ports.1? };
    let all = found.combinations.saturating_add(conditions.combinations());
    if all > MOST_COMBINATIONS {
        let message = format!(
            "the ports and addresses of the routes up to here make {all} combinations; a listener may have \
             {MOST_COMBINATIONS}, because filter chains name each"
        );
        up.error(route.mark, &route.path, ErrorKind::Unsupported, message);
        return None;
    }
    found.combinations = all;
    Some(Route { mark: route.mark, cluster: route.copied("cluster"), conditions })
}

/// The ranges, each once.
fn ranges(up: &mut Upgrade<'_, '_>, route: &Object<'_, '_, '_>, key: &'static str) -> Option<Vec<Range>> {
    let at = route.path.field(key);
    let mut seen = HashSet::new();
    let mut ranges = Vec::new();
    let mut right = true;
    for (index, (mark, range)) in route.texts(key).into_iter().enumerate() {
        match address::cidr(up, mark, &at.index(index), range) {
            Some(range) if seen.insert(range) => ranges.push(range),
            Some(_) => {}
            None => right = false,
        }
    }
    right.then_some(ranges)
}

/// Ports and ranges of ports, separated by commas: each once, in order. Empty if every port is meant.
fn ports(up: &mut Upgrade<'_, '_>, route: &Object<'_, '_, '_>, key: &'static str) -> Option<Vec<u16>> {
    let Some(written) = route.text(key) else { return Some(Vec::new()) };
    let (mark, at) = (route.mark_of(key), route.path.field(key));
    let mut spans = Vec::new();
    for part in written.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            // Nothing comes from or goes to port 0.
            (Ok(first), Ok(last)) if first <= last && last > 0 => spans.push((first.max(1), last)),
            _ => {
                let message = format!(
                    "{:?} is neither a port nor a range of ports such as \"1024-2048\"",
                    shortened(part)
                );
                up.error(mark, &at, ErrorKind::Rule, message);
                return None;
            }
        }
    }
    spans.sort_unstable();
    let mut ports = Vec::new();
    for (first, last) in spans {
        let next = ports.last().map_or(1, |port: &u16| port.saturating_add(1));
        if ports.last() != Some(&u16::MAX) {
            ports.extend(first.max(next)..=last);
        }
    }
    if ports.len() == usize::from(u16::MAX) {
        return Some(Vec::new());
    }
    if ports.len() > MOST_PORTS {
        let message = format!("more than {MOST_PORTS} ports have no counterpart in v3, where each is named");
        up.error(mark, &at, ErrorKind::Unsupported, message);
        return None;
    }
    Some(ports)
}
