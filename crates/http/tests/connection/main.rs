//! A connection from the outside: bytes in, bytes out, over an in-memory socket.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at what it does not expect"
)]

mod http1;
mod support;

use std::{sync::Arc, time::Duration};

use nuncio_config::model::{CodecType, HttpConnectionManager};
use nuncio_http::{AccessLog, ConnectionManager, HttpStats};
use nuncio_service::{Connection, Drain};
use nuncio_stats::{Registry, Shard};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::support::{Client, Upstream, connect, refusal, without_date};

#[tokio::test(start_paused = true)]
async fn malformed_requests_get_envoys_replies_and_a_closed_connection() {
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(100));
    for (request, status) in [
        ("GARBAGE\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1 x\r\nhost: a\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nhost: a\r\nx y: z\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nhost : a\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", "400 Bad Request"),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "400 Bad Request",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
            "400 Bad Request",
        ),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", "501 Not Implemented"),
        ("GET / HTTP/1.0\r\nhost: a\r\n\r\n", "426 Upgrade Required"),
        ("GET / HTTP/1.2\r\nhost: a\r\n\r\n", "426 Upgrade Required"),
        ("GET /\r\n\r\n", "426 Upgrade Required"),
        (long.as_str(), "431 Request Header Fields Too Large"),
        (many.as_str(), "431 Request Header Fields Too Large"),
    ] {
        let mut client = connect(&HttpConnectionManager::default());
        client.send(request).await;
        let seen = without_date(&client.rest().await);
        assert_eq!(seen, refusal(status), "{:?}", &request[..request.len().min(80)]);
        // The proxy waits for the client to close, for as long as `delayed_close_timeout`.
        tokio::time::sleep(Duration::from_secs(2)).await;
        for (name, value) in [
            ("downstream_cx_protocol_error", 1),
            ("downstream_rq_total", 1),
            ("downstream_rq_completed", 1),
            ("downstream_rq_rx_reset", 1),
            ("downstream_cx_destroy_local", 1),
        ] {
            assert_eq!(client.counter(name), value, "{name} of {request:?}");
        }
        assert_eq!(client.gauge("downstream_rq_active"), 0);
        assert_eq!(client.gauge("downstream_cx_active"), 0);
        let log = client.log.lock().unwrap().clone();
        let code = &status[..3];
        assert!(
            log.contains(&format!("\"- - HTTP/1.1\" {code} DPE"))
                || code == "426" && log.contains(" 426 DPE "),
            "{log}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_request_behind_a_good_one_does_not_spoil_the_good_ones_answer() {
    let mut client = connect(&HttpConnectionManager::default());
    client.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\nGARBAGE\r\n\r\n").await;
    let seen = without_date(&client.rest().await);
    let good = "HTTP/1.1 200 OK\r\nserver: envoy\r\ncontent-length: 8\r\n\r\nGET 0 /a";
    assert_eq!(seen, format!("{good}{}", refusal("400 Bad Request")));
}

#[tokio::test(start_paused = true)]
async fn requests_follow_each_other_on_one_connection() {
    let mut client = connect(&HttpConnectionManager::default());
    client.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(client.response().await.ends_with("\r\n\r\nGET 0 /a"));
    client.send("POST /b HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello").await;
    assert!(client.response().await.ends_with("\r\n\r\nPOST 5 /b"));
    client
        .send("PUT /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        .await;
    assert!(client.response().await.ends_with("\r\n\r\nPUT 3 /c"));
    client.send("GET /d HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let last = without_date(&client.rest().await);
    assert!(last.contains("\r\nconnection: close\r\n") && last.ends_with("GET 0 /d"), "{last}");
    assert_eq!(client.counter("downstream_rq_2xx"), 4);
    assert_eq!(client.counter("downstream_rq_completed"), 4);
    assert_eq!(client.gauge("downstream_cx_rx_bytes_buffered"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_early_response_ends_the_connection_after_the_client_had_time_to_read_it() {
    let mut client = connect(&HttpConnectionManager::default());
    client.send("POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 500000\r\n\r\n").await;
    let response = client.response().await;
    assert!(response.contains("\r\nconnection: close\r\n") && response.ends_with("early"), "{response}");
    // What the client goes on to send is taken, not reset.
    client.send(vec![b'x'; 100_000]).await;
    assert_eq!(client.rest().await, "");
    assert_eq!(client.counter("downstream_rq_response_before_rq_complete"), 1);
    assert_eq!(client.counter("downstream_rq_rx_reset"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_ends_its_request() {
    let mut client = connect(&HttpConnectionManager::default());
    client.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(client.gauge("downstream_rq_active"), 1);
    client.io.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "");
    assert_eq!(client.gauge("downstream_rq_active"), 0);
    assert_eq!(client.counter("downstream_cx_destroy_remote"), 1);
    assert_eq!(client.counter("downstream_rq_rx_reset"), 1);
    assert!(client.log.lock().unwrap().contains("\"GET /never HTTP/1.1\" 0 DC "));
}

#[tokio::test(start_paused = true)]
async fn draining_closes_idle_connections_and_lets_running_requests_end() {
    let mut idle = connect(&HttpConnectionManager::default());
    idle.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    idle.response().await;
    idle.drain.start();
    assert_eq!(idle.rest().await, "");
    assert_eq!(idle.counter("downstream_cx_drain_close"), 1);

    let mut silent = connect(&HttpConnectionManager::default());
    silent.drain.start();
    assert_eq!(silent.rest().await, "");

    // A request that was on its way is answered, and told that it was the last.
    for before in ["", "GET /a HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let mut crossing = connect(&HttpConnectionManager::default());
        crossing.send(before).await;
        if !before.is_empty() {
            crossing.response().await;
        }
        crossing.drain.start();
        tokio::task::yield_now().await;
        crossing.send("GET /b HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let seen = crossing.rest().await;
        assert!(seen.contains("\r\nconnection: close\r\n") && seen.ends_with("GET 0 /b"), "{seen}");
    }

    let mut running = connect(&HttpConnectionManager::default());
    running.send("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhel").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.drain.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.send("lo").await;
    let seen = running.rest().await;
    assert!(seen.contains("\r\nconnection: close\r\n") && seen.ends_with("POST 5 /a"), "{seen}");

    let mut stuck = connect(&HttpConnectionManager::default());
    stuck.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stuck.drain.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stuck.gauge("downstream_rq_active"), 1);
    stuck.drain.close();
    assert_eq!(stuck.rest().await, "");
    assert_eq!(stuck.gauge("downstream_rq_active"), 0);
}

#[tokio::test(start_paused = true)]
async fn silent_and_slow_clients_are_bounded() {
    let config = HttpConnectionManager {
        idle_timeout: Some(Duration::from_secs(60)),
        request_headers_timeout: Some(Duration::from_secs(5)),
        ..HttpConnectionManager::default()
    };
    // Not a byte.
    let start = tokio::time::Instant::now();
    let mut silent = connect(&config);
    assert_eq!(silent.rest().await, "");
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(silent.counter("downstream_cx_idle_timeout"), 1);
}

#[tokio::test]
async fn a_head_that_does_not_end_and_an_idle_connection_are_ended_in_real_time() {
    let config = HttpConnectionManager {
        idle_timeout: Some(Duration::from_millis(150)),
        request_headers_timeout: Some(Duration::from_millis(100)),
        ..HttpConnectionManager::default()
    };
    let mut slow = connect(&config);
    slow.send("GET / HTTP/1.1\r\nhos").await;
    let reply = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 22\r\ncontent-type: text/plain\r\nserver: envoy\r\nconnection: close\r\n\r\nrequest header timeout";
    assert_eq!(without_date(&slow.rest().await), reply);
    assert_eq!(slow.counter("downstream_rq_header_timeout"), 1);
    assert_eq!((slow.counter("downstream_rq_4xx"), slow.counter("downstream_cx_protocol_error")), (1, 0));

    let idle = HttpConnectionManager {
        request_headers_timeout: None,
        stream_idle_timeout: Some(Duration::from_millis(100)),
        ..HttpConnectionManager::default()
    };
    let mut slow = connect(&idle);
    slow.send("GET / HTTP/1.1\r\nhos").await;
    assert!(slow.rest().await.ends_with("\r\n\r\nstream timeout"));
    assert_eq!(slow.counter("downstream_rq_idle_timeout"), 1);
    assert!(slow.log.lock().unwrap().contains("\"- - HTTP/1.1\" 408 SI "));

    let mut idle = connect(&config);
    idle.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    idle.response().await;
    assert_eq!(idle.rest().await, "");
    assert_eq!(idle.counter("downstream_cx_idle_timeout"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_codec_follows_the_first_bytes_or_the_configuration() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for (codec, http1, http2) in [(CodecType::Auto, 0, 1), (CodecType::Http2, 0, 1), (CodecType::Http1, 1, 0)]
    {
        let mut client =
            connect(&HttpConnectionManager { codec_type: codec, ..HttpConnectionManager::default() });
        client.send(preface).await;
        // HTTP/2 answers with its settings; to HTTP/1 a preface is a malformed request.
        assert_eq!(client.io.read_u8().await.unwrap(), if http2 == 1 { 0 } else { b'H' });
        assert_eq!(client.counter("downstream_cx_http1_total"), http1);
        assert_eq!(client.counter("downstream_cx_http2_total"), http2);
    }
    // Byte by byte.
    let mut client = connect(&HttpConnectionManager::default());
    for byte in b"PUT /a HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n" {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    assert!(client.response().await.ends_with("PUT 0 /a"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_after_its_last_allowed_request() {
    let config =
        HttpConnectionManager { max_requests_per_connection: Some(2), ..HttpConnectionManager::default() };
    let mut client = connect(&config);
    client.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!client.response().await.contains("connection: close"));
    client.send("GET /b HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(client.rest().await.contains("\r\nconnection: close\r\n"));
    assert_eq!(client.counter("downstream_cx_max_requests_reached"), 1);
}

#[tokio::test]
async fn the_future_of_a_connection_is_small() {
    let registry = Registry::new(1);
    let scope = registry.scope(Shard::worker(0), "http.test");
    let stats = Arc::new(HttpStats::new(&scope, &scope, &scope));
    let config = HttpConnectionManager::default();
    let manager = ConnectionManager::new(&config, 1 << 20, stats, AccessLog::default(), Upstream);
    let (io, _client) = tokio::io::duplex(64);
    let connection = Connection {
        remote_address: "127.0.0.1:5000".parse().unwrap(),
        local_address: "127.0.0.1:80".parse().unwrap(),
        tls: None,
    };
    let size = size_of_val(&manager.serve(io, Arc::new(connection), Drain::new().1));

    assert!(size <= 2560, "{size} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_in_pieces_is_passed_on_as_it_is() {
    let own = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    for piece in ["0\r\n\r\n", own, &"x".repeat(5000), &"x".repeat(100_000)] {
        for body in [piece.to_owned(), format!("x|{piece}"), format!("{piece}|x")] {
            let mut client = connect(&HttpConnectionManager::default());
            let length = body.len();
            client
                .send(format!("POST /pieces HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}"))
                .await;
            let seen = client.response().await;
            assert!(seen.ends_with(&format!("\r\n\r\n{}", body.replace('|', ""))), "{body:?}: {seen:?}");
            // The connection is not out of step.
            client.send("GET /next HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert!(client.response().await.ends_with("\r\n\r\nGET 0 /next"), "{body:?}");
        }
    }
}

/// Waits until the connection has begun and a gauge is zero, without reading anything.
async fn until_none(client: &Client, gauge: &str) {
    let none = async {
        while client.counter("downstream_cx_total") == 0 || client.gauge(gauge) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), none).await;
    assert!(ended.is_ok(), "{gauge} is {}", client.gauge(gauge));
}

/// `GET` for this path as the first stream of an HTTP/2 connection whose streams may send nothing.
fn http2_get_without_a_window(path: &str) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, /* INITIAL_WINDOW_SIZE */ 0, 4, 0, 0, 0, 0]);
    // :method GET, :scheme http, :authority a, :path as a literal.
    let mut head = vec![0x82, 0x86, 0x41, 1, b'a', 0x44, u8::try_from(path.len()).unwrap()];
    head.extend(path.bytes());
    bytes.extend([
        0,
        0,
        u8::try_from(head.len()).unwrap(),
        1,
        /* END_STREAM, END_HEADERS */ 5,
        0,
        0,
        0,
        1,
    ]);
    bytes.extend(head);
    bytes
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up_when_a_clock_of_its_stream_runs_out() {
    #[track_caller]
    fn check_log(client: &Client, expected: &str) {
        let log = client.log.lock().unwrap().clone();
        assert!(log.contains(expected), "{expected} in {log}");
    }
    let idle = |millis| HttpConnectionManager {
        stream_idle_timeout: Some(Duration::from_millis(millis)),
        ..HttpConnectionManager::default()
    };
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes();

    let mut route = connect(&idle(300_000));
    route.send(get("/endless-300ms")).await;
    until_none(&route, "downstream_cx_active").await;
    check_log(&route, "\"GET /endless-300ms HTTP/1.1\" 200 UT ");
    assert_eq!(route.counter("downstream_rq_idle_timeout"), 0);

    let mut stream = connect(&idle(100));
    stream.send(get("/endless")).await;
    until_none(&stream, "downstream_cx_active").await;
    check_log(&stream, "\"GET /endless HTTP/1.1\" 200 SI ");
    assert_eq!(stream.counter("downstream_rq_idle_timeout"), 1);

    // All of the response is with the codec, which cannot write it.
    let mut written = connect(&idle(100));
    written.send(get("/large")).await;
    until_none(&written, "downstream_cx_active").await;
    check_log(&written, "\"GET /large HTTP/1.1\" 200 - ");
    assert_eq!(written.counter("downstream_cx_idle_timeout"), 1);

    // Over HTTP/2 only the stream ends.
    for (config, path, flag) in [(idle(300_000), "/endless-300ms", "UT"), (idle(100), "/endless", "SI")] {
        let mut window = connect(&config);
        window.send(http2_get_without_a_window(path)).await;
        while window.counter("downstream_rq_2xx") == 0 {
            tokio::task::yield_now().await;
        }
        until_none(&window, "downstream_rq_active").await;
        check_log(&window, &format!("\"GET {path} HTTP/2\" 200 {flag} "));
        assert_eq!(window.gauge("downstream_cx_active"), 1);
    }
}

#[tokio::test]
async fn a_client_that_only_begins_and_resets_streams_is_sent_away() {
    // Each stream is sent on before it is reset, so the codec's own limits do not see it.
    let mut client = connect(&HttpConnectionManager::default());
    let first = http2_get_without_a_window("/never");
    let (preface, head) = first.split_at(24 + 15);
    client.send(preface).await;
    let mut streams = 0_u32;
    while streams < 2000 {
        let id = (2 * streams + 1).to_be_bytes();
        let mut head = head.to_vec();
        head[5..9].copy_from_slice(&id);
        if streams > 0 {
            // The authority and the path stand in the table by now.
            head = [&[0, 0, 4, 1, 5][..], &id, &[0x82, 0x86, 0xbf, 0xbe]].concat();
        }
        if client.io.write_all(&head).await.is_err() {
            break;
        }
        while client.counter("downstream_rq_total") <= u64::from(streams)
            && client.gauge("downstream_cx_active") > 0
        {
            tokio::task::yield_now().await;
        }
        let reset = [&[0, 0, 4, 3, 0][..], &id, &[0, 0, 0, 8]].concat();
        if client.io.write_all(&reset).await.is_err() {
            break;
        }
        until_none(&client, "downstream_rq_active").await;
        streams += 1;
    }
    until_none(&client, "downstream_cx_active").await;
    assert_eq!(client.counter("downstream_rq_too_many_premature_resets"), 1);
    // The next stream may have come before the last reset was counted.
    assert!((500..=501).contains(&client.counter("downstream_rq_total")), "{streams}");
}

#[tokio::test]
async fn an_idle_http2_connection_ends_even_if_the_client_does_not_say_that_it_has_understood() {
    let config = HttpConnectionManager {
        idle_timeout: Some(Duration::from_millis(100)),
        delayed_close_timeout: Duration::ZERO,
        ..HttpConnectionManager::default()
    };
    let mut client = connect(&config);
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    until_none(&client, "downstream_cx_active").await;
    assert_eq!(client.counter("downstream_cx_idle_timeout"), 1);
}
