use super::*;

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

fn front_proxy(line: &str) -> Result<Invocation, clap::Error> {
    Invocation::front_proxy(words(&format!("front-proxy {line}")))
}

fn sidecar(line: &str) -> Result<Invocation, clap::Error> {
    Invocation::sidecar(words(&format!("sidecar {line}")))
}

/// What `envoy --help` of 1.40 lists, without `--help`, `--version` and `--ignore_rest`.
const ENVOYS: &[&str] = &[
    "stats-tag a:b",
    "enable-core-dump",
    "socket-mode 600",
    "socket-path /s",
    "disable-extensions a,b",
    "cpuset-threads",
    "enable-mutex-tracing",
    "disable-hot-restart",
    "mode validate",
    "parent-shutdown-time-s 1",
    "drain-strategy immediate",
    "drain-time-s 1",
    "file-flush-min-size-kb 1",
    "file-flush-interval-msec 1",
    "service-zone z",
    "service-node n",
    "service-cluster c",
    "hot-restart-version",
    "restart-epoch 1",
    "log-path /l",
    "enable-fine-grain-logging",
    "log-format-escaped",
    "log-format %v",
    "component-log-level upstream:debug",
    "log-level debug",
    "local-address-ip-version v6",
    "admin-address-path /a",
    "log-stacktrace-single-entry",
    "skip-deprecated-logs",
    "ignore-unknown-dynamic-fields",
    "reject-unknown-dynamic-fields",
    "allow-unknown-static-fields",
    "allow-unknown-fields",
    "config-yaml {}",
    "config-path /c",
    "concurrency 1",
    "base-id-path /b",
    "skip-hot-restart-parent-stats",
    "skip-hot-restart-on-no-parent",
    "use-dynamic-base-id",
    "base-id 1",
];

#[test]
fn every_flag_of_envoys_is_accepted() {
    for flag in ENVOYS {
        let line = format!("--{flag}");
        assert!(front_proxy(&line).is_ok(), "{flag}: {:?}", front_proxy(&line));
        assert!(sidecar(&line).is_ok(), "{flag}: {:?}", sidecar(&line));
    }
}

#[test]
fn flags_without_effect_are_named_with_a_reason() {
    let invocation =
        front_proxy("-c x --socket-mode 600 --drain-strategy immediate --concurrency 2").unwrap();
    let flags: Vec<&str> = invocation.no_effect.iter().map(|(flag, _)| flag.as_str()).collect();
    assert_eq!(flags, ["--socket-mode", "--drain-strategy"]);
    assert!(front_proxy("-c x").unwrap().no_effect.is_empty());
}

/// Each of the flags under a heading of the help changes nothing, or makes a configuration: no other stands there.
#[test]
fn headings_of_the_help_hold_for_their_own_flags() {
    fn check(mut command: clap::Command, flags_of_its_own: &[&str]) {
        command.build();
        let under = |heading| -> Vec<&str> {
            let arguments = command.get_arguments().filter(|flag| flag.get_help_heading() == heading);
            arguments.map(|flag| flag.get_id().as_str()).collect()
        };
        assert_eq!(under(Some(NO_FILE)), flags_of_its_own);
        let no_effect = under(Some("Envoy's flags that change nothing here"));
        assert_eq!(no_effect.len(), no_effect::count(), "{no_effect:?}");
        let plain = under(None);
        assert!(plain.contains(&"help") && plain.contains(&"config_path"), "{plain:?}");
    }
    check(FrontProxy::command(), &["listen", "route", "admin", "print_config"]);
    check(Sidecar::command(), &["listen", "app", "admin", "print_config"]);
}

#[test]
fn ports_are_shared_where_a_second_envoy_could_run() {
    fn check(line: &str, expected: bool) {
        assert_eq!(front_proxy(line).unwrap().common.shares_ports(), expected, "{line}");
    }
    check("-c x", false);
    check("-c x --base-id 0 --restart-epoch 0", false);
    check("-c x --base-id 1", true);
    check("-c x --use-dynamic-base-id", true);
    check("-c x --restart-epoch 1", true);
    check("-c x --disable-hot-restart", true);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    fn check(line: &str, expected: &str) {
        let error = front_proxy(line).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}: {error}");
    }
    check("--bogus", "unexpected argument '--bogus'");
    check("--mode bogus", "possible values: serve, validate, init_only");
    check("--concurrency -1", "unexpected argument '-1'");
    check("--concurrency x", "invalid value 'x'");
    check("--listen 127.0.0.1:0", "--route <PREFIX=HOST:PORT>");
    check("--listen 127.0.0.1:0 --route /=a:1 -c f", "cannot be used with");
    check("--route /=a:1", "--listen <ADDR:PORT>");
    check("--print-config -c f", "--listen <ADDR:PORT>");
    check("--listen 127.0.0.1:0 --route a=b:1", "does not begin with a slash");
    check("--listen 127.0.0.1:0 --route /a", "expected PREFIX=HOST:PORT");
    check("--listen 127.0.0.1:0 --route /=b", "expected HOST:PORT");
    check("--listen 127.0.0.1:0 --route /=b:x", "\"x\" is not a port");
    check("--listen 127.0.0.1:0 --route /=::1:80", "write a v6 address in brackets");
    check("-c f -- app", "unrecognized subcommand 'app'");
    check("-c f config schema", "'config' cannot be used with the flags that run a proxy");
    check("app", "unrecognized subcommand 'app'");
}

#[test]
fn modes_and_levels_may_be_written_in_any_case() {
    assert_eq!(front_proxy("--mode Validate").unwrap().common.mode, Mode::Validate);
    assert_eq!(front_proxy("--mode init_only").unwrap().common.mode, Mode::InitOnly);
    assert_eq!(front_proxy("").unwrap_err().exit_code(), 2, "an empty word is no flag");
}

#[test]
fn the_version_names_the_product_and_the_api() {
    let version = front_proxy("--version").unwrap_err().to_string();
    assert!(version.starts_with("front-proxy 0.1.0 (Nuncio; "), "{version}");
    assert!(version.contains(ENVOY_VERSION));
}

#[test]
fn a_command_follows_two_dashes() {
    let invocation = sidecar("-c f -- app --flag -c g").unwrap();
    assert_eq!(invocation.command, ["app", "--flag", "-c", "g"]);
    assert_eq!(invocation.common.config_path, Some("f".into()));
}

#[test]
fn flags_stand_for_a_configuration() {
    let line =
        "--listen 127.0.0.1:8080 --route /a=one:1 --route /b=[::1]:2 --route /c=one:1 --admin 127.0.0.1:9";
    let text = front_proxy(line).unwrap().generated.unwrap();
    let bootstrap: serde_json::Value = serde_yaml::from_str(&text).unwrap();
    let at = |pointer: &str| bootstrap.pointer(pointer).unwrap().clone();
    let clusters = at("/static_resources/clusters");
    let clusters: Vec<(&str, &str)> = clusters
        .as_array()
        .unwrap()
        .iter()
        .map(|cluster| (cluster["name"].as_str().unwrap(), cluster["type"].as_str().unwrap()))
        .collect();
    assert_eq!(clusters, [("one_1", "STRICT_DNS"), ("::1_2", "STATIC")]);
    let filter = at("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config");
    let routes = &filter["route_config"]["virtual_hosts"][0]["routes"];
    assert_eq!(routes[1]["match"]["prefix"], "/b");
    assert_eq!(routes[2]["route"]["cluster"], "one_1");
    assert_eq!(at("/admin/address/socket_address/port_value"), 9);

    let text = sidecar("--listen [::]:8000 --app 127.0.0.1:8080").unwrap().generated.unwrap();
    assert!(text.contains("prefix: /\n"), "{text}");
    assert!(
        text.contains("port_value: 0\n"),
        "the admin server listens on a port of the system's choice: {text}"
    );
}

#[test]
fn the_report_has_envoys_fields_in_envoys_order() {
    let options = front_proxy("-c f.yaml --file-flush-interval-msec 1500 --concurrency 0")
        .unwrap()
        .common
        .command_line_options();
    let fields: Vec<&str> = options.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields.first(), Some(&"base_id"));
    assert_eq!(fields.last(), Some(&"log_stacktrace_single_entry"));
    assert_eq!(fields.len(), 39);
    assert_eq!(options["config_path"], "f.yaml");
    assert_eq!(options["file_flush_interval"], "1.500s");
    assert_eq!(options["drain_time"], "600s");
    assert_eq!(options["concurrency"], 1, "at least one");
    assert_eq!(options["mode"], "Serve");
}

#[test]
fn a_configuration_can_be_looked_at_in_the_place_of_running() {
    for line in ["config schema", "config convert -", "config explain Cluster"] {
        assert!(front_proxy(line).unwrap().tool.is_some(), "{line}");
        assert!(sidecar(line).unwrap().tool.is_some(), "{line}");
    }
    assert!(front_proxy("-c config").unwrap().tool.is_none());
    // Behind the two dashes stands an application, whatever its name.
    let invocation = sidecar("-c x -- config schema").unwrap();
    assert!(invocation.tool.is_none());
    assert_eq!(invocation.command, words("config schema"));
}
