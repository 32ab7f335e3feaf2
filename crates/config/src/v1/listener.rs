//! Listeners and their network filters.

use std::rc::Rc;

use super::{
    address,
    fields::{Fields, extension, list, text},
    network_filter,
    reader::{Object, Upgrade, shared},
    schema::{Schema, any, boolean, choice, integer, list as list_key, object, text as text_key, word},
    tls,
};
use crate::tree::{Node, Value};

pub(super) const LISTENER: Schema = Schema::new(
    "a v1 listener",
    &[
        text_key("name"),
        word("address"),
        integer("port", 0, 65_535),
        list_key("filters", 0).required(),
        object("ssl_context"),
        boolean("bind_to_port"),
        boolean("use_proxy_proto"),
        boolean("use_original_dst"),
        boolean("transparent"),
        integer("per_connection_buffer_limit_bytes", 1, u32::MAX as i64),
        choice("drain_type", &[("default", "DEFAULT"), ("modify_only", "MODIFY_ONLY")]),
    ],
)
.mistakes(&[(
    "filter_chains",
    "it belongs to the v3 format, where listeners stand in \"static_resources\"; v1 has \"filters\" in the listener itself",
)]);

/// `type` told where a filter reads; v1 ignored it from 1.5 on.
pub(super) const FILTER: Schema = Schema::new(
    "a v1 network filter",
    &[
        word("name").required(),
        any("config").required(),
        choice("type", &[("read", ""), ("write", ""), ("both", "")]),
    ],
);

/// What the filters of a listener have to tell the listener.
#[derive(Default)]
pub(super) struct Found<'t> {
    /// `traffic_direction`, where a connection manager traces.
    pub(super) direction: Option<Node<'t>>,
    /// The TCP proxy decides by addresses: the filter chains for its routes.
    pub(super) chains: Vec<network_filter::Chain<'t>>,
    /// How many combinations of addresses and ports they stand for.
    pub(super) combinations: usize,
}

pub(super) fn upgrade<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let mut listener = Fields::at(object.mark);
    listener.set("name", object.copied("name"));
    listener.set("address", address::listening(up, object));
    let chains = filter_chains(up, object, &mut listener);
    listener.set("filter_chains", chains);
    for field in ["per_connection_buffer_limit_bytes", "bind_to_port", "use_original_dst", "transparent"] {
        listener.set(field, object.copied(field));
    }
    listener.set("drain_type", object.chosen("drain_type"));
    let mut filters = Vec::new();
    for (key, name, type_name) in [
        (
            "use_original_dst",
            "envoy.filters.listener.original_dst",
            "envoy.extensions.filters.listener.original_dst.v3.OriginalDst",
        ),
        (
            "use_proxy_proto",
            "envoy.filters.listener.proxy_protocol",
            "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
        ),
    ] {
        if object.is_true(key) {
            let config = Fields::of_type(object.mark_of(key), type_name);
            filters.push(extension(name, config).node());
        }
    }
    if !filters.is_empty() {
        listener.set("listener_filters", list(object.mark, filters));
    }
    Some(listener.node())
}

fn filter_chains<'t>(
    up: &mut Upgrade<'_, 't>,
    object: &Object<'_, '_, 't>,
    listener: &mut Fields<'t>,
) -> Option<Node<'t>> {
    let mark = object.mark_of("filters");
    let mut found = Found::default();
    let filters =
        up.each(object, "filters", &FILTER, |up, filter| network_filter::upgrade(up, filter, &mut found))?;
    listener.set("traffic_direction", found.direction.take());
    let socket = up.child(object, "ssl_context", &tls::DOWNSTREAM, tls::downstream).map(Rc::new);
    let tls = || socket.as_ref().map(|socket| shared(socket.mark, socket));
    if found.chains.is_empty() {
        let chain = Fields::at(mark).with("filters", filters).with("transport_socket", tls());
        return Some(list(mark, vec![chain.node()]));
    }
    // The TCP proxy is the last filter; those before it stand in every chain.
    let before: Vec<Rc<Node<'t>>> = match filters.value {
        Value::List(items) => items.into_iter().map(Rc::new).collect(),
        _ => Vec::new(),
    };
    let mut chains = Vec::new();
    for chain in found.chains {
        let mut filters: Vec<_> = before.iter().map(|filter| shared(filter.mark, filter)).collect();
        let at = chain.proxy.mark;
        filters.push(chain.proxy);
        let is_default = chain.matches.is_none();
        let chain = Fields::at(at)
            .with("filter_chain_match", chain.matches)
            .with("filters", list(at, filters))
            .with("transport_socket", tls())
            .node();
        // Once Envoy has found a port or an address it does not go back to a chain that asks for nothing.
        if is_default {
            listener.set("default_filter_chain", chain);
        } else {
            chains.push(chain);
        }
    }
    Some(list(mark, chains))
}

/// The direction that a connection manager's tracing gives to its listener.
pub(super) fn direct<'t>(up: &mut Upgrade<'_, 't>, found: &mut Found<'t>, tracing: &Object<'_, '_, 't>) {
    let Some(direction) = tracing.choice("operation_name") else { return };
    let mark = tracing.mark_of("operation_name");
    let other = found.direction.as_ref().and_then(Node::scalar).filter(|other| other.text != direction);
    if let Some(other) = other {
        let message = format!("a listener has one direction, and this one is {} already", other.text);
        up.lossy(mark, &tracing.path.field("operation_name"), message);
        return;
    }
    found.direction = Some(text(mark, direction));
}
