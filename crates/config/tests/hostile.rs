//! Files that are large, repeat themselves or are wrong everywhere take little time and memory, refused or not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use std::{fmt::Write as _, time::Instant};

use common::load_text;
use nuncio_config::{ErrorKind, Limits, LoadOptions, Source, load, load_route_table};

const MIB: u64 = 1 << 20;

/// Loads a text with at most `mib` MiB at a time beside it, and looks for an error that starts as expected. Where the
/// code is optimised this takes less than a second.
#[track_caller]
fn check(text: &str, mib: u64, expected: &str) {
    let seconds = if cfg!(debug_assertions) { 60.0 } else { 1.0 };
    // What knows the API is made once, and is not the file's fault.
    let _ = load_text("");
    let source = [Source::new("hostile.yaml", text)];
    let mut result = None;
    let started = Instant::now();
    let used = allocation_counter::measure(|| result = Some(load(&source, &LoadOptions::default())));
    let taken = started.elapsed().as_secs_f64();
    let errors = result.unwrap().unwrap_err();
    let shown = errors.to_string();
    let start: String = shown.chars().take(300).collect();
    assert!(errors.errors().iter().any(|error| error.message.starts_with(expected)), "{start}");
    assert!(shown.len() < 4_000_000, "{} bytes: {start}", shown.len());
    assert!(used.bytes_max <= mib * MIB, "{} MiB instead of {mib}: {start}", used.bytes_max / MIB);
    assert!(taken < seconds, "{taken} s: {start}");
}

fn many(count: usize, of: impl Fn(usize) -> String) -> String {
    (0..count).map(of).collect()
}

const VALUES: &str = "the aliases stand for more than 100000 values";

#[test]
fn billion_laughs() {
    let laughs = |leaf: &str, level: &dyn Fn(usize) -> String| {
        let mut text = format!("a0: &a0 {leaf}\n");
        for at in 1..10 {
            let _ = writeln!(text, "a{at}: &a{at} {}", level(at - 1));
        }
        text.trim_end().replace('\n', ", ")
    };
    let list = |below: usize| format!("[{}]", many(10, |_| format!("*a{below},")));
    let map = |below: usize| format!("{{{}}}", many(10, |at| format!("k{at}: *a{below},")));
    let lists = laughs("[x]", &list);
    let maps = laughs("{k: x}", &map);
    check(&format!("node: {{metadata: {{{lists}}}}}"), 100, VALUES);
    check(&format!("node: {{metadata: {{{maps}}}}}"), 100, VALUES);
    // Where lists are flattened, also those with nothing in them.
    check(
        &format!("!ignore x: {{{lists}}}\nstatic_resources: {{clusters: *a9}}"),
        100,
        "expected a map with the fields of envoy.config.cluster.v3.Cluster",
    );
    let nothing = laughs("[]", &list);
    check(&format!("!ignore x: {{{nothing}}}\nstatic_resources: {{clusters: *a9}}"), 100, VALUES);
    // In messages of a type.
    let text = format!("!ignore x: &x {{name: a}}\n!ignore y: &y [{}]\n", "*x,".repeat(1000));
    let text = format!("{text}static_resources: {{clusters: [{}]}}\n", "*y,".repeat(1000));
    check(&text, 250, VALUES);
    // Where all that is repeated is left out again.
    let text = format!("!ignore x: &x {{{}}}\n", "name: null,".repeat(10_000));
    let text = format!("{text}static_resources: {{clusters: [{}]}}\n", "*x,".repeat(10_000));
    check(&text, 50, "\"name\" is given twice");
}

/// One large anchor and many aliases for it.
#[test]
fn long_texts_many_times() {
    const BYTES: &str = "the aliases stand for more than 16777216 bytes of text";
    let long = "x".repeat(100_000);
    let aliases = "*x,".repeat(10_000);
    check(&format!("node: {{metadata: {{a: &x {long}, b: [{aliases}]}}}}"), 50, BYTES);
    let clusters = many(10_000, |_| "{name: *x},".to_owned());
    check(&format!("!ignore x: &x {long}\nstatic_resources: {{clusters: [{clusters}]}}"), 100, BYTES);
    let map = format!("{{? {long} : 1}}");
    check(&format!("node: {{metadata: {{a: &x {map}, b: [{aliases}]}}}}"), 50, BYTES);
    let keys = many(10_000, |_| "*x : 1,".to_owned());
    let text = format!("!ignore x: &x {long}\nnode: {{metadata: {{{keys}}}}}");
    check(&text, 50, "the aliases stand for more than 16777216 bytes of keys");
}

/// The same in the v1 format, whose values are copied on the way to the v3 format.
#[test]
fn little_text_for_large_v1_files() {
    let v1 = |start: &str, clusters: &str| {
        format!("{{{start}listeners: [], admin: {{}}, cluster_manager: {{clusters: [{clusters}]}}}}")
    };
    const BYTES: &str = "the aliases stand for more than 16777216 bytes of text";
    let long = "x".repeat(100_000);
    let names = many(10_000, |_| "{name: *x},".to_owned());
    check(&v1(&format!("!ignore x : &x {long}, "), &names), 50, BYTES);
    let inside = format!("!ignore x : &x {{name: {long}}}, ");
    check(&v1(&inside, &"*x,".repeat(10_000)), 50, BYTES);
    let laughs = many(9, |at| format!("!ignore b{at} : &a{} [{}],", at + 1, format!("*a{at},").repeat(10)));
    check(&v1(&format!("!ignore b : &a0 [x], {laughs}"), "*a9"), 50, VALUES);
}

#[test]
fn large_files() {
    let text = format!("node: {{id: {}}}", "x".repeat(100_000_000));
    check(&text, 1, "the text has 100000012 bytes; at most 67108864 are read");
    let most = "more than 2000000 values";
    check(&format!("node: {{metadata: {{{}}}}}", many(1_500_000, |at| format!("a{at}: 1,"))), 400, most);
    check(&format!("[{}]", "[],".repeat(3_000_000)), 400, most);
    check(&"[".repeat(60_000_000), 1, "nested more than 100 levels deep");
    check(&"- ".repeat(30_000_000), 1, "nested more than 100 levels deep");
    check(&"{a: ".repeat(15_000_000), 1, "nested more than 100 levels deep");
    assert_eq!(Limits::default().nodes, 2_000_000);
}

/// The empty messages are many and large; their mistakes are told without making them.
#[test]
fn little_text_for_large_messages() {
    let empty = "{},".repeat(100_000);
    check(&format!("static_resources: {{clusters: [{empty}]}}"), 60, "must not be empty");
    check(&format!("static_resources: {{listeners: [{empty}]}}"), 60, "is required");
}

/// Names and keys are repeated in messages and in the paths of all mistakes below them.
#[test]
fn long_names_are_shown_in_part() {
    let long = "x".repeat(1_000_000);
    check(&format!("? {long}\n: 1"), 20, "unknown field \"xxx");
    let clusters = "{name: a, connect_timeout: x},".repeat(2000);
    let any = format!(
        "{{'@type': type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap, static_resources: {{clusters: [{clusters}]}}}}"
    );
    let cluster = format!("{{name: a, typed_extension_protocol_options: {{? {long} : {any}}}}}");
    check(&format!("static_resources: {{clusters: [{cluster}]}}"), 50, "expected a duration");
}

/// Nothing that is done for each mistake, element or entry may look at all others.
#[test]
fn much_of_everything() {
    const COUNT: usize = 20_000;
    let clusters = |of: &dyn Fn(usize) -> String| {
        format!("static_resources: {{clusters: [[], [{}]]}}", many(COUNT, |at| format!("{{{}}},", of(at))))
    };
    check(&clusters(&|_| "alt_stat_name: a".to_owned()), 100, "must not be empty");
    check(&clusters(&|at| format!("name: a{at}, connect_timeot: 1s")), 100, "unknown field");
    check(&clusters(&|at| format!("name: a{at}, lb_policy: ROUND_ROBN")), 100, "expected ROUND_ROBIN");
    check(&clusters(&|_| "name: a, load_assignment: {cluster_name: a}".to_owned()), 200, "clusters[0] has");
    let any = "{'@type': type.googleapis.com/envoy.config.cluster.v3.Clutser}";
    let unknown = clusters(&|at| format!("name: a{at}, transport_socket: {{name: b, typed_config: {any}}}"));
    check(&unknown, 150, "unknown message type");
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let options = many(COUNT, |at| format!("k{at}: {{'@type': type.googleapis.com/{options}}},"));
    let text = format!(
        "static_resources: {{clusters: [{{name: a, typed_extension_protocol_options: {{{options}}}}}]}}"
    );
    check(&text, 100, "one of ");
    check(&format!("node: {{{}}}", many(COUNT, |at| format!("fild{at}: 1,"))), 20, "unknown field");
    check(&format!("node: {{{}}}", "id: a,".repeat(COUNT)), 20, "\"id\" is given twice");
    check(&format!("node: {{metadata: {{{}}}}}", "a: 1,".repeat(COUNT)), 50, "the key \"a\" is given twice");
    let layers = "{name: a, static_layer: {}},".repeat(COUNT);
    check(&format!("layered_runtime: {{layers: [{layers}]}}"), 100, "another layer is named \"a\"");
}

/// Each route is compared with each cluster, to say which one was meant.
#[test]
fn many_unknown_names_among_many() {
    const COUNT: usize = 5_000;
    let routes = |of: &dyn Fn(usize) -> String| {
        let routes = many(COUNT, |at| format!("{{match: {{prefix: /}}, route: {{cluster: {}}}}},", of(at)));
        let manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
        let clusters = many(COUNT, |at| {
            format!("{{name: the-cluster-{at}, load_assignment: {{cluster_name: the-cluster-{at}}}}},")
        });
        format!(
            "static_resources: {{clusters: [{clusters}], listeners: [{{address: {{socket_address: {{address: 127.0.0.1, \
             port_value: 1}}}}, filter_chains: [{{filters: [{{name: a, typed_config: {{'@type': \
             type.googleapis.com/{manager}, stat_prefix: a, \
             http_filters: [{{name: envoy.filters.http.router}}], route_config: {{virtual_hosts: [{{name: a, domains: ['*'], \
             routes: [{routes}]}}]}}}}}}]}}]}}]}}"
        )
    };
    check(
        &routes(&|at| format!("the-clutser-{at}")),
        150,
        "no cluster is named \"the-clutser-0\" (did you mean",
    );
    let hosts = many(COUNT, |at| format!("{{name: a{at}, domains: [a.com]}},"));
    let table = Source::new("r.yaml", format!("virtual_hosts: [{hosts}]"));
    let errors = load_route_table(&table, &LoadOptions::default()).unwrap_err();
    assert_eq!((errors.count(), errors.errors().len()), (COUNT - 1, 1000));
    assert_eq!(errors.errors()[0].kind, ErrorKind::Semantic);
}

/// What is large and sound is loaded in little more memory than its values take.
#[test]
fn ten_thousand_clusters() {
    let clusters = many(10_000, |at| {
        format!(
            "  - name: service-cluster-{at}
    type: STRICT_DNS
    connect_timeout: 0.25s
    circuit_breakers: {{thresholds: [{{max_connections: 1024, max_pending_requests: 256}}]}}
    load_assignment:
      cluster_name: service-cluster-{at}
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: service-{at}.internal, port_value: 80}}}}}}
"
        )
    });
    let source = [Source::new("envoy.yaml", format!("static_resources:\n  clusters:\n{clusters}"))];
    let _ = load_text("");
    let mut loaded = None;
    let used = allocation_counter::measure(|| loaded = load(&source, &LoadOptions::default()).ok());
    assert_eq!(loaded.unwrap().bootstrap.clusters.len(), 10_000);
    assert!(used.bytes_max < 105 * MIB, "{} MiB", used.bytes_max / MIB);
}
