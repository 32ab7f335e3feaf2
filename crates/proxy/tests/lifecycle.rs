//! Starting, draining and ending a whole proxy.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use nuncio_test_support::{Client, Origin, Proxy, RunningProxy, exchange, get, soon};
use tokio::sync::Semaphore;

/// An origin that answers only when it is told to: one response for each permit.
async fn held_origin() -> (Origin, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&permits);
    let origin = Origin::serving(move |_| {
        let waiting = Arc::clone(&waiting);
        async move {
            waiting.acquire().await.unwrap().forget();
            http::Response::new(Full::from(Bytes::from_static(b"late")))
        }
    });
    (origin.await, permits)
}

/// A request that the origin holds.
async fn request_under_way(proxy: &RunningProxy, count: i64) -> Client {
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    proxy.wait_for_stat("cluster.origin.upstream_rq_active", count).await;
    client
}

async fn ended(proxy: &RunningProxy) {
    soon("the end of the proxy", proxy.handle().ended()).await.unwrap();
}

#[tokio::test]
async fn a_proxy_serves_from_start_to_end() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).with_workers(2).start().await;
    for _ in 0..20 {
        let response = get(proxy.listener(0), "/path").await;
        assert_eq!((response.status(), response.body.as_str()), (200, "hello"));
    }
    assert_eq!(origin.seen().len(), 20);
    assert_eq!(proxy.ask_admin("/ready").await, "LIVE\n");
    proxy.wait_for_stat("http.test.downstream_rq_2xx", 20).await;
    let (listener, admin) = (proxy.listener(0), proxy.admin());
    proxy.handle().stop();
    ended(&proxy).await;
    assert!(Client::try_connect(listener).await.is_err(), "the port is free again");
    assert!(Client::try_connect(admin).await.is_err());
}

#[tokio::test]
async fn dropping_a_proxy_ends_it() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).start().await;
    let (listener, handle) = (proxy.listener(0), proxy.handle().clone());
    drop(proxy);
    soon("the end", handle.ended()).await.unwrap();
    nuncio_test_support::until(
        || std::net::TcpStream::connect(listener).is_err(),
        || "the port is still bound".to_owned(),
    )
    .await;
}

#[tokio::test]
async fn a_drain_loses_no_response() {
    let (origin, permits) = held_origin().await;
    let proxy = Proxy::in_front_of(&origin).start().await;
    let mut idle = Client::connect(proxy.listener(0)).await;
    permits.add_permits(1);
    assert_eq!(idle.get("/").await.header("connection"), None);
    let mut busy = request_under_way(&proxy, 1).await;

    proxy.handle().drain(Duration::from_secs(600));
    assert_eq!(soon("an idle connection that is closed", idle.until_closed()).await, "");
    assert_eq!(proxy.ask_admin("/ready").await, "DRAINING\n");
    assert!(Client::try_connect(proxy.listener(0)).await.is_err(), "nothing new is accepted");
    assert_eq!(proxy.stat("listener_manager.total_listeners_draining"), Some(1));
    assert_eq!(proxy.stat("server.live"), Some(0));

    permits.add_permits(1);
    let response = busy.response().await;
    assert_eq!((response.status(), response.body.as_str()), (200, "late"));
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(busy.until_closed().await, "");
    ended(&proxy).await;
}

#[tokio::test]
async fn every_request_under_way_on_every_worker_is_answered() {
    let (origin, permits) = held_origin().await;
    let proxy = Proxy::in_front_of(&origin).with_workers(2).start().await;
    let mut clients = Vec::new();
    for count in 1..=32 {
        clients.push(request_under_way(&proxy, count).await);
    }
    proxy.handle().drain(Duration::from_secs(600));
    nuncio_test_support::until(|| proxy.stat("server.state") == Some(1), || "no drain".to_owned()).await;
    permits.add_permits(32);
    for mut client in clients {
        let response = client.response().await;
        assert_eq!((response.status(), response.body.as_str()), (200, "late"));
        assert_eq!(client.until_closed().await, "");
    }
    ended(&proxy).await;
    assert_eq!(proxy.stat("http.test.downstream_rq_2xx"), Some(32));
}

#[tokio::test]
async fn the_drain_time_ends_what_does_not_end_by_itself() {
    let (origin, _permits) = held_origin().await;
    let proxy = Proxy::in_front_of(&origin).start().await;
    let mut busy = request_under_way(&proxy, 1).await;
    proxy.handle().drain(Duration::from_millis(50));
    assert_eq!(busy.until_closed().await, "");
    ended(&proxy).await;
}

#[tokio::test]
async fn a_second_command_ends_a_drain_at_once() {
    let (origin, _permits) = held_origin().await;
    let proxy = Proxy::in_front_of(&origin).start().await;
    let mut busy = request_under_way(&proxy, 1).await;
    proxy.handle().drain(Duration::from_secs(600));
    nuncio_test_support::until(
        || proxy.stat("server.state") == Some(1),
        || "the drain has not begun".to_owned(),
    )
    .await;
    let start = Instant::now();
    proxy.handle().stop();
    assert_eq!(busy.until_closed().await, "");
    ended(&proxy).await;
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn quitquitquit_answers_and_ends() {
    let (origin, permits) = held_origin().await;
    let proxy = Proxy::in_front_of(&origin).start().await;
    let mut busy = request_under_way(&proxy, 1).await;
    let mut admin = Client::connect(proxy.admin()).await;
    admin.send("POST /quitquitquit HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(admin.response().await.body, "OK\n");
    permits.add_permits(1);
    assert_eq!(busy.response().await.body, "late", "responses may still end");
    ended(&proxy).await;
}

#[tokio::test]
async fn a_server_that_fails_its_health_checks_says_so_and_sends_clients_away() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).start().await;
    let mut admin = Client::connect(proxy.admin()).await;
    let mut ask = async |method: &str, path: &str| {
        admin.send(format!("{method} {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
        let response = admin.response().await;
        (response.status(), response.body)
    };
    let mut client = Client::connect(proxy.listener(0)).await;
    for healthy in [true, false, true, true] {
        if healthy {
            assert_eq!(ask("POST", "/healthcheck/ok").await, (200, "OK\n".to_owned()));
        } else {
            assert_eq!(ask("POST", "/healthcheck/fail").await, (200, "OK\n".to_owned()));
        }
        let expected = if healthy { (200, "LIVE\n".to_owned()) } else { (503, "DRAINING\n".to_owned()) };
        assert_eq!(ask("GET", "/ready").await, expected);
        assert_eq!(proxy.stat("server.live"), Some(i64::from(healthy)));
        client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
        let response = client.response().await;
        assert_eq!(response.body, "hello");
        assert_eq!(response.header("connection"), (!healthy).then_some("close"));
        if !healthy {
            assert_eq!(client.until_closed().await, "");
            client = Client::connect(proxy.listener(0)).await;
        }
    }
    assert_eq!(proxy.stat("http.test.downstream_cx_drain_close"), Some(1));
}

#[tokio::test]
async fn every_address_that_cannot_be_had_is_told_at_once() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).replacing("port_value: 0", &format!("port_value: {port}"));
    let errors = proxy.try_start().err().unwrap().to_string();
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), 3, "{errors}");
    assert!(lines[0].starts_with("test.yaml:5:"), "{errors}");
    assert!(lines[0].contains(&format!("cannot bind '127.0.0.1:{port}'")), "{errors}");
    assert!(lines[1].contains("admin.address"), "{errors}");
    assert_eq!(lines[2], "2 errors; nothing was started");
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_counted() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin)
        .and(
            "layered_runtime:\n  layers:\n  - name: static\n    static_layer:\n      envoy.resource_limits.listener.main.connection_limit: 2\n",
        )
        .with_workers(2)
        .start()
        .await;
    let mut first = Client::connect(proxy.listener(0)).await;
    let mut second = Client::connect(proxy.listener(0)).await;
    proxy.wait_for_stat("listener.main.downstream_cx_active", 2).await;
    assert_eq!(exchange(proxy.listener(0), "").await, "");
    proxy.wait_for_stat("listener.main.downstream_cx_overflow", 1).await;
    assert_eq!(first.get("/").await.body, "hello");
    assert_eq!(second.get("/").await.body, "hello");
    drop(first);
    proxy.wait_for_stat("listener.main.downstream_cx_active", 1).await;
    assert_eq!(get(proxy.listener(0), "/").await.body, "hello");
    assert_eq!(proxy.stat("runtime.num_keys"), Some(1));
}
