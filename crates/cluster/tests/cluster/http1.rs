//! What travels over HTTP/1 connections, and that they are used again.

use bytes::Bytes;
use http::{HeaderValue, header};
use nuncio_service::Body;

use crate::support::*;

#[tokio::test]
async fn a_request_is_written_and_a_response_read() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let mut first = get();
    first.headers_mut().insert("x-b", HeaderValue::from_static("1"));
    first.headers_mut().insert("x-a", HeaderValue::from_static("2"));
    let (mut written, mut read) = (0, 0);
    let play = async {
        let mut peer = origin.accept().await;
        let head = peer.head().await;
        written += head.len();
        assert_eq!(head, "GET /path?q=1 HTTP/1.1\r\nhost: example.com\r\nx-b: 1\r\nx-a: 2\r\n\r\n");
        let answer = "HTTP/1.1 201 Whatever\r\nX-Z: 1\r\nx-y: 2\r\nContent-Length: 5\r\n\r\nhello";
        read += answer.len();
        peer.send(answer).await;
        let head = peer.head().await;
        written += head.len();
        assert_eq!(head, "POST /path?q=1 HTTP/1.1\r\nhost: example.com\r\ncontent-length: 0\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        peer
    };
    let requests = async {
        let answer = exchange(&fixture.cluster, first).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (201, &b"hello"[..]));
        let names: Vec<_> = answer.headers.keys().map(header::HeaderName::as_str).collect();
        assert_eq!(names, ["x-z", "x-y", "content-length"]);
        let answer = exchange(&fixture.cluster, request("POST", Body::Empty)).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
        assert_eq!(answer.host, fixture.manager.status()[0].hosts[0].address);
    };
    let (peer, ()) = tokio::join!(play, requests);
    fixture.assert_stats(&[
        ("upstream_cx_total", 1),
        ("upstream_cx_http1_total", 1),
        ("upstream_cx_active", 1),
        ("upstream_rq_total", 2),
        ("upstream_rq_active", 0),
        ("upstream_rq_pending_total", 1),
        ("upstream_rq_pending_active", 0),
        ("upstream_cx_destroy", 0),
        ("upstream_cx_tx_bytes_total", i64::try_from(written).unwrap()),
        ("upstream_cx_rx_bytes_total", i64::try_from(read + 38).unwrap()),
        ("upstream_cx_rx_bytes_buffered", 38),
    ]);
    drop(peer);
}

/// Sends one request, answers with `answer`, and checks what comes of it.
async fn check(method: &str, answer: &'static str, status: u16, body: &str, reused: bool) {
    let origin = Origin::new().await.answer(answer);
    let fixture = start(cluster(&[origin.address])).await;
    for _ in 0..2 {
        let got = exchange(&fixture.cluster, request(method, Body::Empty)).await.unwrap();
        assert_eq!((got.status.as_u16(), &got.body[..]), (status, body.as_bytes()), "{answer:?}");
        assert_eq!(got.trailers, None, "{answer:?}");
    }
    let connections = if reused { 1 } else { 2 };
    assert_eq!(fixture.counter("upstream_cx_total"), connections, "{answer:?}");
    assert_eq!(fixture.gauge("upstream_rq_active"), 0);
    assert_eq!(fixture.counter("upstream_cx_destroy_with_active_rq"), 0, "{answer:?}");
}

#[tokio::test]
async fn responses_end_where_http_says() {
    check("GET", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200, "hello", true).await;
    check("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, "", true).await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";
    check("GET", chunked, 200, "hello", true).await;
    let trailers =
        "HTTP/1.1 200 OK\r\ntrailer: x-t\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-t: 1\r\n\r\n";
    check("GET", trailers, 200, "hi", true).await;
    check("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true).await;
    check("GET", "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", 204, "", true).await;
    check("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, "", true).await;
    check("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", 200, "", true).await;
    check("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 200, "", true).await;
    check("GET", "HTTP/1.1 500 Oops\r\ncontent-length: 1\r\n\r\nx", 500, "x", true).await;
    // Informational responses are swallowed.
    let informational =
        "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    check("GET", informational, 200, "ok", true).await;
    // Folded lines and bare line feeds are read as Envoy reads them.
    check("GET", "HTTP/1.1 200 OK\ncontent-length: 2\n\nok", 200, "ok", true).await;
    check("GET", "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok", 200, "ok", true).await;
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 2\r\n\r\nok", "a".repeat(64 * 1024));
    check("GET", large.leak(), 200, "ok", true).await;
    // After these no request may follow.
    check("GET", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", 200, "ok", false)
        .await;
    check("GET", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, "ok", false).await;
    check("GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokEXTRA", 200, "ok", false).await;
    check("GET", "HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "", false).await;
}

#[tokio::test]
async fn a_body_may_end_with_its_connection() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let play = async {
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\n\r\nhello").await;
    };
    let (answer, ()) = tokio::join!(exchange(&fixture.cluster, get()), play);
    assert_eq!(answer.unwrap().body, "hello");
    fixture.assert_stats(&[("upstream_cx_active", 0), ("upstream_cx_destroy", 1), ("upstream_rq_active", 0)]);
}

#[tokio::test]
async fn large_bodies_come_whole() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let body: String = (0..3_000_000).map(|n| char::from(b'a' + u8::try_from(n % 26).unwrap())).collect();
    let play = async {
        let mut peer = origin.accept().await;
        for length in ["content-length: 3000000\r\n\r\n", "transfer-encoding: chunked\r\n\r\n2dc6c0\r\n"] {
            peer.head().await;
            let upload = peer.body(body.len()).await;
            assert!(upload == body, "the upload came whole");
            peer.send("HTTP/1.1 200 OK\r\n").await;
            peer.send(length).await;
            peer.send(&body).await;
            if length.starts_with('t') {
                peer.send("\r\n0\r\n\r\n").await;
            }
        }
        peer
    };
    let requests = async {
        for _ in 0..2 {
            let mut request = request("PUT", Body::full(body.clone()));
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            let answer = exchange(&fixture.cluster, request).await.unwrap();
            assert!(answer.body == body, "the download came whole");
        }
    };
    tokio::join!(play, requests);
    fixture.assert_stats(&[("upstream_cx_total", 1), ("upstream_cx_active", 1)]);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_sent_in_chunks_without_trailers() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let (sender, body) = channel_body();
    // Even with a method that rarely has a body, and with a header that promises trailers.
    let mut request = request("GET", body);
    request.headers_mut().insert(header::TRAILER, HeaderValue::from_static("x-t"));
    let play = async {
        let mut peer = origin.accept().await;
        let head = peer.head().await;
        assert!(head.ends_with("\r\ntrailer: x-t\r\ntransfer-encoding: chunked\r\n\r\n"), "{head}");
        sender.send(data("hello")).unwrap();
        assert_eq!(peer.body(10).await, "5\r\nhello\r\n");
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-t", HeaderValue::from_static("1"));
        sender.send(Ok(Frame::trailers(trailers))).unwrap();
        drop(sender);
        assert_eq!(peer.body(5).await, "0\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        peer
    };
    let (answer, _peer) = tokio::join!(exchange(&fixture.cluster, request), play);
    assert_eq!(answer.unwrap().status, 200);
    fixture.assert_stats(&[("upstream_cx_active", 1), ("upstream_cx_destroy", 0)]);
}

#[tokio::test]
async fn a_short_body_that_came_with_its_head_needs_no_stream() {
    let origin = Origin::new().await.answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let fixture = start(cluster(&[origin.address])).await;
    exchange(&fixture.cluster, get()).await.unwrap();
    let response = fixture.cluster.request(get()).await.unwrap().response;
    assert!(matches!(response.body(), Body::Full(bytes) if *bytes == Bytes::from_static(b"hello")));
    // The connection is back in its pool although the body has not been read.
    exchange(&fixture.cluster, get()).await.unwrap();
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn the_service_trait_sends_like_the_method() {
    use tower_service::Service as _;
    let origin = Origin::new().await.answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let fixture = start(cluster(&[origin.address])).await;
    let mut service = fixture.cluster.clone();
    std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    assert_eq!(service.call(get()).await.unwrap().response.status(), 200);
    assert_eq!(&**service.name(), "c");
    assert!(fixture.clusters.get("other").is_none());
}

/// A task is woken once for each response, by the socket: what the connection's parts say to each other wakes nobody.
#[tokio::test]
async fn a_pooled_request_costs_one_wake_up() {
    use std::task::Poll;
    const REQUESTS: usize = 20;
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let origin = Origin::new().await.answer(answer);
        let fixture = start(cluster(&[origin.address])).await;
        exchange(&fixture.cluster, get()).await.unwrap();
        let cluster = fixture.cluster.clone();
        let task = tokio::spawn(async move {
            let mut requests = std::pin::pin!(async {
                for _ in 0..REQUESTS {
                    let response = cluster.request(get()).await.unwrap().response;
                    http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
                }
            });
            let mut polls = 0;
            std::future::poll_fn(|cx| {
                polls += 1;
                requests.as_mut().poll(cx)
            })
            .await;
            // Nothing that has happened wakes the task again.
            let mut late = 0;
            let mut end = std::pin::pin!(tokio::time::sleep(std::time::Duration::from_millis(20)));
            std::future::poll_fn(|cx| {
                late += 1;
                if late > 5 { Poll::Ready(()) } else { end.as_mut().poll(cx) }
            })
            .await;
            (polls, late)
        });
        let (polls, late) = within("all requests", task).await.unwrap();
        assert!(polls <= REQUESTS + 1, "{polls} polls for {REQUESTS} requests: {answer:?}");
        assert!(late <= 2, "{late} polls after the end: {answer:?}");
        fixture.assert_stats(&[("upstream_cx_total", 1)]);
    }
}
