//! What loading a large configuration costs: 10,000 routes in 5.5 MB of YAML, and 10,000 clusters in 6 MB, from the text
//! to the types that the proxy runs on. The part of it that compiles the routes is `routing/build`. What cannot be
//! loaded costs something, too: the refusals are of files that are large, repeat themselves or are wrong everywhere.

use std::cell::LazyCell;
use std::fmt::Write as _;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use nuncio_config::{LoadOptions, Source, load, load_route_table, release_schema};

const CLUSTERS: usize = 100;

/// A `RouteConfiguration`, each line indented by `indent`. The routes are commented as people comment them.
fn route_configuration(routes: usize, indent: &str) -> String {
    let mut text = format!(
        "{indent}name: local_route\n{indent}virtual_hosts:\n{indent}- name: all\n{indent}  domains: [\"*\"]\n\
         {indent}  routes:\n"
    );
    for at in 0..routes {
        let (team, cluster) = (at % 97, at % CLUSTERS);
        let matcher = match at % 2 {
            0 => format!("prefix: \"/teams/team-{team}/services/service-{at}/v1/\""),
            _ => format!("path: \"/teams/team-{team}/services/service-{at}/v1/status\""),
        };
        let lines = [
            format!(
                "# Service {at} of team {team}, moved here from the old gateway together with its dashboards."
            ),
            "# Ask in the team's channel before the timeout is changed: clients retry what takes longer."
                .into(),
            format!("- name: \"team-{team}-service-{at}-v1\""),
            "  match:".into(),
            format!("    {matcher}"),
            "    case_sensitive: true".into(),
            "  route:".into(),
            format!("    cluster: \"service-cluster-{cluster}\""),
            "    timeout: 2.5s".into(),
            format!("    prefix_rewrite: \"/internal/service-{at}/\""),
        ];
        for line in lines {
            let _ = writeln!(text, "{indent}  {line}");
        }
    }
    text
}

fn bootstrap(routes: usize) -> Source {
    let mut text = String::from(
        "static_resources:
  listeners:
  - name: ingress
    address: {socket_address: {address: 127.0.0.1, port_value: 10000}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress_http
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
",
    );
    text += &route_configuration(routes, "            ");
    text += "  clusters:\n";
    for at in 0..CLUSTERS {
        let _ = writeln!(
            text,
            "  - name: service-cluster-{at}
    type: static
    load_assignment:
      cluster_name: service-cluster-{at}
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}}}",
            20_000 + at
        );
    }
    Source::new("envoy.yaml", text)
}

/// Clusters with two lines of limits each, as people write them.
fn clusters(count: usize, timeout: &str) -> Source {
    let mut text = String::from("static_resources:\n  clusters:\n");
    for at in 0..count {
        let port = 20_000 + at % 40_000;
        let _ = writeln!(
            text,
            "  # Service {at}: one host behind its name, with the limits that its team has asked for.
  - name: service-cluster-{at}
    type: STRICT_DNS
    connect_timeout: {timeout}
    lb_policy: ROUND_ROBIN
    dns_lookup_family: V4_ONLY
    circuit_breakers:
      thresholds:
      - max_connections: 1024
        max_pending_requests: 256
    load_assignment:
      cluster_name: service-cluster-{at}
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address:
                address: service-{at}.internal.example.com
                port_value: {port}"
        );
    }
    Source::new("envoy.yaml", text)
}

/// Lists of ten aliases each for the list before.
fn billion_laughs() -> Source {
    let mut text = String::from("node:\n  metadata:\n    a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let alias = format!("*a{},", level - 1);
        let _ = writeln!(text, "    a{level}: &a{level} [{}]", alias.repeat(10));
    }
    Source::new("envoy.yaml", text)
}

fn refusals(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("config/refuse");
    group.sample_size(10);
    let options = LoadOptions::default();
    let mut refuse = |what: &str, source: &dyn Fn() -> Source| {
        let source = LazyCell::new(source);
        group.bench_function(what, |bencher| {
            bencher.iter(|| load(std::slice::from_ref(&*source), &options).expect_err("it is wrong"));
        });
    };
    refuse("100 MB", &|| Source::new("envoy.yaml", "# much\n".repeat(15_000_000)));
    refuse("2,000,000 values", &|| Source::new("envoy.yaml", format!("[{}]", "1,".repeat(2_100_000))));
    refuse("billion laughs", &billion_laughs);
    refuse("10,000 wrong durations", &|| clusters(10_000, "1m"));
    // Each is compared with the names that there are.
    refuse("10,000 unknown clusters", &|| {
        let Source { name, text } = bootstrap(10_000);
        Source::new(name, text.replace("cluster: \"service", "cluster: \"srevice"))
    });
    group.finish();
}

fn loads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("config");
    group.sample_size(10);
    let options = LoadOptions::default();
    for routes in [100, 10_000] {
        let source = LazyCell::new(|| bootstrap(routes));
        group.bench_function(BenchmarkId::new("load", routes), |bencher| {
            bencher.iter(|| load(std::slice::from_ref(&*source), &options).expect("it is sound"));
        });
        let text = LazyCell::new(|| Source::new("routes.yaml", route_configuration(routes, "")));
        group.bench_function(BenchmarkId::new("load_route_table", routes), |bencher| {
            bencher.iter(|| load_route_table(&text, &options).expect("it is sound"));
        });
    }
    let many = LazyCell::new(|| clusters(10_000, "0.25s"));
    group.bench_function("load/10000 clusters", |bencher| {
        bencher.iter(|| load(std::slice::from_ref(&*many), &options).expect("it is sound"));
    });
    // The first load of a process also makes what knows Envoy's API.
    let small = bootstrap(1);
    group.bench_function("the first load", |bencher| {
        bencher.iter(|| {
            release_schema();
            load(std::slice::from_ref(&small), &options).expect("it is sound")
        });
    });
    group.finish();
}

criterion_group!(benches, loads, refusals);
criterion_main!(benches);
