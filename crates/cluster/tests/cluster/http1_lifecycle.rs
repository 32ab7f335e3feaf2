//! The life of HTTP/1 connections: which is used next, and when one ends.

use std::time::Duration;

use nuncio_config::model::Thresholds;

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn the_connection_that_became_idle_last_is_used_next() {
    let mut origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let requests = [0, 1, 2].map(|_| tokio::spawn(fixture.cluster.request(get())));
    let mut peers = [origin.accept().await, origin.accept().await, origin.accept().await];
    for (peer, ended) in [(1, 1), (0, 2), (2, 3)] {
        peers[peer].head().await;
        peers[peer].send(OK).await;
        eventually("an answer", || requests.iter().filter(|request| request.is_finished()).count() == ended)
            .await;
    }
    for _ in 0..2 {
        let play = async {
            peers[2].head().await;
            peers[2].send(OK).await;
        };
        let (answer, ()) = tokio::join!(exchange(&fixture.cluster, get()), play);
        assert_eq!(answer.unwrap().status, 200);
    }
    fixture.assert_stats(&[
        ("upstream_cx_total", 3),
        ("upstream_rq_pending_total", 3),
        ("upstream_rq_total", 5),
    ]);
}

/// A connection has carried a request and lies idle.
async fn idle(settings: nuncio_config::model::Cluster, origin: &mut Origin) -> (Fixture, Peer) {
    let fixture = start(settings).await;
    let play = async {
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.send(OK).await;
        peer
    };
    let (answer, peer) = tokio::join!(exchange(&fixture.cluster, get()), play);
    answer.unwrap();
    (fixture, peer)
}

#[tokio::test]
async fn a_connection_that_the_host_closed_is_not_used() {
    let mut origin = Origin::new().await;
    let (fixture, peer) = idle(cluster(&[origin.address]), &mut origin).await;
    drop(peer);
    let play = async {
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.send(OK).await;
        peer
    };
    // Once the socket has told, before the sweeper comes by.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (answer, _peer) = tokio::join!(exchange(&fixture.cluster, get()), play);
    assert_eq!(answer.unwrap().status, 200);
    fixture.assert_stats(&[
        ("upstream_cx_total", 2),
        ("upstream_cx_destroy_remote", 1),
        ("upstream_cx_destroy_with_active_rq", 0),
        ("upstream_rq_total", 2),
    ]);
}

#[tokio::test]
async fn a_request_that_was_not_sent_is_sent_on_another_connection() {
    let mut origin = Origin::new().await;
    let (fixture, peer) = idle(cluster(&[origin.address]), &mut origin).await;
    // It has the connection already when the host closes it, and has sent nothing yet.
    let mut upload = request("POST", nuncio_service::Body::full("hello"));
    upload.headers_mut().insert("content-length", 5.into());
    let response = fixture.cluster.request(upload);
    drop(peer);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let play = async {
        let mut peer = origin.accept().await;
        let head = peer.head().await;
        assert!(head.ends_with("\r\ncontent-length: 5\r\n\r\n"), "{head}");
        assert_eq!(peer.body(5).await, "hello");
        peer.send(OK).await;
        peer
    };
    let (response, _peer) = tokio::join!(within("a response", response), play);
    assert_eq!(response.unwrap().response.status(), 200);
    fixture.assert_stats(&[
        ("upstream_cx_total", 2),
        ("upstream_cx_destroy_remote", 1),
        ("upstream_rq_active", 0),
    ]);
}

#[tokio::test]
async fn the_sweeper_notices_what_the_host_closed() {
    let mut origin = Origin::new().await;
    let mut settings = cluster(&[origin.address]);
    // Sweeps often.
    settings.idle_timeout = Some(Duration::from_secs(60));
    let (fixture, peer) = idle(settings, &mut origin).await;
    drop(peer);
    eventually("the connection to be forgotten", || fixture.gauge("upstream_cx_active") == 0).await;
    fixture.assert_stats(&[("upstream_cx_destroy_remote", 1), ("upstream_cx_idle_timeout", 0)]);
}

#[tokio::test]
async fn an_idle_connection_ends_with_its_timeout() {
    let mut origin = Origin::new().await;
    let mut settings = cluster(&[origin.address]);
    settings.idle_timeout = Some(Duration::from_millis(150));
    let (fixture, mut peer) = idle(settings, &mut origin).await;
    let start = std::time::Instant::now();
    peer.closed().await;
    assert!(start.elapsed() > Duration::from_millis(140), "{:?}", start.elapsed());
    eventually("the connection to be counted", || fixture.gauge("upstream_cx_active") == 0).await;
    fixture.assert_stats(&[("upstream_cx_idle_timeout", 1), ("upstream_cx_destroy_local", 1)]);
}

#[tokio::test]
async fn a_connection_ends_after_its_last_request() {
    let origin = Origin::new().await.answer(OK);
    let mut settings = cluster(&[origin.address]);
    settings.max_requests_per_connection = Some(2);
    let fixture = start(settings).await;
    for _ in 0..5 {
        exchange(&fixture.cluster, get()).await.unwrap();
    }
    fixture.assert_stats(&[
        ("upstream_cx_total", 3),
        ("upstream_cx_max_requests", 2),
        ("upstream_cx_destroy_local", 2),
        ("upstream_cx_active", 1),
    ]);
}

#[tokio::test]
async fn a_connection_ends_when_it_is_too_old() {
    let mut origin = Origin::new().await;
    let mut settings = cluster(&[origin.address]);
    settings.max_connection_duration = Some(Duration::from_millis(50));
    settings.idle_timeout = Some(Duration::from_millis(200));
    let (fixture, mut peer) = idle(settings, &mut origin).await;
    peer.closed().await;
    eventually("the end to be counted", || fixture.counter("upstream_cx_max_duration_reached") == 1).await;
    fixture.assert_stats(&[("upstream_cx_idle_timeout", 0), ("upstream_cx_destroy_local", 1)]);
}

#[tokio::test]
async fn draining_closes_what_is_idle_and_lets_the_rest_end() {
    let mut origin = Origin::new().await;
    let (fixture, mut idle) = idle(cluster(&[origin.address]), &mut origin).await;
    let busy = tokio::spawn(fixture.cluster.request(get()));
    idle.head().await;
    let second = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = origin.accept().await;
    peer.head().await;
    peer.send(OK).await;
    second.await.unwrap().unwrap();
    // One carries a request, the other is idle.
    fixture.clusters.drain();
    peer.closed().await;
    idle.send(OK).await;
    assert_eq!(busy.await.unwrap().unwrap().response.status(), 200);
    idle.closed().await;
    fixture.assert_stats(&[("upstream_cx_active", 0), ("upstream_cx_destroy_with_active_rq", 0)]);
}

#[tokio::test]
async fn a_connection_outlives_the_request_that_it_was_opened_for() {
    let origin = Origin::new().await;
    let fixture = start(cluster(&[origin.address])).await;
    let response = fixture.cluster.request(get());
    fixture.assert_stats(&[("upstream_rq_pending_active", 1)]);
    drop(response);
    fixture.assert_stats(&[("upstream_rq_cancelled", 1), ("upstream_rq_pending_active", 0)]);
    eventually("the connection", || origin.accepted() == 1).await;
    let origin = origin.answer(OK);
    eventually("the connection to be ready", || {
        fixture.registry.flush();
        fixture.gauge("upstream_cx_active") == 1
    })
    .await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    exchange(&fixture.cluster, get()).await.unwrap();
    assert_eq!(origin.accepted(), 1);
    fixture.assert_stats(&[("upstream_rq_pending_total", 1), ("upstream_rq_total", 1)]);
}

#[tokio::test]
async fn status_tells_limits_and_counts() {
    let origin = Origin::new().await.answer("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n");
    let mut settings = cluster(&[origin.address]);
    settings.alt_stat_name = Some("other".to_owned());
    settings.circuit_breakers.default = Thresholds { max_requests: 7, ..Thresholds::default() };
    settings.endpoints[0].zone = "z".to_owned();
    settings.endpoints[0].endpoints[0].weight = 3;
    settings.endpoints[0].endpoints[0].hostname = "h".to_owned();
    let fixture = start(settings).await;
    exchange(&fixture.cluster, get()).await.unwrap();
    let status = fixture.manager.status();
    let [status] = &status[..] else { panic!("{status:?}") };
    assert_eq!((&*status.name, &*status.observability_name), ("c", "other"));
    assert_eq!(status.circuit_breakers.default.max_requests, 7);
    let [host] = &status.hosts[..] else { panic!("{status:?}") };
    assert_eq!((host.address, &*host.hostname, host.weight, host.priority), (origin.address, "h", 3, 0));
    assert_eq!((&*host.locality.zone, host.health_flags), ("z", "healthy"));
    assert_eq!((host.cx_total, host.cx_active, host.cx_connect_fail), (1, 1, 0));
    assert_eq!((host.rq_total, host.rq_active, host.rq_pending_active), (1, 0, 0));
    assert_eq!((host.rq_error, host.rq_success, host.rq_timeout), (1, 0, 0));
    assert_eq!(fixture.registry.gauge_value("cluster.other.max_host_weight"), Some(3));
    assert_eq!(fixture.registry.counter_value("cluster.other.default.total_match_count"), Some(1));
}
