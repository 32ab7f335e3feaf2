use std::{sync::Arc, time::Instant};

use nuncio_service::Connection;

use super::*;

fn rules() -> HeaderRules {
    HeaderRules {
        server_name: HeaderValue::from_static("envoy"),
        server_header: ServerHeaderTransformation::Overwrite,
        generate_request_id: true,
        preserve_external_request_id: false,
        use_remote_address: false,
        xff_num_trusted_hops: 0,
        skip_xff_append: false,
    }
}

fn info() -> StreamInfo {
    let connection = Connection {
        remote_address: "192.0.2.7:1234".parse().unwrap(),
        local_address: "127.0.0.1:80".parse().unwrap(),
        tls: None,
    };
    StreamInfo::new(Instant::now(), Arc::new(connection), Version::HTTP_11)
}

fn map(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers
            .append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// The headers as lines, with the value of a fresh request id and of the date left out.
fn lines(headers: &HeaderMap) -> Vec<String> {
    headers
        .iter()
        .map(|(name, value)| match name.as_str() {
            "x-request-id" if value.len() == 36 => "x-request-id: (new)".to_owned(),
            "date" if value.as_bytes().ends_with(b"GMT") => "date: (now)".to_owned(),
            name => format!("{name}: {}", value.to_str().unwrap()),
        })
        .collect()
}

#[track_caller]
fn check_request(rules: &HeaderRules, given: &[&str], expected: &[&str]) {
    let mut headers = map(given);
    edit_request(&mut headers, rules, &mut info());
    assert_eq!(lines(&headers), expected);
}

#[track_caller]
fn check_response(rules: &HeaderRules, close: bool, given: &[&str], expected: &[&str]) {
    let mut headers = map(given);
    edit_response(&mut headers, rules, Version::HTTP_11, close, None);
    assert_eq!(lines(&headers), expected);
}

#[test]
fn a_plain_request_keeps_its_headers_in_order_and_gets_envoys() {
    check_request(
        &rules(),
        &["host: Example.COM", "user-agent: curl/7.88", "accept: */*", "cookie: a=1", "cookie: b=2"],
        &[
            "host: Example.COM",
            "user-agent: curl/7.88",
            "accept: */*",
            "cookie: a=1",
            "cookie: b=2",
            "x-forwarded-proto: http",
            "x-request-id: (new)",
        ],
    );
}

#[test]
fn the_pieces_of_an_http2_clients_cookie_become_one() {
    let mut headers = map(&["cookie: a=1", "x-a: 1", "cookie: b=2", "x-request-id: mine"]);
    let mut info = info();
    info.protocol = Version::HTTP_2;
    edit_request(&mut headers, &rules(), &mut info);
    assert_eq!(
        lines(&headers),
        ["x-a: 1", "x-request-id: mine", "cookie: a=1; b=2", "x-forwarded-proto: http"]
    );
}

#[test]
fn what_a_client_already_set_is_kept() {
    check_request(
        &rules(),
        &[
            "x-request-id: mine",
            "x-forwarded-proto: https",
            "x-forwarded-for: 1.1.1.1",
            "x-envoy-original-path: /a",
        ],
        &[
            "x-request-id: mine",
            "x-forwarded-proto: https",
            "x-forwarded-for: 1.1.1.1",
            "x-envoy-original-path: /a",
        ],
    );
}

#[test]
fn an_empty_request_id_is_none() {
    check_request(
        &rules(),
        &["x-request-id: ", "x-a: 1"],
        &["x-request-id: (new)", "x-a: 1", "x-forwarded-proto: http"],
    );
}

#[test]
fn hop_by_hop_and_nominated_headers_go_and_the_rest_stays_in_order() {
    check_request(
        &rules(),
        &[
            "host: a",
            "connection: keep-alive, x-hop, te",
            "keep-alive: timeout=5",
            "x-hop: 1",
            "te: trailers, deflate",
            "upgrade: h2c",
            "proxy-connection: close",
            "transfer-encoding: chunked",
            "expect: 100-Continue",
            "x-envoy-internal: true",
            "x-envoy-upstream-rq-timeout-ms: 5",
            "accept: */*",
            "x-last: 1",
            "x-request-id: mine",
        ],
        &[
            "host: a",
            "accept: */*",
            "x-last: 1",
            "x-request-id: mine",
            "te: trailers",
            "x-forwarded-proto: http",
        ],
    );
}

#[test]
fn te_passes_only_as_trailers() {
    let mut own = rules();
    own.generate_request_id = false;
    check_request(&own, &["te: gzip", "x-a: 1"], &["x-a: 1", "x-forwarded-proto: http"]);
    check_request(&own, &["te: trailers"], &["te: trailers", "x-forwarded-proto: http"]);
    check_request(&own, &["expect: something"], &["expect: something", "x-forwarded-proto: http"]);
}

#[test]
fn with_use_remote_address_the_peer_is_added_and_nothing_of_the_clients_is_believed() {
    let mut edge = rules();
    edge.use_remote_address = true;
    check_request(
        &edge,
        &[
            "x-forwarded-for: 1.1.1.1",
            "x-forwarded-proto: https",
            "x-envoy-original-path: /a",
            "x-request-id: mine",
        ],
        &[
            "x-forwarded-for: 1.1.1.1,192.0.2.7",
            "x-forwarded-proto: http",
            "x-request-id: (new)",
            "x-envoy-external-address: 192.0.2.7",
        ],
    );
    check_request(
        &edge,
        &["x-a: 1", "x-envoy-external-address: 1.1.1.1", "x-b: 2", "x-envoy-external-address: 1.1.1.2"],
        &[
            "x-a: 1",
            "x-envoy-external-address: 192.0.2.7",
            "x-b: 2",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-proto: http",
            "x-request-id: (new)",
        ],
    );
}

#[test]
fn trusted_hops_tell_the_clients_address() {
    let check = |edge, hops, forwarded_for: &str, client: Option<&str>, external: Option<&str>| {
        let mut rules = rules();
        (rules.use_remote_address, rules.xff_num_trusted_hops, rules.skip_xff_append) = (edge, hops, true);
        let (mut headers, mut info) = (map(&[&format!("x-forwarded-for: {forwarded_for}")]), info());
        edit_request(&mut headers, &rules, &mut info);
        assert_eq!(info.client_address.map(|address| address.to_string()).as_deref(), client);
        let told = headers.get("x-envoy-external-address").map(|value| value.to_str().unwrap());
        assert_eq!(told, external, "{edge} {hops} {forwarded_for}");
    };
    check(true, 0, "1.1.1.1, 2.2.2.2", None, Some("192.0.2.7"));
    check(true, 1, "1.1.1.1, 2.2.2.2", Some("2.2.2.2"), Some("2.2.2.2"));
    check(true, 2, "1.1.1.1,2001:db8::1", Some("1.1.1.1"), Some("1.1.1.1"));
    check(true, 1, "1.1.1.1, nobody", None, Some("192.0.2.7"));
    check(true, 3, "1.1.1.1, 2.2.2.2", None, Some("192.0.2.7"));
    check(false, 0, "1.1.1.1, 2.2.2.2", Some("2.2.2.2"), None);
    check(false, 1, "1.1.1.1, 2.2.2.2", Some("1.1.1.1"), None);
}

#[test]
fn a_proxy_in_front_that_tells_no_protocol_is_told_ours() {
    let mut behind = rules();
    (behind.use_remote_address, behind.xff_num_trusted_hops) = (true, 1);
    behind.generate_request_id = false;
    check_request(
        &behind,
        &["x-a: 1"],
        &[
            "x-a: 1",
            "x-forwarded-for: 192.0.2.7",
            "x-forwarded-proto: http",
            "x-envoy-external-address: 192.0.2.7",
        ],
    );
}

#[test]
fn several_lines_of_what_envoy_knows_become_one_in_the_place_of_the_first() {
    let mut own = rules();
    own.generate_request_id = false;
    check_request(
        &own,
        &[
            "x-a: 1",
            "via: 1.1 a",
            "x-a: 2",
            "x-forwarded-proto: https",
            "via: 1.1 b",
            "cookie: a",
            "cookie: b",
        ],
        &["x-a: 1", "x-a: 2", "via: 1.1 a,1.1 b", "x-forwarded-proto: https", "cookie: a", "cookie: b"],
    );
    check_response(
        &rules(),
        false,
        &["set-cookie: a", "vary: a", "server: x", "set-cookie: b", "vary: b"],
        &["set-cookie: a", "set-cookie: b", "vary: a,b", "server: envoy", "date: (now)"],
    );
}

#[test]
fn nobody_is_believed_whose_certificate_another_claims_to_have_seen() {
    let mut own = rules();
    own.generate_request_id = false;
    check_request(
        &own,
        &["x-forwarded-client-cert: By=a;Hash=b", "x-a: 1"],
        &["x-a: 1", "x-forwarded-proto: http"],
    );
}

#[test]
fn a_response_gets_date_and_server_at_the_end() {
    check_response(
        &rules(),
        false,
        &["content-type: text/plain", "content-length: 5", "x-envoy-upstream-service-time: 0"],
        &[
            "content-type: text/plain",
            "content-length: 5",
            "x-envoy-upstream-service-time: 0",
            "date: (now)",
            "server: envoy",
        ],
    );
}

#[test]
fn the_upstreams_server_gives_its_place_and_its_date_is_kept() {
    check_response(
        &rules(),
        true,
        &[
            "server: nginx",
            "date: Thu, 01 Jan 1970 00:00:00 EST",
            "connection: keep-alive",
            "x-request-id: a",
            "via: b",
        ],
        &[
            "server: envoy",
            "date: Thu, 01 Jan 1970 00:00:00 EST",
            "x-request-id: a",
            "via: b",
            "connection: close",
        ],
    );
}

#[test]
fn the_server_header_follows_its_transformation() {
    let mut own = rules();
    own.server_header = ServerHeaderTransformation::AppendIfAbsent;
    check_response(&own, false, &["server: nginx"], &["server: nginx", "date: (now)"]);
    check_response(&own, false, &[], &["date: (now)", "server: envoy"]);
    own.server_header = ServerHeaderTransformation::PassThrough;
    check_response(&own, false, &[], &["date: (now)"]);
}

#[test]
fn what_a_client_nominates_is_replaced_not_lost() {
    check_request(
        &rules(),
        &[
            "connection: x-request-id, x-forwarded-proto",
            "x-request-id: mine",
            "x-forwarded-proto: https",
            "x-a: 1",
        ],
        &["x-a: 1", "x-forwarded-proto: http", "x-request-id: (new)"],
    );
}
