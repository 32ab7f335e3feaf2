//! `STRICT_DNS` against a name server whose answers change, and what the workers make of it.

use std::time::{Duration, Instant};

use nuncio_cluster::ClusterManager;
use nuncio_config::model::{
    self, ClusterDiscovery, DnsLookupFamily, DnsResolver, DnsSettings, EndpointAddress, LocalityEndpoints,
};
use nuncio_stats::Registry;

use crate::{
    dns::{NameServer, Says},
    support::*,
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const FAST: Duration = Duration::from_millis(20);

fn by_name(server: &NameServer, names: &[(&str, u16)], settings: &DnsSettings) -> model::Cluster {
    let resolver =
        DnsResolver { servers: vec![server.address], no_default_search_domain: true, use_tcp: false };
    let resolver = settings.resolver.clone().unwrap_or(resolver);
    let endpoints = names
        .iter()
        .map(|(host, port)| endpoint(EndpointAddress::Name { host: (*host).to_owned(), port: *port }))
        .collect();
    model::Cluster {
        name: "c".to_owned(),
        discovery: ClusterDiscovery::StrictDns(DnsSettings { resolver: Some(resolver), ..settings.clone() }),
        endpoints: vec![LocalityEndpoints { endpoints, ..LocalityEndpoints::default() }],
        ..model::Cluster::default()
    }
}

fn fast() -> DnsSettings {
    DnsSettings { refresh_rate: FAST, lookup_family: DnsLookupFamily::V4Only, ..DnsSettings::default() }
}

fn hosts(fixture: &Fixture) -> Vec<String> {
    fixture.manager.status()[0].hosts.iter().map(|host| host.address.ip().to_string()).collect()
}

async fn until_hosts(fixture: &Fixture, expected: &[&str]) {
    eventually("the hosts", || hosts(fixture) == expected).await;
}

#[tokio::test]
async fn hosts_come_and_go_with_the_answers() {
    let server = NameServer::new(false).await;
    server.addresses("s.test", &["127.0.0.1", "127.0.0.2", "127.0.0.2"]);
    let fixture = start(by_name(&server, &[("s.test", 80)], &fast())).await;
    assert_eq!(hosts(&fixture), ["127.0.0.1", "127.0.0.2"]);
    fixture.assert_stats(&[
        ("membership_change", 1),
        ("membership_total", 2),
        ("membership_healthy", 2),
        ("membership_degraded", 0),
        ("membership_excluded", 0),
        ("max_host_weight", 1),
        ("warming_state", 0),
        ("update_empty", 0),
    ]);
    assert_eq!(&*fixture.manager.status()[0].hosts[0].hostname, "s.test");
    // The same again, in another order, is no change.
    let matched = fixture.counter("default.total_match_count");
    server.addresses("s.test", &["127.0.0.2", "127.0.0.1"]);
    let unchanged = fixture.counter("update_no_rebuild");
    eventually("two more answers", || fixture.counter("update_no_rebuild") >= unchanged + 2).await;
    assert!(fixture.counter("default.total_match_count") >= matched + 4);
    assert_eq!(fixture.counter("membership_change"), 1);
    server.addresses("s.test", &["127.0.0.3", "127.0.0.1"]);
    until_hosts(&fixture, &["127.0.0.3", "127.0.0.1"]).await;
    assert_eq!(fixture.counter("membership_change"), 2);
    assert_eq!(fixture.counter("update_failure"), 0);
}

/// The counts are those of Envoy 1.40 with two literal addresses.
#[tokio::test]
async fn an_address_in_place_of_a_name_is_counted_as_an_answer_and_nobody_is_asked() {
    let server = NameServer::new(false).await;
    let mut settings = by_name(&server, &[("127.0.0.1", 80)], &fast());
    let mut named = endpoint(EndpointAddress::Socket("127.0.0.2:80".parse().unwrap()));
    settings.endpoints[0].endpoints.push(named.clone());
    named.hostname = "named".to_owned();
    named.address = EndpointAddress::Socket("[::1]:80".parse().unwrap());
    settings.endpoints[0].endpoints.push(named);
    let fixture = start(settings).await;
    let status = &fixture.manager.status()[0];
    let found: Vec<_> = status.hosts.iter().map(|host| (host.address.to_string(), &*host.hostname)).collect();
    assert_eq!(
        found,
        [
            ("127.0.0.1:80".to_owned(), "127.0.0.1"),
            ("127.0.0.2:80".to_owned(), "127.0.0.2"),
            ("[::1]:80".to_owned(), "named"),
        ]
    );
    eventually("a refresh of all", || fixture.counter("update_no_rebuild") >= 3).await;
    for name in ["update_attempt", "update_success", "default.total_match_count"] {
        assert!(fixture.counter(name) >= 6, "{name}");
    }
    fixture.assert_stats(&[("membership_change", 3), ("membership_total", 3), ("update_failure", 0)]);
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn an_empty_answer_empties_and_a_failure_does_not() {
    let server = NameServer::new(false).await;
    server.addresses("s.test", &["127.0.0.1"]);
    let fixture = start(by_name(&server, &[("s.test", 80)], &fast())).await;
    server.say("s.test", Says::Failure);
    eventually("two failures", || fixture.counter("update_failure") >= 2).await;
    assert_eq!(hosts(&fixture), ["127.0.0.1"]);
    assert_eq!(fixture.counter("membership_change"), 1);
    for says in [Says::NoSuchName, Says::Addresses(Vec::new())] {
        server.addresses("s.test", &["127.0.0.1"]);
        until_hosts(&fixture, &["127.0.0.1"]).await;
        let failures = fixture.counter("update_failure");
        let changes = fixture.counter("membership_change");
        server.say("s.test", says);
        until_hosts(&fixture, &[]).await;
        fixture.assert_stats(&[("membership_total", 0), ("membership_healthy", 0)]);
        assert_eq!(fixture.counter("membership_change"), changes + 1);
        assert_eq!(fixture.counter("update_failure"), failures);
    }
}

#[tokio::test]
async fn each_name_is_asked_for_by_itself() {
    let server = NameServer::new(false).await;
    server.addresses("a.test", &["127.0.0.1", "127.0.0.2"]);
    server.addresses("b.test", &["127.0.0.2"]);
    server.say("silent.test", Says::Nothing);
    let names = [("silent.test", 80), ("a.test", 80), ("b.test", 80), ("127.0.0.9", 80)];
    let mut settings = by_name(&server, &names, &fast());
    settings.endpoints[0].endpoints[2].weight = 5;
    // The cluster is ready with the first answer, whatever else never comes.
    let started = Instant::now();
    let fixture = start(settings).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    until_hosts(&fixture, &["127.0.0.1", "127.0.0.2", "127.0.0.9"]).await;
    // One address of two names is one host, as the first describes it.
    assert_eq!(fixture.manager.status()[0].hosts[1].weight, 1);
    server.addresses("a.test", &[]);
    until_hosts(&fixture, &["127.0.0.2", "127.0.0.9"]).await;
    let host = &fixture.manager.status()[0].hosts[0];
    assert_eq!((&*host.hostname, host.weight), ("b.test", 5));
    assert_eq!(fixture.gauge("max_host_weight"), 5);
}

/// Which families are asked for, and what comes of it.
async fn check_family(family: DnsLookupFamily, v4: &[&str], v6: &[&str], asked: &[bool], found: &[&str]) {
    let server = NameServer::new(false).await;
    server.addresses("s.test", &[v4, v6].concat());
    let settings = DnsSettings {
        lookup_family: family,
        refresh_rate: Duration::from_secs(60),
        ..DnsSettings::default()
    };
    let fixture = start(by_name(&server, &[("s.test", 80)], &settings)).await;
    assert_eq!(hosts(&fixture), found, "{family:?} {v4:?} {v6:?}");
    let mut families: Vec<_> = server.asked().into_iter().map(|(_, v6)| v6).collect();
    if family == DnsLookupFamily::All {
        families.sort_unstable();
    }
    assert_eq!(families, asked, "{family:?} {v4:?} {v6:?}");
}

#[tokio::test]
async fn families_are_asked_for_as_configured() {
    use DnsLookupFamily::{All, Auto, V4Only, V4Preferred, V6Only};
    check_family(Auto, &["127.0.0.1"], &["::1"], &[true], &["::1"]).await;
    check_family(Auto, &["127.0.0.1"], &[], &[true, false], &["127.0.0.1"]).await;
    check_family(V4Preferred, &["127.0.0.1"], &["::1"], &[false], &["127.0.0.1"]).await;
    check_family(V4Preferred, &[], &["::1"], &[false, true], &["::1"]).await;
    check_family(V4Only, &["127.0.0.1"], &["::1"], &[false], &["127.0.0.1"]).await;
    check_family(V6Only, &["127.0.0.1"], &["::1"], &[true], &["::1"]).await;
    check_family(All, &["127.0.0.1"], &["::1"], &[false, true], &["127.0.0.1", "::1"]).await;
}

#[tokio::test]
async fn a_short_time_to_live_is_respected_if_configured() {
    let server = NameServer::new(false).await;
    server.addresses("s.test", &["127.0.0.1"]);
    server.set_ttl(1);
    let slow = DnsSettings { refresh_rate: Duration::from_secs(60), respect_ttl: true, ..fast() };
    let started = Instant::now();
    let fixture = start(by_name(&server, &[("s.test", 80)], &slow)).await;
    eventually("the second question", || fixture.counter("update_attempt") == 2).await;
    assert!((900..1900).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn tcp_is_used_if_configured() {
    let server = NameServer::new(true).await;
    server.addresses("s.test", &["127.0.0.1"]);
    let resolver =
        DnsResolver { servers: vec![server.address], use_tcp: true, no_default_search_domain: true };
    let settings = DnsSettings { resolver: Some(resolver), ..fast() };
    let fixture = start(by_name(&server, &[("s.test", 80)], &settings)).await;
    assert_eq!(hosts(&fixture), ["127.0.0.1"]);
}

#[tokio::test]
async fn the_default_resolver_serves_clusters_without_one_and_knows_the_hosts_file() {
    let server = NameServer::new(false).await;
    server.addresses("s.test", &["127.0.0.7"]);
    let cluster = |name: &str, host: &str| {
        let mut cluster = by_name(&server, &[(host, 80)], &fast());
        cluster.name = name.to_owned();
        cluster.discovery = ClusterDiscovery::StrictDns(fast());
        cluster
    };
    let resolver =
        DnsResolver { servers: vec![server.address], no_default_search_domain: true, use_tcp: false };
    let clusters = vec![cluster("a", "s.test"), cluster("b", "localhost")];
    let manager = ClusterManager::new(clusters, resolver, &Registry::new(1));
    manager.start(&tokio::runtime::Handle::current());
    within("the first answers", manager.initialized()).await;
    let first = |cluster: usize| manager.status()[cluster].hosts[0].address.ip().to_string();
    assert_eq!((first(0), first(1)), ("127.0.0.7".to_owned(), "127.0.0.1".to_owned()));
    assert!(server.asked().iter().all(|(name, _)| name == "s.test"));
    manager.shutdown();
}

#[tokio::test]
async fn nothing_is_ready_before_the_first_answer() {
    let server = NameServer::new(false).await;
    server.say("s.test", Says::Nothing);
    let registry = Registry::new(1);
    let settings = by_name(&server, &[("s.test", 80)], &fast());
    let manager = ClusterManager::new(vec![settings], DnsResolver::default(), &registry);
    manager.start(&tokio::runtime::Handle::current());
    let early = tokio::time::timeout(Duration::from_millis(100), manager.initialized()).await;
    assert!(early.is_err());
    assert_eq!(registry.gauge_value("cluster.c.warming_state"), Some(1));
}

#[tokio::test]
async fn a_host_that_stays_keeps_its_connections_and_one_that_leaves_is_drained() {
    let mut stays = Origin::new().await;
    let port = stays.address.port();
    let mut leaves = Origin::at(std::net::SocketAddr::from(([127, 0, 0, 2], port))).await;
    let server = NameServer::new(false).await;
    server.addresses("s.test", &["127.0.0.1", "127.0.0.2"]);
    let fixture = start(by_name(&server, &[("s.test", port)], &fast())).await;
    // Each host gets a request that hangs; the one that leaves also gets an idle connection.
    let requests = [0, 1, 2, 3].map(|_| tokio::spawn(fixture.cluster.request(get())));
    let mut staying = [stays.accept().await, stays.accept().await];
    let mut leaving = [leaves.accept().await, leaves.accept().await];
    for peer in staying.iter_mut().chain(&mut leaving) {
        peer.head().await;
    }
    leaving[0].send(OK).await;
    staying[0].send(OK).await;
    eventually("two answers", || fixture.gauge("upstream_rq_active") == 2).await;

    server.addresses("s.test", &["127.0.0.1"]);
    leaving[0].closed().await;
    fixture.assert_stats(&[
        ("membership_total", 1),
        ("upstream_cx_active", 3),
        ("upstream_cx_destroy_local", 1),
        ("upstream_cx_destroy_with_active_rq", 0),
    ]);
    assert_eq!(hosts(&fixture), ["127.0.0.1"]);
    // What runs there ends in its own time, and then its connection does.
    leaving[1].send(OK).await;
    leaving[1].closed().await;
    staying[1].send(OK).await;
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap().response.status(), 200);
    }
    // The staying host's connections have never been touched.
    let play = async {
        staying[1].head().await;
        staying[1].send(OK).await;
    };
    let (answer, ()) = tokio::join!(exchange(&fixture.cluster, get()), play);
    assert_eq!(answer.unwrap().host, stays.address);
    assert_eq!(stays.accepted(), 2);
    let host = &fixture.manager.status()[0].hosts[0];
    assert_eq!((host.cx_total, host.rq_total), (2, 3));
}
