//! The router stands alone: what it may be built on is a short list.

use cargo_metadata::{DependencyKind, MetadataCommand};

#[test]
fn depends_on_nothing_but_the_list() {
    const ALLOWED: [&str; 3] = ["http", "regex-automata", "thiserror"];
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo describes the workspace");
    let router = metadata.packages.iter().find(|package| package.name == "nuncio-router");
    let others: Vec<_> = router
        .expect("the router is in the workspace")
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
        .filter(|name| !ALLOWED.contains(name))
        .collect();
    assert_eq!(others, [] as [&str; 0]);
}
