//! A bootstrap with mistakes: all of them at once, as values. A program that edits configurations can mark them, a test
//! can count them by kind.
//!
//! ```text
//! cargo run -p nuncio-config --example mistakes
//! ```

use nuncio_config::{ErrorKind, LoadOptions, Source, load};

const BOOTSTRAP: &str = "\
static_resources:
  listeners:
  - name: ingress
    address:
      socket_address: {address: 0.0.0.0, port_value: https}
  clusters:
  - name: backend
    type: strict_dns
    connect_timeot: 1s
    lb_policy: ROUND_ROBN
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: backend.internal, port_value: 80}}}
  - name: backend
    outlier_detection: {consecutive_5xx: 3}
";

fn main() {
    let source = Source::new("envoy.yaml", BOOTSTRAP);
    let errors = match load(&[source], &LoadOptions::default()) {
        Ok(loaded) => {
            println!(
                "{} clusters, {} listeners",
                loaded.bootstrap.clusters.len(),
                loaded.bootstrap.listeners.len()
            );
            return;
        }
        Err(errors) => errors,
    };
    for error in errors.errors() {
        let advice = match error.kind {
            ErrorKind::Unsupported => "Nuncio does not have this",
            ErrorKind::Unknown | ErrorKind::Type => "nobody can read this",
            _ => "Envoy refuses this, too",
        };
        println!(
            "line {}, column {}: {} ({:?}: {advice})",
            error.place.line,
            error.place.column,
            error.path(),
            error.kind
        );
        println!("    {}", error.message);
    }
    println!("{} mistakes", errors.count());
}
