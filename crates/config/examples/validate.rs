//! Loads the files that are named on the command line, the later ones merged over the first, and prints what is wrong.
//!
//! ```text
//! cargo run -p nuncio-config --example validate -- fixtures/config/front-envoy.yaml
//! ```

use std::process::ExitCode;

use nuncio_config::{LoadOptions, Source, load};

fn main() -> ExitCode {
    let options = LoadOptions::default();
    let mut sources = Vec::new();
    for name in std::env::args().skip(1) {
        match Source::read(&name, &options.limits) {
            Ok(source) => sources.push(source),
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    match load(&sources, &options) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                println!("warning: {warning}");
            }
            println!(
                "{} listeners, {} clusters",
                loaded.bootstrap.listeners.len(),
                loaded.bootstrap.clusters.len()
            );
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::FAILURE
        }
    }
}
