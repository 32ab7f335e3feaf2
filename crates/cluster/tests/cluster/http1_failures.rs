//! HTTP/1 origins that fail, and what is said of it.

use std::{net::SocketAddr, time::Duration};

use http_body_util::BodyExt as _;
use nuncio_cluster::UpstreamError;

use crate::support::*;

fn describe(error: &UpstreamError) -> String {
    format!("{} {} {}", error.status().as_u16(), error.flags(), error.details())
}

/// An origin does `misbehave` after a request's head; `expected` is said of it.
async fn check_before_headers(
    misbehave: &str,
    reset: bool,
    expected: &str,
    by_host: bool,
    protocol_errors: i64,
) {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let play = async {
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.send(misbehave).await;
        if reset {
            peer.reset();
            return None;
        }
        by_host.then(|| drop(peer.stream)).is_none().then_some(())
    };
    let (result, _) = tokio::join!(exchange(&fixture.cluster, get()), play);
    let error = result.unwrap_err();
    assert_eq!(describe(&error), expected, "{misbehave:?}");
    assert_eq!(error.host(), Some(origin.address));
    assert!(error.request_sent() && error.is_retryable());
    assert_eq!(origin.accepted(), 1, "Envoy does not try again: {misbehave:?}");
    fixture.assert_stats(&[
        ("upstream_cx_active", 0),
        ("upstream_rq_active", 0),
        ("upstream_cx_destroy", 1),
        ("upstream_cx_destroy_remote_with_active_rq", i64::from(by_host)),
        ("upstream_cx_destroy_local_with_active_rq", i64::from(!by_host)),
        ("upstream_cx_protocol_error", protocol_errors),
    ]);
    let host = &fixture.manager.status()[0].hosts[0];
    assert_eq!((host.rq_total, host.rq_error, host.rq_success, host.cx_active), (1, 1, 0, 0));
}

#[tokio::test]
async fn an_origin_that_goes_away_before_it_answers() {
    let termination = "503 UC upstream_reset_before_response_started{connection_termination}";
    check_before_headers("", false, termination, true, 0).await;
    check_before_headers("", true, termination, true, 0).await;
    check_before_headers("HTTP/1.1 100 Continue\r\n\r\n", false, termination, true, 0).await;
}

#[tokio::test]
async fn an_origin_that_goes_away_within_the_head_of_its_answer() {
    let malformed = "502 UPE upstream_reset_before_response_started{protocol_error}";
    check_before_headers("HTTP/1.1 200 OK\r\nx-a: ", false, malformed, true, 1).await;
    check_before_headers("HT", false, malformed, true, 1).await;
    check_before_headers("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2", false, malformed, true, 1).await;
}

#[tokio::test]
async fn an_origin_that_does_not_speak_http() {
    let malformed = "502 UPE upstream_reset_before_response_started{protocol_error}";
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "a".repeat(80 * 1024));
    for answer in [
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\nb(ad: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello",
        &many,
        &large,
    ] {
        check_before_headers(answer, false, malformed, false, 1).await;
    }
}

#[tokio::test]
async fn a_body_that_breaks_off() {
    for (answer, goes_away) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", false),
    ] {
        let mut origin = Origin::new().await;
        let fixture = start(cluster(&[origin.address])).await;
        let play = async {
            let mut peer = origin.accept().await;
            peer.head().await;
            peer.send(answer).await;
            (!goes_away).then_some(peer)
        };
        let (response, peer) = tokio::join!(fixture.cluster.request(get()), play);
        let mut body = response.unwrap().response.into_body();
        let frame = within("what came", body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "hello", "{answer:?}");
        let error = within("the error", body.frame()).await.unwrap().unwrap_err();
        let error = error.downcast_ref::<UpstreamError>().unwrap();
        assert_eq!(
            describe(error),
            "502 UPE upstream_reset_after_response_started{protocol_error}",
            "{answer:?}"
        );
        assert!(error.response_started() && !error.is_retryable());
        fixture.assert_stats(&[
            ("upstream_cx_active", 0),
            ("upstream_rq_active", 0),
            ("upstream_cx_protocol_error", 1),
            ("upstream_cx_destroy_remote_with_active_rq", i64::from(goes_away)),
            ("upstream_cx_destroy_local_with_active_rq", i64::from(!goes_away)),
        ]);
        drop(peer);
    }
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_refused_connection() {
    let fixture = start(cluster(&[nobody().await])).await;
    // Two that wait for one connection each.
    let (first, second) = tokio::join!(exchange(&fixture.cluster, get()), exchange(&fixture.cluster, get()));
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert_eq!(
            describe(&error),
            "503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
        );
        assert_eq!(error.transport_failure_reason(), Some("delayed_connect_error:_Connection_refused"));
        assert!(!error.request_sent() && error.is_retryable());
    }
    eventually("both connections to fail", || fixture.counter("upstream_cx_connect_fail") == 2).await;
    fixture.assert_stats(&[
        ("upstream_cx_total", 2),
        ("upstream_cx_destroy", 2),
        ("upstream_cx_destroy_remote", 2),
        ("upstream_cx_destroy_with_active_rq", 0),
        ("upstream_cx_connect_timeout", 0),
        ("upstream_rq_pending_total", 2),
        ("upstream_rq_pending_failure_eject", 2),
        ("upstream_rq_pending_active", 0),
        ("upstream_rq_cancelled", 0),
        ("upstream_rq_total", 0),
        ("upstream_cx_active", 0),
    ]);
    assert_eq!(fixture.manager.status()[0].hosts[0].cx_connect_fail, 2);
}

#[tokio::test]
async fn a_connection_that_takes_too_long() {
    // A listener whose queue is full answers no SYN.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(50), tokio::net::TcpStream::connect(address)).await
    {
        queue.push(stream);
    }
    let mut settings = cluster(&[address]);
    settings.connect_timeout = Duration::from_millis(50);
    let fixture = start(settings).await;
    let error = exchange(&fixture.cluster, get()).await.unwrap_err();
    assert_eq!(describe(&error), "503 UF upstream_reset_before_response_started{connection_timeout}");
    fixture.assert_stats(&[
        ("upstream_cx_connect_fail", 1),
        ("upstream_cx_connect_timeout", 1),
        ("upstream_cx_destroy_local", 1),
        ("upstream_cx_destroy_remote", 0),
        ("upstream_rq_pending_failure_eject", 1),
    ]);
}

#[tokio::test]
async fn a_cluster_without_hosts() {
    let fixture = start(cluster(&[])).await;
    let error = exchange(&fixture.cluster, get()).await.unwrap_err();
    assert_eq!(describe(&error), "503 UH no_healthy_upstream");
    assert_eq!((error.host(), error.request_sent(), error.is_retryable()), (None, false, false));
    fixture.assert_stats(&[
        ("upstream_cx_none_healthy", 1),
        ("lb_healthy_panic", 1),
        ("membership_total", 0),
        ("upstream_rq_total", 0),
    ]);
}

#[tokio::test]
async fn a_timeout_is_charged_to_cluster_and_host() {
    let origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    fixture.cluster.charge_timeout(Some(origin.address));
    fixture.cluster.charge_timeout(None);
    fixture.assert_stats(&[("upstream_rq_timeout", 2)]);
    assert_eq!(fixture.manager.status()[0].hosts[0].rq_timeout, 1);
}
