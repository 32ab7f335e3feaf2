//! The two files of the front proxy example load: our own of the same structure, and where they are at hand the
//! originals, to the letter.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::{net::SocketAddr, path::Path, time::Duration};

use nuncio_config::{
    LoadOptions, Loaded, Source, WarningKind, load,
    model::{
        AccessLog, AccessLogSink, ClusterDiscovery, CodecType, EndpointAddress, Http2Settings,
        UpstreamProtocol,
    },
};
use nuncio_router::{Action, Forward};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn load_file(path: &Path) -> Loaded {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    load(&[Source::new(name, text)], &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The project's own file, and the original where it is at hand.
fn each(name: &str, check: impl Fn(Loaded)) {
    check(load_file(&root().join("fixtures/config").join(name)));
    let original = root().join("../shared/seeds").join(name);
    if original.exists() {
        check(load_file(&original));
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn front_proxy() {
    each("front-envoy.yaml", |Loaded { bootstrap, warnings, .. }| {
        let [plain, tls] = bootstrap.listeners.as_slice() else { panic!("two listeners") };
        assert_eq!(plain.address, address("0.0.0.0:8080"));
        assert_eq!(tls.address, address("0.0.0.0:8443"));
        assert_ne!(plain.name, tls.name);
        assert!(plain.filter_chains[0].tls.is_none());
        let context = tls.filter_chains[0].tls.as_ref().unwrap();
        let [pair] = context.certificates.as_slice() else { panic!("one certificate") };
        assert!(pair.certificate_chain.starts_with(b"-----BEGIN CERTIFICATE-----\n"));
        assert!(pair.private_key.expose().starts_with(b"-----BEGIN PRIVATE KEY-----\n"));
        assert!(!format!("{bootstrap:?}").contains("PRIVATE KEY"));

        for listener in &bootstrap.listeners {
            let manager = &listener.filter_chains[0].http_connection_manager;
            assert_eq!(manager.stat_prefix, "ingress_http");
            assert_eq!(manager.codec_type, CodecType::Auto);
            assert_eq!(manager.route_config_name, "local_route");
            let [host] = manager.routes.virtual_hosts() else { panic!("one virtual host") };
            assert_eq!((host.name(), host.domains()), ("backend", &["*".to_owned()][..]));
            let actions: Vec<_> = host.routes().iter().map(|route| route.action.clone()).collect();
            assert_eq!(actions, ["service1", "service2"].map(|name| Action::from(Forward::to_cluster(name))));
        }

        let names: Vec<_> = bootstrap.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        assert_eq!(names, ["service1", "service2"]);
        for cluster in &bootstrap.clusters {
            assert_eq!(cluster.connect_timeout, Duration::from_millis(250));
            assert!(
                matches!(&cluster.discovery, ClusterDiscovery::StrictDns(dns) if dns.refresh_rate.as_secs() == 5)
            );
            assert_eq!(cluster.protocol, UpstreamProtocol::Http2(Http2Settings::default()));
            let endpoint = &cluster.endpoints[0].endpoints[0];
            assert_eq!(endpoint.address, EndpointAddress::Name { host: cluster.name.clone(), port: 8000 });
        }

        let admin = bootstrap.admin.unwrap();
        assert_eq!(admin.address, address("0.0.0.0:8001"));
        let log = AccessLog { sink: AccessLogSink::File("/dev/null".to_owned()), format: None };
        assert_eq!(admin.access_log, [log]);
        assert_eq!(bootstrap.runtime.listener_connection_limit("example_listener_name"), Some(10_000));

        let kinds: Vec<_> = warnings.iter().map(|warning| warning.kind).collect();
        let expected =
            [WarningKind::NameOnly, WarningKind::NameOnly, WarningKind::Deprecated, WarningKind::Deprecated];
        assert_eq!(kinds, expected, "{warnings:?}");
    });
}

#[test]
fn sidecar() {
    each("service-envoy.yaml", |Loaded { bootstrap, .. }| {
        assert_eq!(bootstrap.listeners[0].address, address("0.0.0.0:8000"));
        let [cluster] = bootstrap.clusters.as_slice() else { panic!("one cluster") };
        assert_eq!(cluster.protocol, UpstreamProtocol::Http1);
        let endpoint = &cluster.endpoints[0].endpoints[0];
        assert_eq!(endpoint.address, EndpointAddress::Socket(address("127.0.0.1:8080")));
        let log = AccessLog { sink: AccessLogSink::File("/tmp/access.log".to_owned()), format: None };
        assert_eq!(bootstrap.admin.unwrap().access_log, [log]);
    });
}

#[test]
fn a_dump_has_no_secrets() {
    each("front-envoy.yaml", |Loaded { document, .. }| {
        let json = document.bootstrap_json();
        let chain = &json["static_resources"]["listeners"][1]["filter_chains"][0];
        let pair = &chain["transport_socket"]["typed_config"]["common_tls_context"]["tls_certificates"][0];
        assert_eq!(pair["private_key"]["inline_string"], "[redacted]");
        assert!(pair["certificate_chain"]["inline_string"].as_str().unwrap().contains("BEGIN CERTIFICATE"));
        assert_eq!(json["static_resources"]["clusters"][0]["connect_timeout"], "0.250s");
        assert_eq!(json["static_resources"]["clusters"][0]["type"], "STRICT_DNS");
        assert!(!json.to_string().contains("PRIVATE KEY"));
        assert!(!format!("{document:?}").contains("PRIVATE"));
    });
}
