//! Which host a request goes to.

use std::collections::HashMap;

use nuncio_config::model::{LeastRequest, LoadBalancing};

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

async fn spread(policy: LoadBalancing, weights: [u32; 3], requests: u32) -> Vec<u32> {
    let mut hosts = Vec::new();
    for _ in 0..3 {
        hosts.push(Origin::new().await.answer(OK).address);
    }
    let mut settings = cluster(&hosts);
    settings.load_balancing = policy;
    for (endpoint, weight) in settings.endpoints[0].endpoints.iter_mut().zip(weights) {
        endpoint.weight = weight;
    }
    let fixture = start(settings).await;
    let mut counts: HashMap<_, u32> = HashMap::new();
    for _ in 0..requests {
        *counts.entry(exchange(&fixture.cluster, get()).await.unwrap().host).or_default() += 1;
    }
    hosts.iter().map(|host| counts.get(host).copied().unwrap_or_default()).collect()
}

#[tokio::test]
async fn round_robin_gives_each_host_its_share() {
    assert_eq!(spread(LoadBalancing::RoundRobin, [1, 1, 1], 30).await, [10, 10, 10]);
    assert_eq!(spread(LoadBalancing::RoundRobin, [1, 2, 3], 60).await, [10, 20, 30]);
}

#[tokio::test]
async fn random_reaches_all() {
    let counts = spread(LoadBalancing::Random, [1, 1, 1], 90).await;
    assert!(counts.iter().all(|count| (10..60).contains(count)), "{counts:?}");
}

#[tokio::test]
async fn least_request_avoids_the_busy_host() {
    let mut busy = Origin::new().await;
    let free = Origin::new().await.answer(OK);
    let mut settings = cluster(&[busy.address, free.address]);
    settings.load_balancing =
        LoadBalancing::LeastRequest(LeastRequest { choice_count: 40, ..LeastRequest::default() });
    let fixture = start(settings).await;
    // Until one request hangs on the busy host, which each attempt reaches with a probability of a half.
    let mut hanging = Vec::new();
    while busy.accepted() == 0 {
        hanging.push(tokio::spawn(fixture.cluster.request(get())));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let mut peer = busy.accept().await;
    peer.head().await;
    let before = busy.accepted();
    for _ in 0..20 {
        // Forty draws of two hosts do not miss the free one.
        assert_eq!(exchange(&fixture.cluster, get()).await.unwrap().host, free.address);
    }
    assert_eq!(busy.accepted(), before);
}
