//! Any text, YAML or JSON, of the v3 or the v1 format, alone or merged over a good file, is loaded or refused with
//! errors that can be shown.
//!
//! Without `cargo fuzz`, and with a stable compiler, in `crates/config/fuzz` (other targets likewise):
//!
//! ```text
//! export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
//!     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
//!     -Cllvm-args=-sanitizer-coverage-trace-compares"
//! host=$(rustc -vV | sed -n 's/^host: //p')
//! cargo build --release --target $host --bin load --bin routes --bin convert
//! RUSTFLAGS= cargo run --bin dictionary > target/dictionary
//! mkdir -p target/corpus-load
//! target/$host/release/load target/corpus-load corpus ../../../fixtures/config \
//!     -dict=target/dictionary -max_len=4096 -timeout=10 -rss_limit_mb=1024 -max_total_time=600
//! ```
//!
//! `corpus` holds the texts that `tests/corpus.rs` loads. It was made with `-set_cover_merge=1`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nuncio_config::{
    Source, load,
    render::{Renderer, in_order},
};

mod nothing;

const BASE: &str = include_str!("../../../../fixtures/config/service-envoy.yaml");

fuzz_target!(|text: &str| {
    let options = nothing::options();
    let base = Source::new("base.yaml", BASE);
    for name in ["text.yaml", "text.json"] {
        let text = Source::new(name, text);
        for sources in [vec![text.clone()], vec![base.clone(), text]] {
            match load(&sources, &options) {
                Ok(loaded) => assert!(!loaded.document.bootstrap_json().is_null()),
                Err(errors) => {
                    assert!(errors.count() > 0);
                    let renderer = Renderer::new(&sources);
                    for problem in in_order(&sources, errors.errors(), errors.warnings()) {
                        assert!(!renderer.problem(&problem).is_empty() && !problem.to_string().is_empty());
                    }
                }
            }
        }
    }
});
