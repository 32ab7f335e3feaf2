//! The texts that the fuzz target `load` has found worth keeping: each leads to code that the others do not reach.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::{fs, path::Path};

use nuncio_config::{
    Format, Source, convert, load, load_route_table,
    render::{Renderer, in_order},
};

#[path = "../fuzz/fuzz_targets/nothing.rs"]
mod nothing;

#[test]
fn every_text_is_loaded_or_refused_with_errors_that_can_be_shown() {
    let options = nothing::options();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let (mut loaded, mut refused) = (0, 0);
    for file in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for name in ["text.yaml", "text.json"] {
            let sources = [Source::new(name, &*text)];
            match load(&sources, &options) {
                Ok(sound) => {
                    assert!(!sound.document.bootstrap_json().is_null(), "{text}");
                    loaded += 1;
                }
                Err(errors) => {
                    assert!(errors.count() > 0, "{text}");
                    let renderer = Renderer::new(&sources);
                    for problem in in_order(&sources, errors.errors(), errors.warnings()) {
                        assert!(!renderer.problem(&problem).is_empty(), "{text}");
                    }
                    refused += 1;
                }
            }
            let _ = load_route_table(&sources[0], &options);
            let _ = convert(&sources[0], Format::Yaml, &options);
        }
    }
    // Both kinds are there: the corpus has been found.
    assert!(loaded > 10 && refused > 100, "{loaded} loaded, {refused} refused");
}
