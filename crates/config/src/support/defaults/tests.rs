use prost_reflect::Kind;

use super::{super::entries, *};
use crate::{
    LoadOptions, Source, facts, load,
    rules::Rules,
    support::{Support, values},
};

fn honoured() -> impl Iterator<Item = prost_reflect::FieldDescriptor> {
    let pool = nuncio_api::descriptors();
    entries().flat_map(move |entry| {
        let descriptor = pool.get_message_by_name(entry.message).unwrap();
        let groups = entry.groups.iter().filter(|group| group.support == Support::Honoured);
        let fields = groups.flat_map(|group| group.fields);
        fields.map(|field| descriptor.get_field_by_name(field).unwrap()).collect::<Vec<_>>()
    })
}

#[test]
fn every_honoured_field_that_can_be_unset_has_a_default() {
    let mut missing = Vec::new();
    for field in honoured() {
        let Kind::Message(kind) = field.kind() else { continue };
        let is_scalar = kind.package_name() == "google.protobuf"
            && (kind.name() == "Duration" || kind.name() != "Value" && kind.name().ends_with("Value"));
        let is_required = Rules::of(&field).is_some_and(|rules| rules.required());
        if is_scalar && !field.is_list() && !is_required {
            let message = field.parent_message().full_name().to_owned();
            if of(&message, field.name()).is_none() {
                missing.push(format!("{message}.{}", field.name()));
            }
        }
    }
    assert!(missing.is_empty(), "no default in this table: {missing:#?}");
}

#[test]
fn every_default_is_of_an_honoured_field() {
    let honoured: Vec<String> = honoured().map(|field| field.full_name().to_owned()).collect();
    for (message, fields) in DEFAULTS {
        for (field, _) in *fields {
            assert!(honoured.contains(&format!("{message}.{field}")), "{message}.{field}");
        }
    }
}

const LISTENER: &str = "static_resources:\n  listeners:\n  - {name: l, address: {socket_address: {address: 127.0.0.1, \
                        port_value: 1}}, filter_chains: [{filters: [{name: m, typed_config: {'@type': \
                        t/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, \
                        stat_prefix: s, http_filters: [{name: r, typed_config: {'@type': \
                        t/envoy.extensions.filters.http.router.v3.Router ROUTER}}], route_config: {virtual_hosts: \
                        [{name: v, domains: ['*'], routes: [{match: {prefix: /a MATCH}, route: {cluster: c ACTION}}]}] \
                        ROUTES} MANAGER}}] CHAIN}] LISTENER}\n  clusters:\n  - {name: c CLUSTER}\n";

/// A bootstrap with one field of a message of this type. `None` if no place for it is known here.
fn bootstrap(message: &str, field: &str, value: &str) -> Option<String> {
    let text = format!("{field}: {value}");
    let dns = "type: STRICT_DNS, ";
    let tls = |inner: &str| {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tls");
        format!(
            "transport_socket: {{name: t, typed_config: {{'@type': \
             t/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, common_tls_context: {{tls_certificates: \
             [{{certificate_chain: {{filename: {root}/v1.crt}}, private_key: {{filename: {root}/v1.key}}}}] \
             {inner}}}"
        )
    };
    let (mark, text) = match message.rsplit_once(".v3.")?.1 {
        "Bootstrap" => return Some(text),
        "SocketAddress" => {
            return Some(format!(
                "admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 1, {text}}}}}}}"
            ));
        }
        "Listener" => ("LISTENER", text),
        "Router" => ("ROUTER", text),
        "RouteMatch" => ("MATCH", text),
        "RouteAction" => ("ACTION", text),
        "RouteConfiguration" => ("ROUTES", text),
        "HttpConnectionManager" => ("MANAGER", text),
        "HttpProtocolOptions" => ("MANAGER", format!("common_http_protocol_options: {{{text}}}")),
        "Http1ProtocolOptions" => ("MANAGER", format!("http_protocol_options: {{{text}}}")),
        "Http2ProtocolOptions" => ("MANAGER", format!("http2_protocol_options: {{{text}}}")),
        "DownstreamTlsContext" => ("CHAIN", format!("{}, {text}}}}}", tls(""))),
        "TlsParameters" => ("CHAIN", format!("{}}}}}", tls(&format!(", tls_params: {{{text}}}")))),
        "Cluster" if field.starts_with("dns") => ("CLUSTER", format!("{dns}{text}")),
        "Cluster" => ("CLUSTER", text),
        "Cluster.LeastRequestLbConfig" => {
            ("CLUSTER", format!("lb_policy: LEAST_REQUEST, least_request_lb_config: {{{text}}}"))
        }
        "Cluster.CommonLbConfig" => ("CLUSTER", format!("common_lb_config: {{{text}}}")),
        "CircuitBreakers.Thresholds" => {
            ("CLUSTER", format!("circuit_breakers: {{thresholds: [{{{text}}}]}}"))
        }
        "LbEndpoint" => (
            "CLUSTER",
            format!(
                "load_assignment: {{cluster_name: c, endpoints: [{{lb_endpoints: [{{endpoint: {{address: \
                 {{socket_address: {{address: 127.0.0.1, port_value: 1}}}}}}, {text}}}]}}]}}"
            ),
        ),
        _ => return None,
    };
    let mut whole = LISTENER.to_owned();
    for known in ["ROUTER", "ROUTES", "MATCH", "ACTION", "MANAGER", "CHAIN", "LISTENER", "CLUSTER"] {
        let filling = if known == mark { format!(", {text}") } else { String::new() };
        whole = whole.replace(&format!(" {known}"), &filling);
    }
    Some(whole)
}

/// All values of a field that has only a few.
fn values(field: &prost_reflect::FieldDescriptor) -> Vec<String> {
    match field.kind() {
        _ if field.is_list() || field.is_map() => Vec::new(),
        Kind::Bool => vec!["false".to_owned(), "true".to_owned()],
        Kind::Message(of) if of.full_name() == "google.protobuf.BoolValue" => {
            vec!["false".to_owned(), "true".to_owned()]
        }
        Kind::Enum(of) => facts::enum_names(&of),
        _ => Vec::new(),
    }
}

#[test]
fn exactly_the_values_that_are_said_to_be_refused_are_refused() {
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    for field in honoured() {
        let message = field.parent_message().full_name().to_owned();
        let refused = values::refused(&message, field.name());
        for value in values(&field) {
            let Some(text) = bootstrap(&message, field.name(), &value) else { continue };
            seen.push((message.clone(), field.name().to_owned()));
            if lowered(&text).is_none() != refused.contains(&&*value) {
                wrong.push(format!("{}: {value}", field.full_name()));
            }
        }
    }
    assert!(wrong.is_empty(), "support/values.rs says otherwise of {wrong:#?}");
    for (message, field, _) in values::REFUSED {
        assert!(seen.iter().any(|(of, name)| of == message && name == field), "{message}.{field}");
    }
}

/// The model as text, or that it was refused.
fn lowered(text: &str) -> Option<String> {
    let loaded = load(&[Source::new("f", text)], &LoadOptions::default());
    loaded.ok().map(|loaded| format!("{:?}", loaded.bootstrap))
}

/// Another value than this one.
fn other(value: &str) -> String {
    match value {
        "true" => "false".to_owned(),
        "false" => "true".to_owned(),
        "TLS_AUTO" => "TLSv1_3".to_owned(),
        "{default_value: 1}" => "{default_value: 2}".to_owned(),
        "{value: 50}" => "{value: 51}".to_owned(),
        _ if value.ends_with('s') => "7s".to_owned(),
        _ => value.parse::<u32>().map_or_else(|_| "other".to_owned(), |number| (number + 1).to_string()),
    }
}

#[test]
fn a_field_at_its_default_is_lowered_as_an_unset_one() {
    // The model has no such field, or keeps an unset one unset.
    let unseen = [
        "Bootstrap.stats_flush_interval",
        "TlsParameters.tls_maximum_protocol_version",
        "RouteAction.timeout",
        "RouteConfiguration.validate_clusters",
        "RouteConfiguration.max_direct_response_body_size_bytes",
    ];
    let mut seen = 0;
    for (message, fields) in DEFAULTS {
        for (field, default) in *fields {
            let Some(value) = default.value() else { continue };
            let Some(unset) = bootstrap(message, field, "null") else { continue };
            let at = |value: &str| lowered(&bootstrap(message, field, value).unwrap());
            let unset = lowered(&unset).unwrap_or_else(|| panic!("does not load:\n{unset}"));
            let name = format!("{}.{field}", message.rsplit_once('.').unwrap().1);
            if unseen.contains(&&*name) {
                continue;
            }
            assert_eq!(at(value).as_ref(), Some(&unset), "{name}: {value}");
            assert_ne!(
                at(&other(value)).as_ref(),
                Some(&unset),
                "{name}: {} makes no difference",
                other(value)
            );
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}
