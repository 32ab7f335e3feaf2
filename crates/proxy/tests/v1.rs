//! Proxies that run from the JSON configuration of Envoy's first API.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use nuncio_test_support::{Client, Origin, Proxy, get};

fn fixture(name: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/config/v1/");
    std::fs::read_to_string(format!("{path}{name}")).unwrap()
}

/// A file of the examples on ports of the kernel's choice, with its host replaced by an origin.
fn proxy(name: &str, host: &str, origin: &Origin) -> Proxy {
    Proxy::from_yaml(fixture(name))
        .replacing("tcp://0.0.0.0:80", "tcp://127.0.0.1:0")
        .replacing("tcp://127.0.0.1:8001", "tcp://127.0.0.1:0")
        .replacing(host, &format!("tcp://{}", origin.address()))
}

#[tokio::test]
async fn an_edge_proxy_speaks_http2_to_its_hosts() {
    let origin = Origin::answering_http2("alice").await;
    let proxy = proxy("edge-proxy.json", "tcp://users:80", &origin).start().await;
    let response = get(proxy.listener(0), "/user/alice").await;
    assert_eq!((response.status(), response.body.as_str()), (200, "alice"));
    let response = get(proxy.listener(0), "/other").await;
    assert_eq!(response.status(), 404);
    proxy.wait_for_stat("http.edge.downstream_rq_2xx", 1).await;
    proxy.wait_for_stat("cluster.users.upstream_cx_http2_total", 1).await;
}

#[tokio::test]
async fn a_sidecar_speaks_http1_to_its_host() {
    let origin = Origin::answering("alice").await;
    let proxy = proxy("sidecar.json", "tcp://127.0.0.1:5000", &origin).start().await;
    let response = get(proxy.listener(0), "/user/alice").await;
    assert_eq!((response.status(), response.body.as_str()), (200, "alice"));
    let [seen] = origin.seen().try_into().unwrap();
    assert_eq!(seen.headers.get("x-forwarded-for").unwrap(), "127.0.0.1");
    proxy.wait_for_stat("cluster.local.upstream_cx_http1_total", 1).await;
}

/// v1 did not understand the absolute form unless it was told to.
#[tokio::test]
async fn the_absolute_form_is_refused_by_default() {
    let origin = Origin::answering("alice").await;
    let sidecar = proxy("sidecar.json", "tcp://127.0.0.1:5000", &origin);
    let allowed = "\"codec_type\": \"auto\", \"http1_settings\": {\"allow_absolute_url\": true}";
    for (proxy, expected) in
        [(sidecar.clone(), "404"), (sidecar.replacing("\"codec_type\": \"auto\"", allowed), "200")]
    {
        let proxy = proxy.start().await;
        let mut client = Client::connect(proxy.listener(0)).await;
        client.send("GET http://a/user HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let response = client.response().await;
        assert_eq!(response.status().to_string(), expected);
    }
}
