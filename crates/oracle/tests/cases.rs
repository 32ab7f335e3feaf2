//! All cases: Nuncio answers as Envoy did when they were recorded, and Envoy, where it is installed, still does.

use std::path::Path;

use nuncio_oracle::{check_all, proxy::Program};

#[tokio::test(flavor = "multi_thread")]
async fn nuncio_answers_as_envoy_does() {
    let nuncio = Program::nuncio(Path::new(env!("CARGO_BIN_EXE_nuncio-oracle")));
    let envoy = Program::envoy();
    if envoy.is_none() {
        println!("Envoy is not installed: its answers are those on record");
    }
    let report = check_all(|_| true, "*", &nuncio, envoy.as_ref()).await.expect("every case can be run");
    assert!(report.findings.is_empty(), "{report}");
    assert!(report.exchanges >= 150, "only {} exchanges were run", report.exchanges);
}
