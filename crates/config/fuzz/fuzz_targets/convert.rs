//! Any text is converted to its canonical form or refused. What was converted can be converted again, which changes
//! nothing, and loads if the text did. In YAML there would be comments on what a v1 file has lost, which are lost in turn.
//!
//! The head of `load.rs` says how to run it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nuncio_config::{Format, Source, convert, load};

mod nothing;

fuzz_target!(|text: &str| {
    let options = nothing::options();
    for name in ["text.yaml", "text.json"] {
        let source = Source::new(name, text);
        let Ok(converted) = convert(&source, Format::Json, &options) else { continue };
        let canonical = Source::new("canonical.json", converted.text);
        match convert(&canonical, Format::Json, &options) {
            Ok(again) => assert_eq!(again.text, canonical.text),
            Err(errors) => panic!("{errors}\n{}", canonical.text),
        }
        if load(std::slice::from_ref(&source), &options).is_ok()
            && let Err(errors) = load(std::slice::from_ref(&canonical), &options)
        {
            panic!("{errors}\n{}", canonical.text);
        }
    }
});
