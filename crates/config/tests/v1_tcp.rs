//! Routes of a v1 TCP proxy: the filter chains that they become, and those that filter chains cannot express.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

#[path = "common/v1.rs"]
mod v1;

use nuncio_config::{Format, LoadOptions, Source, convert};
use serde_json::Value;
use v1::network_filter;

/// The file becomes these chains, each as its conditions and its cluster; or it is refused with these errors.
#[track_caller]
fn check(routes: &str, expected: &[&str]) {
    let config = format!(r#"{{"stat_prefix": "s", "route_config": {{"routes": [{routes}]}}}}"#);
    let text = network_filter("tcp_proxy", &config);
    let shown = match convert(&Source::new("f.json", text), Format::Json, &LoadOptions::default()) {
        Ok(converted) => chains(&serde_json::from_str(&converted.text).unwrap()),
        Err(errors) => {
            let place = "listeners[0].filters[0].config.route_config.";
            errors.errors().iter().map(|error| error.to_string().replace(place, "")).collect()
        }
    };
    assert_eq!(shown, expected, "\n{routes}");
}

fn chains(file: &Value) -> Vec<String> {
    let listener = file.pointer("/static_resources/listeners/0").unwrap();
    let chains = listener["filter_chains"].as_array().unwrap();
    let chains = chains.iter().map(|chain| ("", chain));
    let default = listener.get("default_filter_chain").map(|chain| ("default", chain));
    let shown = chains.chain(default).map(|(kind, chain)| {
        let matches = chain.get("filter_chain_match").map(show).unwrap_or_default();
        let cluster = chain.pointer("/filters/0/typed_config/cluster").unwrap();
        format!("{kind}{matches} -> {cluster}").replace('"', "").trim_start().to_owned()
    });
    shown.collect()
}

/// The conditions without the words around them.
fn show(matches: &Value) -> String {
    let range = |range: &Value| format!("{}/{}", range["address_prefix"], range["prefix_len"]);
    let ranges = |key: &str, sign: &str| {
        let ranges = matches.get(key)?.as_array()?.iter().map(range).collect::<Vec<_>>();
        Some(format!("{sign}{}", ranges.join(",")))
    };
    let port = matches.get("destination_port").map(|port| format!(":{port}"));
    let source_ports = matches.get("source_ports").map(|ports| format!("from :{ports}"));
    let parts = [port, ranges("prefix_ranges", ""), ranges("source_prefix_ranges", "from "), source_ports];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

const OVERLAP: &str = "in a way that v3 cannot say: v1 took the first route that fits, filter chains the most specific \
                       port, then address, then source";

#[test]
fn the_first_route_that_fits() {
    // What is left goes to the default chain; Envoy does not go back to a chain without conditions.
    check(
        r#"{"cluster": "a", "destination_ports": "80", "source_ip_list": ["10.0.0.0/8"]}, {"cluster": "b"}"#,
        &[":80 from 10.0.0.0/8 -> a", "default -> b"],
    );
    // What an earlier route has taken is left out.
    check(
        r#"{"cluster": "a", "destination_ports": "80"}, {"cluster": "b", "destination_ports": "80-81"}"#,
        &[":80 -> a", ":81 -> b"],
    );
    check(
        r#"{"cluster": "a", "destination_ip_list": ["10.1.2.3/8", "10.0.0.0/8", "::1/64"]}"#,
        &["10.0.0.0/8,::/64 -> a"],
    );
    check(
        r#"{"cluster": "a", "source_ports": "1"}, {"cluster": "b", "source_ports": "1-3", "source_ip_list": []}"#,
        &["from :[1] -> a", "from :[2,3] -> b"],
    );
    // The more specific one comes first: the same in both.
    check(
        r#"{"cluster": "a", "source_ip_list": ["10.1.0.0/16"]}, {"cluster": "b", "source_ip_list": ["10.0.0.0/8"]}"#,
        &["from 10.1.0.0/16 -> a", "from 10.0.0.0/8 -> b"],
    );
    // Nothing overlaps, and Envoy need not go back.
    check(
        r#"{"cluster": "a", "source_ip_list": ["10.0.0.0/8"]}, {"cluster": "b", "source_ip_list": ["11.0.0.0/8"]}"#,
        &["from 10.0.0.0/8 -> a", "from 11.0.0.0/8 -> b"],
    );
}

#[test]
fn routes_that_filter_chains_cannot_say() {
    let check = |routes: &str, column: usize| {
        check(routes, &[&format!("f.json:4:{column}: routes[1]: overlaps routes[0] {OVERLAP}")]);
    };
    // The later one is more specific, so that Envoy would take it.
    check(
        r#"{"cluster": "a", "source_ip_list": ["10.0.0.0/8"]}, {"cluster": "b", "source_ip_list": ["10.1.0.0/16"]}"#,
        102,
    );
    // A list of sources would not be asked for port 80.
    check(
        r#"{"cluster": "a", "source_ip_list": ["10.0.0.0/8"]}, {"cluster": "b", "destination_ports": "80"}"#,
        102,
    );
    // Nothing overlaps, but from 11.0.0.0/8 to port 80 Envoy would find nothing.
    check(
        r#"{"cluster": "a", "source_ip_list": ["10.0.0.0/8"], "destination_ports": "80"}, {"cluster": "a", "source_ip_list": ["11.0.0.0/8"]}"#,
        129,
    );
    check(
        r#"{"cluster": "a", "source_ports": "1-9"}, {"cluster": "b", "destination_ip_list": ["10.0.0.0/8"]}"#,
        91,
    );
}

#[test]
fn chains_are_bounded() {
    let many = |ports: &str| format!(r#"{{"cluster": "a", "source_ports": "{ports}"}}"#);
    for (ports, count) in [("1-1024,2048-4096,12345", 3074), ("1-1024,9", 1024), ("1-4096,1-4096", 4096)] {
        let all: Vec<u16> = if count == 3074 {
            (1..=1024).chain(2048..=4096).chain([12345]).collect()
        } else {
            (1..=count).collect()
        };
        let all = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        check(&many(ports), &[&format!("from :[{all}] -> a")]);
    }
    check(
        &many("1-4097"),
        &[
            "f.json:4:83: routes[0].source_ports: more than 4096 ports have no counterpart in v3, where each is named",
        ],
    );
    check(
        r#"{"cluster": "a", "source_ports": "1-4096", "destination_ports": "1-4"}, {"cluster": "a", "destination_ports": "5"}"#,
        &[
            "f.json:4:122: routes[1]: the ports and addresses of the routes up to here make 16385 combinations; a listener may have 16384, because filter chains name each",
        ],
    );
    check(
        r#"{"cluster": "a", "destination_ports": "1-4096"}, {"cluster": "a", "destination_ports": "5000"}"#,
        &[
            "f.json:4:38: listeners[0].filters[0].config.route_config: more than 4096 filter chains would be needed for these routes",
        ],
    );
}
