//! A converted configuration means what the original means, to Nuncio and to Envoy.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

#[path = "common/cases.rs"]
mod cases;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use nuncio_config::{Format, LoadOptions, Loaded, Source, convert, load};

/// The output stands for the file that it was made from, so its errors must, too.
fn outcome(source: &Source, options: &LoadOptions<'_>) -> Result<Loaded, Vec<String>> {
    load(std::slice::from_ref(source), options).map_err(|errors| {
        let mut shown: Vec<String> =
            errors.errors().iter().map(|error| format!("{}: {}", error.path(), error.message)).collect();
        shown.sort();
        shown
    })
}

fn program() -> Option<String> {
    std::env::var("ENVOY_BIN").ok().filter(|path| !path.is_empty())
}

/// What Envoy says of a file, if it has something against it.
fn envoy_refuses(program: &str, text: &str) -> Option<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("nuncio-convert-{}-{number}.yaml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let output = Command::new(program)
        // A file that fetches its configuration must say who asks.
        .args(["--service-node", "n", "--service-cluster", "c"])
        .args(["--mode", "validate", "--use-dynamic-base-id", "--log-level", "critical", "-c"])
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_case_that_can_be_read_comes_to_the_same_end_after_conversion() {
    let mut converted_count = 0;
    for prepared in cases::groups().iter().flat_map(|group| cases::cases(group)) {
        let source = Source::new(prepared.file_name(), &*prepared.text);
        let options = LoadOptions::default();
        // Only JSON can say all that a JSON file says.
        let (format, name) = match source.name.ends_with(".json") {
            true => (Format::Json, "f.json"),
            false => (Format::Yaml, "f"),
        };
        let Ok(converted) = convert(&source, format, &options) else { continue };
        converted_count += 1;
        let (before, after) =
            (outcome(&source, &options), outcome(&Source::new(name, &*converted.text), &options));
        match (before, after) {
            (Ok(before), Ok(after)) => {
                assert_eq!(
                    before.document.bootstrap_json(),
                    after.document.bootstrap_json(),
                    "{}\n{}",
                    prepared.title(),
                    converted.text
                );
            }
            (Err(before), Err(after)) => {
                assert_eq!(before, after, "{}\n{}", prepared.title(), converted.text);
            }
            (before, after) => panic!(
                "{}: {:?} became {:?}\n{}\n{}",
                prepared.title(),
                before.err(),
                after.err(),
                prepared.text,
                converted.text
            ),
        }
    }
    assert!(converted_count > 0);
}

#[test]
fn envoy_accepts_the_example_after_conversion_though_not_before() {
    let Some(program) = program() else { return };
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    for file in ["front-envoy.yaml", "service-envoy.yaml"] {
        for folder in ["fixtures/config", "../shared/seeds"] {
            let path = root.join(folder).join(file);
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            assert_ne!(envoy_refuses(&program, &text), None, "{} before", path.display());
            let source = Source::new(file, text);
            let converted = convert(&source, Format::Yaml, &LoadOptions::default()).unwrap();
            assert_eq!(envoy_refuses(&program, &converted.text), None, "{}", path.display());
        }
    }
}

#[test]
fn envoy_accepts_what_was_v1() {
    let Some(program) = program() else { return };
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let ours = std::fs::read_dir(root.join("fixtures/config/v1")).unwrap().map(|entry| entry.unwrap().path());
    let original = root.join("../shared/seeds/edge-envoy.json");
    let is_input = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    for path in ours.filter(is_input).chain(original.exists().then_some(original)) {
        let text = std::fs::read_to_string(&path).unwrap().replace("%TLS%", cases::tls_folder());
        assert_ne!(envoy_refuses(&program, &text), None, "{} before", path.display());
        let source = Source::new("f.json", text);
        let converted = convert(&source, Format::Yaml, &LoadOptions::default()).unwrap();
        assert_eq!(envoy_refuses(&program, &converted.text), None, "{}", path.display());
    }
}

#[test]
fn envoy_accepts_after_conversion_what_it_accepted_before() {
    let Some(program) = program() else { return };
    let mut wrong = Vec::new();
    for prepared in cases::groups().iter().flat_map(|group| cases::cases(group)) {
        let source = Source::new("f", &*prepared.text);
        let Ok(converted) = convert(&source, Format::Yaml, &LoadOptions::default()) else { continue };
        if prepared.case.json || prepared.case.allow_unknown {
            continue;
        }
        if let Some(reason) = envoy_refuses(&program, &converted.text)
            && envoy_refuses(&program, &prepared.text).is_none()
        {
            wrong.push(format!("{}: {reason}\n{}", prepared.title(), converted.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
