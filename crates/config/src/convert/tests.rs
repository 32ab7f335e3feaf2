use std::path::PathBuf;

use prost_reflect::SerializeOptions;

use super::*;

/// What a text means, as prost-reflect writes it: an opinion of its own on what a message holds. Messages are not
/// compared themselves, because in the bytes of an `Any` a zero that was given differs from one that was not.
fn meaning(name: &str, text: &str) -> serde_json::Value {
    let options = LoadOptions::default();
    let source = Source::new(name, text);
    let tree =
        parse_source(&source, &options.limits).unwrap_or_else(|error| panic!("{}\n{text}", error.message));
    let descriptor = nuncio_api::descriptors().get_message_by_name(BOOTSTRAP).unwrap();
    let mut issues = Issues::default();
    let upgraded =
        v1::is_v1(&tree).then(|| v1::upgrade(&tree, &Arc::from(name), &options.limits, &mut issues));
    let tree = upgraded.as_ref().unwrap_or(&tree);
    let message = walk(&descriptor, None, tree, &Arc::from(name), &options, &mut issues);
    assert!(!issues.has_errors(), "{}\n{text}", issues.into_errors(&[]));
    let options = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(true);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
}

#[track_caller]
fn converted(name: &str, text: &str, format: Format) -> String {
    match convert(&Source::new(name, text), format, &LoadOptions::default()) {
        Ok(converted) => converted.text,
        Err(errors) => panic!("{errors}\n{text}"),
    }
}

/// Notes are comments, and comments are not read.
fn without_notes(yaml: &str) -> String {
    yaml.split_inclusive('\n').filter(|line| !line.trim_start().starts_with("# ")).collect()
}

/// The result means the same, and converting it again changes nothing.
#[track_caller]
fn check_faithful(name: &str, text: &str) -> String {
    let yaml = converted(name, text, Format::Yaml);
    let json = converted(name, text, Format::Json);
    let meant = meaning(name, text);
    assert_eq!(meant, meaning("again.json", &json), "{text}\n{json}");
    assert_eq!(converted("again.json", &json, Format::Json), json);
    // YAML cannot say all that a JSON file says, and then has a note.
    if !yaml.contains("# A number in the JSON file.") {
        assert_eq!(meant, meaning("again", &yaml), "{text}\n{yaml}");
        // Other readers of YAML see the same in it.
        let read: serde_json::Value =
            serde_yaml::from_str(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        assert_eq!(read, serde_json::from_str::<serde_json::Value>(&json).unwrap(), "{yaml}");
        let again = converted("again", &yaml, Format::Yaml);
        if again != yaml {
            assert_eq!(again, without_notes(&yaml));
        }
    }
    yaml
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let yaml = check_faithful("f", text);
    assert_eq!(yaml, expected, "\n{yaml}");
}

fn check_cluster(fields: &str, expected: &str) {
    let text = format!("static_resources: {{clusters: [{{name: c, {fields}}}]}}");
    check(&text, &format!("static_resources:\n  clusters:\n  - name: c\n{expected}"));
}

#[test]
fn a_bootstrap_takes_its_canonical_form() {
    check("{}", "{}\n");
    check("static_resources: {}", "static_resources: {}\n");
    // Names, single values as lists, nulls, what is to be ignored, aliases, and the order of fields.
    check(
        "!ignore x: &address {socketAddress: {portValue: 0x50, address: 10.0.0.1}}\n\
         staticResources:\n  listeners:\n    address: *address\n    name: l\n    stat_prefix: null\n    \
         filterChains: [[{}]]\n",
        "static_resources:\n  listeners:\n  - name: l\n    address:\n      socket_address:\n        \
         address: 10.0.0.1\n        port_value: 80\n    filter_chains:\n    - {}\n",
    );
    // Enum values; those at zero are the default, but not where they are a member of a oneof.
    check_cluster("lb_policy: round_robin, dns_lookup_family: v4_only", "    dns_lookup_family: V4_ONLY\n");
    check_cluster("lb_policy: '5'", "    lb_policy: MAGLEV\n");
    check_cluster("lb_policy: 77", "    lb_policy: 77\n");
    check_cluster("type: static", "    type: STATIC\n");
    // Wrappers and messages with presence stay.
    check_cluster(
        "per_connection_buffer_limit_bytes: '0', http2_protocol_options: {}, respect_dns_ttl: no",
        "    per_connection_buffer_limit_bytes: 0\n    http2_protocol_options: {}\n",
    );
    // Durations.
    for (written, canonical) in [
        ("1s", "1s"),
        ("1.50s", "1.500s"),
        ("0.0001s", "0.000100s"),
        ("0.000000001s", "0.000000001s"),
        ("-0.5s", "\"-0.500s\""),
        ("{seconds: 90}", "90s"),
        ("0s", "0s"),
        ("{seconds: 1, nanos: -5}", "\n      seconds: 1\n      nanos: -5"),
    ] {
        let gap = if canonical.starts_with('\n') { "" } else { " " };
        check_cluster(
            &format!("connect_timeout: {written}"),
            &format!("    connect_timeout:{gap}{canonical}\n"),
        );
    }
    // Numbers with a fraction.
    for (written, canonical) in
        [("0.10", "0.1"), ("5e1", "50"), ("1e300", "1e+300"), ("'Infinity'", "Infinity")]
    {
        check_cluster(
            &format!("common_lb_config: {{healthy_panic_threshold: {{value: {written}}}}}"),
            &format!("    common_lb_config:\n      healthy_panic_threshold:\n        value: {canonical}\n"),
        );
    }
}

#[test]
fn payloads_have_their_full_type() {
    const CARES: &str =
        "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig";
    let expected = format!(
        "typed_dns_resolver_config:\n  name: x\n  typed_config:\n    \"@type\": {CARES}\n    udp_max_queries: 5\n"
    );
    let plain = format!("{{udp_max_queries: 5, '@type': {}}}", CARES.replace("type.googleapis.com", "any"));
    let in_struct =
        format!("{{'@type': t/xds.type.v3.TypedStruct, type_url: {CARES}, value: {{udpMaxQueries: '5'}}}}");
    for config in [plain, in_struct] {
        check(&format!("typed_dns_resolver_config: {{typed_config: {config}, name: x}}"), &expected);
    }
    // A type of google.protobuf stands under `value`, and one that is not known stays empty.
    check(
        "typed_dns_resolver_config: {name: x, typed_config: {'@type': t/google.protobuf.Duration, value: 1.5s}}",
        "typed_dns_resolver_config:\n  name: x\n  typed_config:\n    \
         \"@type\": type.googleapis.com/google.protobuf.Duration\n    value: 1.500s\n",
    );
    assert_eq!(
        converted("f", "typed_dns_resolver_config: {name: x, typed_config: {}}", Format::Yaml),
        "typed_dns_resolver_config:\n  name: x\n  typed_config: {}\n",
    );
    // The name alone is enough for the router of the first files.
    let manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let filters = |filters: &str| {
        format!("filters: {{name: m, typed_config: {{'@type': {manager}, http_filters: {filters}}}}}")
    };
    let yaml = check_faithful(
        "f",
        &format!(
            "static_resources: {{listeners: {{filter_chains: {{{}}}}}}}",
            filters("{name: envoy.router}")
        ),
    );
    assert!(
        yaml.ends_with(
            "- name: envoy.router\n            typed_config:\n              \
             \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router\n"
        ),
        "{yaml}"
    );
}

#[test]
fn free_form_data_keeps_its_types() {
    check(
        "node:\n  metadata:\n    b: [1, [two, []], {}, null, yes, 'no', '1', 1.5, 4294967296, -1]\n    \
         a: {'x y': 0, '': 1, 'true': 2, '1.5': 3, '@a': 4}\n",
        "node:\n  metadata:\n    a:\n      \"\": 1\n      \"1.5\": 3\n      \"@a\": 4\n      \"true\": 2\n      \
         x y: 0\n    b:\n    - 1\n    - - two\n      - []\n    - {}\n    - null\n    - true\n    - \"no\"\n    \
         - \"1\"\n    - \"1.5\"\n    - \"4294967296\"\n    - -1\n",
    );
}

#[test]
fn what_yaml_cannot_say_is_noted() {
    let text = "{\"node\": {\"metadata\": {\"list\": [1.5, 2], \"a.b\": 1e12}}}";
    let yaml = check_faithful("f.json", text);
    let note = "# A number in the JSON file. YAML in Envoy has only integers of 32 bits in free-form data, so this one is\n    \
                # text here.";
    assert_eq!(
        yaml,
        format!(
            "node:\n  metadata:\n    {note}\n    a.b: \"1000000000000.0\"\n    list:\n    {note}\n    - \"1.5\"\n    - 2\n"
        )
    );
    assert_eq!(
        converted("f.json", text, Format::Json),
        "{\n  \"node\": {\n    \"metadata\": {\n      \"a.b\": 1000000000000.0,\n      \"list\": [\n        1.5,\n        2\n      ]\n    }\n  }\n}\n"
    );
}

#[test]
fn what_the_upgrade_from_v1_loses_is_noted_where_it_went() {
    let text = r#"{
        "listeners": [{"address": "tcp://127.0.0.1:80", "filters": [{"name": "http_connection_manager", "config": {
            "codec_type": "auto", "stat_prefix": "s", "filters": [{"name": "router", "config": {}}],
            "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
                {"prefix": "/a", "cluster": "c"},
                {"prefix": "/b", "cluster": "c", "use_websocket": true}
            ]}]}
        }}]}],
        "admin": {"access_log_path": "/dev/null", "address": "tcp://127.0.0.1:81"},
        "cluster_manager": {"clusters": [{
            "name": "c", "type": "logical_dns", "connect_timeout_ms": 250, "lb_type": "round_robin",
            "hosts": [{"url": "tcp://a:1"}, {"url": "tcp://b:1"}]
        }]},
        "rate_limit_service": {"type": "grpc_service", "config": {"cluster_name": "c"}}
    }"#;
    let yaml = check_faithful("old.json", text);
    let mut notes: Vec<(String, &str)> = vec![(String::new(), "")];
    for line in yaml.lines().map(str::trim_start) {
        let (note, before) = notes.last_mut().unwrap();
        match line.strip_prefix("# ") {
            Some(part) => *note = format!("{note} {part}").trim_start().to_owned(),
            None if !note.is_empty() => {
                *before = line;
                notes.push((String::new(), ""));
            }
            None => {}
        }
    }
    notes.pop();
    let warnings =
        convert(&Source::new("old.json", text), Format::Yaml, &LoadOptions::default()).unwrap().warnings;
    let expected = [
        // There is no counterpart before a filter uses it.
        ("rate_limit_service", "static_resources:"),
        ("use_websocket", "upgrade_configs:"),
        ("hosts", "load_assignment:"),
    ];
    assert_eq!((notes.len(), warnings.len()), (expected.len(), expected.len()), "{yaml}");
    for ((note, before), (old, now)) in notes.iter().zip(expected) {
        let warning = warnings.iter().find(|warning| warning.place.path.ends_with(old)).unwrap();
        assert_eq!(note[1..], format!("{}.", &warning.message[1..]));
        assert_eq!(*before, now, "{note}");
    }
    let json = convert(&Source::new("old.json", text), Format::Json, &LoadOptions::default()).unwrap();
    assert_eq!(json.warnings.len(), 3);
    assert!(!json.text.contains('#'));
}

#[test]
fn notes_stand_where_they_belong() {
    let mut notes = Notes::new();
    for (path, note) in [
        ("a[0]", "the item"),
        ("a[0].b", "its field"),
        ("a[1][0]", "the inner item"),
        ("gone", "not there"),
        ("m[\"k\"].x", "under a key"),
    ] {
        notes.insert(yaml::note_key(path), vec![note.to_owned()]);
    }
    let value = serde_json::json!({"a": [{"b": 1, "c": 2}, ["d"]], "m": {"k": {"x": true}}});
    assert_eq!(
        yaml::write(&value, &notes),
        "# gone: not there\na:\n# the item\n# its field\n- b: 1\n  c: 2\n# the inner item\n- - d\nm:\n  k:\n    \
         # under a key\n    x: true\n"
    );
}

#[test]
fn every_text_comes_back_as_it_was() {
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIC\nAB==\n-----END CERTIFICATE-----\n";
    let texts = [
        "plain",
        "two words",
        " led",
        "trailed ",
        "a: b",
        "a #b",
        "a:",
        ":a",
        "#",
        "*",
        "&a",
        "!x",
        "%",
        "@",
        "`",
        "-",
        "- a",
        "?",
        "{",
        "[",
        "]",
        ",",
        "|",
        ">",
        "'",
        "\"",
        "\\",
        "a\\nb",
        "yes",
        "NO",
        "y",
        "on",
        "True",
        "null",
        "~",
        "Null",
        "1",
        "-1",
        "0x1F",
        "0644",
        "1.5",
        "1e3",
        ".5",
        ".inf",
        ".nan",
        "0o17",
        "1_000",
        "12:30:45",
        "2001-12-14",
        "=",
        "<<",
        "0.25s",
        "1s",
        "s",
        ".s",
        "1.2.3s",
        "127.0.0.1",
        "::1",
        "localhost:80",
        "https://example.com/a?b=c&d",
        "%START_TIME%\n",
        "\n",
        "\n\n",
        "\na",
        "a\n",
        "a\n\n",
        "a\n\nb",
        "a\n ",
        "a\n b\n",
        " a\nb",
        "\ta\nb",
        "a\n\tb",
        "a\r\nb",
        "a\u{85}b",
        "a\u{2028}b\n",
        "a\u{feff}\nb",
        "\u{0}",
        "\u{7f}",
        "\u{1b}[1m",
        "ü",
        "日本\n語",
        "🦀",
        "---",
        "---\n",
        "...\n",
        "a\n---\nb\n",
        "# a\n# b\n",
        "a: b\nc: d\n",
        "- a\n- b",
        "NaN",
        "Infinity",
        "tab\there",
        "e10",
        "_",
        "/",
        "//",
        "+1",
        "a  b",
        "\u{a0}",
        "\u{a0}\n",
        "a\n\u{a0}\nb",
        certificate,
    ];
    for text in texts {
        // JSON lets DEL stand as it is, YAML does not.
        let quoted = serde_json::to_string(text).unwrap().replace('\u{7f}', "\\u007f");
        for whole in [
            format!("{{\"node\": {{\"id\": {quoted}, \"cluster\": \"x\"}}}}"),
            format!("{{\"node\": {{\"client_features\": [{quoted}, {quoted}]}}}}"),
            format!("{{\"node\": {{\"metadata\": {{{quoted}: [[{quoted}]], \"x\": {{\"y\": {quoted}}}}}}}}}"),
        ] {
            check_faithful("f", &whole);
        }
    }
    check(
        &format!("node: {{id: {}}}", serde_json::to_string(certificate).unwrap()),
        "node:\n  id: |\n    -----BEGIN CERTIFICATE-----\n    MIIC\n    AB==\n    -----END CERTIFICATE-----\n",
    );
    check(
        "node: {id: \"a\\nb\", cluster: \"a\\n\\n\"}",
        "node:\n  id: |-\n    a\n    b\n  cluster: |+\n    a\n\n",
    );
}

#[test]
fn whatever_is_unreadable_is_an_error() {
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let errors = convert(&Source::new("f", text), Format::Yaml, &LoadOptions::default()).unwrap_err();
        let shown: Vec<String> = errors.errors().iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected);
    }
    check("a: [", &["f:1:4: not valid YAML: unclosed bracket '['"]);
    check(
        "node: {idd: x}\nadmin: {address: 7}",
        &[
            "f:1:8: node: unknown field \"idd\" in envoy.config.core.v3.Node (did you mean \"id\"?)",
            "f:2:18: admin.address: expected a map with the fields of envoy.config.core.v3.Address, found the number 7",
        ],
    );
}

#[test]
fn secrets_are_kept_and_not_shown() {
    let source = Source::new("f", "node: {id: \"secret\"}");
    let converted = convert(&source, Format::Yaml, &LoadOptions::default()).unwrap();
    assert!(converted.text.contains("secret"));
    assert!(!format!("{converted:?}").contains("secret"));
}

#[test]
fn files_mean_the_same_after_conversion() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut seen = 0;
    for folder in ["fixtures/config", "fixtures/config/v1", "../shared/seeds"] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy();
            if name.ends_with(".yaml") || name.ends_with(".json") {
                let text = std::fs::read_to_string(&path).unwrap();
                if text.contains("clusters") {
                    seen += 1;
                    let name = path.display().to_string();
                    let yaml = check_faithful(&name, &text);
                    assert_eq!(text.contains("PRIVATE KEY"), yaml.contains("PRIVATE KEY"), "{name}");
                    assert!(!yaml.contains("\\n"), "{name}: a certificate in quotes is hard to read");
                }
            }
        }
    }
    assert!(seen >= 4);
}
