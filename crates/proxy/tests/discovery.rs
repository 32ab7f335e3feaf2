//! STRICT_DNS: hosts that come and go with a name server's answers, while requests run.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use nuncio_test_support::{Client, NameServer, Origin, Proxy, RunningProxy, Says, get, soon, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const REFRESH: &str = "0.02s";

/// A proxy whose cluster is a name that this name server is asked for.
fn by_name(names: &NameServer, name: &str, port: u16) -> Proxy {
    let cares = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig";
    Proxy::in_front_of_address(([127, 0, 0, 1], 1).into())
        .with_endpoints(&[format!("{{ endpoint: {{ address: {{ socket_address: {{ address: {name}, port_value: {port} }} }} }} }}")])
        .with_cluster(&format!(
            "type: STRICT_DNS\ndns_refresh_rate: {REFRESH}\ndns_lookup_family: V4_ONLY\ntyped_dns_resolver_config:\n  name: envoy.network.dns_resolver.cares\n  typed_config:\n    \"@type\": {cares}\n    resolvers: [{{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }}]\n    dns_resolver_options: {{ no_default_search_domain: true }}",
            names.port()
        ))
}

fn counter(proxy: &RunningProxy, name: &str) -> i64 {
    proxy.stat(&format!("cluster.origin.{name}")).unwrap_or(0)
}

/// Waits until a counter has moved on.
async fn moved(proxy: &RunningProxy, name: &str, by: i64) {
    let before = counter(proxy, name);
    until(|| counter(proxy, name) >= before + by, || format!("{name} stays at {}", counter(proxy, name)))
        .await;
}

async fn members(proxy: &RunningProxy, count: i64) {
    proxy.wait_for_stats(&[("cluster.membership_total", count), ("cluster.membership_healthy", count)]).await;
}

/// Sends requests until one gets this answer: workers learn of hosts a moment after the stats do.
async fn until_answer(proxy: &RunningProxy, status: u16, body: &str) {
    let answered = async {
        loop {
            let response = get(proxy.listener(0), "/").await;
            if (response.status(), response.body.as_str()) == (status, body) {
                return;
            }
        }
    };
    soon(body, answered).await;
}

/// The bodies of so many answers, sorted and without doubles.
async fn who_answers(proxy: &RunningProxy, requests: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    let mut client = Client::connect(proxy.listener(0)).await;
    for _ in 0..requests {
        let response = client.get("/").await;
        assert_eq!(response.status(), 200, "{}", response.body);
        bodies.push(response.body);
    }
    bodies.sort();
    bodies.dedup();
    bodies
}

#[tokio::test]
async fn hosts_come_and_go_and_no_request_fails() {
    let origins = Origin::on_one_port(3).await;
    let names = NameServer::new().await;
    names.addresses("s.test", &["127.0.0.1"]);
    let proxy = by_name(&names, "s.test", origins[0].address().port()).with_workers(2).start().await;
    let proxy = Arc::new(proxy);
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let load: Vec<_> = (0..4)
        .map(|n| {
            let (proxy, stop, served) = (Arc::clone(&proxy), Arc::clone(&stop), Arc::clone(&served));
            tokio::spawn(async move {
                let mut client = Client::connect(proxy.listener(0)).await;
                while !stop.load(Ordering::Relaxed) {
                    // Some keep their connection, some do not.
                    if n == 0 {
                        client = Client::connect(proxy.listener(0)).await;
                    }
                    let response = client.get("/").await;
                    assert_eq!(response.status(), 200, "{}", response.body);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for answer in [
        &["127.0.0.1", "127.0.0.2", "127.0.0.3"][..],
        &["127.0.0.3"],
        &["127.0.0.2", "127.0.0.1"],
        &["127.0.0.1", "127.0.0.2", "127.0.0.3"],
        &["127.0.0.2"],
    ] {
        names.addresses("s.test", answer);
        members(&proxy, i64::try_from(answer.len()).unwrap()).await;
        let before = served.load(Ordering::Relaxed);
        until(|| served.load(Ordering::Relaxed) > before + 100, || "no request is served".to_owned()).await;
    }
    assert_eq!(who_answers(&proxy, 10).await, ["127.0.0.2"]);
    stop.store(true, Ordering::Relaxed);
    for task in load {
        soon("the end of the load", task).await.unwrap();
    }
    assert_eq!(proxy.stat("http.test.downstream_rq_5xx"), Some(0));
    assert_eq!(counter(&proxy, "membership_change"), 6);
    assert_eq!(counter(&proxy, "update_failure"), 0);
    assert_eq!(counter(&proxy, "upstream_cx_destroy_with_active_rq"), 0, "no running request was cut");
}

#[tokio::test]
async fn a_host_that_stays_keeps_its_connections_and_stats() {
    let origins = Origin::on_one_port(2).await;
    let names = NameServer::new().await;
    names.addresses("s.test", &["127.0.0.1", "127.0.0.2"]);
    let proxy = by_name(&names, "s.test", origins[0].address().port()).start().await;
    assert_eq!(who_answers(&proxy, 4).await, ["127.0.0.1", "127.0.0.2"]);
    names.addresses("s.test", &["127.0.0.2"]);
    members(&proxy, 1).await;
    // The connection to the host that left was idle, and is closed.
    proxy
        .wait_for_stats(&[
            ("cluster.upstream_cx_active", 1),
            ("cluster.upstream_cx_destroy", 1),
            ("cluster.upstream_cx_destroy_local", 1),
            ("cluster.upstream_cx_destroy_with_active_rq", 0),
        ])
        .await;
    assert_eq!(who_answers(&proxy, 4).await, ["127.0.0.2"]);
    let port = origins[0].address().port();
    let shown = |clusters: &str, host: &str, what: &str| {
        clusters.lines().any(|line| line == format!("origin::{host}:{port}::{what}"))
    };
    let clusters = proxy.ask_admin("/clusters").await;
    for what in ["cx_total::1", "cx_active::1", "rq_total::6", "rq_success::6", "hostname::s.test"] {
        assert!(shown(&clusters, "127.0.0.2", what), "{what} in {clusters}");
    }
    assert!(!clusters.contains("127.0.0.1:"), "{clusters}");
    assert_eq!(origins[1].connections(), 1);
    // One that comes back begins anew.
    names.addresses("s.test", &["127.0.0.2", "127.0.0.1"]);
    members(&proxy, 2).await;
    until_answer(&proxy, 200, "127.0.0.1").await;
    let clusters = proxy.ask_admin("/clusters").await;
    for (host, what) in
        [("127.0.0.1", "rq_total::1"), ("127.0.0.1", "cx_total::1"), ("127.0.0.2", "cx_total::1")]
    {
        assert!(shown(&clusters, host, what), "{host} {what} in {clusters}");
    }
    proxy.wait_for_stats(&[("cluster.membership_change", 3), ("cluster.upstream_cx_total", 3)]).await;
}

/// The connection of a request that the host has not answered yet.
async fn asked(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = soon("a connection", listener.accept()).await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        soon("a request", stream.read_buf(&mut request)).await.unwrap();
    }
    stream
}

#[tokio::test]
async fn a_host_that_leaves_ends_its_requests_in_its_own_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let names = NameServer::new().await;
    names.addresses("s.test", &["127.0.0.1"]);
    let proxy = by_name(&names, "s.test", listener.local_addr().unwrap().port()).start().await;
    let mut clients = Vec::new();
    let mut hosts = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(proxy.listener(0)).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        hosts.push(asked(&listener).await);
        clients.push(client);
    }
    let [mut running, mut idle] = <[TcpStream; 2]>::try_from(hosts).unwrap();
    idle.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nidle").await.unwrap();
    running.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await.unwrap();
    assert_eq!(clients.pop().unwrap().response().await.body, "idle");
    let mut client = clients.pop().unwrap();
    assert_eq!(client.head().await.status(), 200);
    names.addresses("s.test", &[]);
    let mut rest = [0];
    assert_eq!(soon("the end of the idle connection", idle.read(&mut rest)).await.unwrap(), 0);
    assert_eq!(get(proxy.listener(0), "/").await.body, "no healthy upstream");
    proxy.wait_for_stats(&[("cluster.membership_total", 0), ("cluster.upstream_cx_active", 1)]).await;
    running.write_all(b"world").await.unwrap();
    assert_eq!(client.exactly(10).await, b"helloworld");
    assert_eq!(soon("the end of the connection", running.read(&mut rest)).await.unwrap(), 0);
    proxy
        .wait_for_stats(&[
            ("cluster.upstream_cx_active", 0),
            ("cluster.upstream_cx_destroy_local", 2),
            ("cluster.upstream_cx_destroy_with_active_rq", 0),
            ("cluster.upstream_rq_200", 2),
            ("cluster.upstream_rq_503", 1),
        ])
        .await;
}

#[tokio::test]
async fn answers_that_fail_keep_the_hosts_and_empty_ones_do_not() {
    let origins = Origin::on_one_port(1).await;
    let names = NameServer::new().await;
    names.addresses("s.test", &["127.0.0.1"]);
    let proxy = by_name(&names, "s.test", origins[0].address().port()).start().await;
    members(&proxy, 1).await;
    names.say("s.test", Says::Failure);
    moved(&proxy, "update_failure", 2).await;
    assert_eq!(get(proxy.listener(0), "/").await.body, "127.0.0.1");
    assert_eq!(counter(&proxy, "membership_change"), 1);
    for (count, nothing) in [(2, Says::NoSuchName), (4, Says::Addresses(Vec::new()))] {
        names.addresses("s.test", &["127.0.0.1"]);
        members(&proxy, 1).await;
        let failures = counter(&proxy, "update_failure");
        names.say("s.test", nothing);
        members(&proxy, 0).await;
        until_answer(&proxy, 503, "no healthy upstream").await;
        assert_eq!(counter(&proxy, "membership_change"), count);
        assert_eq!(counter(&proxy, "update_failure"), failures, "it is an answer like any other");
        moved(&proxy, "update_no_rebuild", 2).await;
    }
    assert_eq!(counter(&proxy, "update_empty"), 0);
    assert!(counter(&proxy, "update_success") > 4);
    assert!(counter(&proxy, "update_attempt") > 6);
}

#[tokio::test]
async fn nothing_is_served_before_the_first_answer() {
    let origins = Origin::on_one_port(1).await;
    let names = NameServer::new().await;
    names.say("s.test", Says::Silence);
    let running = by_name(&names, "s.test", origins[0].address().port()).try_start().unwrap();
    let admin: SocketAddr = running.admin().unwrap();
    assert_eq!(get(admin, "/ready").await.body, "PRE_INITIALIZING\n");
    assert_eq!(running.stats().gauge_value("cluster.origin.warming_state"), Some(1));
    // Whoever comes early waits.
    let mut early = Client::connect(*running.listeners().first().unwrap()).await;
    early.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let waiting = tokio::time::timeout(Duration::from_millis(50), early.response()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    names.addresses("s.test", &["127.0.0.1"]);
    soon("a LIVE proxy", running.handle().live()).await.unwrap();
    assert_eq!(get(admin, "/ready").await.body, "LIVE\n");
    assert_eq!(early.response().await.body, "127.0.0.1");
    assert_eq!(running.stats().gauge_value("cluster.origin.warming_state"), Some(0));
}

#[tokio::test]
async fn literal_addresses_and_the_hosts_file_need_no_name_server() {
    let origins = Origin::on_one_port(1).await;
    let port = origins[0].address().port();
    for name in ["127.0.0.1", "localhost"] {
        let proxy = Proxy::in_front_of_address(([127, 0, 0, 1], 1).into())
            .with_endpoints(&[format!("{{ endpoint: {{ address: {{ socket_address: {{ address: {name}, port_value: {port} }} }} }} }}")])
            .with_cluster("type: STRICT_DNS\ndns_lookup_family: V4_ONLY")
            .start()
            .await;
        assert_eq!(who_answers(&proxy, 3).await, ["127.0.0.1"]);
        proxy
            .wait_for_stats(&[
                ("cluster.membership_total", 1),
                ("cluster.membership_change", 1),
                ("cluster.update_failure", 0),
                ("cluster.default.total_match_count", 1),
            ])
            .await;
    }
}
