//! Streams that fail, and the life of HTTP/2 connections.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http_body_util::BodyExt as _;
use nuncio_cluster::UpstreamError;

use crate::{
    http2::{Peer2, http2},
    support::*,
};

fn describe(error: &UpstreamError) -> String {
    format!("{} {} {}", error.status().as_u16(), error.flags(), error.details())
}

#[tokio::test]
async fn a_reset_before_the_head() {
    for (reason, expected, rx_reset) in [
        (Reason::INTERNAL_ERROR, "503 UR upstream_reset_before_response_started{remote_reset}", 1),
        (Reason::CANCEL, "503 UR upstream_reset_before_response_started{remote_reset}", 1),
        (
            Reason::REFUSED_STREAM,
            "503 UR upstream_reset_before_response_started{remote_refused_stream_reset}",
            0,
        ),
    ] {
        let mut origin = Origin::new().await;
        let fixture = start(http2(&origin)).await;
        let task = tokio::spawn(fixture.cluster.request(get()));
        let mut peer = Peer2::accept(&mut origin).await;
        peer.stream().await.respond.send_reset(reason);
        let error = peer.during(task).await.unwrap().unwrap_err();
        assert_eq!(describe(&error), expected);
        fixture.assert_stats(&[
            ("upstream_rq_rx_reset", rx_reset),
            ("http2.rx_reset", 1),
            ("http2.tx_reset", 0),
            ("http2.streams_active", 0),
            ("upstream_cx_active", 1),
            ("upstream_rq_active", 0),
        ]);
        assert_eq!(fixture.manager.status()[0].hosts[0].rq_error, 1);
    }
}

#[tokio::test]
async fn a_head_that_is_too_long() {
    for (headers, length, accepted) in [(100, 1, true), (101, 1, false), (60, 1000, true), (80, 1000, false)]
    {
        let mut origin = Origin::new().await;
        let fixture = start(http2(&origin)).await;
        let task = tokio::spawn(fixture.cluster.request(get()));
        let mut peer = Peer2::accept(&mut origin).await;
        let mut response = http::Response::new(());
        for number in 0..headers {
            let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
            response.headers_mut().insert(name, "x".repeat(length).parse().unwrap());
        }
        peer.stream().await.respond.send_response(response, true).unwrap();
        let seen = peer.during(task).await.unwrap().map(|_| ()).map_err(|error| describe(&error));
        let refused = Err("502 UPE upstream_reset_before_response_started{protocol_error}".to_owned());
        assert_eq!(seen, if accepted { Ok(()) } else { refused }, "{headers} headers of {length} bytes");
        fixture.assert_stats(&[("upstream_rq_active", 0), ("http2.streams_active", 0)]);
    }
}

/// An origin begins a body, and then does something else.
async fn check_in_body(finish: impl AsyncFnOnce(Peer2, h2::SendStream<Bytes>), expected: &str) {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let task = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = Peer2::accept(&mut origin).await;
    let mut send = peer.stream().await.ok(false);
    send.send_data(Bytes::from_static(b"hel"), false).unwrap();
    let mut body = peer.during(task).await.unwrap().unwrap().response.into_body();
    let frame = peer.during(async { body.frame().await }).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "hel");
    finish(peer, send).await;
    let error = within("the error", body.frame()).await.unwrap().unwrap_err();
    assert_eq!(describe(error.downcast_ref::<UpstreamError>().unwrap()), expected);
    fixture.assert_stats(&[("upstream_rq_active", 0), ("http2.streams_active", 0), ("http2.tx_reset", 0)]);
}

#[tokio::test]
async fn a_body_that_breaks_off() {
    let reset = async |peer: Peer2, mut send: h2::SendStream<Bytes>| {
        send.send_reset(Reason::INTERNAL_ERROR);
        peer.run();
    };
    check_in_body(reset, "503 UR upstream_reset_after_response_started{remote_reset}").await;
    let close = async |peer: Peer2, send: h2::SendStream<Bytes>| {
        drop(peer);
        drop(send);
    };
    check_in_body(close, "503 UC upstream_reset_after_response_started{connection_termination}").await;
}

#[tokio::test]
async fn a_connection_that_ends_before_the_head() {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let task = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = Peer2::accept(&mut origin).await;
    peer.stream().await;
    drop(peer);
    let error = within("the error", task).await.unwrap().unwrap_err();
    assert_eq!(describe(&error), "503 UC upstream_reset_before_response_started{connection_termination}");
    eventually("the end of the connection", || fixture.gauge("upstream_cx_active") == 0).await;
    fixture.assert_stats(&[("upstream_cx_destroy_remote_with_active_rq", 1), ("upstream_rq_active", 0)]);
}

#[tokio::test]
async fn an_origin_that_does_not_speak_http2() {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let task = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = origin.accept().await;
    peer.send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let error = within("the error", task).await.unwrap().unwrap_err();
    assert_eq!(describe(&error), "502 UPE upstream_reset_before_response_started{protocol_error}");
    eventually("the end of the connection", || fixture.gauge("upstream_cx_active") == 0).await;
    fixture.assert_stats(&[("upstream_cx_protocol_error", 1), ("upstream_cx_destroy_local", 1)]);
}

#[tokio::test]
async fn giving_up_a_request_resets_its_stream() {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    for with_head in [false, true] {
        let task = tokio::spawn(fixture.cluster.request(get()));
        let mut peer = Peer2::accept(&mut origin).await;
        let mut stream = peer.stream().await;
        let mut send = None;
        if with_head {
            send = Some(stream.ok(false));
            let response = peer.during(task).await.unwrap().unwrap();
            drop(response);
        } else {
            task.abort();
        }
        let reason = match &mut send {
            Some(send) => peer.during(std::future::poll_fn(|cx| send.poll_reset(cx))).await,
            None => {
                let respond = &mut stream.respond;
                peer.during(std::future::poll_fn(|cx| respond.poll_reset(cx))).await
            }
        };
        assert_eq!(reason.unwrap(), Reason::INTERNAL_ERROR);
        let given_up = 1 + i64::from(with_head);
        fixture.assert_stats(&[
            ("http2.tx_reset", given_up),
            ("upstream_rq_tx_reset", given_up),
            ("http2.streams_active", 0),
            ("upstream_rq_active", 0),
            ("upstream_cx_active", 1),
        ]);
        // The next round begins with a connection of its own.
        drop(peer);
        eventually("the end of the connection", || fixture.gauge("upstream_cx_active") == 0).await;
    }
}

#[tokio::test]
async fn an_upload_that_fails_resets_its_stream() {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let (sender, body) = channel_body();
    let task = tokio::spawn(fixture.cluster.request(request("POST", body)));
    let mut peer = Peer2::accept(&mut origin).await;
    let mut stream = peer.stream().await;
    sender.send(Err("the client went away".into())).unwrap();
    assert!(peer.during(task).await.unwrap().unwrap_err().is_request_body());
    let reason = peer.during(std::future::poll_fn(|cx| stream.respond.poll_reset(cx))).await;
    assert_eq!(reason.unwrap(), Reason::INTERNAL_ERROR);
    fixture.assert_stats(&[("http2.tx_reset", 1), ("upstream_cx_active", 1)]);
}

#[tokio::test]
async fn after_goaway_requests_take_another_connection() {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let first = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = Peer2::accept(&mut origin).await;
    let mut held = peer.stream().await;
    peer.go_away();
    // Until the frame has been read.
    peer.during(tokio::time::sleep(Duration::from_millis(20))).await;
    let second = tokio::spawn(fixture.cluster.request(get()));
    let mut other = peer.during(async { Peer2::accept(&mut origin).await }).await;
    other.stream().await.ok(true);
    assert_eq!(other.during(second).await.unwrap().unwrap().response.status(), 200);
    // What was under way ends well, and then the connection does.
    held.ok(true);
    assert_eq!(peer.during(first).await.unwrap().unwrap().response.status(), 200);
    peer.closed().await;
    eventually("the end of the first connection", || fixture.gauge("upstream_cx_active") == 1).await;
    fixture.assert_stats(&[
        ("upstream_cx_close_notify", 1),
        ("upstream_cx_total", 2),
        ("upstream_cx_destroy_local", 1),
        ("upstream_cx_destroy_with_active_rq", 0),
        ("http2.rx_reset", 0),
    ]);
}

#[tokio::test]
async fn a_request_that_goaway_leaves_out_was_refused() {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let task = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = origin.accept().await;
    // SETTINGS, and GOAWAY with 0 as the last stream that was looked at.
    peer.send("\0\0\0\u{4}\0\0\0\0\0").await;
    peer.send("\0\0\u{8}\u{7}\0\0\0\0\0\0\0\0\0\0\0\0\0").await;
    let error = within("the error", task).await.unwrap().unwrap_err();
    assert_eq!(
        describe(&error),
        "503 UR upstream_reset_before_response_started{remote_refused_stream_reset}"
    );
    fixture.assert_stats(&[("upstream_rq_rx_reset", 0), ("upstream_rq_active", 0)]);
}

#[tokio::test]
async fn a_reset_that_follows_the_whole_response_is_counted() {
    for chunk in [&b"abc"[..], &[b'x'; 100_000]] {
        let mut origin = Origin::new().await;
        let fixture = start(http2(&origin)).await;
        let (sender, body) = channel_body();
        sender.send(data(Bytes::copy_from_slice(chunk))).unwrap();
        let task = tokio::spawn(fixture.cluster.request(request("POST", body)));
        let mut peer = origin.accept().await;
        eventually("the stream", || fixture.gauge("http2.streams_active") == 1).await;
        // SETTINGS, a head with `:status: 400` that ends the stream, and RST_STREAM with NO_ERROR.
        let frames = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x8c\0\0\x04\x03\0\0\0\0\x01\0\0\0\0";
        tokio::io::AsyncWriteExt::write_all(&mut peer.stream, frames).await.unwrap();
        let response = within("the response", task).await.unwrap().unwrap().response;
        assert_eq!(response.status().as_u16(), 400);
        drop(response);
        // The rest of the upload is not sent, so the stream is reset from here, too.
        fixture.assert_stats(&[
            ("http2.rx_reset", 1),
            ("http2.tx_reset", 1),
            ("upstream_rq_tx_reset", 1),
            ("upstream_rq_rx_reset", 0),
        ]);
    }
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_announced() {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let task = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = Peer2::accept(&mut origin).await;
    let mut stream = peer.stream().await;
    let head = http::Response::builder().header("content-length", 10).body(()).unwrap();
    let mut send = stream.respond.send_response(head, false).unwrap();
    send.send_data(Bytes::from_static(b"hello"), true).unwrap();
    let response = peer.during(task).await.unwrap().unwrap().response;
    let error = peer.during(response.into_body().collect()).await.unwrap_err();
    let error = error.downcast_ref::<UpstreamError>().unwrap();
    assert_eq!(describe(error), "502 UPE upstream_reset_after_response_started{protocol_error}");
    fixture.assert_stats(&[("http2.tx_reset", 1), ("upstream_rq_tx_reset", 1), ("upstream_cx_active", 1)]);
}

#[tokio::test]
async fn an_idle_connection_ends_with_its_timeout() {
    let mut origin = Origin::new().await;
    let mut settings = http2(&origin);
    settings.idle_timeout = Some(Duration::from_millis(150));
    let fixture = start(settings).await;
    let task = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = Peer2::accept(&mut origin).await;
    let mut held = peer.stream().await;
    // Not while a stream is under way.
    peer.during(tokio::time::sleep(Duration::from_millis(400))).await;
    held.ok(true);
    peer.during(task).await.unwrap().unwrap();
    peer.closed().await;
    eventually("the end to be counted", || fixture.gauge("upstream_cx_active") == 0).await;
    fixture.assert_stats(&[("upstream_cx_idle_timeout", 1), ("upstream_cx_destroy_local", 1)]);
}

#[tokio::test]
async fn a_connection_ends_after_its_last_request() {
    let origin = Origin::new().await;
    let mut settings = http2(&origin);
    settings.max_requests_per_connection = Some(2);
    crate::http2::answer(origin);
    let fixture = start(settings).await;
    for _ in 0..5 {
        exchange(&fixture.cluster, get()).await.unwrap();
    }
    eventually("the old connections to end", || fixture.gauge("upstream_cx_active") == 1).await;
    fixture.assert_stats(&[
        ("upstream_cx_total", 3),
        ("upstream_cx_max_requests", 2),
        ("upstream_cx_destroy_local", 2),
    ]);
}

#[tokio::test]
async fn draining_lets_streams_end() {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let task = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = Peer2::accept(&mut origin).await;
    let mut held = peer.stream().await;
    fixture.clusters.drain();
    let mut send = held.ok(false);
    let response = peer.during(task).await.unwrap().unwrap();
    send.send_data(Bytes::from_static(b"hello"), true).unwrap();
    let body = peer.during(response.response.into_body().collect()).await.unwrap();
    assert_eq!(body.to_bytes(), "hello");
    peer.closed().await;
    eventually("the end to be counted", || fixture.gauge("upstream_cx_active") == 0).await;
    fixture.assert_stats(&[("upstream_cx_destroy_local", 1), ("upstream_cx_destroy_with_active_rq", 0)]);
}

#[tokio::test]
async fn a_refused_connection_fails_all_that_wait_for_it() {
    let origin = Origin::new().await;
    let mut settings = http2(&origin);
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    settings.endpoints = cluster(&[nobody]).endpoints;
    let fixture = start(settings).await;
    let (first, second) = tokio::join!(exchange(&fixture.cluster, get()), exchange(&fixture.cluster, get()));
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert!(!error.request_sent());
        assert_eq!(error.flags().to_string(), "UF");
    }
    fixture.assert_stats(&[
        ("upstream_cx_total", 1),
        ("upstream_cx_connect_fail", 1),
        ("upstream_rq_pending_failure_eject", 2),
        ("upstream_rq_pending_active", 0),
        ("upstream_cx_active", 0),
    ]);
}

#[tokio::test]
async fn the_circuit_breaker_for_requests_counts_streams() {
    let mut origin = Origin::new().await;
    let mut settings = http2(&origin);
    settings.circuit_breakers.default.max_requests = 1;
    let fixture = start(settings).await;
    let first = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = Peer2::accept(&mut origin).await;
    let mut held = peer.stream().await;
    let error = exchange(&fixture.cluster, get()).await.unwrap_err();
    assert!(error.is_overflow());
    held.ok(true);
    peer.during(first).await.unwrap().unwrap();
    fixture.assert_stats(&[("upstream_rq_active_overflow", 1), ("upstream_rq_total", 1)]);
}
