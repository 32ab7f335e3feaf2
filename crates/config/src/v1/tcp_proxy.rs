//! The TCP proxy. In v1 it chose a cluster by addresses and ports; in v3 it has one, and filter chains choose.

use std::rc::Rc;

use super::{
    access_log, address,
    fields::{Fields, duration, extension, integer, list},
    listener::Found,
    network_filter::Chain,
    reader::{Object, Upgrade, shared},
    schema::{Schema, list as list_key, object, texts, word},
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

/// Each port of a list becomes a value of the new configuration, so there may not be too many.
const MOST_PORTS: usize = 1024;

/// A route's conditions and its cluster.
struct Route<'t> {
    mark: Mark,
    cluster: Option<Node<'t>>,
    source_ranges: Option<Node<'t>>,
    source_ports: Option<Node<'t>>,
    ranges: Option<Node<'t>>,
    /// A filter chain can ask for one port, so this becomes one chain for each.
    ports: Vec<(Mark, u16)>,
}

impl Route<'_> {
    fn takes_everything(&self) -> bool {
        self.source_ranges.is_none()
            && self.source_ports.is_none()
            && self.ranges.is_none()
            && self.ports.is_empty()
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
            if let Some(route) = up.read(item, at, &ROUTE) {
                routes.push(read(up, &route));
            }
        });
        let conditions = routes.iter().filter(|route| !route.takes_everything()).count();
        if conditions > 1 {
            let message =
                "the route with the most specific addresses and ports is taken; v1 took the first that fits";
            up.lossy(table.mark_of("routes"), &table.path.field("routes"), message);
        }
        if let Some(all) = routes.iter().position(Route::takes_everything)
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
        && first.takes_everything()
    {
        return routes.next().map(|route| proxy.to(route.cluster));
    }
    for route in routes {
        chains(&proxy, route, found);
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

fn chains<'t>(proxy: &Proxy<'_, '_, '_, 't>, route: Route<'t>, found: &mut Found<'t>) {
    let Route { mark, cluster, source_ranges, source_ports, ranges, ports } = route;
    let [cluster, source_ranges, source_ports, ranges] =
        [cluster, source_ranges, source_ports, ranges].map(|node| node.map(Rc::new));
    let ports: Vec<Option<(Mark, u16)>> =
        if ports.is_empty() { vec![None] } else { ports.into_iter().map(Some).collect() };
    for port in ports {
        let matches = Fields::at(mark)
            .with("destination_port", port.map(|(mark, port)| integer(mark, port.into())))
            .with("prefix_ranges", again(&ranges))
            .with("source_prefix_ranges", again(&source_ranges))
            .with("source_ports", again(&source_ports));
        found.chains.push(Chain { matches: matches.node_if_any(), proxy: proxy.to(again(&cluster)) });
    }
}

fn read<'t>(up: &mut Upgrade<'_, 't>, route: &Object<'_, '_, 't>) -> Route<'t> {
    let source_ports = ports(up, route, "source_ports");
    Route {
        mark: route.mark,
        cluster: route.copied("cluster"),
        source_ranges: ranges(up, route, "source_ip_list"),
        source_ports: source_ports.first().map(|(mark, _)| {
            list(*mark, source_ports.iter().map(|(mark, port)| integer(*mark, (*port).into())).collect())
        }),
        ranges: ranges(up, route, "destination_ip_list"),
        ports: ports(up, route, "destination_ports"),
    }
}

fn ranges<'t>(up: &mut Upgrade<'_, 't>, route: &Object<'_, '_, 't>, key: &'static str) -> Option<Node<'t>> {
    let at = route.path.field(key);
    let mut ranges = Vec::new();
    for (index, (mark, range)) in route.texts(key).into_iter().enumerate() {
        ranges.extend(address::cidr(up, mark, &at.index(index), range));
    }
    (!ranges.is_empty()).then(|| list(route.mark_of(key), ranges))
}

/// Ports and ranges of ports, separated by commas. None if every port is meant.
fn ports(up: &mut Upgrade<'_, '_>, route: &Object<'_, '_, '_>, key: &'static str) -> Vec<(Mark, u16)> {
    let Some(written) = route.text(key) else { return Vec::new() };
    let (mark, at) = (route.mark_of(key), route.path.field(key));
    let mut ports = Vec::new();
    for part in written.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            (Ok(first), Ok(u16::MAX)) if first <= 1 => return Vec::new(),
            (Ok(first), Ok(last)) if first <= last && last > 0 => {
                // Nothing comes from or goes to port 0.
                let room = (MOST_PORTS + 1).saturating_sub(ports.len());
                ports.extend((first.max(1)..=last).take(room).map(|port| (mark, port)));
            }
            _ => {
                let message =
                    format!("{part:?} is neither a port nor a range of ports such as \"1024-2048\"");
                up.error(mark, &at, ErrorKind::Rule, message);
                return Vec::new();
            }
        }
    }
    if ports.len() > MOST_PORTS {
        let message = format!("more than {MOST_PORTS} ports have no counterpart in v3, where each is named");
        up.error(mark, &at, ErrorKind::Unsupported, message);
        return Vec::new();
    }
    ports.sort_by_key(|(_, port)| *port);
    ports.dedup_by_key(|(_, port)| *port);
    ports
}
