//! Fields of the file arrive in the model, with Envoy's defaults where there are none.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use std::{collections::HashMap, io, time::Duration};

use common::{TLS, check_loads, cluster, load_with, manager, routes};
use nuncio_config::{
    Externals, LoadOptions, Source, load_route_table,
    model::{
        AccessLog, AccessLogSink, Cluster, ClusterDiscovery, CodecType, DnsLookupFamily, Http2Settings,
        HttpConnectionManager, LeastRequest, LoadBalancing, ServerHeaderTransformation, TlsVersion,
        UpstreamProtocol,
    },
};
use nuncio_router::{Action, Denominator, FractionalPercent, PathMatch, PathRedirect, RedirectCode};

fn lowered_manager(fields: &str) -> HttpConnectionManager {
    check_loads(&manager(fields))
        .bootstrap
        .listeners
        .remove(0)
        .filter_chains
        .remove(0)
        .http_connection_manager
}

fn lowered_cluster(fields: &str) -> Cluster {
    check_loads(&cluster(fields)).bootstrap.clusters.remove(0)
}

fn lowered_routes(text: &str) -> Vec<nuncio_router::Route> {
    let loaded = check_loads(&routes(text));
    let manager = &loaded.bootstrap.listeners[0].filter_chains[0].http_connection_manager;
    manager.routes.virtual_hosts()[0].routes().to_vec()
}

#[test]
fn connection_manager_defaults() {
    let manager = lowered_manager("");
    let default = HttpConnectionManager { stat_prefix: "s".to_owned(), ..HttpConnectionManager::default() };
    assert_eq!(format!("{manager:?}"), format!("{default:?}"));
}

#[test]
fn connection_manager_fields() {
    let manager = lowered_manager(
        "codec_type: http2\nserver_name: me\nserver_header_transformation: pass_through\nmax_request_headers_kb: 100\n\
         stream_idle_timeout: 0s\nrequest_timeout: 2s\nrequest_headers_timeout: 3s\ndrain_timeout: 4s\n\
         delayed_close_timeout: 0s\nuse_remote_address: true\nxff_num_trusted_hops: 2\nskip_xff_append: true\n\
         generate_request_id: false\npreserve_external_request_id: true\nalways_set_request_id_in_response: true\n\
         common_http_protocol_options: {idle_timeout: 0s, max_connection_duration: 6s, max_headers_count: 7, \
         max_requests_per_connection: 8}\n\
         http2_protocol_options: {max_concurrent_streams: 9, initial_stream_window_size: 65535, \
         initial_connection_window_size: 65536}\n\
         access_log:\n\
         - {name: f, typed_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, \
         path: /a, log_format: {text_format_source: {inline_string: '%PROTOCOL%'}}}}\n\
         - {name: o, typed_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}}\n\
         - {name: e, typed_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StderrAccessLog, \
         log_format: {text_format: x}}}",
    );
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(manager.codec_type, CodecType::Http2);
    assert_eq!(manager.server_name, "me");
    assert_eq!(manager.server_header_transformation, ServerHeaderTransformation::PassThrough);
    assert_eq!(manager.max_request_headers_bytes, 102_400);
    assert_eq!((manager.stream_idle_timeout, manager.request_timeout), (None, seconds(2)));
    assert_eq!(manager.request_headers_timeout, seconds(3));
    assert_eq!(manager.delayed_close_timeout, Duration::ZERO);
    assert!(manager.use_remote_address && manager.skip_xff_append && manager.preserve_external_request_id);
    assert!(manager.always_set_request_id_in_response && !manager.generate_request_id);
    assert_eq!(manager.xff_num_trusted_hops, 2);
    assert_eq!((manager.idle_timeout, manager.max_connection_duration), (None, seconds(6)));
    assert_eq!((manager.max_headers_count, manager.max_requests_per_connection), (7, Some(8)));
    let http2 = Http2Settings {
        max_concurrent_streams: 9,
        initial_stream_window_size: 65_535,
        initial_connection_window_size: 65_536,
    };
    assert_eq!(manager.http2, http2);
    let logs: Vec<_> =
        manager.access_log.iter().map(|AccessLog { sink, format }| (sink, format.as_ref())).collect();
    let [(file, Some(file_format)), (stdout, None), (stderr, Some(stderr_format))] = logs.as_slice() else {
        panic!("{logs:?}")
    };
    assert_eq!(**file, AccessLogSink::File("/a".to_owned()));
    assert_eq!((*stdout, *stderr), (&AccessLogSink::Stdout, &AccessLogSink::Stderr));
    assert_eq!((&*file_format.text, &*stderr_format.text), ("%PROTOCOL%", "x"));
    assert!(
        file_format.place.path.ends_with(".log_format.text_format_source.inline_string"),
        "{file_format:?}"
    );
    assert!(
        stderr_format.place.path.ends_with("access_log[2].typed_config.log_format.text_format"),
        "{stderr_format:?}"
    );
}

#[test]
fn route_fields() {
    let lowered = lowered_routes(
        "- name: r\n  match: {prefix: /p, case_sensitive: false, runtime_fraction: {default_value: {numerator: 5, \
         denominator: MILLION}, runtime_key: k}}\n  \
         route: {cluster: a, timeout: 0s, prefix_rewrite: /q, host_rewrite_literal: h}\n\
         - match: {path: /x}\n  redirect: {https_redirect: true, host_redirect: h, port_redirect: 8, prefix_rewrite: /z, \
         response_code: SEE_OTHER, strip_query: true}\n\
         - match: {path: /d}\n  direct_response: {status: 418, body: {inline_string: tea}}",
    );
    let [forward, redirect, direct] = lowered.as_slice() else { panic!("three routes") };
    assert_eq!((forward.name.as_str(), forward.matcher.case_sensitive), ("r", false));
    assert_eq!(forward.matcher.path, PathMatch::Prefix("/p".to_owned()));
    assert_eq!(forward.matcher.runtime_fraction, Some(FractionalPercent::new(5, Denominator::Million)));
    let Action::Forward(action) = &forward.action else { panic!("forwards") };
    assert_eq!((action.timeout, action.effective_timeout()), (Some(Duration::ZERO), None));
    assert_eq!((action.prefix_rewrite.as_deref(), action.rewritten_host()), (Some("/q"), Some("h")));
    let Action::Redirect(action) = &redirect.action else { panic!("redirects") };
    assert_eq!(
        (action.scheme.as_deref(), action.host.as_deref(), action.port),
        (Some("https"), Some("h"), Some(8))
    );
    assert_eq!(
        (&action.path, action.response_code),
        (&Some(PathRedirect::Prefix("/z".to_owned())), RedirectCode::SeeOther)
    );
    assert!(action.strip_query);
    let Action::DirectResponse(action) = &direct.action else { panic!("answers") };
    assert_eq!((action.status.as_u16(), action.body.as_slice()), (418, &b"tea"[..]));
}

#[test]
fn cluster_defaults() {
    let cluster = lowered_cluster("");
    let default = Cluster { name: "c".to_owned(), place: cluster.place.clone(), ..Cluster::default() };
    assert_eq!(format!("{cluster:?}"), format!("{default:?}"));
    assert_eq!(cluster.place.to_string(), "f:3:5: static_resources.clusters[0]");
}

#[test]
fn cluster_fields() {
    let cluster = lowered_cluster(
        "type: STRICT_DNS\nalt_stat_name: s\nconnect_timeout: 2s\nlb_policy: LEAST_REQUEST\n\
         least_request_lb_config: {choice_count: 3, active_request_bias: {default_value: 0.5, runtime_key: k}}\n\
         common_lb_config: {healthy_panic_threshold: {value: 10}}\nper_connection_buffer_limit_bytes: 5\n\
         circuit_breakers: {thresholds: [{max_connections: 1, max_retries: 0}, {priority: HIGH, max_requests: 2}]}\n\
         dns_refresh_rate: 6s\ndns_jitter: 1s\ndns_failure_refresh_rate: {base_interval: 2s}\nrespect_dns_ttl: true\n\
         dns_lookup_family: V4_ONLY\n\
         typed_dns_resolver_config: {name: cares, typed_config: {'@type': \
         type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig, \
         resolvers: [{socket_address: {address: '::1', port_value: 53}}], \
         dns_resolver_options: {no_default_search_domain: true}}}\n\
         typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {'@type': \
         type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, \
         common_http_protocol_options: {idle_timeout: 3s, max_requests_per_connection: 4}, \
         explicit_http_config: {http2_protocol_options: {max_concurrent_streams: 5}}}}\n\
         load_assignment: {cluster_name: c, endpoints: [{locality: {region: r, zone: z}, lb_endpoints: \
         [{load_balancing_weight: 7, endpoint: {hostname: h, address: {socket_address: {address: x.y, port_value: 8}}}}]}]}",
    );
    assert_eq!((cluster.stat_name(), cluster.connect_timeout), ("s", Duration::from_secs(2)));
    let least_request = LeastRequest { choice_count: 3, active_request_bias: 0.5 };
    assert_eq!(cluster.load_balancing, LoadBalancing::LeastRequest(least_request));
    assert_eq!((cluster.healthy_panic_threshold, cluster.per_connection_buffer_limit_bytes), (10.0, 5));
    let breakers = &cluster.circuit_breakers;
    assert_eq!((breakers.default.max_connections, breakers.default.max_retries), (1, 0));
    assert_eq!((breakers.default.max_requests, breakers.high.max_requests), (1024, 2));
    let ClusterDiscovery::StrictDns(dns) = &cluster.discovery else { panic!("resolved by DNS") };
    assert_eq!((dns.refresh_rate, dns.jitter), (Duration::from_secs(6), Duration::from_secs(1)));
    assert_eq!(dns.failure_refresh_rate, Some((Duration::from_secs(2), Duration::from_secs(20))));
    assert!(dns.respect_ttl);
    assert_eq!(dns.lookup_family, DnsLookupFamily::V4Only);
    let resolver = dns.resolver.as_ref().unwrap();
    assert_eq!(resolver.servers, ["[::1]:53".parse().unwrap()]);
    assert!(resolver.no_default_search_domain && !resolver.use_tcp);
    assert_eq!(
        (cluster.idle_timeout, cluster.max_requests_per_connection),
        (Some(Duration::from_secs(3)), Some(4))
    );
    let UpstreamProtocol::Http2(http2) = cluster.protocol else { panic!("HTTP/2") };
    assert_eq!(http2.max_concurrent_streams, 5);
    let locality = &cluster.endpoints[0];
    assert_eq!((locality.region.as_str(), locality.zone.as_str()), ("r", "z"));
    assert_eq!((locality.endpoints[0].weight, locality.endpoints[0].hostname.as_str()), (7, "h"));
}

/// Files and variables that exist in this test only.
struct Given(HashMap<&'static str, &'static str>);

impl Externals for Given {
    fn file(&self, name: &str) -> io::Result<Vec<u8>> {
        self.0.get(name).map(|text| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name).map(|text| text.as_bytes().to_vec())
    }
}

#[test]
fn certificates_come_from_everywhere() {
    let given = Given(HashMap::from([("crt.pem", "chain"), ("KEY", "key")]));
    let options = LoadOptions { externals: Some(&given), ..LoadOptions::default() };
    let check = |chain: &str, key: &str| {
        let socket = format!(
            "transport_socket: {{name: t, typed_config: {{'@type': {TLS}, common_tls_context: {{alpn_protocols: [h2, http/1.1], \
             tls_params: {{tls_minimum_protocol_version: TLSv1_3}}, \
             tls_certificates: {{certificate_chain: {{{chain}}}, private_key: {{{key}}}}}}}}}}}"
        );
        let text = manager("").replacen("    -\n", &format!("    -\n      {socket}\n"), 1);
        let loaded = load_with(&text, &options).unwrap_or_else(|errors| panic!("{errors}"));
        let tls = loaded.bootstrap.listeners[0].filter_chains[0].tls.clone().unwrap();
        assert_eq!(tls.alpn_protocols, ["h2", "http/1.1"]);
        assert_eq!((tls.minimum_version, tls.maximum_version), (TlsVersion::Tls13, None));
        assert_eq!(tls.certificates[0].certificate_chain, b"chain");
        assert_eq!(tls.certificates[0].private_key.expose(), b"key");
    };
    check("inline_string: chain", "inline_bytes: a2V5");
    check("filename: crt.pem", "environment_variable: KEY");
}

#[test]
fn a_route_configuration_by_itself() {
    let text = "virtual_hosts:\n- {name: v, domains: ['a.b'], routes: [{match: {prefix: /}, route: {cluster: any}}]}";
    let table = load_route_table(&Source::new("f", text), &LoadOptions::default()).unwrap();
    assert_eq!(table.virtual_hosts()[0].domains(), ["a.b"]);
    let errors = load_route_table(&Source::new("f", "virtual_hosts: [{name: v}]"), &LoadOptions::default())
        .unwrap_err();
    assert_eq!(
        errors.to_string(),
        "f:1:17: virtual_hosts[0].domains: must not be empty\n1 error; nothing was started"
    );
}
