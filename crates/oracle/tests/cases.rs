//! All cases: Nuncio answers as Envoy did when they were recorded, and Envoy, where it is installed, still does.

use std::path::Path;

use nuncio_oracle::{check_all, proxy::Program};

// As many threads as nuncio_oracle::THREADS.
#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn nuncio_answers_as_envoy_does() {
    let nuncio = Program::nuncio(Path::new(env!("CARGO_BIN_EXE_nuncio-oracle")));
    let envoy = Program::envoy().expect("ENVOY_BIN is Envoy, if it is set");
    let envoy = envoy.inspect_err(|why| println!("its answers are those on record: {why}")).ok();
    let report = check_all(|_| true, "*", &nuncio, envoy.as_ref()).await.expect("every case can be run");
    assert!(report.findings.is_empty(), "{report}");
    assert!(report.missing.is_empty(), "{report}");
    assert!(report.exchanges >= 150, "only {} exchanges were run", report.exchanges);
}
