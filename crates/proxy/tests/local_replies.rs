//! What the proxy answers by itself, to the letter, with the access log's words and the stats. What is expected here is
//! what Envoy 1.40 said in the same case.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{net::SocketAddr, time::Duration};

use nuncio_test_support::{
    Client, Directory, Http2Client, ManualOrigin, NameServer, Origin, Proxy, RunningProxy, exchange, mask,
    until,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const LOG: &str = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%";
const RESET: &str = "upstream connect error or disconnect/reset before headers. reset reason: ";

/// A proxy with an access log.
struct Fixture {
    proxy: RunningProxy,
    directory: Directory,
}

impl Fixture {
    async fn start(proxy: Proxy) -> Self {
        let directory = Directory::new();
        let proxy = proxy.with_access_log(&directory, Some(LOG)).start().await;
        Self { proxy, directory }
    }

    fn address(&self) -> SocketAddr {
        self.proxy.listener(0)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path("access.log")).unwrap_or_default()
    }

    /// Waits for a line of the access log.
    async fn logged(&self, line: &str) {
        until(|| self.log().lines().any(|there| there == line), || format!("{line:?} in {:?}", self.log()))
            .await;
    }
}

/// The head of a reply with this body, as it is kept open.
fn head(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-type: text/plain\r\ndate: DATE\r\nserver: envoy",
        body.len()
    )
}

/// Asks for a path over HTTP/1 twice on one connection, which must stay open, and once over HTTP/2.
async fn check(fixture: &Fixture, path: &str, status: &str, body: &str, log: &str) {
    let mut client = Client::connect(fixture.address()).await;
    for _ in 0..2 {
        let response = client.get(path).await;
        assert_eq!(mask(&response.head), head(status, body), "{log}");
        assert_eq!(response.body, body);
    }
    let response = Http2Client::connect(fixture.address()).await.get(path).await;
    let expected = head(status, body).replacen("HTTP/1.1 ", ":status: ", 1);
    let reason = status.split_once(' ').unwrap().1;
    assert_eq!(mask(&response.head()), expected.replacen(&format!(" {reason}"), "", 1));
    assert_eq!(response.text(), body);
    fixture.logged(log).await;
    client.send(format!("HEAD {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
    assert_eq!(mask(&client.head().await.head), head(status, body), "a HEAD gets the length and no body");
    assert!(client.get(path).await.body == body, "and nothing of it comes later");
}

fn route(prefix: &str, cluster: &str) -> String {
    format!("{{ match: {{ prefix: {prefix} }}, route: {{ cluster: {cluster} }} }}")
}

async fn nobody_listens_here() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn without_a_route() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).replacing("prefix: / }", "prefix: /only }");
    let fixture = Fixture::start(proxy).await;
    let mut client = Client::connect(fixture.address()).await;
    let bare = "HTTP/1.1 404 Not Found\r\ndate: DATE\r\nserver: envoy\r\ncontent-length: 0";
    for _ in 0..2 {
        assert_eq!(mask(&client.get("/other").await.head), bare);
    }
    fixture.logged("404 NR route_not_found").await;
    let response = Http2Client::connect(fixture.address()).await.get("/other").await;
    assert_eq!(mask(&response.head()), ":status: 404\r\ndate: DATE\r\nserver: envoy");
    // What was to follow would be read as the next request.
    let request = "POST /other HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\n";
    let expected = bare.replace("\r\ncontent-length", "\r\nconnection: close\r\ncontent-length");
    assert_eq!(mask(&exchange(fixture.address(), request).await), expected + "\r\n\r\n");
    fixture
        .proxy
        .wait_for_stats(&[
            ("http.no_route", 4),
            ("http.rq_total", 4),
            ("http.downstream_rq_4xx", 4),
            ("http.downstream_rq_completed", 4),
            ("http.downstream_rq_rx_reset", 1),
            ("http.downstream_rq_response_before_rq_complete", 1),
            ("listener.main.http.test.downstream_rq_4xx", 4),
            ("cluster.upstream_rq_total", 0),
        ])
        .await;
}

#[tokio::test]
async fn without_a_healthy_host() {
    let names = NameServer::new().await;
    let fixture = Fixture::start(
        Proxy::in_front_of_address(nobody_listens_here().await)
            .with_routes(&[&route("/none", "none"), &route("/nodns", "nodns")])
            .and(&format!("dns_resolution_config: {{ resolvers: [{{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }}], dns_resolver_options: {{ no_default_search_domain: true }} }}\n", names.port()))
            .replacing("  clusters:\n", "  clusters:\n  - name: none\n  - name: nodns\n    type: STRICT_DNS\n    load_assignment: { cluster_name: nodns, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: no.such.name, port_value: 80 } } } }] }] }\n"),
    )
    .await;
    for (count, cluster) in ["none", "nodns"].iter().enumerate() {
        let log = "503 UH no_healthy_upstream";
        check(&fixture, &format!("/{cluster}"), "503 Service Unavailable", "no healthy upstream", log).await;
        for (name, value) in [
            ("upstream_cx_none_healthy", 5),
            ("lb_healthy_panic", 5),
            ("upstream_rq_503", 5),
            ("upstream_rq_5xx", 5),
            ("upstream_rq_completed", 5),
            ("external.upstream_rq_503", 5),
            ("upstream_rq_total", 0),
            ("upstream_cx_total", 0),
            ("membership_total", 0),
        ] {
            fixture.proxy.wait_for_stat(&format!("cluster.{cluster}.{name}"), value).await;
        }
        let count = i64::try_from(count + 1).unwrap();
        fixture.proxy.wait_for_stats(&[("http.downstream_rq_5xx", 5 * count)]).await;
    }
}

#[tokio::test]
async fn without_a_connection() {
    for http2 in [false, true] {
        let proxy = Proxy::in_front_of_address(nobody_listens_here().await);
        let fixture = Fixture::start(if http2 { proxy.with_http2_upstream() } else { proxy }).await;
        check(
            &fixture,
            "/",
            "503 Service Unavailable",
            &format!("{RESET}remote connection failure"),
            "503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        )
        .await;
        fixture
            .proxy
            .wait_for_stats(&[
                ("cluster.upstream_cx_total", 5),
                ("cluster.upstream_cx_active", 0),
                ("cluster.upstream_cx_connect_fail", 5),
                ("cluster.upstream_cx_connect_timeout", 0),
                ("cluster.upstream_cx_destroy", 5),
                ("cluster.upstream_cx_destroy_remote", 5),
                ("cluster.upstream_rq_pending_total", 5),
                ("cluster.upstream_rq_pending_failure_eject", 5),
                ("cluster.upstream_rq_pending_active", 0),
                ("cluster.upstream_rq_total", 0),
                ("cluster.upstream_rq_503", 5),
                ("cluster.upstream_rq_completed", 5),
                ("http.downstream_rq_5xx", 5),
            ])
            .await;
    }
}

/// An address that neither accepts nor refuses: its queue is full. Lives as long as what is returned.
async fn black_hole() -> (SocketAddr, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = vec![];
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await
    {
        queue.push(stream);
    }
    // It listens as long as the process runs.
    std::mem::forget(listener);
    (address, queue)
}

#[tokio::test]
async fn with_a_connection_that_takes_too_long() {
    let (address, _queue) = black_hole().await;
    let fixture =
        Fixture::start(Proxy::in_front_of_address(address).with_cluster("connect_timeout: 0.05s")).await;
    check(
        &fixture,
        "/",
        "503 Service Unavailable",
        &format!("{RESET}connection timeout"),
        "503 UF upstream_reset_before_response_started{connection_timeout}",
    )
    .await;
    fixture
        .proxy
        .wait_for_stats(&[
            ("cluster.upstream_cx_connect_fail", 5),
            ("cluster.upstream_cx_connect_timeout", 5),
            ("cluster.upstream_cx_destroy_local", 5),
            ("cluster.upstream_rq_pending_failure_eject", 5),
            ("cluster.upstream_rq_503", 5),
        ])
        .await;
}

/// What becomes of a response like this: an origin that says it to every request and closes.
async fn check_origin(says: &'static [u8], status: &str, body: &str, log: &str, stats: &[(&str, i64)]) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let origin = Origin::scripted(move |mut stream| async move {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(says).await;
        // What is left unread would turn the end into a reset.
        let _ = stream.shutdown().await;
        while matches!(stream.read(&mut request).await, Ok(1..)) {}
    })
    .await;
    let fixture = Fixture::start(Proxy::in_front_of(&origin)).await;
    check(&fixture, "/", status, body, log).await;
    fixture.proxy.wait_for_stats(stats).await;
}

#[tokio::test]
async fn with_a_connection_that_ends_before_the_response() {
    let log = "503 UC upstream_reset_before_response_started{connection_termination}";
    let stats = [
        ("cluster.upstream_rq_total", 5),
        ("cluster.upstream_rq_503", 5),
        ("cluster.upstream_rq_active", 0),
        ("cluster.upstream_cx_destroy_remote", 5),
        ("cluster.upstream_cx_destroy_remote_with_active_rq", 5),
        ("cluster.upstream_cx_destroy_with_active_rq", 5),
        ("cluster.upstream_cx_protocol_error", 0),
        ("http.downstream_rq_5xx", 5),
    ];
    let body = format!("{RESET}connection termination");
    check_origin(b"", "503 Service Unavailable", &body, log, &stats).await;
}

#[tokio::test]
async fn with_a_response_that_is_malformed() {
    let log = "502 UPE upstream_reset_before_response_started{protocol_error}";
    let stats = [
        ("cluster.upstream_rq_total", 5),
        ("cluster.upstream_rq_502", 5),
        ("cluster.upstream_rq_5xx", 5),
        ("cluster.upstream_cx_protocol_error", 5),
        ("cluster.upstream_cx_destroy_local_with_active_rq", 5),
        ("http.downstream_rq_5xx", 5),
    ];
    let body = format!("{RESET}protocol error");
    for says in [
        &b"garbage\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n",
    ] {
        check_origin(says, "502 Bad Gateway", &body, log, &stats).await;
    }
}

#[tokio::test]
async fn with_a_response_that_takes_too_long() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).with_route("timeout: 0.1s");
    let fixture = Fixture::start(proxy).await;
    let mut client = Client::connect(fixture.address()).await;
    let response = client.get("/").await;
    let body = "upstream request timeout";
    assert_eq!(mask(&response.head), head("504 Gateway Timeout", body));
    assert_eq!(response.body, body);
    let mut first = origin.accept().await;
    first.until_closed().await;
    fixture.logged("504 UT response_timeout").await;
    fixture
        .proxy
        .wait_for_stats(&[
            ("cluster.upstream_rq_timeout", 1),
            ("cluster.upstream_rq_504", 1),
            ("cluster.upstream_rq_total", 1),
            ("cluster.upstream_rq_active", 0),
            ("cluster.upstream_cx_destroy_local_with_active_rq", 1),
            ("http.downstream_rq_5xx", 1),
        ])
        .await;
    // After the head there is no way to say it but to cut the body.
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let mut second = origin.accept().await;
    second.head().await;
    second.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await;
    assert_eq!(client.head().await.status(), 200);
    assert_eq!(client.until_closed().await, "hello");
    second.until_closed().await;
    fixture.logged("200 UT response_timeout").await;
    fixture
        .proxy
        .wait_for_stats(&[
            ("cluster.upstream_rq_timeout", 2),
            ("cluster.upstream_rq_200", 1),
            ("http.downstream_rq_tx_reset", 1),
            ("http.downstream_rq_rx_reset", 1),
            ("http.downstream_cx_destroy_local", 1),
        ])
        .await;
}

#[tokio::test]
async fn with_a_body_that_is_cut_off() {
    for (says, after) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "5\r\nhello\r\n"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", "5\r\nhello\r\n"),
    ] {
        let mut origin = ManualOrigin::new().await;
        let fixture = Fixture::start(Proxy::in_front_of_address(origin.address())).await;
        let mut client = Client::connect(fixture.address()).await;
        client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.send(says).await;
        assert_eq!(client.head().await.status(), 200);
        drop(peer);
        assert_eq!(client.until_closed().await, after, "no last chunk after {says}");
        fixture.logged("200 UPE upstream_reset_after_response_started{protocol_error}").await;
        fixture
            .proxy
            .wait_for_stats(&[
                ("cluster.upstream_cx_protocol_error", 1),
                ("cluster.upstream_rq_200", 1),
                ("http.downstream_rq_tx_reset", 1),
                ("http.downstream_rq_rx_reset", 1),
                ("http.downstream_rq_2xx", 1),
            ])
            .await;
    }
}

/// Sends bytes that are no request, and compares all that comes back until the proxy closes.
async fn check_refusal(fixture: &Fixture, count: i64, request: &[u8], status: &str, details: &str) {
    let seen = exchange(fixture.address(), request).await;
    let reason = status.split_once(' ').unwrap().1;
    let expected = head(status, reason) + "\r\nconnection: close\r\n\r\n" + reason;
    let shown = String::from_utf8_lossy(request).chars().take(60).collect::<String>();
    assert_eq!(mask(&seen), expected, "{shown}");
    let code = status.split_once(' ').unwrap().0;
    fixture.logged(&format!("{code} DPE {details}")).await;
    fixture
        .proxy
        .wait_for_stats(&[
            ("http.downstream_cx_protocol_error", count),
            ("http.downstream_rq_total", count),
            ("http.downstream_rq_4xx", if code == "501" { count - 1 } else { count }),
            ("http.downstream_rq_rx_reset", count),
            ("http.downstream_rq_response_before_rq_complete", count),
            ("http.rq_total", 0),
        ])
        .await;
}

#[tokio::test]
async fn to_what_is_no_request() {
    let mut origin = ManualOrigin::new().await;
    let fixture = Fixture::start(
        Proxy::in_front_of_address(origin.address()).with_manager("delayed_close_timeout: 0.05s"),
    )
    .await;
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(61_440));
    let long_path = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(61_440));
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(100));
    let cases: &[(&[u8], &str, &str)] = &[
        (b"GARBAGE\r\n\r\n", "400 Bad Request", "http1.codec_error"),
        (b"GET / HTTP/1.1 more\r\nhost: a\r\n\r\n", "400 Bad Request", "http1.codec_error"),
        (b"GET x HTTP/1.1\r\nhost: a\r\n\r\n", "400 Bad Request", "http1.codec_error"),
        (b"GET ?x HTTP/1.1\r\nhost: a\r\n\r\n", "400 Bad Request", "http1.codec_error"),
        (b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n", "400 Bad Request", "http1.codec_error"),
        (b"GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n", "400 Bad Request", "http1.invalid_scheme"),
        (b"GET * HTTP/1.1\r\nhost: a\r\n\r\n", "400 Bad Request", "http1.invalid_url"),
        (b"GET / HTTP/1.1\r\nhost : a\r\n\r\n", "400 Bad Request", "http1.codec_error"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", "400 Bad Request", "http1.codec_error"),
        (b"GET / HTTP/1.1\r\n: x\r\n\r\n", "400 Bad Request", "http1.codec_error"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n", "400 Bad Request", "http1.invalid_characters"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n", "400 Bad Request", "http1.codec_error"),
        (
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            "400 Bad Request",
            "http1.codec_error",
        ),
        (
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "400 Bad Request",
            "http1.content_length_and_chunked_not_allowed",
        ),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n", "400 Bad Request", "http1.codec_error"),
        (b"GET / HTTP/1.0\r\nhost: a\r\n\r\n", "426 Upgrade Required", "low_version"),
        (b"GET /\r\n\r\n", "426 Upgrade Required", "low_version"),
        (many.as_bytes(), "431 Request Header Fields Too Large", "http1.too_many_headers"),
        (long.as_bytes(), "431 Request Header Fields Too Large", "http1.headers_too_large"),
        (long_path.as_bytes(), "431 Request Header Fields Too Large", "http1.headers_too_large"),
        (
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
            "501 Not Implemented",
            "http1.invalid_transfer_encoding",
        ),
    ];
    for ((request, status, details), count) in cases.iter().zip(1..) {
        check_refusal(&fixture, count, request, status, details).await;
    }
    assert!(!origin.has_more(), "nothing of it is forwarded");
    // What is just below the limits passes.
    let most = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(99));
    let start = "GET / HTTP/1.1\r\nhost: a\r\nx: ";
    let longest = format!("{start}{}\r\n\r\n", "x".repeat(61_440 - start.len() - 4));
    let mut client = Client::connect(fixture.address()).await;
    client.send(most).await;
    let mut peer = origin.accept().await;
    for next in [longest, String::new()] {
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(client.response().await.status(), 200);
        client.send(next).await;
    }
}

#[tokio::test]
async fn to_what_no_upstream_may_see() {
    let origin = Origin::answering("hello").await;
    let fixture =
        Fixture::start(Proxy::in_front_of(&origin).with_manager("delayed_close_timeout: 0.05s")).await;
    let bare = |status: &str| {
        format!(
            "HTTP/1.1 {status}\r\ndate: DATE\r\nserver: envoy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
    };
    for (request, status, log) in [
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "400 - missing_host_header"),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
            "403 Forbidden",
            "403 - upgrade_failed",
        ),
        ("CONNECT a.b:443 HTTP/1.1\r\nhost: a.b:443\r\n\r\n", "404 Not Found", "404 NR route_not_found"),
    ] {
        let seen = exchange(fixture.address(), request).await;
        assert_eq!(mask(&seen), bare(status), "{request}");
        fixture.logged(log).await;
    }
    let mut client = Client::connect(fixture.address()).await;
    let response = client.request("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(mask(&response.head) + "\r\n\r\n", bare("404 Not Found").replace("connection: close\r\n", ""));
    fixture.logged("404 - absolute_path_rejected").await;
    assert_eq!(client.get("/").await.body, "hello");
    fixture
        .proxy
        .wait_for_stats(&[
            ("http.downstream_cx_protocol_error", 0),
            ("http.downstream_rq_4xx", 4),
            ("http.downstream_rq_ws_on_non_ws_route", 1),
            ("http.downstream_rq_non_relative_path", 1),
            ("http.no_route", 1),
            ("http.downstream_rq_2xx", 1),
        ])
        .await;
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn routes_that_answer_by_themselves() {
    let origin = Origin::answering("hello").await;
    let fixture = Fixture::start(Proxy::in_front_of(&origin).with_routes(&[
        "{ match: { prefix: /direct }, direct_response: { status: 418, body: { inline_string: short } } }",
        "{ match: { prefix: /empty }, direct_response: { status: 202 } }",
        "{ match: { prefix: /created }, direct_response: { status: 201 } }",
        "{ match: { prefix: /moved }, redirect: { https_redirect: true } }",
    ]))
    .await;
    let mut client = Client::connect(fixture.address()).await;
    let response = client.get("/direct").await;
    assert_eq!(mask(&response.head), head("418 Unknown", "short"));
    assert_eq!(response.body, "short");
    let response = client.get("/empty").await;
    assert_eq!(
        mask(&response.head),
        "HTTP/1.1 202 Accepted\r\ndate: DATE\r\nserver: envoy\r\ncontent-length: 0"
    );
    fixture.logged("202 - direct_response").await;
    let response = client.get("/created").await;
    assert_eq!(
        mask(&response.head),
        "HTTP/1.1 201 Created\r\nlocation: http://test/created\r\ndate: DATE\r\nserver: envoy\r\ncontent-length: 0"
    );
    let response = client.get("/moved?q=1").await;
    assert_eq!(
        mask(&response.head),
        "HTTP/1.1 301 Moved Permanently\r\nlocation: https://test/moved?q=1\r\ndate: DATE\r\nserver: envoy\r\ncontent-length: 0"
    );
    fixture
        .proxy
        .wait_for_stats(&[
            ("http.rq_direct_response", 4),
            ("http.downstream_rq_2xx", 2),
            ("http.downstream_rq_3xx", 1),
            ("http.downstream_rq_4xx", 1),
            ("cluster.upstream_rq_total", 0),
        ])
        .await;
}
