//! The v1 format: what is understood, what it becomes, and how mistakes are reported.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use std::path::Path;

use common::root;
use nuncio_config::{
    LoadOptions, Loaded, Source, load,
    model::{EndpointAddress, Http2Settings, UpstreamProtocol},
};
use nuncio_router::{Action, Forward};

fn load_file(path: &Path) -> Loaded {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    load(&[Source::new(name, text)], &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

const V1_HTTP2: Http2Settings = Http2Settings {
    max_concurrent_streams: (1 << 31) - 1,
    initial_stream_window_size: 256 << 20,
    initial_connection_window_size: 256 << 20,
};

/// An edge proxy: our own file, and the original where it is at hand.
#[test]
fn an_edge_proxy_loads() {
    #[track_caller]
    fn check(Loaded { bootstrap, warnings, .. }: Loaded, name: &str) {
        assert_eq!(warnings, []);
        let [listener] = bootstrap.listeners.as_slice() else { panic!("one listener") };
        assert_eq!(listener.address, "0.0.0.0:80".parse().unwrap());
        let manager = &listener.filter_chains[0].http_connection_manager;
        assert!(!manager.allow_absolute_url);
        assert_eq!((manager.idle_timeout, manager.http2), (None, V1_HTTP2));
        let [host] = manager.routes.virtual_hosts() else { panic!("one virtual host") };
        let [route] = host.routes() else { panic!("one route") };
        let expected = Forward::to_cluster(name).timeout(std::time::Duration::ZERO);
        assert_eq!(route.action, Action::from(expected));
        let [cluster] = bootstrap.clusters.as_slice() else { panic!("one cluster") };
        assert_eq!(cluster.name, name);
        assert_eq!(cluster.connect_timeout.as_millis(), 250);
        assert_eq!((cluster.idle_timeout, cluster.protocol), (None, UpstreamProtocol::Http2(V1_HTTP2)));
        let endpoint = &cluster.endpoints[0].endpoints[0];
        assert_eq!(endpoint.address, EndpointAddress::Name { host: name.to_owned(), port: 80 });
        assert_eq!(bootstrap.admin.unwrap().address, "127.0.0.1:8001".parse().unwrap());
    }
    check(load_file(&root().join("fixtures/config/v1/edge-proxy.json")), "users");
    let original = root().join("../shared/seeds/edge-envoy.json");
    if original.exists() {
        check(load_file(&original), "usersvc");
    }
}
