//! HTTP/2 connections from the outside, by a client that says what it wants and by one that says what it must not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it does not expect")]

mod support;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use h2::Reason;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use nuncio_config::model::{CodecType, Http2Settings, HttpConnectionManager};
use tokio::io::AsyncWriteExt;

use self::support::{
    PREFACE, Rude, collect, connect, frame, get, head, polite, polite_with, post, request, soon,
};

const END_HEADERS: u8 = 4;
const ENDS: u8 = 5;

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways() {
    let (mut client, server) = polite(&HttpConnectionManager::default()).await;
    assert_eq!(get(&mut client, "/a").await.unwrap(), (StatusCode::OK, "0".into()));
    // The head says that there is no more.
    let response = client.send_request(request(Method::GET, "/empty"), true).unwrap().0.await.unwrap();
    assert!(response.body().is_end_stream());
    let response = client.send_request(request(Method::HEAD, "/large"), true).unwrap().0.await.unwrap();
    assert!(response.body().is_end_stream());
    assert_eq!(get(&mut client, "/large").await.unwrap().1.len(), 300_000);

    let (response, mut upload) = client.send_request(request(Method::POST, "/trailers"), false).unwrap();
    upload.send_data("hello".into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-t", HeaderValue::from_static("v"));
    upload.send_trailers(trailers.clone()).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "hello");
    assert_eq!(body.trailers().await.unwrap(), Some(trailers));

    server.until_streams_end().await;
    server.check_counters(&[
        ("downstream_rq_2xx", 5),
        ("downstream_rq_rx_reset", 0),
        ("http2.trailers", 1),
        ("http2.tx_reset", 0),
    ]);
}

#[tokio::test]
async fn a_client_that_waits_for_it_is_told_to_continue() {
    for (path, expected) in [("/a", "5"), ("/early", "early")] {
        let (mut client, server) = polite(&HttpConnectionManager::default()).await;
        let mut request = request(Method::POST, path);
        request.headers_mut().insert("expect", HeaderValue::from_static("100-continue"));
        let (mut response, mut upload) = client.send_request(request, false).unwrap();
        let interim = poll_fn(|cx| response.poll_informational(cx)).await;
        assert_eq!(interim.map(|head| head.unwrap().status()), Some(StatusCode::CONTINUE), "{path}");
        if path == "/a" {
            upload.send_data("hello".into(), true).unwrap();
        }
        assert_eq!(collect(response).await.unwrap(), (StatusCode::OK, expected.into()));
        server.until_streams_end().await;
        server.check_counters(&[("downstream_rq_1xx", 1), ("downstream_rq_2xx", 1)]);
    }
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_is_complete_and_then_stops_the_upload() {
    let (mut client, server) = polite(&HttpConnectionManager::default()).await;
    let (response, mut upload) = client.send_request(request(Method::POST, "/early"), false).unwrap();
    upload.send_data("begun".into(), false).unwrap();
    assert_eq!(collect(response).await.unwrap().1, "early");
    let reason = poll_fn(|cx| upload.poll_reset(cx)).await.unwrap();
    assert_eq!(reason, Reason::NO_ERROR);
    assert_eq!(get(&mut client, "/a").await.unwrap().1, "0");
    server.check_counters(&[
        ("downstream_rq_response_before_rq_complete", 1),
        ("http2.tx_reset", 1),
        ("http2.rx_messaging_error", 0),
    ]);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_sent_as_far_as_it_came() {
    let (mut client, server) = polite(&HttpConnectionManager::default()).await;
    let response = client.send_request(request(Method::GET, "/broken"), true).unwrap().0;
    let mut body = response.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "begun");
    assert_eq!(body.data().await.unwrap().unwrap_err().reason(), Some(Reason::INTERNAL_ERROR));
    assert_eq!(get(&mut client, "/a").await.unwrap().1, "0");
    server.check_counters(&[("downstream_rq_tx_reset", 1), ("http2.tx_reset", 1)]);
}

#[tokio::test]
async fn a_malformed_head_ends_its_stream_alone() {
    for fields in [
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a")][..],
        &[
            (":method", "GET"),
            (":path", "/a"),
            (":scheme", "http"),
            (":authority", "a"),
            ("connection", "close"),
        ],
        &[(":method", "GET"), (":path", "/a"), (":scheme", "http"), ("x", "y"), (":authority", "a")],
        &[(":path", "/a"), (":scheme", "http"), (":authority", "a")],
    ] {
        let mut rude = Rude::connect(&HttpConnectionManager::default()).await;
        rude.send(1, ENDS, 1, &head(fields)).await;
        assert_eq!(rude.frame().await, Some((3, 0, 1, vec![0, 0, 0, 1])), "{fields:?}");
        rude.send(1, ENDS, 3, &post("/a", &[])).await;
        let (kind, _, stream, _) = rude.frame().await.unwrap();
        assert_eq!((kind, stream), (1, 3));
        rude.server.until(|server| server.log().lines().count() == 2).await;
        assert_eq!(rude.server.log(), "- 0 DPE http2.violation.of.messaging.rule\n/a 200 - -\n");
        rude.server.check_counters(&[
            ("downstream_cx_protocol_error", 1),
            ("downstream_rq_total", 2),
            ("downstream_rq_rx_reset", 1),
            ("http2.rx_messaging_error", 1),
        ]);
        assert_eq!(rude.server.gauge("http.test.downstream_rq_active"), 0);
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_announced_is_not_taken_for_a_reset_by_the_client() {
    for body in ["abc", "abcdefghi"] {
        let mut rude = Rude::connect(&HttpConnectionManager::default()).await;
        // The head may be handed over together with the end, or before it.
        for (stream, pause) in [(1, false), (3, true)] {
            rude.send(1, END_HEADERS, stream, &post("/a", &[("content-length", "5")])).await;
            if pause {
                rude.server.until(|server| server.gauge("http2.streams_active") == 1).await;
            }
            rude.send(0, 1, stream, body.as_bytes()).await;
            assert_eq!(rude.frame().await, Some((3, 0, stream, vec![0, 0, 0, 1])), "{body}");
            rude.server.until_streams_end().await;
        }
        assert_eq!(rude.server.log(), "/a 0 DPE http2.remote_reset\n".repeat(2));
        rude.server.check_counters(&[
            ("downstream_cx_protocol_error", 0),
            ("http2.rx_messaging_error", 0),
            ("http2.rx_reset", 0),
            ("http2.tx_reset", 2),
        ]);
        // A reset by the client is one.
        rude.send(1, END_HEADERS, 5, &post("/a", &[])).await;
        rude.send(3, 0, 5, &[0, 0, 0, 8]).await;
        rude.server.until(|server| server.log().ends_with("/a 0 DR http2.remote_reset\n")).await;
        rude.server.check_counters(&[("http2.rx_reset", 1)]);
    }
}

#[tokio::test]
async fn what_breaks_the_connection_ends_it_with_all_its_streams() {
    // DATA behind END_STREAM, a block that cannot be decoded, SETTINGS that cannot be.
    for (bad, lines) in [
        (frame(0, 1, 1, b"more"), 1),
        (frame(1, ENDS, 3, &[0xff; 8]), 2),
        (frame(4, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]), 1),
    ] {
        let mut rude = Rude::connect(&HttpConnectionManager::default()).await;
        rude.send(1, ENDS, 1, &post("/never", &[])).await;
        rude.server.until(|server| server.gauge("http2.streams_active") == 1).await;
        rude.io.write_all(&bad).await.unwrap();
        let (kind, _, _, payload) = rude.frame().await.unwrap();
        assert_eq!(kind, 7);
        assert_eq!(payload.get(4..8), Some(&[0, 0, 0, 1][..]), "PROTOCOL_ERROR");
        rude.server.until_streams_end().await;
        let log = rude.server.log();
        assert!(log.contains("/never 0 DPE codec_error\n") && log.lines().count() == lines, "{log}");
        assert!(rude.frame().await.is_none());
        rude.server.check_counters(&[("downstream_cx_protocol_error", 1), ("http2.goaway_sent", 0)]);
    }
}

#[tokio::test]
async fn heads_that_are_too_large_are_answered_and_counted() {
    let config = HttpConnectionManager {
        max_request_headers_bytes: 4096,
        max_headers_count: 10,
        ..HttpConnectionManager::default()
    };
    let many: Vec<_> = (0..11).map(|_| ("x", "y")).collect();
    for (length, details, counter) in [
        // What the codec would pass, and what it would not.
        (4080, "http2.header_list_size_too_large", "http2.header_list_size_too_large"),
        (15_000, "http2.header_list_size_too_large", "http2.header_list_size_too_large"),
        (0, "http2.too_many_headers", "http2.header_overflow"),
    ] {
        let mut rude = Rude::connect(&config).await;
        let long = "x".repeat(length);
        let block = if length == 0 { post("/a", &many) } else { post("/a", &[("x", &long)]) };
        rude.send(1, ENDS, 1, &block).await;
        let (kind, _, stream, _) = rude.frame().await.unwrap();
        assert_eq!((kind, stream), (1, 1), "{length}");
        rude.server.until(|server| !server.log().is_empty()).await;
        assert_eq!(rude.server.log(), format!("- 431 DPE {details}\n"), "{length}");
        rude.server.check_counters(&[
            (counter, 1),
            ("downstream_rq_4xx", 1),
            ("downstream_rq_rx_reset", 1),
            ("downstream_cx_protocol_error", 0),
        ]);
        // The connection is as good as before.
        rude.send(1, ENDS, 3, &post("/a", &[("x", &"x".repeat(3900))])).await;
        rude.server.until(|server| server.log().ends_with("/a 200 - -\n")).await;
    }
}

#[tokio::test]
async fn a_head_without_an_end_is_not_kept() {
    let mut rude = Rude::connect(&HttpConnectionManager::default()).await;
    rude.send(1, 1, 1, &post("/a", &[])).await;
    let mut sent = 0;
    while sent < 10_000 && rude.io.write_all(&frame(9, 0, 1, &head(&[("x", "y")]))).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 10_000);
    rude.server.until(|server| server.gauge("http.test.downstream_cx_active") == 0).await;
    rude.server.check_counters(&[("downstream_cx_protocol_error", 1), ("downstream_rq_2xx", 0)]);
}

#[tokio::test]
async fn a_client_that_opens_no_window_is_given_up_and_hurts_nobody_else() {
    let config = HttpConnectionManager {
        stream_idle_timeout: Some(Duration::from_millis(150)),
        ..HttpConnectionManager::default()
    };
    let (mut client, server) =
        polite_with(&config, h2::client::Builder::new().initial_window_size(1000)).await;
    let slow = client.send_request(request(Method::GET, "/large"), true).unwrap().0.await.unwrap();
    assert_eq!(get(&mut client, "/a").await.unwrap().1, "0");
    // Nothing is released, so the window stays shut.
    let mut body = slow.into_body();
    let mut taken = 0;
    let error = loop {
        match soon(body.data()).await.unwrap() {
            Ok(data) => taken += data.len(),
            Err(error) => break error,
        }
    };
    assert_eq!((taken, error.reason()), (1000, Some(Reason::INTERNAL_ERROR)));
    server.until_streams_end().await;
    assert!(server.log().contains("/large 200 SI stream_idle_timeout\n"), "{}", server.log());
    server.check_counters(&[("downstream_rq_idle_timeout", 1), ("downstream_rq_tx_reset", 1)]);
    assert_eq!(server.gauge("http.test.downstream_cx_active"), 1);
}

#[tokio::test]
async fn a_client_sends_no_more_than_the_upstream_reads() {
    let config = HttpConnectionManager {
        http2: Http2Settings { initial_stream_window_size: 40_000, ..Http2Settings::default() },
        ..HttpConnectionManager::default()
    };
    let (mut client, server) = polite(&config).await;
    let (_response, mut upload) = client.send_request(request(Method::POST, "/unread"), false).unwrap();
    server.until(|server| server.gauge("http2.streams_active") == 1).await;
    let mut sent = 0;
    while sent < 200_000 {
        upload.reserve_capacity(10_000);
        let capacity = poll_fn(|cx| upload.poll_capacity(cx));
        let Ok(capacity) = tokio::time::timeout(Duration::from_millis(200), capacity).await else { break };
        let capacity = capacity.unwrap().unwrap();
        upload.send_data(vec![b'x'; capacity].into(), false).unwrap();
        sent += capacity;
    }
    assert_eq!(sent, 40_000);
    // One that is read gets through on the same connection.
    let (response, mut upload) = client.send_request(request(Method::POST, "/a"), false).unwrap();
    upload.send_data(vec![b'x'; 300_000].into(), true).unwrap();
    assert_eq!(collect(response).await.unwrap().1, "300000");
}

#[tokio::test]
async fn streams_over_the_limit_are_refused() {
    let config = HttpConnectionManager {
        http2: Http2Settings { max_concurrent_streams: 2, ..Http2Settings::default() },
        ..HttpConnectionManager::default()
    };
    let mut rude = Rude::connect(&config).await;
    for stream in [1, 3, 5] {
        rude.send(1, ENDS, stream, &post("/never", &[])).await;
    }
    assert_eq!(rude.frame().await, Some((3, 0, 5, vec![0, 0, 0, 7])));
    rude.server.until(|server| server.gauge("http2.streams_active") == 2).await;
    rude.server.check_counters(&[("http2.stream_refused_errors", 1), ("downstream_rq_total", 2)]);
    // One that ends makes room.
    rude.send(3, 0, 1, &[0, 0, 0, 8]).await;
    rude.send(1, ENDS, 7, &post("/a", &[])).await;
    let (kind, _, stream, _) = rude.frame().await.unwrap();
    assert_eq!((kind, stream), (1, 7));
}

/// Answers to what nobody reads must not pile up.
#[tokio::test]
async fn floods_of_pings_and_settings_are_not_read_faster_than_their_answers_are_taken() {
    for flood in [frame(6, 0, 0, b"12345678"), frame(4, 0, 0, &[0, 1, 0, 0, 0x10, 0])] {
        let mut rude = Rude::connect(&HttpConnectionManager::default()).await;
        let flood = flood.repeat(1000);
        let mut written = 0;
        // Two sockets' buffers of 1 MiB and what the codec holds in between.
        while written < 16 << 20 {
            let sent = tokio::time::timeout(Duration::from_millis(300), rude.io.write_all(&flood)).await;
            if !matches!(sent, Ok(Ok(()))) {
                break;
            }
            written += flood.len();
        }
        assert!(written < 4 << 20, "{written} bytes taken");
    }
}

#[tokio::test]
async fn a_draining_connection_says_so_and_ends_after_its_streams() {
    let (mut client, server) = polite(&HttpConnectionManager::default()).await;
    let (response, mut upload) = client.send_request(request(Method::POST, "/a"), false).unwrap();
    server.until(|server| server.gauge("http2.streams_active") == 1).await;
    server.drain.start();
    server.until(|server| server.registry.counter_value("http2.goaway_sent") == Some(1)).await;
    let refused = poll_fn(|cx| client.poll_ready(cx)).await;
    assert!(refused.is_err_and(|error| error.is_go_away()));
    upload.send_data("hello".into(), true).unwrap();
    assert_eq!(collect(response).await.unwrap(), (StatusCode::OK, "5".into()));
    server.until(|server| server.gauge("http.test.downstream_cx_active") == 0).await;
    server.check_counters(&[("downstream_cx_drain_close", 1), ("downstream_rq_rx_reset", 0)]);
}

#[tokio::test]
async fn a_connection_that_is_to_end_before_it_has_begun_says_so_then() {
    let config = HttpConnectionManager { codec_type: CodecType::Http2, ..HttpConnectionManager::default() };
    let (io, server) = connect(&config, 1 << 20);
    let mut rude = Rude { io, server };
    tokio::task::yield_now().await;
    rude.server.drain.start();
    tokio::time::sleep(Duration::from_millis(20)).await;
    rude.io.write_all(PREFACE).await.unwrap();
    rude.send(4, 0, 0, b"").await;
    assert_eq!(rude.frame().await.unwrap().0, 7, "GOAWAY");
}

#[tokio::test]
async fn a_connection_ends_with_its_next_response_where_that_is_advised() {
    let (mut client, server) = polite(&HttpConnectionManager::default()).await;
    server.advice.set(true);
    assert_eq!(get(&mut client, "/a").await.unwrap().1, "0");
    // The client has no other stream, so it goes.
    server.until(|server| server.gauge("http.test.downstream_cx_active") == 0).await;
    server.check_counters(&[("downstream_cx_drain_close", 1)]);
}

#[tokio::test]
async fn a_body_whose_length_was_told_ends_with_its_last_byte() {
    for (length, body) in [("5", Some("hello")), ("0", None)] {
        let mut rude = Rude::connect(&HttpConnectionManager::default()).await;
        rude.send(1, END_HEADERS, 1, &post("/first", &[("content-length", length)])).await;
        if let Some(body) = body {
            // The stream's end would come in a frame of its own.
            rude.send(0, 0, 1, body.as_bytes()).await;
        }
        rude.server.until(|server| server.log() == "/first 200 - -\n").await;
        rude.server.check_counters(&[
            ("downstream_rq_response_before_rq_complete", 0),
            ("downstream_rq_rx_reset", 0),
        ]);
    }
}

#[tokio::test]
async fn cookies_count_as_one_header_however_they_are_sent() {
    let config = HttpConnectionManager { max_headers_count: 10, ..HttpConnectionManager::default() };
    let mut rude = Rude::connect(&config).await;
    rude.send(1, ENDS, 1, &post("/a", &[("cookie", "a=b"); 30])).await;
    rude.server.until(|server| server.log() == "/a 200 - -\n").await;
}

#[tokio::test]
async fn what_may_not_be_in_a_head_is_taken_out_of_a_response() {
    let (mut client, _server) = polite(&HttpConnectionManager::default()).await;
    let response = client.send_request(request(Method::GET, "/te"), true).unwrap().0;
    assert!(!response.await.unwrap().headers().contains_key("te"));
}

#[tokio::test]
async fn many_streams_over_time_leave_nothing_behind() {
    let (mut client, server) = polite(&HttpConnectionManager::default()).await;
    let mut left = 10_000;
    while left > 0 {
        let responses: Vec<_> = (0..100)
            .map(|index| match index % 3 {
                0 => client.send_request(request(Method::GET, "/a"), true).unwrap().0,
                1 => {
                    let (response, mut upload) =
                        client.send_request(request(Method::POST, "/a"), false).unwrap();
                    upload.send_data("x".into(), true).unwrap();
                    response
                }
                _ => client.send_request(request(Method::POST, "/early"), false).unwrap().0,
            })
            .collect();
        left -= responses.len();
        for response in responses {
            assert_eq!(collect(response).await.unwrap().0, StatusCode::OK);
        }
    }
    server.until_streams_end().await;
    server.check_counters(&[("downstream_rq_total", 10_000), ("downstream_rq_2xx", 10_000)]);
    // Nor in the ledger, which would not know this one else.
    let mut response = client.send_request(request(Method::GET, "/never"), true).unwrap().0;
    let poll = poll_fn(|cx| Poll::Ready(Pin::new(&mut response).poll(cx).is_ready())).await;
    assert!(!poll);
    server.until(|server| server.gauge("http2.streams_active") == 1).await;
    drop(response);
    server.until(|server| server.log().ends_with("/never 0 DR http2.remote_reset\n")).await;
}
