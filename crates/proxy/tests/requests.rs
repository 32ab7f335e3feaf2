//! Heads, to the letter: what the origin gets of a request and what the client gets of a response, HTTP/1.1 on both
//! sides. What is expected here is what Envoy 1.40 did with the same bytes.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use nuncio_test_support::{Client, ManualOrigin, Peer, Proxy, RunningProxy, get, mask};

struct Both {
    proxy: RunningProxy,
    origin: ManualOrigin,
    client: Client,
}

async fn both() -> Both {
    let origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let client = Client::connect(proxy.listener(0)).await;
    Both { proxy, origin, client }
}

fn lines(text: &str) -> String {
    text.lines().map(str::trim_start).collect::<Vec<_>>().join("\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// What every request gets at its end.
const ADDED: &str = "\nx-forwarded-proto: http\nx-request-id: UUID\nx-envoy-expected-rq-timeout-ms: 15000";

/// Sends requests one after the other and compares what comes out. `expected` is without what is always added.
async fn check_requests(cases: &[(&str, &str)]) {
    let Both { proxy, mut origin, mut client } = both().await;
    let mut peer: Option<Peer> = None;
    for (sent, expected) in cases {
        client.send(lines(sent) + "\r\n\r\n").await;
        let head = match &mut peer {
            Some(peer) => peer.head().await,
            None => {
                let accepted = peer.insert(origin.accept().await);
                accepted.head().await
            }
        };
        let (framing, expected) = match expected.split_once("\n+") {
            Some((expected, framing)) => (format!("\n{framing}"), expected),
            None => (String::new(), *expected),
        };
        let added = if expected.contains("x-request-id:") {
            ADDED.replace("\nx-request-id: UUID", "")
        } else {
            ADDED.to_owned()
        };
        let added = if expected.contains("x-forwarded-proto:") {
            added.replace("\nx-forwarded-proto: http", "")
        } else {
            added
        };
        assert_eq!(mask(&head), lines(&format!("{expected}{added}{framing}")), "of {sent}");
        peer.as_mut().unwrap().send(OK).await;
        assert_eq!(client.response().await.status(), 200);
    }
    let count = i64::try_from(cases.len()).unwrap();
    proxy
        .wait_for_stats(&[
            ("http.downstream_cx_total", 1),
            ("http.downstream_cx_http1_total", 1),
            ("http.downstream_rq_total", count),
            ("http.downstream_rq_http1_total", count),
            ("http.rq_total", count),
            ("http.downstream_rq_completed", count),
            ("http.downstream_rq_2xx", count),
            ("http.downstream_rq_active", 0),
            ("http.downstream_cx_protocol_error", 0),
            ("cluster.upstream_cx_total", 1),
            ("cluster.upstream_cx_http1_total", 1),
            ("cluster.upstream_rq_total", count),
            ("cluster.upstream_rq_200", count),
            ("cluster.upstream_rq_2xx", count),
            ("cluster.upstream_rq_completed", count),
            ("cluster.external.upstream_rq_200", count),
            ("cluster.upstream_rq_pending_total", 1),
            ("cluster.upstream_rq_active", 0),
        ])
        .await;
}

#[tokio::test]
async fn a_request_keeps_its_order_and_gets_three_headers() {
    check_requests(&[
        (
            "GET /h1/plain?q=%2f//../a HTTP/1.1
             Host: Example.COM
             User-Agent: curl/7.88
             Accept: */*",
            "GET /h1/plain?q=%2f//../a HTTP/1.1
             host: Example.COM
             user-agent: curl/7.88
             accept: */*",
        ),
        (
            "GET / HTTP/1.1
             X-First: 1
             cookie: a=1
             Host: a
             X-Multi:   one  two\t
             cookie: b=2
             x-multi: three
             X-Empty:",
            "GET / HTTP/1.1
             host: a
             x-first: 1
             cookie: a=1
             cookie: b=2
             x-multi: one  two
             x-multi: three
             x-empty: ",
        ),
        (
            "GET / HTTP/1.1
             Host: a
             X-Request-Id: my-id
             X-Forwarded-Proto: https
             X-Forwarded-For: 1.2.3.4
             Via: 1.1 other
             traceparent: 00-1-2-3",
            "GET / HTTP/1.1
             host: a
             x-request-id: my-id
             x-forwarded-proto: https
             x-forwarded-for: 1.2.3.4
             via: 1.1 other
             traceparent: 00-1-2-3",
        ),
        // The absolute form: its host counts.
        ("GET http://user@B.c:81/p?q HTTP/1.1\nHost: a\nx: y", "GET /p?q HTTP/1.1\nhost: B.c:81\nx: y"),
        ("GET http://b HTTP/1.1\nHost: a", "GET / HTTP/1.1\nhost: b"),
        ("DELETE /x HTTP/1.1\nHost: a", "DELETE /x HTTP/1.1\nhost: a"),
        ("TRACE /x HTTP/1.1\nHost: a", "TRACE /x HTTP/1.1\nhost: a"),
    ])
    .await;
}

#[tokio::test]
async fn hop_by_hop_headers_and_envoys_own_go() {
    check_requests(&[
        (
            "GET / HTTP/1.1
             Host: a
             Connection: keep-alive, X-Private, TE
             X-Private: 1
             Keep-Alive: 5
             Proxy-Connection: keep-alive
             TE: trailers, deflate
             Trailer: x-sum
             Upgrade: websocket",
            "GET / HTTP/1.1
             host: a
             trailer: x-sum
             te: trailers",
        ),
        ("GET / HTTP/1.1\nHost: a\nTE: trailers", "GET / HTTP/1.1\nhost: a\nte: trailers"),
        ("GET / HTTP/1.1\nHost: a\nTE: gzip", "GET / HTTP/1.1\nhost: a"),
        ("GET / HTTP/1.1\nHost: a\nExpect: nothing", "GET / HTTP/1.1\nhost: a\nexpect: nothing"),
        (
            "GET / HTTP/1.1
             Host: a
             X-Envoy-Internal: true
             X-Envoy-Force-Trace: 1
             X-Envoy-Expected-Rq-Timeout-Ms: 5
             X-Envoy-Upstream-Rq-Timeout-Ms: 1
             X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms: 1
             X-Envoy-Max-Retries: 3
             X-Envoy-Retry-On: 5xx
             X-Envoy-Retry-Grpc-On: cancelled
             X-Envoy-Retriable-Status-Codes: 503
             X-Envoy-Upstream-Alt-Stat-Name: b
             X-Envoy-Original-Path: /kept
             X-Envoy-Attempt-Count: 7
             X-Envoy-Foo: kept",
            "GET / HTTP/1.1
             host: a
             x-envoy-original-path: /kept
             x-envoy-attempt-count: 7
             x-envoy-foo: kept",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_request_without_a_body_is_framed_by_its_method() {
    check_requests(&[
        ("POST / HTTP/1.1\nHost: a", "POST / HTTP/1.1\nhost: a\n+content-length: 0"),
        ("PUT / HTTP/1.1\nHost: a", "PUT / HTTP/1.1\nhost: a\n+content-length: 0"),
        ("OPTIONS / HTTP/1.1\nHost: a", "OPTIONS / HTTP/1.1\nhost: a\n+content-length: 0"),
        ("GET / HTTP/1.1\nContent-Length: 0\nHost: a", "GET / HTTP/1.1\nhost: a\ncontent-length: 0"),
        (
            "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0",
            "POST / HTTP/1.1\nhost: a\n+transfer-encoding: chunked",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_route_adds_and_rewrites() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address())
        .with_routes(&[
            "{ match: { prefix: /old/ }, route: { cluster: origin, timeout: 0s, prefix_rewrite: /new/, host_rewrite_literal: inner } }",
            "{ match: { prefix: /short }, route: { cluster: origin, timeout: 0.25s } }",
        ])
        .start()
        .await;
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("GET /old/x?y=1 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut peer = origin.accept().await;
    let head = mask(&peer.head().await);
    // Without a timeout there is none to tell.
    assert_eq!(
        head,
        lines(
            "GET /new/x?y=1 HTTP/1.1
             host: inner
             x-forwarded-proto: http
             x-request-id: UUID
             x-envoy-original-host: a
             x-envoy-original-path: /old/x?y=1"
        )
    );
    peer.send(OK).await;
    client.response().await;
    client.send("GET /short HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(peer.head().await.ends_with("\r\nx-envoy-expected-rq-timeout-ms: 250"));
    peer.send(OK).await;
    assert_eq!(client.response().await.status(), 200);
}

/// Answers requests with `sent` and compares what the client gets: head, then body. A dot in front of the expected
/// head's lines stands for nothing; the last of them is where the framing goes.
async fn check_responses(method: &str, cases: &[(&str, &str)]) {
    let Both { proxy: _proxy, mut origin, mut client } = both().await;
    let mut peer = None;
    for (sent, expected) in cases {
        client.send(format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let mut to = match peer.take() {
            Some(peer) => peer,
            None => origin.accept().await,
        };
        to.head().await;
        let (head, body) = sent.split_once("\n\n").unwrap_or((sent, ""));
        to.send(lines(head) + "\r\n\r\n" + &body.replace('\n', "\r\n")).await;
        // A response that ends with its connection is the last on it.
        if head.contains("HTTP/1.0")
            || !head.contains("-length") && !head.contains("chunked") && method != "HEAD"
        {
            let bodiless = [" 204 ", " 304 "].iter().any(|status| head.contains(status));
            if bodiless { peer = Some(to) } else { drop(to) }
        } else {
            peer = Some(to);
        }
        let response = if method == "HEAD" { client.head().await } else { client.response().await };
        let (head, body) = expected.split_once("\n\n").unwrap_or((expected, ""));
        assert_eq!(mask(&response.head), lines(head), "of {sent}");
        assert_eq!(response.body, body, "of {sent}");
    }
}

#[tokio::test]
async fn a_response_keeps_its_order_and_gets_three_headers() {
    check_responses(
        "GET",
        &[
            (
                "HTTP/1.1 200 Fine
                 Content-Type: text/plain
                 Content-Length: 5
                 Set-Cookie: a=1
                 X-Hop: 1
                 Set-Cookie: b=2
                 Via: 1.1 x
                 X-Request-Id: theirs
                 Trailer: t

hello",
                "HTTP/1.1 200 OK
                 content-type: text/plain
                 content-length: 5
                 set-cookie: a=1
                 set-cookie: b=2
                 x-hop: 1
                 via: 1.1 x
                 x-request-id: theirs
                 trailer: t
                 x-envoy-upstream-service-time: TIME
                 date: DATE
                 server: envoy

hello",
            ),
            // What the origin says first stays where it is.
            (
                "HTTP/1.1 200 OK
                 server: nginx
                 date: Sat, 21 Nov 2026 23:07:23 GMT
                 x-envoy-upstream-service-time: 999
                 content-length: 0",
                "HTTP/1.1 200 OK
                 server: envoy
                 date: DATE
                 x-envoy-upstream-service-time: TIME
                 content-length: 0",
            ),
            (
                "HTTP/1.1 200 OK
                 keep-alive: timeout=5
                 proxy-connection: keep-alive
                 connection: keep-alive
                 upgrade: h2c
                 a: b
                 content-length: 0",
                "HTTP/1.1 200 OK
                 a: b
                 content-length: 0
                 x-envoy-upstream-service-time: TIME
                 date: DATE
                 server: envoy",
            ),
            // A status that has no name.
            (
                "HTTP/1.1 299 Whatever\ncontent-length: 0",
                "HTTP/1.1 299 Unknown\ncontent-length: 0\nx-envoy-upstream-service-time: TIME\ndate: DATE\nserver: envoy",
            ),
            (
                "HTTP/1.1 418 I'm a teapot\ncontent-length: 0",
                "HTTP/1.1 418 Unknown\ncontent-length: 0\nx-envoy-upstream-service-time: TIME\ndate: DATE\nserver: envoy",
            ),
            (
                "HTTP/1.1 404 Nope\ncontent-length: 2\n\nno",
                "HTTP/1.1 404 Not Found\ncontent-length: 2\nx-envoy-upstream-service-time: TIME\ndate: DATE\nserver: envoy\n\nno",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_response_is_framed_as_it_came() {
    const ADDED: &str = "\nx-envoy-upstream-service-time: TIME\ndate: DATE\nserver: envoy";
    let chunked = format!("HTTP/1.1 200 OK{ADDED}\ntransfer-encoding: chunked\n\nhello");
    check_responses(
        "GET",
        &[
            (
                "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3;ext=1\nhel\n2\nlo\n0\nx-trailer: dropped\n\n",
                &chunked,
            ),
            // Until the connection ends, be it of HTTP/1.1 or HTTP/1.0.
            ("HTTP/1.1 200 OK\n\nhello", &chunked),
            ("HTTP/1.0 200 OK\n\nhello", &chunked),
            ("HTTP/1.1 204 No Content", &format!("HTTP/1.1 204 No Content{ADDED}")),
            ("HTTP/1.1 204 No Content\ncontent-length: 0", &format!("HTTP/1.1 204 No Content{ADDED}")),
            (
                "HTTP/1.1 304 Not Modified\netag: x",
                &format!("HTTP/1.1 304 Not Modified\netag: x{ADDED}"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_head_request_gets_the_length_and_no_body() {
    const ADDED: &str = "\nx-envoy-upstream-service-time: TIME\ndate: DATE\nserver: envoy";
    check_responses(
        "HEAD",
        &[
            ("HTTP/1.1 200 OK\ncontent-length: 5", &format!("HTTP/1.1 200 OK\ncontent-length: 5{ADDED}")),
            ("HTTP/1.1 200 OK", &format!("HTTP/1.1 200 OK{ADDED}\ntransfer-encoding: chunked")),
            (
                "HTTP/1.1 304 Not Modified\ncontent-length: 5",
                &format!("HTTP/1.1 304 Not Modified\ncontent-length: 5{ADDED}"),
            ),
            (
                "HTTP/1.1 200 OK\ntransfer-encoding: chunked",
                &format!("HTTP/1.1 200 OK{ADDED}\ntransfer-encoding: chunked"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn interim_responses_of_the_origin_are_swallowed() {
    let Both { proxy, mut origin, mut client } = both().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut peer = origin.accept().await;
    peer.head().await;
    for interim in ["100 Continue\r\nx: y", "102 Processing", "103 Early Hints\r\nlink: </a>"] {
        peer.send(format!("HTTP/1.1 {interim}\r\n\r\n")).await;
    }
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
    let response = client.response().await;
    assert_eq!((response.status(), response.body.as_str()), (200, "hello"));
    assert_eq!(response.header("link"), None);
    proxy
        .wait_for_stats(&[
            ("cluster.upstream_rq_1xx", 3),
            ("cluster.upstream_rq_103", 1),
            ("cluster.upstream_rq_completed", 4),
            ("http.downstream_rq_1xx", 0),
        ])
        .await;
}

#[tokio::test]
async fn only_whole_responses_are_timed() {
    let mut origin = ManualOrigin::new().await;
    let proxy =
        Proxy::in_front_of_address(origin.address()).and("stats_flush_interval: 0.05s\n").start().await;
    for (rest, whole) in [(Some("hello"), true), (None, false)] {
        let mut client = Client::connect(proxy.listener(0)).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await;
        proxy.wait_for_stat("cluster.origin.upstream_rq_completed", if whole { 1 } else { 2 }).await;
        match rest {
            Some(rest) => {
                peer.send(rest).await;
                assert_eq!(client.response().await.body, "hellohello");
            }
            None => drop(peer),
        }
        drop(client);
        proxy.wait_for_stat("http.test.downstream_cx_destroy", if whole { 1 } else { 2 }).await;
    }
    // The histogram shows what was there at the last flush.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let page = get(proxy.admin(), "/stats/prometheus?filter=upstream_rq_time").await;
    assert!(
        page.body.contains("envoy_cluster_upstream_rq_time_count{envoy_cluster_name=\"origin\"} 1\n"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn a_client_that_wants_to_close_is_told_and_closed() {
    let Both { proxy, mut origin, mut client } = both().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: Close, foo\r\n\r\n").await;
    let mut peer = origin.accept().await;
    let head = peer.head().await;
    assert!(!head.contains("connection"), "{head}");
    peer.send(OK).await;
    let text = client.until_closed().await;
    assert_eq!(
        mask(&text),
        lines(
            "HTTP/1.1 200 OK
             content-length: 0
             x-envoy-upstream-service-time: TIME
             date: DATE
             server: envoy
             connection: close"
        ) + "\r\n\r\n"
    );
    // The upstream connection is another matter.
    let mut second = Client::connect(proxy.listener(0)).await;
    second.send("GET /again HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(peer.head().await.starts_with("GET /again "));
    proxy
        .wait_for_stats(&[
            ("http.downstream_cx_destroy", 1),
            ("http.downstream_cx_destroy_local", 1),
            ("http.downstream_cx_destroy_local_active_rq", 0),
            ("cluster.upstream_cx_total", 1),
            ("cluster.upstream_cx_destroy", 0),
        ])
        .await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let Both { proxy, mut origin, mut client } = both().await;
    let requests: String = (0..5).map(|n| format!("GET /{n} HTTP/1.1\r\nhost: a\r\n\r\n")).collect();
    client.send(requests).await;
    let mut peer = origin.accept().await;
    for n in 0..5 {
        assert!(peer.head().await.starts_with(&format!("GET /{n} ")));
        peer.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{n}")).await;
        assert_eq!(client.response().await.body, n.to_string());
    }
    proxy.wait_for_stats(&[("http.downstream_rq_total", 5), ("cluster.upstream_cx_total", 1)]).await;
}
