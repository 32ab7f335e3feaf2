//! Which host gets a request, and what circuit breakers let through.

use std::{collections::HashMap, future::ready};

use http::Response;
use http_body_util::Full;
use nuncio_test_support::{Client, ManualOrigin, Origin, Proxy, RunningProxy, mask};

/// Who answers so many requests, in turn.
async fn answers(proxy: &RunningProxy, requests: usize) -> Vec<String> {
    let mut client = Client::connect(proxy.listener(0)).await;
    let mut bodies = Vec::new();
    for _ in 0..requests {
        let response = client.get("/").await;
        assert_eq!(response.status(), 200);
        bodies.push(response.body);
    }
    bodies
}

fn shares(bodies: &[String]) -> HashMap<&str, usize> {
    let mut shares = HashMap::new();
    for body in bodies {
        *shares.entry(body.as_str()).or_default() += 1;
    }
    shares
}

/// The hosts with weights.
fn weighted(origins: &[Origin], weights: &[u32]) -> Vec<String> {
    let endpoint = |(origin, weight): (&Origin, &u32)| {
        let address = origin.address();
        format!(
            "{{ load_balancing_weight: {weight}, endpoint: {{ address: {{ socket_address: {{ address: {}, port_value: {} }} }} }} }}",
            address.ip(),
            address.port()
        )
    };
    origins.iter().zip(weights).map(endpoint).collect()
}

#[tokio::test]
async fn hosts_take_turns() {
    let origins = Origin::on_one_port(3).await;
    let proxy = Proxy::in_front_of(&origins[0]).with_hosts(&origins).start().await;
    let bodies = answers(&proxy, 30).await;
    for turn in bodies.windows(3) {
        let mut turn = turn.to_vec();
        turn.sort();
        assert_eq!(turn, ["127.0.0.1", "127.0.0.2", "127.0.0.3"], "three in a row are three hosts");
    }
    assert_eq!(bodies[0], bodies[3], "always in the same order");
    proxy
        .wait_for_stats(&[
            ("cluster.membership_total", 3),
            ("cluster.membership_healthy", 3),
            ("cluster.max_host_weight", 1),
            ("cluster.upstream_cx_total", 3),
            ("cluster.upstream_rq_total", 30),
            ("cluster.lb_healthy_panic", 0),
        ])
        .await;
    for origin in &origins {
        assert_eq!((origin.seen().len(), origin.connections()), (10, 1));
    }
}

#[tokio::test]
async fn turns_are_as_frequent_as_weights_say() {
    let origins = Origin::on_one_port(3).await;
    let proxy = Proxy::in_front_of(&origins[0]).with_endpoints(&weighted(&origins, &[1, 2, 5])).start().await;
    let bodies = answers(&proxy, 80).await;
    let shares = shares(&bodies);
    for (host, share) in [("127.0.0.1", 10), ("127.0.0.2", 20), ("127.0.0.3", 50)] {
        // The first turn may begin anywhere.
        assert!(shares[host].abs_diff(share) <= 1, "{shares:?}");
    }
    proxy.wait_for_stats(&[("cluster.max_host_weight", 5)]).await;
}

#[tokio::test]
async fn chance_reaches_all_hosts() {
    let origins = Origin::on_one_port(3).await;
    let proxy =
        Proxy::in_front_of(&origins[0]).with_hosts(&origins).with_cluster("lb_policy: RANDOM").start().await;
    let bodies = answers(&proxy, 300).await;
    let shares = shares(&bodies);
    // 100 each; that one has fewer than 50 or more than 150 happens once in a hundred million runs.
    assert!(shares.len() == 3 && shares.values().all(|share| (50..150).contains(share)), "{shares:?}");
    let in_turn = bodies.windows(4).filter(|turn| turn[0] == turn[3]).count();
    assert!(in_turn < 200, "they do not take turns");
}

#[tokio::test]
async fn a_busy_host_gets_fewer_requests() {
    let mut busy = ManualOrigin::new().await;
    let idle = Origin::answering("idle").await;
    let hosts = [busy.address(), idle.address()].map(|address| {
        format!(
            "{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }} }} }}",
            address.port()
        )
    });
    // Of so many drawn hosts one is the idle one.
    let proxy = Proxy::in_front_of(&idle)
        .with_endpoints(&hosts)
        .with_cluster("lb_policy: LEAST_REQUEST\nleast_request_lb_config: { choice_count: 20 }")
        .start()
        .await;
    // Until one hangs at the busy host.
    let mut hanging = loop {
        let mut client = Client::connect(proxy.listener(0)).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        tokio::select! {
            mut peer = busy.accept() => {
                peer.head().await;
                break (client, peer);
            }
            response = client.response() => assert_eq!(response.body, "idle"),
        }
    };
    assert!(answers(&proxy, 50).await.iter().all(|body| body == "idle"));
    hanging.1.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbusy").await;
    assert_eq!(hanging.0.response().await.body, "busy");
}

#[tokio::test]
async fn least_request_respects_weights() {
    let origins = Origin::on_one_port(2).await;
    let proxy = Proxy::in_front_of(&origins[0])
        .with_endpoints(&weighted(&origins, &[3, 1]))
        .with_cluster("lb_policy: LEAST_REQUEST")
        .start()
        .await;
    let bodies = answers(&proxy, 100).await;
    let shares = shares(&bodies);
    assert!(shares["127.0.0.1"].abs_diff(75) <= 1, "{shares:?}");
}

const OVERFLOW: &str = "upstream connect error or disconnect/reset before headers. reset reason: overflow";

async fn check_overflow(proxy: &RunningProxy) {
    let mut client = Client::connect(proxy.listener(0)).await;
    let response = client.get("/").await;
    assert_eq!(
        mask(&response.head),
        "HTTP/1.1 503 Service Unavailable\r\nx-envoy-overloaded: true\r\ncontent-length: 81\r\ncontent-type: text/plain\r\ndate: DATE\r\nserver: envoy"
    );
    assert_eq!(response.body, OVERFLOW);
}

#[tokio::test]
async fn one_request_too_many_is_refused() {
    for http2 in [false, true] {
        let mut origin = ManualOrigin::new().await;
        let proxy = Proxy::in_front_of_address(origin.address())
            .with_cluster("circuit_breakers: { thresholds: [{ max_requests: 1 }] }");
        let proxy = if http2 { proxy.with_http2_upstream() } else { proxy }.start().await;
        let mut first = Client::connect(proxy.listener(0)).await;
        first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut peer = origin.accept().await;
        proxy
            .wait_for_stats(&[
                ("cluster.upstream_rq_active", 1),
                ("cluster.circuit_breakers.default.rq_open", 1),
            ])
            .await;
        check_overflow(&proxy).await;
        proxy
            .wait_for_stats(&[
                ("cluster.upstream_rq_active_overflow", 1),
                ("cluster.upstream_rq_pending_overflow", 0),
                ("cluster.upstream_rq_503", 1),
                ("cluster.upstream_rq_5xx", 1),
                ("cluster.upstream_rq_completed", 1),
                ("cluster.upstream_rq_total", 1),
                ("cluster.circuit_breakers.default.cx_open", 0),
                ("cluster.circuit_breakers.default.rq_pending_open", 0),
                ("http.downstream_rq_5xx", 1),
            ])
            .await;
        if !http2 {
            peer.head().await;
            peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            assert_eq!(first.response().await.status(), 200);
            proxy.wait_for_stats(&[("cluster.circuit_breakers.default.rq_open", 0)]).await;
        }
    }
}

#[tokio::test]
async fn requests_queue_for_the_last_connection_as_far_as_they_may() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address())
        .with_cluster("circuit_breakers: { thresholds: [{ max_connections: 1, max_pending_requests: 1 }] }")
        .start()
        .await;
    let mut clients = Vec::new();
    for path in ["/first", "/second"] {
        let mut client = Client::connect(proxy.listener(0)).await;
        client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        clients.push(client);
        let first = clients.len() == 1;
        proxy
            .wait_for_stats(&[
                ("cluster.upstream_rq_total", 1),
                ("cluster.upstream_rq_pending_active", i64::from(!first)),
            ])
            .await;
    }
    check_overflow(&proxy).await;
    proxy
        .wait_for_stats(&[
            ("cluster.upstream_cx_total", 1),
            ("cluster.upstream_cx_overflow", 1),
            ("cluster.upstream_rq_pending_overflow", 1),
            ("cluster.upstream_rq_pending_total", 2),
            ("cluster.upstream_rq_active_overflow", 0),
            ("cluster.circuit_breakers.default.cx_open", 1),
            ("cluster.circuit_breakers.default.rq_pending_open", 1),
            ("cluster.circuit_breakers.default.rq_open", 0),
        ])
        .await;
    let mut peer = origin.accept().await;
    for (path, client) in ["/first", "/second"].iter().zip(&mut clients) {
        assert!(peer.head().await.starts_with(&format!("GET {path} ")), "one after the other");
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(client.response().await.status(), 200);
    }
    assert!(!origin.has_more(), "on one connection");
    proxy
        .wait_for_stats(&[
            ("cluster.upstream_rq_total", 2),
            ("cluster.upstream_rq_pending_active", 0),
            ("cluster.circuit_breakers.default.rq_pending_open", 0),
            ("cluster.circuit_breakers.default.cx_open", 1),
        ])
        .await;
}

#[tokio::test]
async fn breakers_hold_for_all_workers_together() {
    let (sender, receiver) = tokio::sync::watch::channel(false);
    let origin = Origin::serving(move |_| {
        let mut receiver = receiver.clone();
        async move {
            receiver.wait_for(|go| *go).await.unwrap();
            ready(Response::new(Full::from("done"))).await
        }
    })
    .await;
    let proxy = Proxy::in_front_of(&origin)
        .with_cluster("circuit_breakers: { thresholds: [{ max_requests: 8 }] }")
        .with_workers(2)
        .start()
        .await;
    let mut clients = Vec::new();
    for count in 1..=8 {
        let mut client = Client::connect(proxy.listener(0)).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        proxy.wait_for_stats(&[("cluster.upstream_rq_active", count)]).await;
        clients.push(client);
    }
    for _ in 0..8 {
        check_overflow(&proxy).await;
    }
    sender.send(true).unwrap();
    for mut client in clients {
        assert_eq!(client.response().await.body, "done");
    }
}
