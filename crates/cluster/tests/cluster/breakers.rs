//! Circuit breakers, seen from requests.

use std::sync::Arc;

use nuncio_cluster::{ClusterManager, UpstreamError};
use nuncio_config::model::{self, Thresholds};
use nuncio_stats::{Registry, Shard};

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn limited(origin: &Origin, thresholds: Thresholds) -> model::Cluster {
    let mut cluster = cluster(&[origin.address]);
    cluster.circuit_breakers.default = thresholds;
    cluster
}

fn assert_overflow(error: &UpstreamError) {
    assert_eq!(error.details(), "upstream_reset_before_response_started{overflow}");
    assert_eq!((error.status().as_u16(), error.flags().to_string()), (503, "UO".to_owned()));
    assert!(error.is_overflow() && !error.is_retryable() && !error.request_sent());
}

#[tokio::test]
async fn requests() {
    let mut origin = Origin::new().await;
    let fixture = start(limited(&origin, Thresholds { max_requests: 1, ..Thresholds::default() })).await;
    let first = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = origin.accept().await;
    peer.head().await;
    fixture.assert_stats(&[("circuit_breakers.default.rq_open", 1)]);
    // As in Envoy, the second gets a connection and is refused then.
    assert_overflow(&exchange(&fixture.cluster, get()).await.unwrap_err());
    fixture.assert_stats(&[
        ("upstream_cx_total", 2),
        ("upstream_rq_active_overflow", 1),
        ("upstream_rq_pending_overflow", 0),
        ("upstream_rq_total", 1),
    ]);
    peer.send(OK).await;
    first.await.unwrap().unwrap();
    fixture.assert_stats(&[("circuit_breakers.default.rq_open", 0), ("upstream_cx_active", 2)]);
}

#[tokio::test]
async fn pending_requests() {
    let origin = Origin::new().await;
    let thresholds = Thresholds { max_pending_requests: 0, ..Thresholds::default() };
    let fixture = start(limited(&origin, thresholds)).await;
    assert_overflow(&exchange(&fixture.cluster, get()).await.unwrap_err());
    fixture.assert_stats(&[
        ("upstream_rq_pending_overflow", 1),
        ("upstream_rq_pending_total", 0),
        ("upstream_cx_total", 0),
    ]);
}

#[tokio::test]
async fn connections() {
    let mut origin = Origin::new().await;
    let thresholds = Thresholds { max_connections: 1, max_pending_requests: 1, ..Thresholds::default() };
    let fixture = start(limited(&origin, thresholds)).await;
    let first = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = origin.accept().await;
    peer.head().await;
    let second = tokio::spawn(fixture.cluster.request(get()));
    eventually("the second to wait", || fixture.gauge("upstream_rq_pending_active") == 1).await;
    fixture.assert_stats(&[
        ("circuit_breakers.default.cx_open", 1),
        ("circuit_breakers.default.rq_pending_open", 1),
        ("upstream_cx_overflow", 1),
    ]);
    assert_overflow(&exchange(&fixture.cluster, get()).await.unwrap_err());
    // The second gets the first's connection.
    peer.send(OK).await;
    peer.head().await;
    peer.send(OK).await;
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    fixture.assert_stats(&[
        ("upstream_cx_total", 1),
        ("upstream_rq_total", 2),
        ("upstream_rq_pending_total", 2),
        ("upstream_rq_pending_overflow", 1),
        ("circuit_breakers.default.cx_open", 1),
        ("circuit_breakers.default.cx_pool_open", 0),
        ("circuit_breakers.default.rq_pending_open", 0),
    ]);
}

#[tokio::test]
async fn who_waits_for_a_connection_that_dies_gets_another() {
    let mut origin = Origin::new().await;
    let fixture = start(limited(&origin, Thresholds { max_connections: 1, ..Thresholds::default() })).await;
    let first = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = origin.accept().await;
    peer.head().await;
    let second = tokio::spawn(fixture.cluster.request(get()));
    eventually("the second to wait", || fixture.gauge("upstream_rq_pending_active") == 1).await;
    drop(peer);
    assert!(first.await.unwrap().is_err());
    let mut peer = origin.accept().await;
    peer.head().await;
    peer.send(OK).await;
    second.await.unwrap().unwrap();
    fixture.assert_stats(&[("upstream_cx_total", 2), ("circuit_breakers.default.cx_open", 1)]);
}

#[tokio::test]
async fn each_host_may_have_one_connection() {
    let (mut first, mut second) = (Origin::new().await, Origin::new().await);
    let mut settings = cluster(&[first.address, second.address]);
    settings.circuit_breakers.default.max_connections = 1;
    let fixture = start(settings).await;
    let requests = [0, 1].map(|_| tokio::spawn(fixture.cluster.request(get())));
    for origin in [&mut first, &mut second] {
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.send(OK).await;
    }
    for request in requests {
        request.await.unwrap().unwrap();
    }
    fixture.assert_stats(&[("upstream_cx_total", 2)]);
}

/// The limits hold over all workers, each of which counts for itself.
#[test]
fn workers_share_the_limits() {
    const LIMIT: u32 = 5;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let origin = Origin::new().await;
        let registry = Registry::new(2);
        let thresholds = Thresholds { max_requests: LIMIT, ..Thresholds::default() };
        let settings = limited(&origin, thresholds);
        let manager = ClusterManager::new(vec![settings], model::DnsResolver::default(), &registry);
        let manager = Arc::new(manager);
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let manager = Arc::clone(&manager);
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        let clusters = manager.worker(Shard::worker(worker));
                        let cluster = clusters.get("c").unwrap();
                        let requests: Vec<_> = (0..6).map(|_| tokio::spawn(cluster.request(get()))).collect();
                        let mut refused = 0;
                        for request in requests {
                            if let Ok(ended) = tokio::time::timeout(PATIENCE / 20, request).await {
                                assert_overflow(&ended.unwrap().unwrap_err());
                                refused += 1;
                            }
                        }
                        refused
                    })
                })
            })
            .collect();
        eventually("all connections", || origin.accepted() == 12).await;
        let refused: u32 =
            tokio::task::spawn_blocking(|| workers.into_iter().map(|w| w.join().unwrap()).sum())
                .await
                .unwrap();
        // Two that come at the same instant for the last place may both be refused.
        assert!((12 - LIMIT..=13 - LIMIT).contains(&refused), "{refused}");
        assert_eq!(registry.counter_value("cluster.c.upstream_rq_active_overflow"), Some(u64::from(refused)));
    });
}
