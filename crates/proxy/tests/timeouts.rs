//! Clocks: what becomes of clients and origins that are slow or silent.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use nuncio_test_support::{Client, Http2Client, ManualOrigin, Origin, Proxy, Reading, mask, soon};

/// The head of a reply with this body.
fn head(status: &str, body: &str, close: bool) -> String {
    let close = if close { "\r\nconnection: close" } else { "" };
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-type: text/plain\r\ndate: DATE\r\nserver: envoy{close}",
        body.len()
    )
}

#[tokio::test]
async fn idle_clients_are_closed() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin)
        .with_manager("common_http_protocol_options: { idle_timeout: 0.1s }")
        .start()
        .await;
    let mut silent = Client::connect(proxy.listener(0)).await;
    assert_eq!(silent.until_closed().await, "");
    proxy.wait_for_stats(&[("http.downstream_cx_idle_timeout", 1)]).await;
    let mut idle = Client::connect(proxy.listener(0)).await;
    let start = Instant::now();
    assert_eq!(idle.get("/").await.body, "hello");
    assert_eq!(idle.until_closed().await, "");
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
    let client = Http2Client::connect(proxy.listener(0)).await;
    assert_eq!(client.get("/").await.text(), "hello");
    client.ended().await.unwrap();
    proxy
        .wait_for_stats(&[
            ("http.downstream_cx_idle_timeout", 3),
            ("http.downstream_cx_destroy", 3),
            ("http.downstream_cx_active", 0),
        ])
        .await;
}

#[tokio::test]
async fn a_head_has_to_end() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).with_manager("request_headers_timeout: 0.1s").start().await;
    let mut slow = Client::connect(proxy.listener(0)).await;
    slow.send("GET / HTTP/1.1\r\nhos").await;
    let answer = slow.until_closed().await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    proxy.wait_for_stats(&[("http.downstream_rq_header_timeout", 1), ("http.downstream_cx_active", 0)]).await;
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn a_request_has_to_end() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address())
        .with_manager("request_timeout: 0.1s\ndelayed_close_timeout: 0.05s")
        .start()
        .await;
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhel").await;
    let response = client.response().await;
    assert_eq!(mask(&response.head), head("408 Request Timeout", "request timeout", true));
    assert_eq!(response.body, "request timeout");
    assert_eq!(client.until_closed().await, "");
    origin.accept().await.until_closed().await;
    proxy
        .wait_for_stats(&[
            ("http.downstream_rq_timeout", 1),
            ("http.downstream_rq_4xx", 1),
            ("cluster.upstream_rq_active", 0),
            ("cluster.upstream_cx_destroy_local_with_active_rq", 1),
        ])
        .await;
}

#[tokio::test]
async fn a_stream_on_which_nothing_moves_ends() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address())
        .with_manager("stream_idle_timeout: 0.1s\ndelayed_close_timeout: 0.05s")
        .start()
        .await;
    // The origin says nothing.
    let mut client = Client::connect(proxy.listener(0)).await;
    let response = client.get("/").await;
    assert_eq!((response.status(), response.body.as_str()), (504, "stream timeout"));
    origin.accept().await.until_closed().await;
    // The client says nothing.
    let mut client = Client::connect(proxy.listener(0)).await;
    let response = client.request("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhel").await;
    assert_eq!(mask(&response.head), head("408 Request Timeout", "stream timeout", true));
    origin.accept().await.until_closed().await;
    // The origin says no more.
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut peer = origin.accept().await;
    peer.head().await;
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await;
    assert_eq!(client.head().await.status(), 200);
    assert_eq!(client.until_closed().await, "hello");
    peer.until_closed().await;
    proxy
        .wait_for_stats(&[
            ("http.downstream_rq_idle_timeout", 3),
            ("http.downstream_rq_5xx", 1),
            ("http.downstream_rq_4xx", 1),
            ("http.downstream_rq_2xx", 1),
            ("http.downstream_rq_tx_reset", 1),
            ("cluster.upstream_rq_active", 0),
            ("cluster.upstream_cx_active", 0),
        ])
        .await;
}

#[tokio::test]
async fn a_slow_request_does_not_use_up_the_routes_time() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).with_route("timeout: 0.15s").start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhel").await;
    let mut peer = origin.accept().await;
    peer.head().await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    client.send("lo").await;
    assert_eq!(peer.body(5).await, "hello");
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(client.response().await.status(), 200);
    proxy.wait_for_stats(&[("cluster.upstream_rq_timeout", 0), ("cluster.upstream_rq_200", 1)]).await;
}

#[tokio::test]
async fn a_route_may_have_no_timeout() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).with_route("timeout: 0s").start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut peer = origin.accept().await;
    assert!(!peer.head().await.contains("x-envoy-expected-rq-timeout-ms"));
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(client.response().await.status(), 200);
}

#[tokio::test]
async fn over_http2_a_clock_ends_the_stream_and_not_the_connection() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).with_route("timeout: 0.1s").start().await;
    let client = Http2Client::connect(proxy.listener(0)).await;
    let response = client.get("/").await;
    assert_eq!((response.status, response.text()), (504, "upstream request timeout".to_owned()));
    origin.accept().await.until_closed().await;
    let (response, _) = client.begin(Request::get("http://a/").body(()).unwrap(), true).await;
    let mut peer = origin.accept().await;
    peer.head().await;
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await;
    let reading = Reading::of(soon("a head", response).await.unwrap().into_body()).await;
    assert_eq!(reading.body, b"hello");
    assert_eq!(reading.end.unwrap_err().reason(), Some(h2::Reason::INTERNAL_ERROR));
    let (response, mut upload) = client.begin(Request::post("http://a/").body(()).unwrap(), false).await;
    upload.send_data(Bytes::from_static(b"hello"), true).unwrap();
    let mut peer = origin.accept().await;
    peer.head().await;
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(soon("a response", response).await.unwrap().status(), 200);
    proxy
        .wait_for_stats(&[
            ("http.downstream_cx_total", 1),
            ("http.downstream_cx_active", 1),
            ("cluster.upstream_rq_timeout", 2),
            ("http.downstream_rq_tx_reset", 1),
        ])
        .await;
}
