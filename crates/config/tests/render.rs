//! What a mistake looks like on a terminal, to the letter, and that no secret is ever in it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use common::{TLS, cluster, listener, load_text, routes};
use nuncio_config::{
    LoadOptions, Source, load,
    render::{Problem, Renderer, in_order, json},
};

/// All problems of the text.
fn shown(text: &str, width: usize) -> String {
    let sources = [Source::new("f", text)];
    let renderer = Renderer::new(&sources).width(width);
    let show =
        |problems: Vec<Problem<'_>>| problems.iter().map(|problem| renderer.problem(problem)).collect();
    match load(&sources, &LoadOptions::default()) {
        Ok(loaded) => show(in_order(&sources, &[], &loaded.warnings)),
        Err(errors) => show(in_order(&sources, errors.errors(), errors.warnings())),
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(shown(text, 100).replace(" \n", "\n"), expected, "\n{text}");
}

#[test]
fn the_line_and_a_caret_under_the_place() {
    // A key, with what was meant.
    check(
        &cluster("connect_timeot: 1s"),
        "f:4:5: static_resources.clusters[0]: unknown field \"connect_timeot\" in envoy.config.cluster.v3.Cluster \
         (did you mean \"connect_timeout\"?)\n  |\n4 |     connect_timeot: 1s\n  |     ^^^^^^^^^^^^^^\n",
    );
    // A value.
    check(
        &cluster("connect_timeout: 5 # seconds"),
        "f:4:22: static_resources.clusters[0].connect_timeout: expected a duration in seconds such as 1.5s, found \
         the number 5 (did you mean \"5s\"?)\n  |\n4 |     connect_timeout: 5 # seconds\n  |                      ^\n",
    );
    // The start of a map, of a list, and of a value of several lines.
    check(
        &cluster("connect_timeout: {a: 1}"),
        "f:4:23: static_resources.clusters[0].connect_timeout: unknown field \"a\" in google.protobuf.Duration\n  |\n\
         4 |     connect_timeout: {a: 1}\n  |                       ^\n",
    );
    check(
        &cluster("alt_stat_name: [a]"),
        "f:4:20: static_resources.clusters[0].alt_stat_name: expected a string, found a list\n  |\n\
         4 |     alt_stat_name: [a]\n  |                    ^\n",
    );
    check(
        &cluster("connect_timeout: |\n  five\n  seconds"),
        "f:5:7: static_resources.clusters[0].connect_timeout: expected a duration in seconds such as 1.5s, found the \
         string \"five\\nseconds\\n\"\n  |\n5 |       five\n  |       ^\n",
    );
    // Text that does not parse.
    check(
        "static_resources:\n  clusters: [{name: a}\n",
        "f:2:13: not valid YAML: unclosed bracket '['\n  |\n2 |   clusters: [{name: a}\n  |             ^\n",
    );
    // A warning.
    check(
        &cluster("type: STATIC\nhealth_checks: []\nuse_tcp_for_dns_lookups: true"),
        "f:6:30: warning: static_resources.clusters[0].use_tcp_for_dns_lookups: \"use_tcp_for_dns_lookups\" is \
         deprecated in Envoy's API\n  |\n6 |     use_tcp_for_dns_lookups: true\n  |                              ^^^^\n",
    );
}

#[test]
fn columns_are_right_whatever_stands_before() {
    // Tabs, letters of two columns, letters that combine, carriage returns.
    check(
        "{\t\"日本\":\t1}",
        "f:1:3: unknown field \"日本\" in envoy.config.bootstrap.v3.Bootstrap\n  |\n\
         1 | {    \"日本\":    1}\n  |      ^^^^^^\n",
    );
    check(
        "{node: {id: \"語e\u{301}\", zone: 1}}\r\n",
        "f:1:20: node: unknown field \"zone\" in envoy.config.core.v3.Node\n  |\n\
         1 | {node: {id: \"語e\u{301}\", zone: 1}}\n  |                    ^^^^\n",
    );
}

#[test]
fn long_lines_are_cut_around_the_place() {
    let text = format!("{{node: {{id: {}, zone: b, cluster: {}}}}}", "a".repeat(5000), "c".repeat(5000));
    let shown = shown(&text, 60);
    assert_eq!(
        shown.lines().skip(1).collect::<Vec<_>>(),
        [
            "  |",
            "1 | ...aaaaaaaaaaaaaaaaaaaaa, zone: b, cluster: ccccccccc...",
            "  |                           ^^^^"
        ],
        "{shown}"
    );
    for line in shown.lines().skip(1) {
        assert!(line.chars().count() <= 60, "{line}");
    }
}

#[test]
fn colours_and_what_would_steer_a_terminal() {
    let sources = [Source::new("f", "{\"a\\u001b[31m\": 1, \u{7f}b: 2}")];
    let errors = load(&sources, &LoadOptions::default()).unwrap_err();
    let coloured = Renderer::new(&sources).coloured(true);
    let shown: String = errors.errors().iter().map(|error| coloured.problem(&error.into())).collect();
    assert!(shown.starts_with("\u{1b}[1mf:1:"), "{shown:?}");
    assert!(!shown.contains("\u{1b}[31m") && !shown.contains('\u{7f}'), "{shown:?}");
    // Not even the name of the file.
    let sources = [Source::new("f\u{1b}[31m", "a: 1")];
    let errors = load(&sources, &LoadOptions::default()).unwrap_err();
    let shown = Renderer::new(&sources).problem(&(&errors.errors()[0]).into());
    assert!(shown.starts_with("f\u{fffd}[31m:1:1: unknown") && !shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn a_place_is_a_range_of_bytes() {
    let text = "# 日本\r\nnode: {id: \"語\", zóne: 1}\r\n";
    let errors = load_text(text).unwrap_err();
    let place = &errors.errors()[0].place;
    assert_eq!((place.line, place.column, place.width), (2, 17, 4));
    assert_eq!(&text[place.byte_range(text).unwrap()], "zóne");
    assert_eq!(place.byte_range("one line"), None);
    assert_eq!(nuncio_config::model::Place::generated("a").byte_range(text), None);
}

/// A text with `SECRET` in it must be refused or warned about, and never shown with it.
#[track_caller]
fn check_secret(text: &str, expected: &str) {
    let text = text.replace("PRIVATE", "-----BEGIN PRIVATE KEY-----SECRET-----END PRIVATE KEY-----");
    let shown = shown(&text, 200);
    assert!(!shown.contains("SECRET") && !shown.contains("T-----END"), "{shown}\n{text}");
    assert!(shown.contains(expected), "expected {expected:?} in:\n{shown}\n{text}");
}

#[test]
fn secrets_are_masked() {
    let tls = |certificate: &str| {
        listener(
            "",
            &format!(
                "transport_socket:\n  name: t\n  typed_config:\n    '@type': {TLS}\n    common_tls_context:\n      \
                 tls_certificates: {certificate}\nfilters: []"
            ),
        )
    };
    // In a flow map, on the line of the mistake, before and behind it.
    let before = tls("[{private_key: {inline_string: SECRET}, certificat_chain: 1}]");
    check_secret(
        &before,
        "tls_certificates: [{private_key: {inline_string: [redacted]}, certificat_chain: 1}]",
    );
    let behind = tls("[{certificat_chain: 1, privateKey: {inlineBytes: \"U0VDUkVUSECRET==\"}}]");
    check_secret(&behind, "tls_certificates: [{certificat_chain: 1, privateKey: {inlineBytes: [redacted]}}]");
    // The secret itself is wrong: the key twice, something else than a map, a mistyped name, the name of another field.
    check_secret(
        &tls("[{private_key: {inline_string: SECRET1}, private_key: {inline_string: SECRET2}}]"),
        "[{private_key: {inline_string: [redacted]}, private_key: {inline_string: [redacted]}}]",
    );
    check_secret(&tls("[{private_key: SECRET}]"), "[{private_key: [redacted]}]");
    check_secret(
        &tls("[{privat_key: {inline_string: SECRET}}]"),
        "[{privat_key: {inline_string: [redacted]}}]",
    );
    check_secret(&tls("[{key: {inline_string: PRIVATE}}]"), "[{key: {inline_string: [redacted]}}]");
    check_secret(
        &tls("[{private_key: {inline_strin: SECRET}}]"),
        "[{private_key: {inline_strin: [redacted]}}]",
    );
    check_secret(
        &tls("[{private_key: {inline_string, SECRET}}]"),
        "[{private_key: {inline_string, [redacted]}}]",
    );
    check_secret(&tls("[{private_key: {inline_string: SECRET}, x: 1}] # SECRET"), "x: 1}] [redacted]");
    check_secret(
        &tls("[{password: {inline_string: 'SECRET'}, x: 1}]"),
        "[{password: {inline_string: [redacted]}, x",
    );
    // Where the file is that has the secret is none.
    check_secret(
        &tls("[{private_key: {filename: /no/such}, x: 1}]"),
        "[{private_key: {filename: /no/such}, x: 1}]",
    );
    // In a block scalar: any line of it.
    let block = cluster("x:\n  private_key:\n    inline_string: |\n      SECRET\n      SECRET\ny: 1");
    check_secret(&block, "y: 1");
    let block = cluster("connect_timeout: {private_key: {inline_string: SECRET}}");
    check_secret(&block, "{private_key: {inline_string: [redacted]}}");
    check_secret(&cluster("connect_timeout: |\n    PRIVATE\n    PRIVATE"), "5 |         [redacted]\n");
    // What secrets are called elsewhere, and headers that carry them, whichever comes first.
    check_secret(&cluster("x: {api_key: SECRET, x: 1}"), "{api_key: [redacted], x: 1}");
    check_secret(
        &cluster("x: {token: [SECRET], cookie: {name: a}}"),
        "{token: [[redacted]], cookie: {name: a}}",
    );
    check_secret(
        &cluster(
            "x: [{key: Authorization, value: SECRET}, {value: SECRET, key: cookie}, {key: a, value: b}]",
        ),
        "[{key: Authorization, value: [redacted]}, {value: [redacted], key: cookie}, {key: a, value: b}]",
    );
    check_secret(
        &cluster("x: {name: x-api-key, string_match: {exact: SECRET}}"),
        "{name: x-api-key, string_match: {exact: [redacted]}}",
    );
    let cookie = "typed_extension_protocol_options: {a: {'@type': type.googleapis.com/envoy.config.route.v3.RouteAction, \
                  hash_policy: [{cookie: SECRET}]}}";
    check_secret(&cluster(cookie), "found a value that is not shown");
    check_secret(&cluster(cookie), "{cookie: [redacted]}");
    // Behind an anchor, used by an alias, also in a value that is dropped.
    let anchored = "!ignore k: {a: [&key SECRET, &map {b: SECRET}], listenrs: 1, x: {password: *key, secret: *map}}\na: 1";
    check_secret(anchored, "a: 1");
    let anchored = "{a: &key SECRET, password: {inline_string: *key}}";
    check_secret(anchored, "{a: &key [redacted], password: {inline_string: *key}}");
    let anchored = "{a: &k SECRET, b: &l [*k, {c: SECRET}], !ignore d: {session_token: *l}}";
    check_secret(anchored, "{a: &k [redacted], b: &l [*k, {[redacted]: [redacted]}], ");
    let named = "{&name password: 1, b: {*name : SECRET}}";
    check_secret(named, "{&name password: [redacted], b: {*name : [redacted]}}");
}

#[test]
fn of_text_that_does_not_parse_no_line_with_a_secret_is_shown() {
    #[track_caller]
    fn check(text: &str, is_shown: bool) {
        let shown = shown(text, 100);
        assert!(!shown.contains("SECRET"), "{shown}");
        assert_eq!(shown.contains("\n  |\n"), is_shown, "{shown}\n{text}");
        assert_eq!(shown.contains("\n  (its line is not shown: "), !is_shown, "{shown}\n{text}");
    }
    check("a: [1\nb: 2", true);
    check("a: [users\nb: 2", true);
    check("a: [1\nusers: SECRET", false);
    check("a: [private_key\nb: 'SECRET'", false);
    check("password: {inline_string: SECRET", false);
    check("{\"passw\\u006frd\": {\"inline_string\": \"SECRET\"", false);
    check("{\"privateKey\" : \"SECRET\"", false);
    check("? privat_key\n: SECRET\nb: [", false);
    check("a: 1\n--- {password: SECRET}", true);
    check("a: |\n  -----BEGIN PRIVATE KEY-----\n SECRET\nb: 2", false);
    check("a: &a [SECRET, {password: *a}]\nb: 1", false);
    check("a: &a [&b [SECRET, *a], {password: *b}]\nb: 1", false);
    // Too deep to be read is not parsed either.
    check(&format!("{}1{}", "[".repeat(200), "]".repeat(200)), true);
    check(&format!("{{password: SECRET, a: {}1{}}}", "[".repeat(200), "]".repeat(200)), false);
}

/// A key put into each place of a file with a mistake on each line.
#[test]
fn a_secret_is_masked_wherever_lines_break() {
    let forms = [
        "private_key: {inline_string: SECRET}",
        "private_key: {inline_string: \"SECRET\n      SECRET\"}",
        "private_key:\n      inline_string: >-\n        SECRET\n        SECRET",
        "private_key:\n      - SECRET\n      - [SECRET, {a: SECRET}]",
        "\"private_key\":\n      SECRET\n      SECRET",
        "private_key: !!str SECRET",
        "private_key: &a SECRET",
        "'private_key': {inline_bytes: !!binary SECRET}",
    ];
    for form in forms {
        for line_end in ["\n", "\r\n"] {
            let text = cluster(&format!("typo: 1\n{form}\ntypo2: 1")).replace('\n', line_end);
            let sources = [Source::new("f", text.as_str())];
            let renderer = Renderer::new(&sources);
            let errors = load_text(&text).unwrap_err();
            let mut place = errors.errors()[0].place.clone();
            for line in 1..=text.lines().count() as u32 {
                for column in 1..60 {
                    (place.line, place.column, place.width) = (line, column, 9);
                    let problem = Problem { place: &place, ..(&errors.errors()[0]).into() };
                    let shown = renderer.problem(&problem);
                    assert!(!shown.contains("SEC") && !shown.contains("RET"), "{shown}\n{text}");
                    assert!(shown.contains(" | "), "{shown}");
                }
            }
        }
    }
}

#[test]
fn the_object_for_programs() {
    let text = cluster("connect_timeot: 1s\nuse_tcp_for_dns_lookups: true");
    let errors = load_text(&text).unwrap_err();
    let expected = serde_json::json!({
        "version": 1,
        "file": "f",
        "errors": [{
            "kind": "unknown",
            "place": {"file": "f", "line": 4, "column": 5, "end_column": 19},
            "path": "static_resources.clusters[0]",
            "message": "unknown field \"connect_timeot\" in envoy.config.cluster.v3.Cluster (did you mean \
                        \"connect_timeout\"?)",
        }],
        "warnings": [{
            "kind": "deprecated",
            "place": {"file": "f", "line": 5, "column": 30, "end_column": 34},
            "path": "static_resources.clusters[0].use_tcp_for_dns_lookups",
            "message": "\"use_tcp_for_dns_lookups\" is deprecated in Envoy's API",
        }],
        "summary": {
            "valid": false, "errors": 1, "warnings": 1, "listeners": null, "clusters": null, "routes": null
        },
    });
    assert_eq!(json("f", Err(&errors)), expected);
    let loaded = load_text(&routes("- match: {prefix: /}\n  route: {cluster: a}")).unwrap();
    let summary = serde_json::json!({
        "valid": true, "errors": 0, "warnings": 0, "listeners": 1, "clusters": 2, "routes": 1
    });
    assert_eq!(json("f", Ok(&loaded))["summary"], summary);
}
