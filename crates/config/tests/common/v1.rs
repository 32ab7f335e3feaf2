//! Small v1 files for the tests to break.
#![allow(dead_code, reason = "each test program uses a part")]

use nuncio_config::{LoadOptions, Source, load};

const CLUSTER: &str = r#""name": "a", "type": "static", "connect_timeout_ms": 1, "lb_type": "random", "hosts": [{"url": "tcp://127.0.0.1:1"}]"#;

/// A file whose listeners, cluster manager and further keys begin in lines 3, 5 and 7.
pub(crate) fn document(listeners: &str, manager: &str, rest: &str) -> String {
    format!(
        "{{\"admin\": {{\"access_log_path\": \"/dev/null\", \"address\": \"tcp://127.0.0.1:0\"}},\n\"listeners\": [\n\
         {listeners}\n], \"cluster_manager\": {{\n{manager}\n}}\n{rest}}}\n"
    )
}

/// Line 5 is this cluster, inside of its braces.
pub(crate) fn cluster(fields: &str) -> String {
    document("", &format!("\"clusters\": [{{\n{fields}}}]"), "").replacen("\n\"clusters", "\"clusters", 1)
}

/// Line 3 is this listener, inside of its braces.
pub(crate) fn listener(fields: &str) -> String {
    document(&format!("{{{fields}}}"), &format!("\"clusters\": [{{{CLUSTER}}}]"), "")
        .replacen("[\n{", "[{\n", 1)
}

/// Line 4 is this connection manager, inside of its braces.
pub(crate) fn manager(fields: &str) -> String {
    listener(&format!(
        "\"address\": \"tcp://127.0.0.1:0\", \"filters\": [{{\"name\": \"http_connection_manager\", \"config\": {{\n{fields}}}}}]"
    ))
}

/// Line 5 is this route, inside of its braces.
pub(crate) fn route(fields: &str) -> String {
    manager(&format!(
        "\"codec_type\": \"auto\", \"stat_prefix\": \"s\", \"filters\": [{{\"name\": \"router\", \"config\": {{}}}}], \
         \"route_config\": {{\"virtual_hosts\": [{{\"name\": \"v\", \"domains\": [\"*\"], \"routes\": [{{\n{fields}}}]}}]}}"
    ))
}

/// Line 5 is the configuration of this HTTP filter.
pub(crate) fn http_filter(name: &str, config: &str) -> String {
    manager(&format!(
        "\"codec_type\": \"auto\", \"stat_prefix\": \"s\", \"route_config\": {{\"virtual_hosts\": []}}, \
         \"filters\": [{{\"name\": \"{name}\", \"config\":\n{config}}}]"
    ))
}

/// Line 4 is the configuration of this network filter.
pub(crate) fn network_filter(name: &str, config: &str) -> String {
    listener(&format!(
        "\"address\": \"tcp://127.0.0.1:0\", \"filters\": [{{\"name\": \"{name}\", \"config\":\n{config}}}]"
    ))
}

/// The file is refused with exactly these errors.
#[track_caller]
pub(crate) fn check(text: &str, expected: &[&str]) {
    let source = Source::new("f.json", text);
    match load(&[source], &LoadOptions::default()) {
        Ok(_) => panic!("loads, but should not:\n{text}"),
        Err(errors) => {
            let shown: Vec<String> = errors.errors().iter().map(ToString::to_string).collect();
            assert_eq!(shown, expected, "\n{text}");
        }
    }
}
