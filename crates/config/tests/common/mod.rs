//! Small files for the tests to break.
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::Path;

use nuncio_config::{ConfigErrors, LoadOptions, Loaded, Source, load};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A bootstrap with one cluster that has `fields` besides its name.
pub(crate) fn cluster(fields: &str) -> String {
    format!("static_resources:\n  clusters:\n  - name: c\n{}", indent(fields, 4))
}

/// A bootstrap with one listener whose HTTP connection manager has `fields` besides what it must have.
pub(crate) fn manager(fields: &str) -> String {
    listener(
        "",
        &format!(
            "filters:\n- name: hcm\n  typed_config:\n    \"@type\": {HCM}\n    stat_prefix: s\n    route_config: {{}}\n    \
             http_filters: [{{name: router, typed_config: {{\"@type\": {ROUTER}}}}}]\n{}",
            indent(fields, 4)
        ),
    )
}

/// A bootstrap with one listener with `fields` and one filter chain with `chain`.
pub(crate) fn listener(fields: &str, chain: &str) -> String {
    format!(
        "static_resources:\n  listeners:\n  - address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}\n{}    \
         filter_chains:\n    -\n{}",
        indent(fields, 4),
        indent(chain, 6)
    )
}

/// A bootstrap with one listener with these routes and the clusters `a` and `b`.
pub(crate) fn routes(routes: &str) -> String {
    let filters = format!(
        "filters:\n- name: hcm\n  typed_config:\n    \"@type\": {HCM}\n    stat_prefix: s\n    \
         http_filters: [{{name: router, typed_config: {{\"@type\": {ROUTER}}}}}]\n    route_config:\n      \
         virtual_hosts:\n      - name: v\n        domains: ['*']\n        routes:\n{}",
        indent(routes, 8)
    );
    format!("{}  clusters: [{{name: a}}, {{name: b}}]\n", listener("", &filters))
}

pub(crate) const HCM: &str =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
pub(crate) const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
pub(crate) const TLS: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";

fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

pub(crate) fn load_text(text: &str) -> Result<Loaded, ConfigErrors> {
    load_with(text, &LoadOptions::default())
}

pub(crate) fn load_with(text: &str, options: &LoadOptions<'_>) -> Result<Loaded, ConfigErrors> {
    load(&[Source::new("f", text)], options)
}

/// The file must be refused with exactly these errors.
#[track_caller]
pub(crate) fn check_errors(text: &str, expected: &[&str]) {
    check_errors_with(text, &LoadOptions::default(), expected);
}

#[track_caller]
pub(crate) fn check_errors_with(text: &str, options: &LoadOptions<'_>, expected: &[&str]) {
    match load_with(text, options) {
        Ok(_) => panic!("loads, but should not:\n{text}"),
        Err(errors) => {
            let shown: Vec<String> = errors.errors().iter().map(ToString::to_string).collect();
            assert_eq!(shown, expected, "\n{text}");
        }
    }
}

/// The file must load.
#[track_caller]
pub(crate) fn check_loads(text: &str) -> Loaded {
    load_text(text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// The file must load and its dump have this JSON at the pointer.
#[track_caller]
pub(crate) fn check_json(text: &str, pointer: &str, expected: &str) {
    let json = check_loads(text).document.bootstrap_json();
    let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
    assert_eq!(json.pointer(pointer).unwrap_or(&serde_json::Value::Null), &expected, "{pointer}\n{text}");
}
