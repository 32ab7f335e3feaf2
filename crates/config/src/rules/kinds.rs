//! Every kind of rule that occurs in Envoy's API is held to a value that keeps it and to one that breaks it, in
//! messages of the API. A kind that a new version of the API brings fails here until it is checked.

use std::{collections::BTreeSet, sync::Arc};

use prost_reflect::ReflectMessage as _;

use super::*;
use crate::{
    check,
    error::{ErrorKind, Issues},
    parse::parse,
    places::Places,
    source::LoadOptions,
    walker::walk,
};

/// The names of all rules that are set in `rules`: `repeated.items.string.min_len`.
fn kinds_in(rules: &DynamicMessage, prefix: &str, kinds: &mut BTreeSet<String>) {
    for (field, value) in rules.fields() {
        let name = format!("{prefix}{}", field.name());
        match value {
            Value::Message(inner) if inner.descriptor().package_name() == "validate" => {
                kinds_in(inner, &format!("{name}."), kinds);
            }
            _ => _ = kinds.insert(name),
        }
    }
}

/// All kinds that occur in the API.
fn kinds() -> BTreeSet<String> {
    let pool = nuncio_api::descriptors();
    let extension = |name: &str| pool.get_extension_by_name(name).expect(name);
    let (rules, required) = (extension("validate.rules"), extension("validate.required"));
    let mut kinds = BTreeSet::new();
    for message in pool.all_messages() {
        for field in message.fields().filter(|field| field.options().has_extension(&rules)) {
            let options = field.options();
            kinds_in(options.get_extension(&rules).as_message().unwrap(), "", &mut kinds);
        }
        if message.oneofs().any(|oneof| oneof.options().has_extension(&required)) {
            kinds.insert("oneof.required".to_owned());
        }
        for (extension, _) in message.options().extensions() {
            assert!(!extension.full_name().starts_with("validate."), "{}", message.full_name());
        }
    }
    kinds
}

/// What the rules say against a message, with the paths.
fn broken(message: &str, text: &str) -> Vec<String> {
    let descriptor = nuncio_api::descriptors().get_message_by_name(message).expect(message);
    let options = LoadOptions { allow_unsupported: true, ..LoadOptions::default() };
    let name: Arc<str> = "f".into();
    let mut issues = Issues::default();
    let tree = parse(text, &options.limits).unwrap();
    let read = walk(&descriptor, None, &tree, &name, &options, &mut issues);
    check::check(&read, &Places::new(vec![(Arc::clone(&name), tree)]), &options, &mut issues);
    let errors = issues.finish(&[name]).err();
    let errors = errors.iter().flat_map(|errors| errors.errors());
    errors
        .filter(|error| error.kind != ErrorKind::Unsupported)
        .inspect(|error| assert_eq!(error.kind, ErrorKind::Rule, "{text}: {error}"))
        .map(|error| format!("{}: {}", error.path(), error.message))
        .collect()
}

/// The kind, a message with the rule, a text that keeps it, one that breaks it, and what is said then.
type Row = (&'static str, &'static str, String, String, &'static str);

fn row(kind: &'static str, message: &'static str, good: &str, bad: &str, said: &'static str) -> Row {
    let long = "A".repeat(16385);
    let full = |text: &str| format!("{{{text}}}").replace("LONG", &long);
    (kind, message, full(good), full(bad), said)
}

fn rows() -> Vec<Row> {
    vec![
        row(
            "any.required",
            "envoy.config.core.v3.TypedExtensionConfig",
            "name: a, typed_config: {'@type': type.googleapis.com/google.protobuf.Empty}",
            "name: a",
            "typed_config: is required",
        ),
        row(
            "bool.const",
            "envoy.config.common.matcher.v3.MatchPredicate",
            "any_match: true",
            "any_match: false",
            "any_match: must be true",
        ),
        row(
            "bytes.max_len",
            "envoy.config.core.v3.HeaderValue",
            "key: a, raw_value: YQ",
            "key: a, raw_value: 'LONGLONG'",
            "raw_value: must have at most 16384 bytes but has 24577",
        ),
        row(
            "bytes.min_len",
            "envoy.config.common.matcher.v3.HttpGenericBodyMatch.GenericTextMatch",
            "binary_match: YQ",
            "binary_match: ''",
            "binary_match: must not be empty",
        ),
        row(
            "double.gt",
            "envoy.config.core.v3.RateLimitSettings",
            "fill_rate: 0.5",
            "fill_rate: 0",
            "fill_rate: must be greater than 0 but is 0",
        ),
        row(
            "double.gte",
            "envoy.type.v3.Percent",
            "value: 0",
            "value: -1",
            "value: must be at least 0 and at most 100 but is -1",
        ),
        row(
            "double.lt",
            "envoy.extensions.load_balancing_policies.load_aware_locality.v3.LoadAwareLocality",
            "endpoint_picking_policy: {policies: {}}, remote_probe_fraction: 0.5",
            "endpoint_picking_policy: {policies: {}}, remote_probe_fraction: 1",
            "remote_probe_fraction: must be at least 0 and less than 1 but is 1",
        ),
        row(
            "double.lte",
            "envoy.type.v3.Percent",
            "value: 100",
            "value: 100.5",
            "value: must be at least 0 and at most 100 but is 100.5",
        ),
        row(
            "duration.gt",
            "envoy.config.cluster.v3.Cluster",
            "name: a, connect_timeout: 0.000000001s",
            "name: a, connect_timeout: 0s",
            "connect_timeout: must be greater than 0s but is 0s",
        ),
        row(
            "duration.gte",
            "envoy.config.core.v3.BackoffStrategy",
            "base_interval: 0.001s",
            "base_interval: 0.0009s",
            "base_interval: must be at least 0.001s but is 0.0009s",
        ),
        row(
            "duration.lt",
            "envoy.config.bootstrap.v3.Bootstrap",
            "stats_flush_interval: 299s",
            "stats_flush_interval: 300s",
            "stats_flush_interval: must be at least 0.001s and less than 300s but is 300s",
        ),
        row(
            "duration.lte",
            "envoy.extensions.common.aws.v3.AssumeRoleCredentialProvider",
            "role_arn: a, session_duration: 43200s",
            "role_arn: a, session_duration: 43201s",
            "session_duration: must be at least 900s and at most 43200s but is 43201s",
        ),
        row(
            "duration.required",
            "envoy.config.core.v3.BackoffStrategy",
            "base_interval: 1s",
            "",
            "base_interval: is required",
        ),
        row(
            "enum.defined_only",
            "envoy.type.v3.FractionalPercent",
            "denominator: 2",
            "denominator: 9",
            "denominator: 9 is not a value of envoy.type.v3.FractionalPercent.DenominatorType",
        ),
        row("enum.not_in", "envoy.type.v3.HttpStatus", "code: OK", "", "code: must not be Empty"),
        row(
            "float.gte",
            "envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin",
            "error_utilization_penalty: 0",
            "error_utilization_penalty: -0.5",
            "error_utilization_penalty: must be at least 0 but is -0.5",
        ),
        row(
            "int32.gt",
            "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            "update_frequency: 1",
            "",
            "update_frequency: must be greater than 0 but is 0",
        ),
        row(
            "int32.gte",
            "envoy.extensions.filters.http.thrift_to_metadata.v3.FieldSelector",
            "name: a, id: -32768",
            "name: a, id: -32769",
            "id: must be at least -32768 and at most 32767 but is -32769",
        ),
        row(
            "int32.lte",
            "envoy.extensions.filters.http.thrift_to_metadata.v3.FieldSelector",
            "name: a, id: 32767",
            "name: a, id: 32768",
            "id: must be at least -32768 and at most 32767 but is 32768",
        ),
        row(
            "int64.gt",
            "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            "max_active_downstream_connections: 1",
            "max_active_downstream_connections: -1",
            "max_active_downstream_connections: must be greater than 0 but is -1",
        ),
        row(
            "map.keys.string.min_len",
            "envoy.config.core.v3.Metadata",
            "filter_metadata: {a: {}}",
            "filter_metadata: {'': {}}",
            "filter_metadata[\"\"]: the key must not be empty",
        ),
        row(
            "map.keys.string.pattern",
            "envoy.extensions.filters.http.file_server.v3.FileServerConfig",
            "manager_config: {thread_pool: {}}, content_types: {tar-gz: a}",
            "manager_config: {thread_pool: {}}, content_types: {tar.gz: a}",
            "content_types[\"tar.gz\"]: the key must match the regular expression ^[a-z0-9_\\-]*$",
        ),
        row(
            "map.min_pairs",
            "xds.type.matcher.v3.Matcher.MatcherTree.MatchMap",
            "map: {a: {matcher: {}}}",
            "",
            "map: must have at least 1 entry but has 0",
        ),
        row(
            "map.values.string.min_len",
            "envoy.service.rate_limit_quota.v3.BucketId",
            "bucket: {a: b}",
            "bucket: {a: ''}",
            "bucket[\"a\"]: must not be empty",
        ),
        row(
            "message.required",
            "envoy.config.core.v3.HeaderValueOption",
            "header: {key: a}",
            "",
            "header: is required",
        ),
        // What is in a field that is skipped may break any rule, and what is in another one may not.
        row(
            "message.skip",
            "envoy.config.core.v3.KeyValueAppend",
            "record: {key: a}, entry: {key: ''}",
            "record: {key: ''}, entry: {key: ''}",
            "record.key: must not be empty",
        ),
        row(
            "repeated.items.double.gt",
            "envoy.config.metrics.v3.HistogramBucketSettings",
            "match: {exact: a}, buckets: [1]",
            "match: {exact: a}, buckets: [1, 0]",
            "buckets[1]: must be greater than 0 but is 0",
        ),
        row(
            "repeated.items.enum.defined_only",
            "envoy.config.core.v3.HealthStatusSet",
            "statuses: [HEALTHY]",
            "statuses: [HEALTHY, 77]",
            "statuses[1]: 77 is not a value of envoy.config.core.v3.HealthStatus",
        ),
        row(
            "repeated.items.string.in",
            "envoy.extensions.filters.http.router.v3.Router",
            "strict_check_headers: [x-envoy-retry-on]",
            "strict_check_headers: [x-envoy-retry]",
            "strict_check_headers[0]: must be one of \"x-envoy-upstream-rq-timeout-ms\", \
             \"x-envoy-upstream-rq-per-try-timeout-ms\", \"x-envoy-max-retries\", \"x-envoy-retry-grpc-on\", \
             \"x-envoy-retry-on\"",
        ),
        row(
            "repeated.items.string.max_bytes",
            "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext",
            "verify_certificate_spki: 'ASFNL2FTRmYwVkJEeENSTFhUNVhSV29zRzhRQkRVWGg='",
            "verify_certificate_spki: 'ASFNL2FTRmYwVkJEeENSTFhUNVhSV29zRzhRQkRVWGg=='",
            "verify_certificate_spki[0]: must have at most 44 bytes but has 45",
        ),
        row(
            "repeated.items.string.min_len",
            "envoy.config.route.v3.Route",
            "match: {prefix: ''}, route: {cluster: a}, request_headers_to_remove: a",
            "match: {prefix: ''}, route: {cluster: a}, request_headers_to_remove: ''",
            "request_headers_to_remove[0]: must not be empty",
        ),
        row(
            "repeated.items.string.strict",
            "envoy.config.route.v3.VirtualHost",
            "name: a, domains: ['a b']",
            "name: a, domains: [\"a\\0b\"]",
            "domains[0]: has a character that cannot stand in a header value",
        ),
        row(
            "repeated.items.string.well_known_regex",
            "envoy.config.route.v3.Route",
            "match: {prefix: ''}, route: {cluster: a}, request_headers_to_remove: x-a",
            "match: {prefix: ''}, route: {cluster: a}, request_headers_to_remove: \"x\\ra\"",
            "request_headers_to_remove[0]: has a character that cannot stand in a header name",
        ),
        row(
            "repeated.items.uint32.gte",
            "envoy.config.listener.v3.FilterChainMatch",
            "source_ports: [1]",
            "source_ports: [0]",
            "source_ports[0]: must be at least 1 and at most 65535 but is 0",
        ),
        row(
            "repeated.items.uint32.lt",
            "envoy.config.core.v3.ProxyProtocolPassThroughTLVs",
            "tlv_type: [255]",
            "tlv_type: [256]",
            "tlv_type[0]: must be less than 256 but is 256",
        ),
        row(
            "repeated.items.uint32.lte",
            "envoy.config.listener.v3.FilterChainMatch",
            "source_ports: [65535]",
            "source_ports: [65536]",
            "source_ports[0]: must be at least 1 and at most 65535 but is 65536",
        ),
        row(
            "repeated.max_items",
            "envoy.config.route.v3.InternalRedirectPolicy",
            "redirect_response_codes: [301, 302, 303, 307, 308]",
            "redirect_response_codes: [301, 302, 303, 307, 308, 309]",
            "redirect_response_codes: must have at most 5 elements but has 6",
        ),
        row(
            "repeated.min_items",
            "envoy.type.matcher.v3.OrMatcher",
            "value_matchers: [{null_match: {}}, {null_match: {}}]",
            "value_matchers: [{null_match: {}}]",
            "value_matchers: must have at least 2 elements but has 1",
        ),
        row(
            "repeated.unique",
            "envoy.config.route.v3.InternalRedirectPolicy",
            "response_headers_to_copy: [a, A]",
            "response_headers_to_copy: [a, b, a]",
            "response_headers_to_copy[2]: is in the list twice",
        ),
        row(
            "string.ignore_empty",
            "envoy.config.route.v3.RateLimit.HitsAddend",
            "format: ''",
            "format: 'a'",
            "format: must start with \"%\"",
        ),
        row(
            "string.in",
            "envoy.config.core.v3.SchemeHeaderTransformation",
            "scheme_to_overwrite: https",
            "scheme_to_overwrite: HTTPS",
            "scheme_to_overwrite: must be one of \"http\", \"https\"",
        ),
        row(
            "string.max_bytes",
            "envoy.config.core.v3.HeaderValue",
            "key: a",
            "key: LONG",
            "key: must have at most 16384 bytes but has 16385",
        ),
        row(
            "string.max_len",
            "envoy.extensions.filters.common.jwks.v3.JwtHandshakeValidator",
            "local_jwks: {inline_string: a}, issuer: a",
            "local_jwks: {inline_string: a}, issuer: LONG",
            "issuer: must have at most 1024 characters but has 16385",
        ),
        row("string.min_len", "envoy.config.core.v3.Pipe", "path: a", "", "path: must not be empty"),
        row(
            "string.pattern",
            "envoy.config.route.v3.RouteMatch",
            "path_separated_prefix: /a",
            "path_separated_prefix: /a/",
            "path_separated_prefix: must match the regular expression ^[^?#]+[^?#/]$",
        ),
        row(
            "string.prefix",
            "envoy.config.route.v3.RateLimit.HitsAddend",
            "format: '%A%'",
            "format: 'A%'",
            "format: must start with \"%\"",
        ),
        row(
            "string.strict",
            "envoy.config.core.v3.HeaderValue",
            "key: 'a b'",
            "key: \"a\\nb\"",
            "key: has a character that cannot stand in a header name",
        ),
        row(
            "string.suffix",
            "envoy.config.route.v3.RateLimit.HitsAddend",
            "format: '%A%'",
            "format: '%A'",
            "format: must end with \"%\"",
        ),
        row(
            "string.well_known_regex",
            "envoy.config.core.v3.HeaderValue",
            "key: a, value: 'a b'",
            "key: a, value: \"a\\rb\"",
            "value: has a character that cannot stand in a header value",
        ),
        row(
            "uint32.gt",
            "envoy.config.core.v3.AlternateProtocolsCacheOptions",
            "name: a, max_entries: 1",
            "name: a, max_entries: 0",
            "max_entries: must be greater than 0 but is 0",
        ),
        row(
            "uint32.gte",
            "envoy.config.route.v3.DirectResponseAction",
            "status: 200",
            "status: 199",
            "status: must be at least 200 and less than 600 but is 199",
        ),
        row(
            "uint32.ignore_empty",
            "envoy.extensions.filters.http.ext_authz.v3.ShadowDecision",
            "status_code: 0",
            "status_code: 1",
            "status_code: must be at least 100 and at most 599 but is 1",
        ),
        row(
            "uint32.lt",
            "envoy.config.route.v3.DirectResponseAction",
            "status: 599",
            "status: 600",
            "status: must be at least 200 and less than 600 but is 600",
        ),
        row(
            "uint32.lte",
            "envoy.config.core.v3.Pipe",
            "path: a, mode: 0777",
            "path: a, mode: 01000",
            "mode: must be at most 511 but is 512",
        ),
        row(
            "uint64.gt",
            "envoy.config.core.v3.UdpSocketConfig",
            "max_rx_datagram_size: 1",
            "max_rx_datagram_size: 0",
            "max_rx_datagram_size: must be greater than 0 and less than 65536 but is 0",
        ),
        row(
            "uint64.gte",
            "envoy.extensions.filters.common.fault.v3.FaultRateLimit.FixedLimit",
            "limit_kbps: 1",
            "",
            "limit_kbps: must be at least 1 but is 0",
        ),
        row(
            "uint64.lt",
            "envoy.config.core.v3.UdpSocketConfig",
            "max_rx_datagram_size: 65535",
            "max_rx_datagram_size: 65536",
            "max_rx_datagram_size: must be greater than 0 and less than 65536 but is 65536",
        ),
        row(
            "uint64.lte",
            "envoy.config.cluster.v3.Cluster.MaglevLbConfig",
            "table_size: 5000011",
            "table_size: 5000012",
            "table_size: must be at most 5000011 but is 5000012",
        ),
        row(
            "oneof.required",
            "envoy.config.core.v3.Address",
            "pipe: {path: a}",
            "",
            ": one of \"socket_address\", \"pipe\", \"envoy_internal_address\" is required",
        ),
    ]
}

#[test]
fn every_kind_of_rule_in_the_api_is_checked() {
    let mut wrong = Vec::new();
    for (kind, message, good, bad, said) in rows() {
        for (text, expected) in [(good, &[][..]), (bad, &[said])] {
            let found = broken(message, &text);
            if found != expected {
                wrong.push(format!("{kind}: {text}: {found:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let shown: BTreeSet<String> = rows().iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(shown, kinds());
}
