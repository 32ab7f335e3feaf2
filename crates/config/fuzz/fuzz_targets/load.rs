//! Any text, YAML or JSON, alone or merged over a good file, is loaded or refused with errors that can be shown.
//!
//! ```text
//! cargo +nightly fuzz run load -- -max_len=4096
//! ```
#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use nuncio_config::{Externals, LoadOptions, Source, load};

const BASE: &str = include_str!("../../../../fixtures/config/service-envoy.yaml");

/// The text decides which files are named, so none is read.
struct Nothing;

impl Externals for Nothing {
    fn file(&self, _: &str) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn variable(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
}

fuzz_target!(|text: &str| {
    let options = LoadOptions { externals: Some(&Nothing), ..LoadOptions::default() };
    let base = Source::new("base.yaml", BASE);
    for name in ["text.yaml", "text.json"] {
        let text = Source::new(name, text);
        for sources in [vec![text.clone()], vec![base.clone(), text]] {
            match load(&sources, &options) {
                Ok(loaded) => drop(loaded.document.bootstrap_json()),
                Err(errors) => assert!(errors.count() > 0 && !errors.to_string().is_empty()),
            }
        }
    }
});
