//! HTTP/1 clients that mean harm, are slow, or stretch what the protocol allows.

use std::time::Duration;

use nuncio_config::model::HttpConnectionManager;
use nuncio_http::AccessLog;
use nuncio_service::Drain;
use nuncio_stats::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{connect, connect_over, manager, refusal, serve, without_date};

const GOOD: &str = "HTTP/1.1 200 OK\r\nserver: envoy\r\ncontent-length: 8\r\n\r\nGET 0 /a";

#[tokio::test(start_paused = true)]
async fn nothing_is_smuggled_behind_a_good_request() {
    for (behind, status) in [
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "400 Bad Request",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
            "400 Bad Request",
        ),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length : 5\r\n\r\nhello", "400 Bad Request"),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "501 Not Implemented",
        ),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nhost: a\r\n transfer-encoding: chunked\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nhost: a\r\nx: \r y\r\n\r\n", "400 Bad Request"),
    ] {
        let mut client = connect(&HttpConnectionManager::default());
        client
            .send(format!(
                "GET /a HTTP/1.1\r\nhost: a\r\n\r\n{behind}GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
            ))
            .await;
        let seen = without_date(&client.rest().await);
        assert_eq!(seen, format!("{GOOD}{}", refusal(status)), "{behind:?}");
        assert_eq!(client.counter("downstream_cx_protocol_error"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_and_bodies_are_the_same_however_they_are_cut() {
    let bytes = "\r\nPOST /b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n00002\r\nde\r\n0\r\nt: u\r\n\r\n\
         PUT /c HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbodyGET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let mut expected = None;
    for cut in 0..bytes.len() {
        let mut client = connect(&HttpConnectionManager::default());
        let (before, after) = bytes.split_at(cut);
        client.send(before).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        client.send(after).await;
        let seen = without_date(&client.rest().await);
        let expected = expected.get_or_insert_with(|| seen.clone());
        assert_eq!(seen, *expected, "cut at {cut}");
    }
    let expected = expected.unwrap();
    for part in
        ["\r\n\r\nPOST 5 /b", "\r\n\r\nPUT 4 /c", "connection: close\r\ncontent-length: 8\r\n\r\nGET 0 /a"]
    {
        assert!(expected.contains(part), "{part:?} in {expected:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_ahead_of_pipelined_requests_is_bounded() {
    let mut client = connect_over(4096, &HttpConnectionManager::default());
    client.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let request = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n".repeat(10_000);
    let sent = tokio::time::timeout(Duration::from_secs(1), client.io.write_all(&request)).await;
    assert!(sent.is_err(), "the client is held back");
    let read = client.counter("downstream_cx_rx_bytes_total");
    assert!((10_000..40_000).contains(&read), "{read}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_takes_holds_its_client_back() {
    let mut client = connect_over(4096, &HttpConnectionManager::default());
    client.send("POST /never HTTP/1.1\r\nhost: a\r\ncontent-length: 10000000\r\n\r\n").await;
    let sent =
        tokio::time::timeout(Duration::from_secs(1), client.io.write_all(&vec![b'x'; 10_000_000])).await;
    assert!(sent.is_err(), "the client is held back");
    let read = client.counter("downstream_cx_rx_bytes_total");
    assert!(read < 300_000, "{read}");
}

#[tokio::test(start_paused = true)]
async fn large_bodies_pass_both_ways_through_a_small_socket() {
    for chunked in [false, true] {
        let mut client = connect_over(1000, &HttpConnectionManager::default());
        let body = "x".repeat(300_000);
        let request = if chunked {
            format!(
                "POST /pieces HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            )
        } else {
            format!("POST /pieces HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        };
        client.send(request).await;
        assert!(client.response().await.ends_with(&format!("content-length: 300000\r\n\r\n{body}")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_complete_request_leaves_its_connection_open_though_its_body_was_not_read() {
    for body in ["content-length: 3\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"] {
        let mut client = connect(&HttpConnectionManager::default());
        client.send(format!("POST /later HTTP/1.1\r\nhost: a\r\n{body}")).await;
        let response = client.response().await;
        assert!(!response.contains("connection: close") && response.ends_with("later"), "{response}");
        client.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(client.response().await, GOOD);
        assert_eq!(client.counter("downstream_rq_response_before_rq_complete"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_expects_it_is_told_to_continue_at_once() {
    let mut client = connect(&HttpConnectionManager::default());
    client.send("POST /b HTTP/1.1\r\nhost: a\r\nexpect: 100-Continue\r\ncontent-length: 5\r\n\r\n").await;
    let mut interim = [0; 25];
    client.io.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello").await;
    assert!(client.response().await.ends_with("POST 5 /b"));
    assert_eq!((client.counter("downstream_rq_1xx"), client.counter("downstream_rq_completed")), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn responses_without_a_body_are_framed_as_such() {
    let mut client = connect(&HttpConnectionManager::default());
    for (method, path) in [
        ("GET", "/status-204"),
        ("GET", "/status-304"),
        ("HEAD", "/status-200"),
        ("GET", "/status-200"),
        ("HEAD", "/a"),
    ] {
        client.send(format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    }
    client.send("GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let seen = without_date(&client.rest().await);
    let expected = [
        "HTTP/1.1 204 No Content\r\nserver: envoy\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nserver: envoy\r\n\r\n",
        "HTTP/1.1 200 OK\r\nserver: envoy\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nserver: envoy\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nserver: envoy\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nserver: envoy\r\nconnection: close\r\ncontent-length: 8\r\n\r\nGET 0 /a",
    ];
    assert_eq!(seen, expected.concat());
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_not_as_long_as_announced_ends_its_connection() {
    for (body, seen) in [("abc", "abc"), ("abcdefg", "abcde")] {
        let mut client = connect(&HttpConnectionManager::default());
        let length = body.len();
        client
            .send(format!(
                "POST /announced-5 HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}GET /a HTTP/1.1\r\nhost: a\r\n\r\n"
            ))
            .await;
        let response = client.rest().await;
        assert!(response.ends_with(&format!("\r\n\r\n{seen}")), "{response:?}");
        assert_eq!(client.counter("downstream_rq_tx_reset"), 1);
    }
}

#[tokio::test]
async fn empty_lines_neither_begin_a_request_nor_keep_a_connection() {
    let config = HttpConnectionManager {
        idle_timeout: Some(Duration::from_millis(300)),
        request_headers_timeout: Some(Duration::from_millis(100)),
        ..HttpConnectionManager::default()
    };
    let mut client = connect(&config);
    let sending = async {
        while client.io.write_all(b"\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), sending).await.is_ok());
    assert_eq!(client.rest().await, "");
    assert_eq!(client.counter("downstream_cx_idle_timeout"), 1);
    assert_eq!(client.counter("downstream_rq_total"), 0);
}

#[tokio::test]
async fn the_rest_of_a_response_is_not_cut_off_while_its_client_reads_it() {
    let config =
        HttpConnectionManager { delayed_close_timeout: Duration::ZERO, ..HttpConnectionManager::default() };
    let mut client = connect_over(1 << 16, &config);
    client.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    client.drain.start();
    let (mut read, mut bytes) = (0, vec![0; 1 << 16]);
    loop {
        tokio::time::sleep(Duration::from_millis(160)).await;
        match client.io.read(&mut bytes).await.unwrap() {
            0 => break,
            more => read += more,
        }
    }
    assert!(read > 3 << 20, "{read}");
}

#[tokio::test]
async fn a_connection_that_drains_ends_soon_after_its_request_however_long_that_took() {
    let mut client = connect_over(1 << 16, &HttpConnectionManager::default());
    tokio::time::sleep(Duration::from_secs(3)).await;
    client.send("GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    client.drain.start();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let started = std::time::Instant::now();
    let (mut read, mut bytes) = (0, vec![0; 1 << 16]);
    while let more @ 1.. = client.io.read(&mut bytes).await.unwrap() {
        read += more;
    }
    assert!(read > 1000 << 16, "{read}");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_new_request_is_begun_behind_the_last_one() {
    let mut client = connect(&HttpConnectionManager::default());
    client
        .send("GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\nGET /a HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    assert_eq!(client.rest().await.matches("HTTP/1.1 200").count(), 1);
    assert_eq!(client.counter("downstream_rq_total"), 1);
}

/// What it costs apart from its socket, after a large head, a large request and a large response.
#[test]
fn an_idle_connection_holds_no_buffers() {
    const CONNECTIONS: usize = 50;
    const SOCKET: usize = 256;
    let registry = Registry::new(1);
    let manager = manager(&registry, AccessLog::default(), &HttpConnectionManager::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_handle, drain) = Drain::new();
    let mut clients = Vec::with_capacity(2 * CONNECTIONS);
    let mut open = || {
        allocation_counter::measure(|| {
            runtime.block_on(async {
                for _ in 0..CONNECTIONS {
                    let mut io = serve(&manager, SOCKET, drain.clone());
                    let (name, body) = ("x".repeat(3000), "y".repeat(40_000));
                    let request = format!(
                        "POST /pieces HTTP/1.1\r\nhost: {name}\r\ncontent-length: 40000\r\n\r\n{body}"
                    );
                    io.write_all(request.as_bytes()).await.unwrap();
                    let mut seen = Vec::new();
                    while !seen.ends_with(body.as_bytes()) {
                        io.read_buf(&mut seen).await.unwrap();
                    }
                    io.write_all(format!("GET /a HTTP/1.1\r\nhost: a\r\nx: {name}\r\n\r\n").as_bytes())
                        .await
                        .unwrap();
                    while !seen.ends_with(b"GET 0 /a") {
                        io.read_buf(&mut seen).await.unwrap();
                    }
                    clients.push(io);
                }
            });
        })
    };
    // The first ones pay for what all share.
    open();
    let per_connection = open().bytes_current / CONNECTIONS as i64;
    // Two buffers of the socket in memory, and what wakes their owners.
    let of_socket = 1024;
    println!("{per_connection} bytes per idle connection");
    assert!(per_connection - of_socket <= 3 * 1024, "{per_connection} bytes per idle connection");
}
