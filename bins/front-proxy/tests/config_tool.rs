//! `front-proxy config` as its user meets it: what it prints, where, and its exit codes.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use nuncio_test_support::Directory;

const PROGRAM: &str = env!("CARGO_BIN_EXE_front-proxy");

struct Ended {
    code: Option<i32>,
    output: String,
    errors: String,
}

fn run(arguments: &[&str], input: &str) -> Ended {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    Ended {
        code: ended.status.code(),
        output: String::from_utf8(ended.stdout).unwrap(),
        errors: String::from_utf8(ended.stderr).unwrap(),
    }
}

#[test]
fn convert_writes_the_canonical_form() {
    let text = "admin: {address: {socketAddress: {address: 127.0.0.1, portValue: '0x10'}}}\n";
    let yaml = "admin:\n  address:\n    socket_address:\n      address: 127.0.0.1\n      port_value: 16\n";
    let json = "{\n  \"admin\": {\n    \"address\": {\n      \"socket_address\": {\n        \
                \"address\": \"127.0.0.1\",\n        \"port_value\": 16\n      }\n    }\n  }\n}\n";
    let directory = Directory::new();
    let file = directory.write("envoy.yaml", text).display().to_string();
    for (arguments, input, expected) in [
        (vec!["config", "convert", &file], "", yaml),
        (vec!["config", "convert", &file, "--format", "json"], "", json),
        (vec!["config", "convert", "-", "--format", "yaml"], text, yaml),
    ] {
        let ended = run(&arguments, input);
        assert_eq!((ended.code, &*ended.output, &*ended.errors), (Some(0), expected, ""), "{arguments:?}");
    }
}

#[test]
fn convert_warns_of_what_works_and_should_be_known() {
    let text = "{\"listeners\": [], \"admin\": {\"access_log_path\": \"/l\", \"address\": \"tcp://127.0.0.1:1\"}, \
                \"cluster_manager\": {\"clusters\": [{\"name\": \"c\", \"type\": \"static\", \"connect_timeout_ms\": 1, \
                \"lb_type\": \"ring_hash\", \"hosts\": [{\"url\": \"tcp://127.0.0.1:1\"}]}]}}";
    let ended = run(&["config", "convert", "-"], text);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert!(ended.errors.starts_with("(standard input):1:"), "{}", ended.errors);
    assert!(ended.errors.contains(": warning: "), "{}", ended.errors);
    assert!(ended.output.contains("\n    # Hosts are hashed by"), "{}", ended.output);
}

#[test]
fn convert_says_all_that_keeps_it_from_reading() {
    let ended = run(&["config", "convert", "-"], "node: {idd: x}\nadmin: 7\n");
    assert_eq!((ended.code, &*ended.output), (Some(1), ""));
    assert_eq!(
        ended.errors,
        "(standard input):1:8: node: unknown field \"idd\" in envoy.config.core.v3.Node (did you mean \"id\"?)\n\
         (standard input):2:8: admin: expected a map with the fields of envoy.config.bootstrap.v3.Admin, found the \
         number 7\n\
         2 errors; nothing was converted\n"
    );
    let ended = run(&["config", "convert", "/no/such/file"], "");
    assert_eq!(ended.code, Some(1));
    assert!(ended.errors.starts_with("error: cannot read /no/such/file: "), "{}", ended.errors);
}

#[test]
fn explain_prints_what_is_known() {
    let ended = run(&["config", "explain", "static_resources.clusters[0].connect_timeout"], "");
    assert_eq!((ended.code, &*ended.errors), (Some(0), ""));
    assert_eq!(
        ended.output,
        "envoy.config.cluster.v3.Cluster.connect_timeout\n  type      duration in seconds such as 1.5s\n  \
         default   5s\n  rules     must be greater than 0s\n  support   honoured\n  \
         also      may be written connectTimeout\n"
    );
    let ended = run(&["config", "explain", "Cluster.connect_timeot"], "");
    assert_eq!((ended.code, &*ended.output), (Some(1), ""));
    assert_eq!(
        ended.errors,
        "error: unknown field \"connect_timeot\" in envoy.config.cluster.v3.Cluster (did you mean \
         \"connect_timeout\"?)\n"
    );
    let ended = run(&["config", "explain"], "");
    assert_eq!((ended.code, &*ended.output), (Some(2), ""));
    assert!(ended.errors.contains("\n    Cluster.connect_timeout\n"), "{}", ended.errors);
}

#[test]
fn schema_is_a_schema() {
    let ended = run(&["config", "schema"], "");
    assert_eq!((ended.code, &*ended.errors), (Some(0), ""));
    let start = "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \
                 \"title\": \"Nuncio's configuration\",\n";
    assert!(ended.output.starts_with(start), "{}", ended.output);
    let schema: serde_json::Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!(schema["$ref"], "#/$defs/envoy.config.bootstrap.v3.Bootstrap");
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for arguments in [
        &["config"][..],
        &["config", "convert"],
        &["config", "convert", "a", "b"],
        &["config", "convert", "a", "--format", "toml"],
        &["config", "invert"],
        &["config", "explain", "a", "b"],
        &["config", "schema", "a"],
        &["-l", "info", "config", "convert", "-"],
    ] {
        let ended = run(arguments, "");
        assert_eq!((ended.code, &*ended.output), (Some(2), ""), "{arguments:?}: {}", ended.errors);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let text = format!("node: {{id: {}}}", "x".repeat(1 << 20));
    let mut child = Command::new(PROGRAM)
        .args(["config", "convert", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let mut start = [0; 5];
    child.stdout.take().unwrap().read_exact(&mut start).unwrap();
    assert_eq!(&start, b"node:");
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), &*ended.stderr), (Some(0), &b""[..]));
}
