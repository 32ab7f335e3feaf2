//! How the front proxy shows what is wrong with a configuration.

use std::net::TcpListener;

use nuncio_test_support::{Directory, Ended, run, run_on_terminal};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_front-proxy");

const BAD: &str = "static_resources:
  clusters:
  - name: a
    connect_timeot: 1s
  - name: b
    type: STATIC
    use_tcp_for_dns_lookups: true
    respect_dns_ttl: 1
";

/// What is said about a file with the flags; the file is called `FILE` in the output.
async fn validate(text: &str, flags: &[&str]) -> Ended {
    let directory = Directory::new();
    let file = directory.write("f.yaml", text).display().to_string();
    let mut arguments = vec!["-c", file.as_str()];
    arguments.extend(flags);
    let mut ended = run(PROGRAM, arguments).await;
    ended.output = ended.output.replace(&file, "FILE");
    ended
}

#[track_caller]
fn check(ended: &Ended, code: i32, expected: &str) {
    assert_eq!((ended.code, ended.output.as_str()), (code, expected));
}

#[tokio::test]
async fn one_line_each_where_there_is_no_terminal() {
    let expected = "\
FILE:4:5: static_resources.clusters[0]: unknown field \"connect_timeot\" in envoy.config.cluster.v3.Cluster (did you mean \"connect_timeout\"?)
FILE:7:30: warning: static_resources.clusters[1].use_tcp_for_dns_lookups: \"use_tcp_for_dns_lookups\" is deprecated in Envoy's API
FILE:8:22: static_resources.clusters[1].respect_dns_ttl: expected true or false, found the number 1
2 errors, 1 warning; nothing was started
";
    check(&validate(BAD, &["--mode", "validate"]).await, 1, expected);
    check(&validate(BAD, &["--mode", "validate", "--format", "plain"]).await, 1, expected);
    check(&validate(BAD, &[]).await, 1, expected);
}

#[tokio::test]
async fn with_the_lines_where_that_is_asked_for() {
    let expected = "\
FILE:4:5: static_resources.clusters[0]: unknown field \"connect_timeot\" in envoy.config.cluster.v3.Cluster (did you mean \"connect_timeout\"?)
  |
4 |     connect_timeot: 1s
  |     ^^^^^^^^^^^^^^

FILE:8:22: static_resources.clusters[1].respect_dns_ttl: expected true or false, found the number 1
  |
8 |     respect_dns_ttl: 1
  |                      ^

2 errors; nothing was started
";
    let flags = ["--mode", "validate", "--format", "pretty", "--skip-deprecated-logs"];
    check(&validate(BAD, &flags).await, 1, expected);
}

#[tokio::test]
async fn an_object_for_programs() {
    let ended = validate(BAD, &["--mode", "validate", "--format", "json"]).await;
    assert_eq!(ended.code, 1);
    let object: Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!(object["version"], 1);
    assert_eq!(object["file"], "FILE");
    assert_eq!(
        object["errors"][1],
        json!({
            "kind": "type",
            "place": {"file": "FILE", "line": 8, "column": 22, "end_column": 23},
            "path": "static_resources.clusters[1].respect_dns_ttl",
            "message": "expected true or false, found the number 1",
        })
    );
    assert_eq!(object["warnings"][0]["kind"], "deprecated");
    assert_eq!(object["summary"]["valid"], false);
    // A file that cannot be had is told in the same form.
    let ended = run(PROGRAM, ["-c", "/no/such/file", "--format", "json"]).await;
    assert_eq!(ended.code, 1);
    let object: Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!(object["errors"][0]["place"]["file"], "/no/such/file");
    assert_eq!(object["errors"][0]["kind"], "machine");
}

#[tokio::test]
async fn what_is_right_is_counted() {
    let text = "static_resources: {clusters: [{name: a, use_tcp_for_dns_lookups: true}]}";
    let warning = "FILE:1:66: warning: static_resources.clusters[0].use_tcp_for_dns_lookups: \
                   \"use_tcp_for_dns_lookups\" is deprecated in Envoy's API\n";
    let ok = "configuration 'FILE' OK: 0 listeners, 1 cluster, 0 routes";
    // Standard output and standard error come in any order.
    let ended = validate(text, &["--mode", "validate"]).await;
    assert_eq!(ended.code, 0);
    assert!(ended.output.contains(warning), "{}", ended.output);
    assert!(ended.output.contains(&format!("{ok}, 1 warning\n")), "{}", ended.output);
    let flags = ["--mode", "validate", "--skip-deprecated-logs"];
    check(&validate(text, &flags).await, 0, &format!("{ok}\n"));
    let ended = validate(text, &["--mode", "validate", "--format", "json"]).await;
    let object: Value = serde_json::from_str(&ended.output).unwrap();
    let summary =
        json!({"valid": true, "errors": 0, "warnings": 1, "listeners": 0, "clusters": 1, "routes": 0});
    assert_eq!((ended.code, &object["summary"]), (0, &summary));
}

/// What only the proxy can find, certificates among it, comes with what loading finds.
#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let text = "static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: s
          codec_typ: AUTO
          route_config: {}
          http_filters:
          - name: router
            typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
      transport_socket:
        name: tls
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates:
            - certificate_chain: {inline_string: not a certificate}
              private_key: {inline_string: hunter2}
";
    let ended = validate(text, &["--mode", "validate", "--format", "pretty"]).await;
    assert_eq!(ended.code, 1);
    for expected in [
        "\n10 |           codec_typ: AUTO\n   |           ^^^^^^^^^\n",
        "\n21 |             - certificate_chain: {inline_string: not a certificate}\n   |                                  ^\n",
        "\n22 |               private_key: {inline_string: [redacted]}\n   |                            ^\n",
        "\n3 errors; nothing was started\n",
    ] {
        assert!(ended.output.contains(expected), "{expected} in\n{}", ended.output);
    }
    assert!(!ended.output.contains("hunter2"), "{}", ended.output);
}

#[tokio::test]
async fn a_start_that_the_machine_refuses_is_shown_alike() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let text =
        format!("admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}\n");
    let ended = validate(&text, &["--format", "pretty", "-l", "off"]).await;
    assert_eq!(ended.code, 1);
    let start = format!("FILE:1:18: admin.address: cannot bind '127.0.0.1:{port}': ");
    assert!(ended.output.starts_with(&start), "{}", ended.output);
    let line = format!("\n1 | {}  |                  ^\n\n1 error; nothing was started\n", text);
    assert!(ended.output.ends_with(&line), "{}", ended.output);
}

#[test]
fn a_terminal_is_given_lines_and_colours_as_it_can_show_them() {
    fn on_terminal(columns: u16, variables: &[(&str, &str)]) -> String {
        let directory = Directory::new();
        let text = format!("node: {{id: {}, zzz: 1}}\n", "a".repeat(200));
        let file = directory.write("f.yaml", &text).display().to_string();
        let ended = run_on_terminal(PROGRAM, ["-c", &file, "--mode", "validate"], columns, variables);
        assert_eq!(ended.code, 1);
        ended.output.replace(&file, "FILE")
    }
    let expected = "\
FILE:1:214: node: unknown field \"zzz\" in envoy.config.core.v3.Node
  |
1 | ...aaaaaaaaaaaaaaaaaaaaa, zzz: 1}
  |                           ^^^

1 error; nothing was started
";
    for variables in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert_eq!(on_terminal(60, &[variables]), expected);
    }
    let coloured = on_terminal(60, &[]);
    assert!(coloured.starts_with("\u{1b}[1mFILE:1:214:\u{1b}[0m node: unknown"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[91m^^^\u{1b}[0m"), "{coloured:?}");
    assert!(on_terminal(200, &[("NO_COLOR", "")]).contains("\u{1b}[1m"), "an empty variable says nothing");
    let wide = on_terminal(300, &[("NO_COLOR", "1")]);
    assert!(wide.contains(", zzz: 1}\n") && !wide.contains("..."), "{wide}");
}

#[tokio::test]
async fn the_report_tells_by_its_exit_code_whether_all_is_supported() {
    let ended = validate("node: {id: a}", &["--report"]).await;
    let expected = "\
compatibility of 'FILE': 2 honoured, 0 without effect, 0 unsupported

Honoured
  envoy.config.bootstrap.v3.Bootstrap
    node  1:7
  envoy.config.core.v3.Node
    id  1:12
";
    check(&ended, 0, expected);
    let ended = validate("flags_path: /f", &["--report", "--allow-unsupported", "--format", "json"]).await;
    let object: Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!((ended.code, &object["summary"]["unsupported"]), (1, &json!(1)));
    assert_eq!(validate(BAD, &["--report"]).await.code, 1);
}
