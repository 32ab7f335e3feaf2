//! Bodies that flow over HTTP/1 in both directions at their own pace.

use std::{sync::atomic::Ordering, time::Duration};

use http_body_util::BodyExt as _;
use nuncio_service::Body;

use crate::support::*;

#[tokio::test]
async fn a_response_streams_as_it_comes() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let mut response = std::pin::pin!(fixture.cluster.request(get()));
    let play = async {
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n").await;
        peer
    };
    let (response, mut peer) = tokio::join!(&mut response, play);
    let mut body = response.unwrap().response.into_body();
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(4));
    for part in ["ab", "cd"] {
        peer.send(part).await;
        let frame = within("a frame", body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), part);
    }
    // A reader that counts does not ask for the end; the connection is free all the same.
    assert!(http_body::Body::is_end_stream(&body));
    fixture.assert_stats(&[("upstream_rq_active", 0), ("upstream_cx_active", 1)]);
    let second = fixture.cluster.request(get());
    let play = async {
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    };
    let (second, ()) = tokio::join!(second, play);
    assert_eq!(second.unwrap().response.status(), 200);
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn a_slow_origin_holds_back_the_upload() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let (pulled, body) = endless_body(64 * 1024);
    let task = tokio::spawn(fixture.cluster.request(request("POST", body)));
    let mut peer = origin.accept().await;
    peer.head().await;
    let still = || async {
        let mut before = usize::MAX;
        while before != pulled.load(Ordering::Relaxed) {
            before = pulled.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        before
    };
    let before = within("the upload to stop", still()).await;
    assert!(before < 400, "{before} chunks are no back-pressure");
    peer.body(8 * 1024 * 1024).await;
    eventually("the upload to go on", || pulled.load(Ordering::Relaxed) > before).await;
    task.abort();
    peer.closed().await;
}

#[tokio::test]
async fn a_slow_reader_holds_back_the_origin() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let play = async {
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n").await;
        peer
    };
    let (response, mut peer) = tokio::join!(fixture.cluster.request(get()), play);
    let mut body = response.unwrap().response.into_body();
    let chunk = "x".repeat(1_000_000);
    let mut sent = 0;
    // Whatever the kernel takes, one hundred megabytes is more.
    while tokio::time::timeout(Duration::from_millis(100), peer.send(&chunk)).await.is_ok() {
        sent += 1;
        assert!(sent < 90, "nobody holds the origin back");
    }
    let mut received = 0;
    while received < 1_000_000 * sent {
        let frame = within("a frame", body.frame()).await.unwrap().unwrap();
        received += frame.into_data().unwrap().len();
    }
}

#[tokio::test]
async fn an_upload_goes_on_while_the_response_comes() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let (sender, body) = channel_body();
    let play = async {
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        peer
    };
    let (response, mut peer) = tokio::join!(fixture.cluster.request(request("POST", body)), play);
    let mut body = response.unwrap().response.into_body();
    for part in ["ab", "cd"] {
        sender.send(data(part)).unwrap();
        let echo = async {
            assert_eq!(peer.body(7).await, format!("2\r\n{part}\r\n"));
            peer.send(&format!("2\r\n{part}\r\n")).await;
        };
        let (frame, ()) = tokio::join!(within("a frame", body.frame()), echo);
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), part);
    }
    drop(sender);
    let end = async {
        assert_eq!(peer.body(5).await, "0\r\n\r\n");
        peer.send("0\r\n\r\n").await;
    };
    let (frame, ()) = tokio::join!(within("the end", body.frame()), end);
    assert!(frame.is_none());
    fixture.assert_stats(&[("upstream_cx_destroy", 0), ("upstream_cx_active", 1), ("upstream_rq_active", 0)]);
}

#[tokio::test]
async fn a_response_that_ends_before_the_upload_ends_the_connection() {
    for answer in [
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
        "HTTP/1.1 403 Forbidden\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    ] {
        let mut origin = Origin::new().await;
        let fixture = start(cluster(&[origin.address])).await;
        let (sender, body) = channel_body();
        sender.send(data("a beginning")).unwrap();
        let play = async {
            let mut peer = origin.accept().await;
            peer.head().await;
            peer.send(answer).await;
            peer
        };
        let (got, mut peer) = tokio::join!(exchange(&fixture.cluster, request("POST", body)), play);
        assert_eq!(got.unwrap().status, 403);
        peer.closed().await;
        fixture.assert_stats(&[
            ("upstream_cx_active", 0),
            ("upstream_cx_destroy_local_with_active_rq", 1),
            ("upstream_rq_active", 0),
        ]);
        drop(sender);
    }
}

#[tokio::test]
async fn an_upload_that_fails_ends_the_connection() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let (sender, body) = channel_body();
    sender.send(data("a beginning")).unwrap();
    sender.send(Err("the client went away".into())).unwrap();
    let play = async {
        let mut peer = origin.accept().await;
        peer.closed().await;
    };
    let (error, ()) = tokio::join!(exchange(&fixture.cluster, request("POST", body)), play);
    let error = error.unwrap_err();
    assert!(error.is_request_body() && !error.is_retryable() && error.request_sent(), "{error:?}");
    fixture.assert_stats(&[("upstream_cx_destroy_local_with_active_rq", 1), ("upstream_cx_active", 0)]);
}

/// A response is on its way when it is given up.
async fn given_up(answer: &str) -> (Fixture, Peer, Option<Body>) {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let mut response = Box::pin(fixture.cluster.request(get()));
    let play = async {
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.send(answer).await;
        peer
    };
    let (peer, body) = if answer.is_empty() {
        let peer = tokio::select! {
            peer = play => peer,
            _ = &mut response => panic!("nothing was answered"),
        };
        (peer, None)
    } else {
        let (response, peer) = tokio::join!(&mut response, play);
        (peer, Some(response.unwrap().response.into_body()))
    };
    drop(response);
    (fixture, peer, body)
}

#[tokio::test]
async fn giving_up_a_request_closes_its_connection() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"] {
        let (fixture, mut peer, body) = given_up(answer).await;
        drop(body);
        peer.closed().await;
        fixture.assert_stats(&[
            ("upstream_cx_active", 0),
            ("upstream_cx_destroy_local", 1),
            ("upstream_cx_destroy_local_with_active_rq", 1),
            ("upstream_cx_destroy_with_active_rq", 1),
            ("upstream_rq_active", 0),
            ("upstream_cx_rx_bytes_buffered", 0),
        ]);
    }
}

#[tokio::test]
async fn a_flood_of_informational_heads_leaves_time_for_others() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        let head = format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "x".repeat(60 << 10));
        for _ in 0..100 {
            if stream.write_all(head.as_bytes()).is_err() {
                return;
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        let _closed = stream.read(&mut [0]);
    });
    let fixture = start(cluster(&[address])).await;
    let read = || fixture.registry.counter_value("cluster.c.upstream_cx_rx_bytes_total").unwrap();
    let mut request = std::pin::pin!(fixture.cluster.request(get()));
    let mut most = 0;
    let response = std::future::poll_fn(|cx| {
        let before = read();
        let polled = request.as_mut().poll(cx);
        most = most.max(read() - before);
        polled
    });
    assert_eq!(within("the response", response).await.unwrap().response.status(), 200);
    // A streak, which its last read may exceed by the size of the buffer.
    assert!(most <= 2 * (256 << 10), "{most} bytes at once");
    assert!(read() > 6_000_000);
}
