//! Listeners and their filter chains.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use nuncio_api::envoy::{
    config::listener::v3::{Filter, FilterChain, FilterChainMatch, Listener, filter::ConfigType},
    extensions::filters::network::http_connection_manager::v3::HttpConnectionManager,
};

use super::{Context, address, http, is, tls};
use crate::{encoded::Resources, model, path::Path};

const DEFAULT_BUFFER_LIMIT: u32 = 1 << 20;

pub(super) fn listeners(
    context: &mut Context<'_>,
    at: &Path<'_>,
    messages: &Resources,
) -> Vec<model::Listener> {
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut lowered = Vec::with_capacity(messages.len());
    for (index, message) in messages.listeners().enumerate() {
        let at = at.index(index);
        let Some(message) = message else {
            context.too_deep(&at);
            continue;
        };
        if !message.name.is_empty()
            && let Some(first) = names.insert(message.name.clone(), index)
        {
            let error = format!("listeners[{first}] has the name {:?} already", message.name);
            context.error(&at.field("name"), error);
        }
        let Some(listener) = listener(context, &at, message) else {
            context.unusable(&at.field("address"), "without this address the listener cannot listen");
            continue;
        };
        lowered.push(listener);
    }
    lowered
}

fn listener(context: &mut Context<'_>, at: &Path<'_>, message: Listener) -> Option<model::Listener> {
    let Listener {
        name,
        address,
        stat_prefix,
        filter_chains,
        per_connection_buffer_limit_bytes,
        enable_reuse_port,
        tcp_backlog_size,
        bind_to_port,
        use_original_dst,
        transparent,
        freebind,
        // They have no effect here, for the reasons in the support table.
        metadata: _,
        traffic_direction: _,
        listener_filters_timeout: _,
        continue_on_listener_filters_timeout: _,
        max_connections_to_accept_per_socket_event: _,
        ignore_global_conn_limit: _,
        bypass_overload_manager: _,
        additional_addresses: _,
        stats_matcher: _,
        fcds_config: _,
        default_filter_chain,
        per_connection_buffer_high_watermark_timeout: _,
        deprecated_v1: _,
        drain_type: _,
        listener_filters: _,
        socket_options: _,
        tcp_fast_open_queue_length: _,
        api_listener: _,
        connection_balance_config: _,
        reuse_port: _,
        access_log: _,
        enable_mptcp: _,
        tcp_keepalive: _,
        listener_specifier: _,
    } = message;
    for (field, value) in
        [("use_original_dst", use_original_dst), ("transparent", transparent), ("freebind", freebind)]
    {
        if value == Some(true) {
            context.unsupported(&at.field(field), "only false is supported");
        }
    }
    if bind_to_port == Some(false) {
        context.unsupported(&at.field("bind_to_port"), "only true is supported");
    }
    let address_at = at.field("address");
    let address = match address {
        Some(address) => address::listening(context, &address_at, address),
        None => {
            context.error(&address_at, "is required");
            None
        }
    };
    if filter_chains.is_empty() && default_filter_chain.is_none() {
        context.error(&at.field("filter_chains"), "must not be empty");
    }
    let chains = chains(context, &at.field("filter_chains"), filter_chains);
    let (address, ipv4_compat) = address?;
    Some(model::Listener {
        name: if name.is_empty() { unique_name() } else { name },
        address,
        ipv4_compat,
        stat_prefix: Some(stat_prefix).filter(|prefix| !prefix.is_empty()),
        reuse_port: enable_reuse_port.unwrap_or(true),
        per_connection_buffer_limit_bytes: per_connection_buffer_limit_bytes.unwrap_or(DEFAULT_BUFFER_LIMIT),
        tcp_backlog: tcp_backlog_size,
        filter_chains: chains,
        place: context.place(&address_at),
    })
}

/// As in Envoy, a listener without a name gets a random UUID.
fn unique_name() -> String {
    let random = || RandomState::new().build_hasher().finish();
    let (high, low) = (random(), random());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 48) & 0x3fff,
        low & 0xffff_ffff_ffff,
    )
}

fn chains(context: &mut Context<'_>, at: &Path<'_>, messages: Vec<FilterChain>) -> Vec<model::FilterChain> {
    let mut lowered = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let at = at.index(index);
        if index > 0 {
            context.guard(&at, "more than one filter chain is not supported");
        }
        lowered.extend(chain(context, &at, message));
    }
    lowered
}

fn chain(context: &mut Context<'_>, at: &Path<'_>, message: FilterChain) -> Option<model::FilterChain> {
    let FilterChain {
        filter_chain_match,
        filters,
        transport_socket,
        name,
        metadata: _,
        use_proxy_proto: _,
        transport_socket_connect_timeout: _,
    } = message;
    // Every condition has been refused by the check before this; what is left matches everything.
    let FilterChainMatch {
        destination_port: _,
        prefix_ranges: _,
        address_suffix: _,
        suffix_len: _,
        direct_source_prefix_ranges: _,
        source_type: _,
        source_prefix_ranges: _,
        source_ports: _,
        server_names: _,
        transport_protocol: _,
        application_protocols: _,
    } = filter_chain_match.unwrap_or_default();
    let tls =
        transport_socket.and_then(|socket| tls::downstream(context, &at.field("transport_socket"), socket));
    let http_connection_manager = network_filters(context, &at.field("filters"), filters);
    let Some(http_connection_manager) = http_connection_manager else {
        context.unusable(&at.field("filters"), "nothing is left that answers requests");
        return None;
    };
    Some(model::FilterChain { name, tls, http_connection_manager })
}

fn is_manager(config: &ConfigType) -> bool {
    matches!(config, ConfigType::TypedConfig(any) if is::<HttpConnectionManager>(any))
}

/// The one filter that there may be.
fn network_filters(
    context: &mut Context<'_>,
    at: &Path<'_>,
    filters: Vec<Filter>,
) -> Option<model::HttpConnectionManager> {
    if filters.is_empty() {
        context.guard(at, "a filter chain without an HTTP connection manager is not supported");
    }
    let mut manager = None;
    for (index, Filter { name: _, config_type }) in filters.into_iter().enumerate() {
        let at = at.index(index);
        let config_at = at.field("typed_config");
        // Every other kind of filter has been refused by the check before this.
        let Some(ConfigType::TypedConfig(any)) = config_type.filter(is_manager) else { continue };
        let message = context.unpack::<HttpConnectionManager>(&any, &config_at);
        manager = message.and_then(|message| http::manager(context, &config_at, message));
    }
    manager
}
