//! The arrows between the crates: what may depend on what. A new arrow is a decision; it is made here first.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Each crate, by its name without the prefix, and what of ours it may depend on. The binaries and benches are the
/// users of the crates; what a crate's own tests use is its own affair.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("router", &[]),
    ("balance", &[]),
    ("stats", &[]),
    ("api", &[]),
    ("service", &[]),
    ("config", &["api", "router", "balance"]),
    ("tls", &["config"]),
    ("cluster", &["service", "config", "balance", "stats", "tls"]),
    ("http", &["service", "router", "cluster", "config", "stats"]),
    ("listener", &["service", "config", "tls", "stats"]),
    ("admin", &["service", "config", "stats"]),
    (
        "proxy",
        &[
            "router", "balance", "stats", "api", "service", "config", "tls", "cluster", "http", "listener",
            "admin",
        ],
    ),
    ("test-support", ANY),
    ("oracle", ANY),
    ("front-proxy", &["proxy"]),
    ("sidecar", &["proxy"]),
    ("demo", &[]),
    ("benches", ANY),
];

/// May use every other crate.
const ANY: &[&str] = &["*"];

/// What `router` may use of others: nothing that knows an operating system, a runtime, a clock or a socket.
const ROUTER_MAY_USE: &[&str] = &["http", "regex-automata", "regex-syntax", "thiserror"];

fn metadata() -> Metadata {
    MetadataCommand::new().no_deps().exec().expect("cargo describes the workspace")
}

fn name(package: &str) -> Option<&str> {
    package.strip_prefix("nuncio-")
}

fn dependencies(package: &Package) -> impl Iterator<Item = &str> {
    let not_for_tests =
        |dependency: &&cargo_metadata::Dependency| dependency.kind != DependencyKind::Development;
    package.dependencies.iter().filter(not_for_tests).map(|dependency| dependency.name.as_str())
}

#[test]
fn every_arrow_between_crates_is_allowed() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = MAY_DEPEND_ON.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let Some(from) = name(&package.name) else { continue };
        let Some(may) = allowed.get(from) else {
            wrong.push(format!("{from} does not stand in the table"));
            continue;
        };
        for to in dependencies(package).filter_map(name) {
            if *may != ANY && !may.contains(&to) {
                wrong.push(format!("{from} must not depend on {to}"));
            }
            if to == "test-support" {
                wrong.push(format!("{from} depends on test-support outside its tests"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_table_names_the_crates_that_there_are() {
    let metadata = metadata();
    let there: BTreeSet<&str> = metadata.packages.iter().filter_map(|package| name(&package.name)).collect();
    let table: BTreeSet<&str> = MAY_DEPEND_ON.iter().map(|(name, _)| *name).collect();
    assert_eq!(there, table);
}

#[test]
fn the_router_stands_alone() {
    let metadata = metadata();
    let router =
        metadata.packages.iter().find(|package| name(&package.name) == Some("router")).expect("a router");
    let wrong: Vec<&str> = dependencies(router).filter(|used| !ROUTER_MAY_USE.contains(used)).collect();
    assert_eq!(wrong, Vec::<&str>::new());
}

/// What `config` may not use, however indirectly: whoever embeds it brings a runtime and sockets of their own, or none.
const NO_PART_OF_CONFIG: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "rustix",
    "hyper",
    "h2",
    "rustls",
    "hickory-resolver",
    "tracing",
    "futures-util",
];

#[test]
fn the_configuration_is_loaded_without_runtime_and_sockets() {
    let metadata = MetadataCommand::new().exec().expect("cargo describes the workspace and what it uses");
    let resolve = metadata.resolve.as_ref().expect("with dependencies");
    let root = metadata.packages.iter().find(|package| name(&package.name) == Some("config"));
    let mut open = vec![&root.expect("a config").id];
    let mut used = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !used.insert(id) {
            continue;
        }
        let node = resolve.nodes.iter().find(|node| node.id == *id).expect("every package is resolved");
        let is_normal = |dependency: &&cargo_metadata::NodeDep| {
            dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
        };
        open.extend(node.deps.iter().filter(is_normal).map(|dependency| &dependency.pkg));
    }
    let wrong: Vec<&str> = used
        .iter()
        .map(|id| metadata[id].name.as_str())
        .filter(|name| NO_PART_OF_CONFIG.contains(name))
        .collect();
    assert_eq!(wrong, Vec::<&str>::new());
    assert!(used.iter().any(|id| metadata[id].name.as_str() == "granit-parser"));
}
