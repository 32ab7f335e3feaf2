//! Every protocol on the one side with every protocol on the other: a body of a mebibyte both ways, heads to the
//! letter where HTTP/2 is on a side, trailers, and connections that are used again or not.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{future::ready, sync::Arc, time::Duration};

use bytes::Bytes;
use h2::{Reason, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use nuncio_test_support::{
    Client, Http2Client, ManualOrigin, Origin, Proxy, Reading, get, mask, send_all, soon, until,
};

const MEBIBYTE: usize = 1 << 20;

/// Bytes that show if one of them is lost or doubled.
fn payload() -> Bytes {
    (0..MEBIBYTE / 4).flat_map(|n: usize| u32::try_from(n).unwrap().to_be_bytes()).collect()
}

/// Sends every body back, as it comes or, as HTTP/1 clients want it, when it has ended.
async fn echo_http2(streaming: bool) -> Origin {
    Origin::scripted_http2(move |request, mut respond| async move {
        let mut body = request.into_body();
        if !streaming {
            let reading = Reading::of(body).await;
            let mut upload = respond.send_response(Response::new(()), false).unwrap();
            return send_all(&mut upload, reading.body.into(), true).await.unwrap();
        }
        let mut upload = respond.send_response(Response::new(()), false).unwrap();
        while let Some(Ok(data)) = body.data().await {
            let _ = body.flow_control().release_capacity(data.len());
            send_all(&mut upload, data, false).await.unwrap();
        }
        send_all(&mut upload, Bytes::new(), true).await.unwrap();
    })
    .await
}

async fn echo_http1() -> Origin {
    Origin::serving(|seen| ready(Response::new(Full::new(seen.body)))).await
}

/// Three exchanges on one connection.
async fn check_body(proxy: Proxy, http2_client: bool, http2_upstream: bool) {
    let proxy = proxy.start().await;
    let address = proxy.listener(0);
    let http2 = Http2Client::connect(address).await;
    let mut http1 = Client::connect(address).await;
    if http2_client {
        for _ in 0..3 {
            let request = Request::post("http://test/echo").body(()).unwrap();
            let response = http2.post(request, payload()).await;
            assert_eq!(response.status, 200);
            assert!(response.body == payload(), "{} bytes", response.body.len());
        }
    } else {
        for chunked in [false, true, false] {
            let framing = if chunked { "transfer-encoding: chunked" } else { "content-length: 1048576" };
            let head = format!("POST /echo HTTP/1.1\r\nhost: test\r\n{framing}\r\n\r\n");
            let body = payload();
            let body = match chunked {
                true => [b"100000\r\n", &body[..], b"\r\n0\r\n\r\n"].concat(),
                false => body.to_vec(),
            };
            let response = http1.request([head.as_bytes(), &body].concat()).await;
            assert_eq!(response.status(), 200);
            // The client reads bodies as text.
            assert!(response.body == String::from_utf8_lossy(&payload()), "{} bytes", response.body.len());
        }
    }
    let (downstream, upstream) =
        (if http2_client { "http2" } else { "http1" }, if http2_upstream { "http2" } else { "http1" });
    proxy
        .wait_for_stats(&[
            (&format!("http.downstream_cx_{downstream}_total"), 1),
            (&format!("http.downstream_cx_{downstream}_active"), 1),
            (&format!("http.downstream_rq_{downstream}_total"), 3),
            ("http.downstream_rq_total", 3),
            ("http.downstream_rq_2xx", 3),
            ("http.downstream_rq_rx_reset", 0),
            ("http.downstream_rq_tx_reset", 0),
            (&format!("cluster.upstream_cx_{upstream}_total"), 1),
            ("cluster.upstream_cx_total", 1),
            ("cluster.upstream_cx_active", 1),
            ("cluster.upstream_rq_total", 3),
            ("cluster.upstream_rq_200", 3),
            ("cluster.upstream_rq_active", 0),
        ])
        .await;
    let mebibytes = i64::try_from(3 * MEBIBYTE).unwrap();
    for name in [
        "http.test.downstream_cx_rx_bytes_total",
        "http.test.downstream_cx_tx_bytes_total",
        "cluster.origin.upstream_cx_rx_bytes_total",
        "cluster.origin.upstream_cx_tx_bytes_total",
    ] {
        let bytes = proxy.stat(name).unwrap();
        assert!((mebibytes..mebibytes + 100_000).contains(&bytes), "{name}: {bytes}");
    }
}

#[tokio::test]
async fn a_mebibyte_from_http1_to_http1_and_back() {
    let origin = echo_http1().await;
    check_body(Proxy::in_front_of(&origin), false, false).await;
}

#[tokio::test]
async fn a_mebibyte_from_http1_to_http2_and_back() {
    let origin = echo_http2(false).await;
    check_body(Proxy::in_front_of(&origin).with_http2_upstream(), false, true).await;
}

#[tokio::test]
async fn a_mebibyte_from_http2_to_http1_and_back() {
    let origin = echo_http1().await;
    check_body(Proxy::in_front_of(&origin), true, false).await;
}

#[tokio::test]
async fn a_mebibyte_from_http2_to_http2_and_back() {
    let origin = echo_http2(true).await;
    check_body(Proxy::in_front_of(&origin).with_http2_upstream(), true, true).await;
}

/// The headers that an origin got, in their order, pseudo-headers left out.
fn names_and_values(headers: &HeaderMap) -> String {
    let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    mask(&headers.iter().map(line).collect::<Vec<_>>().join("\r\n"))
}

#[tokio::test]
async fn http2_requests_become_http1_requests() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let client = Http2Client::connect(proxy.listener(0)).await;
    let mut peer = None;
    let request = |method: &str| Request::builder().method(method).uri("https://Example.COM/p?q=1");
    for (request, ended, expected) in [
        (
            request("GET").header("x-b", "1").header("x-a", "2").header("te", "trailers").body(()).unwrap(),
            true,
            "GET /p?q=1 HTTP/1.1\r\nhost: Example.COM\r\nx-b: 1\r\nx-a: 2\r\nte: trailers\r\nADDED",
        ),
        (
            request("POST").body(()).unwrap(),
            true,
            "POST /p?q=1 HTTP/1.1\r\nhost: Example.COM\r\nADDED\r\ncontent-length: 0",
        ),
        (
            request("POST").header("content-length", "0").body(()).unwrap(),
            true,
            "POST /p?q=1 HTTP/1.1\r\nhost: Example.COM\r\ncontent-length: 0\r\nADDED",
        ),
        (
            request("GET")
                .header("cookie", "a=1")
                .header("x-b", "1")
                .header("cookie", "b=2")
                .body(())
                .unwrap(),
            true,
            "GET /p?q=1 HTTP/1.1\r\nhost: Example.COM\r\nx-b: 1\r\ncookie: a=1; b=2\r\nADDED",
        ),
        (
            request("POST").body(()).unwrap(),
            false,
            "POST /p?q=1 HTTP/1.1\r\nhost: Example.COM\r\nADDED\r\ntransfer-encoding: chunked",
        ),
    ] {
        let (response, mut upload) = client.begin(request, ended).await;
        if !ended {
            upload.send_data(Bytes::from_static(b"hello"), false).unwrap();
            let trailers = [(HeaderName::from_static("x-sum"), HeaderValue::from_static("dropped"))];
            upload.send_trailers(trailers.into_iter().collect()).unwrap();
        }
        let peer = match &mut peer {
            Some(peer) => peer,
            None => peer.insert(origin.accept().await),
        };
        let added = "x-forwarded-proto: http\r\nx-request-id: UUID\r\nx-envoy-expected-rq-timeout-ms: 15000";
        assert_eq!(mask(&peer.head().await), expected.replace("ADDED", added));
        if !ended {
            assert_eq!(peer.body(15).await, "5\r\nhello\r\n0\r\n\r\n");
        }
        peer.send("HTTP/1.1 200 Fine\r\nx-z: 1\r\nx-y: 2\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n2\r\nok\r\n0\r\nx-sum: dropped\r\n\r\n").await;
        let (head, body) = soon("a response", response).await.unwrap().into_parts();
        assert_eq!(
            names_and_values(&head.headers),
            "x-z: 1\r\nx-y: 2\r\nx-envoy-upstream-service-time: TIME\r\ndate: DATE\r\nserver: envoy"
        );
        let reading = Reading::of(body).await;
        assert_eq!(reading.body, b"ok");
        assert_eq!(reading.end.unwrap(), None);
    }
    proxy.wait_for_stats(&[("cluster.upstream_cx_total", 1), ("cluster.upstream_rq_2xx", 5)]).await;
}

#[tokio::test]
async fn http1_requests_become_http2_requests() {
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let origin = Origin::scripted_http2(move |request, mut respond| {
        let sender = sender.clone();
        async move {
            let (head, body) = request.into_parts();
            let reading = Reading::of(body).await;
            let body = String::from_utf8(reading.body).unwrap();
            sender.send((head, body, reading.end.unwrap())).unwrap();
            let response =
                Response::builder().status(201).header("x-z", "1").header("x-y", "2").body(()).unwrap();
            let mut stream = respond.send_response(response, false).unwrap();
            stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
            let trailers = [(HeaderName::from_static("x-sum"), HeaderValue::from_static("dropped"))];
            stream.send_trailers(trailers.into_iter().collect()).unwrap();
        }
    })
    .await;
    let proxy = Proxy::in_front_of(&origin).with_http2_upstream().start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    for (request, headers, body) in [
        (
            "GET /p?q=1 HTTP/1.1\r\nX-B: 1\r\nHost: Example.COM\r\nX-A: 2\r\nConnection: keep-alive\r\nTE: trailers\r\n\r\n",
            "x-b: 1\r\nx-a: 2\r\nte: trailers\r\nADDED",
            "",
        ),
        ("POST /p?q=1 HTTP/1.1\r\nhost: Example.COM\r\n\r\n", "ADDED", ""),
        (
            "POST /p?q=1 HTTP/1.1\r\nhost: Example.COM\r\ncontent-length: 5\r\n\r\nhello",
            "content-length: 5\r\nADDED",
            "hello",
        ),
        (
            "POST /p?q=1 HTTP/1.1\r\nhost: Example.COM\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
            "ADDED",
            "hello",
        ),
    ] {
        let response = client.request(request).await;
        assert_eq!(
            mask(&response.head),
            "HTTP/1.1 201 Created\r\nx-z: 1\r\nx-y: 2\r\nx-envoy-upstream-service-time: TIME\r\ndate: DATE\r\nserver: envoy\r\ntransfer-encoding: chunked"
        );
        assert_eq!(response.body, "hello");
        let (head, sent, trailers) = soon("the request", seen.recv()).await.unwrap();
        assert_eq!(head.uri.to_string(), "http://Example.COM/p?q=1");
        let added = "x-forwarded-proto: http\r\nx-request-id: UUID\r\nx-envoy-expected-rq-timeout-ms: 15000";
        assert_eq!(names_and_values(&head.headers), headers.replace("ADDED", added), "of {request}");
        assert_eq!((sent.as_str(), trailers), (body, None), "of {request}");
    }
}

#[tokio::test]
async fn trailers_pass_where_both_sides_speak_http2() {
    let trailers = |value: &'static str| -> HeaderMap {
        [(HeaderName::from_static("x-sum"), HeaderValue::from_static(value))].into_iter().collect()
    };
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let origin = Origin::scripted_http2(move |request, mut respond: SendResponse<Bytes>| {
        let sender = sender.clone();
        async move {
            sender.send(Reading::of(request.into_body()).await.end.unwrap()).unwrap();
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
            stream.send_trailers(trailers("down")).unwrap();
        }
    })
    .await;
    let proxy = Proxy::in_front_of(&origin).with_http2_upstream().start().await;
    let client = Http2Client::connect(proxy.listener(0)).await;
    let (response, mut upload) = client.begin(Request::post("http://test/").body(()).unwrap(), false).await;
    upload.send_data(Bytes::from_static(b"hello"), false).unwrap();
    upload.send_trailers(trailers("up")).unwrap();
    assert_eq!(soon("the trailers", seen.recv()).await.unwrap(), Some(trailers("up")));
    let reading = Reading::of(soon("a response", response).await.unwrap().into_body()).await;
    assert_eq!((reading.body, reading.end.unwrap()), (b"hello".to_vec(), Some(trailers("down"))));
    proxy.wait_for_stats(&[("cluster.upstream_rq_200", 1)]).await;
}

#[tokio::test]
async fn many_streams_share_the_connections() {
    let origin = echo_http2(true).await;
    let proxy = Proxy::in_front_of(&origin).with_http2_upstream().start().await;
    let client = Arc::new(Http2Client::connect(proxy.listener(0)).await);
    let requests = (0..100u32).map(|n| {
        let client = Arc::clone(&client);
        tokio::spawn(async move {
            let request = Request::post(format!("http://test/{n}")).body(()).unwrap();
            let body = Bytes::from(n.to_string().repeat(1000));
            let response = client.post(request, body.clone()).await;
            assert!(response.body == body, "{n}");
        })
    });
    for request in requests.collect::<Vec<_>>() {
        soon("a response", request).await.unwrap();
    }
    proxy
        .wait_for_stats(&[
            ("http.downstream_cx_total", 1),
            ("http.downstream_rq_http2_total", 100),
            ("http.downstream_rq_2xx", 100),
            ("cluster.upstream_cx_http2_total", 1),
            ("cluster.upstream_rq_200", 100),
            ("cluster.http2.streams_active", 0),
        ])
        .await;
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_meanwhile_is_replaced() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    for _ in 0..20 {
        // Closed right behind the answer, without a word before.
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello").await;
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        drop(peer);
        assert_eq!(client.response().await.body, "ok");
        // The kernel has brought the end to the proxy's side before the next request does.
    }
    proxy
        .wait_for_stats(&[
            ("cluster.upstream_rq_200", 20),
            ("cluster.upstream_rq_total", 20),
            ("cluster.upstream_rq_completed", 20),
            ("cluster.upstream_cx_total", 20),
        ])
        .await;
}

#[tokio::test]
async fn a_connection_whose_end_was_announced_is_not_used_again() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut first = origin.accept().await;
    first.head().await;
    first.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
    let response = client.response().await;
    assert_eq!((response.body.as_str(), response.header("connection")), ("ok", None));
    assert_eq!(first.until_closed().await, "");
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    origin.accept().await.head().await;
    proxy.wait_for_stats(&[("cluster.upstream_cx_total", 2), ("cluster.upstream_cx_close_notify", 1)]).await;
}

#[tokio::test]
async fn a_graceful_goaway_moves_requests_to_a_new_connection() {
    let origin = Origin::scripted(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            connection.graceful_shutdown();
            respond.send_response(Response::new(()), true).unwrap();
        }
    })
    .await;
    let proxy = Proxy::in_front_of(&origin).with_http2_upstream().start().await;
    for n in 1..=3 {
        assert_eq!(get(proxy.listener(0), "/").await.status(), 200);
        proxy
            .wait_for_stats(&[
                ("cluster.upstream_cx_destroy", n),
                ("cluster.upstream_cx_close_notify", n),
                ("cluster.upstream_cx_active", 0),
            ])
            .await;
    }
    assert_eq!(origin.connections(), 3);
}

#[tokio::test]
async fn streams_that_the_origin_resets_are_answered() {
    let origin = Origin::scripted_http2(|request: Request<_>, mut respond| async move {
        match request.uri().path() {
            "/refused" => respond.send_reset(Reason::REFUSED_STREAM),
            "/before" => respond.send_reset(Reason::INTERNAL_ERROR),
            _ => {
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
                // Once the data is on its way.
                tokio::time::sleep(Duration::from_millis(50)).await;
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
        }
    })
    .await;
    let proxy = Proxy::in_front_of(&origin).with_http2_upstream().start().await;
    let client = Http2Client::connect(proxy.listener(0)).await;
    let prefix = "upstream connect error or disconnect/reset before headers. reset reason: ";
    for (path, words) in [("/before", "remote reset"), ("/refused", "remote refused stream reset")] {
        let response = client.get(path).await;
        assert_eq!((response.status, response.text()), (503, format!("{prefix}{words}")));
    }
    let (response, _) = client.begin(Request::get("http://test/within").body(()).unwrap(), true).await;
    let reading = Reading::of(soon("a head", response).await.unwrap().into_body()).await;
    assert_eq!(reading.body, b"hello");
    assert_eq!(reading.end.unwrap_err().reason(), Some(Reason::INTERNAL_ERROR));
    assert_eq!(client.get("/before").await.status, 503, "the connection goes on");
    proxy
        .wait_for_stats(&[
            ("cluster.upstream_rq_503", 3),
            ("cluster.upstream_rq_200", 1),
            ("cluster.upstream_rq_rx_reset", 3),
            ("cluster.upstream_cx_total", 1),
            ("http.downstream_rq_tx_reset", 1),
            ("http.downstream_cx_total", 1),
        ])
        .await;
}

/// An upstream connection carries so many requests and no more.
async fn check_max_requests(origin: &Origin, proxy: Proxy) {
    let proxy = proxy.with_cluster("max_requests_per_connection: 2").start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    for _ in 0..6 {
        assert_eq!(client.get("/").await.status(), 200);
    }
    assert_eq!(origin.connections(), 3);
    proxy
        .wait_for_stats(&[
            ("cluster.upstream_cx_max_requests", 3),
            ("cluster.upstream_cx_total", 3),
            ("cluster.upstream_cx_destroy_local", 3),
            ("cluster.upstream_cx_destroy_with_active_rq", 0),
            ("cluster.upstream_cx_active", 0),
            ("cluster.upstream_rq_total", 6),
        ])
        .await;
}

#[tokio::test]
async fn an_upstream_connection_has_a_last_request() {
    let origin = Origin::answering("hello").await;
    check_max_requests(&origin, Proxy::in_front_of(&origin)).await;
    let origin = Origin::answering_http2("hello").await;
    check_max_requests(&origin, Proxy::in_front_of(&origin).with_http2_upstream()).await;
}

#[tokio::test]
async fn a_downstream_connection_has_a_last_request() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin)
        .with_manager("common_http_protocol_options: { max_requests_per_connection: 2 }")
        .start()
        .await;
    let mut client = Client::connect(proxy.listener(0)).await;
    assert_eq!(client.get("/").await.header("connection"), None);
    assert_eq!(client.get("/").await.header("connection"), Some("close"));
    assert_eq!(client.until_closed().await, "");
    proxy.wait_for_stats(&[("http.downstream_cx_max_requests_reached", 1)]).await;
    let client = Http2Client::connect(proxy.listener(0)).await;
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(client.get("/").await.status, 200);
    client.ended().await.unwrap();
    proxy.wait_for_stats(&[("http.downstream_cx_max_requests_reached", 2)]).await;
}

#[tokio::test]
async fn idle_upstream_connections_are_closed() {
    for http2 in [false, true] {
        let origin = if http2 { Origin::answering_http2("a").await } else { Origin::answering("a").await };
        let options = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        let protocol = if http2 { "http2_protocol_options" } else { "http_protocol_options" };
        let proxy = Proxy::in_front_of(&origin)
            .with_cluster(&format!("typed_extension_protocol_options: {{ envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {{ \"@type\": {options}, common_http_protocol_options: {{ idle_timeout: 0.1s }}, explicit_http_config: {{ {protocol}: {{}} }} }} }}"))
            .start()
            .await;
        assert_eq!(get(proxy.listener(0), "/").await.status(), 200);
        until(
            || proxy.stat("cluster.origin.upstream_cx_active") == Some(0),
            || format!("the connection is still there, HTTP/2: {http2}"),
        )
        .await;
        proxy
            .wait_for_stats(&[
                ("cluster.upstream_cx_idle_timeout", 1),
                ("cluster.upstream_cx_destroy_local", 1),
            ])
            .await;
    }
}
