//! The v1 format: what is understood, what it becomes, and how mistakes are reported.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use common::root;
use nuncio_config::{
    ErrorKind, Format, Limits, LoadOptions, Loaded, Source, convert, load,
    model::{EndpointAddress, Http2Settings, UpstreamProtocol},
};
use nuncio_router::{Action, Forward};
use serde::{Deserialize, Serialize};
use serde_json::Value;

fn load_file(path: &Path) -> Loaded {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    load(&[Source::new(name, text)], &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

const V1_HTTP2: Http2Settings = Http2Settings {
    max_concurrent_streams: (1 << 31) - 1,
    initial_stream_window_size: 256 << 20,
    initial_connection_window_size: 256 << 20,
};

/// An edge proxy: our own file, and the original where it is at hand.
#[test]
fn an_edge_proxy_loads() {
    #[track_caller]
    fn check(Loaded { bootstrap, warnings, .. }: Loaded, name: &str) {
        assert_eq!(warnings, []);
        let [listener] = bootstrap.listeners.as_slice() else { panic!("one listener") };
        assert_eq!(listener.address, "0.0.0.0:80".parse().unwrap());
        let manager = &listener.filter_chains[0].http_connection_manager;
        assert!(!manager.allow_absolute_url);
        assert_eq!((manager.idle_timeout, manager.http2), (None, V1_HTTP2));
        let [host] = manager.routes.virtual_hosts() else { panic!("one virtual host") };
        let [route] = host.routes() else { panic!("one route") };
        let expected = Forward::to_cluster(name).timeout(Duration::ZERO);
        assert_eq!(route.action, Action::from(expected));
        let [cluster] = bootstrap.clusters.as_slice() else { panic!("one cluster") };
        assert_eq!(cluster.name, name);
        assert_eq!(cluster.connect_timeout.as_millis(), 250);
        assert_eq!((cluster.idle_timeout, cluster.protocol), (None, UpstreamProtocol::Http2(V1_HTTP2)));
        let endpoint = &cluster.endpoints[0].endpoints[0];
        assert_eq!(endpoint.address, EndpointAddress::Name { host: name.to_owned(), port: 80 });
        assert_eq!(bootstrap.admin.unwrap().address, "127.0.0.1:8001".parse().unwrap());
    }
    check(load_file(&root().join("fixtures/config/v1/edge-proxy.json")), "users");
    let original = root().join("../shared/seeds/edge-envoy.json");
    if original.exists() {
        check(load_file(&original), "usersvc");
    }
}

/// What a v1 file becomes, and what is said about it. Made with `NUNCIO_RECORD=1`, and then read line by line.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Upgraded {
    warnings: Vec<String>,
    bootstrap: Value,
}

fn folder() -> PathBuf {
    root().join("fixtures/config/v1")
}

fn tls_folder() -> String {
    root().join("fixtures/tls").canonicalize().unwrap().display().to_string()
}

/// The names of the v1 files, without their ending.
fn files() -> Vec<String> {
    let names = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> =
        names.filter_map(|name| Some(name.to_str()?.strip_suffix(".json")?.to_owned())).collect();
    names.sort_unstable();
    names
}

fn upgraded(name: &str) -> Upgraded {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let source = Source::new(format!("{name}.json"), text);
    let converted = convert(&source, Format::Json, &LoadOptions::default())
        .unwrap_or_else(|errors| panic!("{name}: {errors}"));
    Upgraded {
        warnings: converted.warnings.iter().map(ToString::to_string).collect(),
        bootstrap: serde_json::from_str(&converted.text).unwrap(),
    }
}

#[test]
fn every_object_of_v1_becomes_what_is_recorded() {
    for name in files() {
        let path = folder().join(format!("upgraded/{name}.json"));
        let is = upgraded(&name);
        if std::env::var_os("NUNCIO_RECORD").is_some() {
            fs::write(&path, serde_json::to_string_pretty(&is).unwrap() + "\n").unwrap();
        }
        let was = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{name} is not recorded"));
        let was: Upgraded = serde_json::from_str(&was).unwrap();
        assert_eq!(is.warnings, was.warnings, "{name}");
        assert_eq!(is.bootstrap, was.bootstrap, "{name}");
    }
}

/// Where `ENVOY_BIN` names Envoy, it accepts what v1 files become.
#[test]
fn envoy_accepts_what_v1_files_become() {
    let Some(envoy) = std::env::var_os("ENVOY_BIN") else { return };
    let scratch = std::env::temp_dir().join(format!("nuncio-v1-{}", std::process::id()));
    fs::create_dir_all(&scratch).unwrap();
    let mut refused = Vec::new();
    for name in files() {
        let file = scratch.join(format!("{name}.json"));
        let text = upgraded(&name).bootstrap.to_string().replace("%TLS%", &tls_folder());
        fs::write(&file, text).unwrap();
        let mut command = Command::new(&envoy);
        command.args(["--mode", "validate", "--use-dynamic-base-id", "--log-level", "error"]);
        command.args(["--service-cluster", "cluster", "--service-node", "node", "-c"]).arg(&file);
        let output = command.output().unwrap();
        if !output.status.success() {
            refused.push(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    fs::remove_dir_all(&scratch).unwrap();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

fn text_of(name: &str) -> String {
    fs::read_to_string(folder().join(format!("{name}.json"))).unwrap()
}

fn load_all(sources: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
    let sources: Vec<_> = sources.iter().map(|(name, text)| Source::new(*name, *text)).collect();
    load(&sources, &LoadOptions::default())
        .map_err(|errors| errors.errors().iter().map(ToString::to_string).collect())
}

#[test]
fn a_v3_text_is_laid_over_a_v1_file() {
    let file = text_of("edge-proxy");
    let over = "admin: {address: {socket_address: {port_value: 9000}}}\nstatic_resources: {clusters: [{name: more}]}";
    let Loaded { bootstrap, .. } = load_all(&[("f.json", &file), ("--config-yaml", over)]).unwrap();
    assert_eq!(bootstrap.admin.unwrap().address, "127.0.0.1:9000".parse().unwrap());
    let names: Vec<_> = bootstrap.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    assert_eq!(names, ["users", "more"]);
}

#[test]
fn v1_may_be_written_in_yaml() {
    let file = "
listeners:
- port: 0
  filters:
  - name: http_connection_manager
    config:
      codec_type: auto
      stat_prefix: s
      filters: [{name: router, config: {}}]
      route_config:
        virtual_hosts:
        - {name: v, domains: ['*'], routes: [{prefix: /, cluster: a}]}
admin: {port: 0, access_log_path: /dev/null}
cluster_manager:
  clusters:
  - name: a
    type: static
    connect_timeout_ms: 250
    lb_type: least_request
    hosts: [{url: 'tcp://127.0.0.1:1'}]
";
    let Loaded { bootstrap, warnings, .. } = load_all(&[("f.yaml", file)]).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(bootstrap.listeners[0].address, "0.0.0.0:0".parse().unwrap());
}

/// What later phases find has the v3 path and the line of the v1 file.
#[test]
fn later_phases_report_lines_of_the_v1_file() {
    let file = text_of("edge-proxy").replace("\"cluster\": \"users\"", "\"cluster\": \"user\"");
    let errors = load_all(&[("f.json", &file)]).unwrap_err();
    let expected =
        "f.json:18:61: …routes[0].route.cluster: no cluster is named \"user\" (did you mean \"users\"?)";
    assert_eq!(errors, [expected]);
    let file = text_of("sidecar").replace("\"use_remote_address\": true", "\"add_user_agent\": true");
    let errors = load_all(&[("f.json", &file)]).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("f.json:11:31: "), "{errors:?}");
    assert!(errors[0].ends_with("add_user_agent: only false is supported"), "{errors:?}");
}

/// The cluster of a discovery service that nobody asks for is one like any other.
#[test]
fn an_unused_discovery_service_is_only_a_cluster() {
    let sds = "\"sds\": {\"refresh_delay_ms\": 1, \"cluster\": {\"name\": \"first\", \"type\": \"static\", \
               \"lb_type\": \"random\", \"connect_timeout_ms\": 1, \"hosts\": [{\"url\": \"tcp://127.0.0.1:1\"}]}}";
    let file =
        text_of("edge-proxy").replace("\"cluster_manager\": {", &format!("\"cluster_manager\": {{{sds},"));
    let Loaded { bootstrap, .. } = load_all(&[("f.json", &file)]).unwrap();
    let names: Vec<_> = bootstrap.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    assert_eq!(names, ["first", "users"]);
}

/// Aliases are read as often as they stand somewhere, up to the limit.
#[test]
fn aliases_cannot_multiply_a_v1_file() {
    let limits = Limits { nodes: 200, alias_nodes: 100, ..Limits::default() };
    let options = LoadOptions { limits, ..LoadOptions::default() };
    let cluster = "&c {name: a, type: static, connect_timeout_ms: 1, lb_type: random, hosts: [{url: 'tcp://127.0.0.1:1'}]}";
    let text = |aliases: usize| {
        let clusters = std::iter::once(cluster).chain(std::iter::repeat_n("*c", aliases));
        let clusters = clusters.collect::<Vec<_>>().join(", ");
        format!(
            "{{listeners: [], admin: {{port: 0, access_log_path: a}}, cluster_manager: {{clusters: [{clusters}]}}}}"
        )
    };
    let kinds = |aliases| -> Vec<ErrorKind> {
        let errors = load(&[Source::new("f", text(aliases))], &options).unwrap_err();
        errors.errors().iter().map(|error| error.kind).collect()
    };
    assert_eq!(kinds(2), [ErrorKind::Semantic, ErrorKind::Semantic], "the names are the same");
    assert_eq!(kinds(60), [ErrorKind::Limit]);
}
