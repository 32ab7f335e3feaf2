//! Which route takes a request: domains, prefixes and paths, and the access log's lines about it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

use http::Request;
use nuncio_test_support::{Client, Directory, Http2Client, Origin, Proxy, RunningProxy, exchange, until};

const DOMAINS: &str = r#"
            - name: exact
              domains: ["Exact.Test", "[::1]", "port.test:8080"]
              routes:
              - { match: { prefix: / }, direct_response: { status: 200, body: { inline_string: exact } } }
            - name: suffix
              domains: ["*.suffix.test", "*-dash.test"]
              routes:
              - { match: { prefix: / }, direct_response: { status: 200, body: { inline_string: suffix } } }
            - name: longer
              domains: ["*.long.suffix.test"]
              routes:
              - { match: { prefix: / }, direct_response: { status: 200, body: { inline_string: longer } } }
            - name: prefix
              domains: ["prefix.*"]
              routes:
              - { match: { prefix: / }, direct_response: { status: 200, body: { inline_string: prefix } } }
"#;

async fn by_domain(origin: &Origin, fields: &str) -> RunningProxy {
    Proxy::in_front_of(origin)
        .replacing("            virtual_hosts:\n", &format!("            virtual_hosts:{DOMAINS}"))
        .replacing("            name: routes\n", &format!("            name: routes\n{fields}"))
        .start()
        .await
}

/// The same over both protocols.
async fn check_domain(proxy: &RunningProxy, host: &str, expected: &str) {
    let mut client = Client::connect(proxy.listener(0)).await;
    let response = client.request(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    assert_eq!(response.body, expected, "{host}");
    let client = Http2Client::connect(proxy.listener(0)).await;
    let request = Request::get(format!("http://{host}/")).body(()).unwrap();
    assert_eq!(client.request(request).await.text(), expected, "{host} over HTTP/2");
}

#[tokio::test]
async fn the_closest_domain_takes_the_request() {
    let origin = Origin::answering("any").await;
    let proxy = by_domain(&origin, "").await;
    for (host, expected) in [
        ("exact.test", "exact"),
        ("EXACT.test", "exact"),
        ("exact.test.more", "any"),
        ("a.exact.test", "any"),
        ("a.suffix.test", "suffix"),
        ("A.b.SUFFIX.test", "suffix"),
        ("suffix.test", "any"),
        ("x-dash.test", "suffix"),
        ("a.long.suffix.test", "longer"),
        ("prefix.org", "prefix"),
        ("prefix.suffix.test", "suffix"),
        ("other", "any"),
        // A port is a part of the name unless the configuration says otherwise.
        ("port.test:8080", "exact"),
        ("port.test", "any"),
        ("exact.test:80", "any"),
    ] {
        check_domain(&proxy, host, expected).await;
    }
    let ignoring = by_domain(&origin, "            ignore_port_in_host_matching: true\n").await;
    for (host, expected) in [
        ("exact.test:80", "exact"),
        ("exact.test", "exact"),
        ("a.suffix.test:1", "suffix"),
        ("[::1]:80", "exact"),
    ] {
        check_domain(&ignoring, host, expected).await;
    }
}

#[tokio::test]
async fn the_first_route_that_matches_takes_the_request() {
    let origin = Origin::answering("origin").await;
    let route = |matched: &str, says: &str| {
        format!(
            "{{ match: {{ {matched} }}, direct_response: {{ status: 200, body: {{ inline_string: {says} }} }} }}"
        )
    };
    let routes = [
        route("path: /exact", "path"),
        route("prefix: /exact", "under"),
        route("prefix: /service/1", "one"),
        route("prefix: /service", "any service"),
        route("prefix: /service/2", "never"),
        route("prefix: /Mixed, case_sensitive: false", "mixed"),
    ];
    let proxy = Proxy::in_front_of(&origin).with_routes(&routes.each_ref().map(String::as_str)).start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    for (path, expected) in [
        ("/exact", "path"),
        ("/exact?q=1", "path"),
        ("/exact/", "under"),
        ("/exactly", "under"),
        ("/service/1", "one"),
        ("/service/12", "one"),
        ("/service/2", "any service"),
        ("/Service/1", "origin"),
        ("/mIXED/x", "mixed"),
        ("/", "origin"),
        ("//exact", "origin"),
        ("/%65xact", "origin"),
    ] {
        assert_eq!(client.get(path).await.body, expected, "{path}");
    }
    let targets: Vec<_> = origin.seen().iter().map(|seen| seen.uri.to_string()).collect();
    assert_eq!(targets, ["/Service/1", "/", "//exact", "/%65xact"], "paths go on as they came");
    proxy
        .wait_for_stats(&[
            ("http.rq_total", 12),
            ("http.rq_direct_response", 8),
            ("http.no_route", 0),
            ("cluster.upstream_rq_total", 4),
        ])
        .await;
}

/// `validate_clusters` lets routes name clusters that do not exist, and their requests learn it.
#[tokio::test]
async fn a_route_may_wait_for_its_cluster() {
    let directory = Directory::new();
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin)
        .with_routes(&[
            "{ match: { prefix: /404 }, route: { cluster: later, prefix_rewrite: /, cluster_not_found_response_code: NOT_FOUND } }",
            "{ match: { prefix: /500 }, route: { cluster: later, cluster_not_found_response_code: INTERNAL_SERVER_ERROR } }",
            "{ match: { prefix: /503 }, route: { cluster: later } }",
        ])
        .replacing("            name: routes\n", "            name: routes\n            validate_clusters: false\n")
        .with_access_log(
            &directory,
            Some("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_CLUSTER%"),
        )
        .start()
        .await;
    let mut client = Client::connect(proxy.listener(0)).await;
    for status in [404, 500, 503] {
        let response = client.get(&format!("/{status}")).await;
        assert_eq!((response.status(), &*response.body), (status, ""), "/{status}");
    }
    assert_eq!(client.get("/").await.body, "hello");
    proxy
        .wait_for_stats(&[("http.no_cluster", 3), ("http.rq_total", 4), ("cluster.upstream_rq_total", 1)])
        .await;
    let path = directory.path("access.log");
    let lines =
        || std::fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    until(|| lines().len() == 4, || format!("{:#?}", lines())).await;
    assert_eq!(
        lines(),
        [
            "/404 404 NC cluster_not_found -",
            "/500 500 NC cluster_not_found -",
            "/503 503 NC cluster_not_found -",
            "/ 200 - via_upstream origin",
        ]
    );
}

/// Replaces the time, the duration, the service time and the request's id, after a look at their shape.
fn mask_line(line: &str) -> String {
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.len() == 26 && time.starts_with('[') && time.ends_with("Z]"), "{line}");
    let mut parts: Vec<_> = rest.split(' ').map(str::to_owned).collect();
    let end = parts.len();
    // From the end: duration, service time, forwarded-for, agent, id, authority, upstream.
    for (place, name) in [(7, "MS"), (6, "MS")] {
        let part = &mut parts[end - place];
        if part.parse::<u32>().is_ok() {
            *part = name.to_owned();
        }
    }
    if parts[end - 3].len() == 38 {
        parts[end - 3] = "\"UUID\"".to_owned();
    }
    parts.join(" ")
}

#[tokio::test]
async fn each_request_is_a_line_of_the_access_log() {
    let directory = Directory::new();
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin)
        .with_routes(&[
            "{ match: { prefix: /old }, route: { cluster: origin, prefix_rewrite: /new, host_rewrite_literal: inner } }",
        ])
        .replacing("prefix: / }", "prefix: /o }")
        .with_manager("delayed_close_timeout: 0.05s")
        .with_access_log(&directory, None)
        .start()
        .await;
    let upstream = origin.address();
    let path = directory.path("access.log");
    let lines =
        || std::fs::read_to_string(&path).unwrap_or_default().lines().map(mask_line).collect::<Vec<_>>();
    let mut expected = Vec::new();
    let mut client = Client::connect(proxy.listener(0)).await;
    for (request, line) in [
        (
            "GET /o?q=1 HTTP/1.1\r\nHost: Example.COM\r\nUser-Agent: curl/7.88\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
            format!(
                "\"GET /o?q=1 HTTP/1.1\" 200 - 0 5 MS MS \"1.2.3.4\" \"curl/7.88\" \"UUID\" \"Example.COM\" \"{upstream}\""
            ),
        ),
        (
            "POST /o HTTP/1.1\r\nhost: a\r\nx-request-id: mine\r\ncontent-length: 3\r\n\r\nabc",
            format!("\"POST /o HTTP/1.1\" 200 - 3 5 MS MS \"-\" \"-\" \"mine\" \"a\" \"{upstream}\""),
        ),
        (
            "GET /old/x HTTP/1.1\r\nhost: a\r\n\r\n",
            format!("\"GET /old/x HTTP/1.1\" 200 - 0 5 MS MS \"-\" \"-\" \"UUID\" \"inner\" \"{upstream}\""),
        ),
        (
            "GET /none HTTP/1.1\r\nhost: a\r\n\r\n",
            "\"GET /none HTTP/1.1\" 404 NR 0 0 MS - \"-\" \"-\" \"UUID\" \"a\" \"-\"".to_owned(),
        ),
    ] {
        client.request(request).await;
        expected.push(line);
    }
    exchange(proxy.listener(0), "GARBAGE\r\n\r\n").await;
    expected.push("\"- - HTTP/1.1\" 400 DPE 0 11 MS - \"-\" \"-\" \"-\" \"-\" \"-\"".to_owned());
    let client = Http2Client::connect(proxy.listener(0)).await;
    client.request(Request::get("http://b/o").body(()).unwrap()).await;
    expected.push(format!("\"GET /o HTTP/2\" 200 - 0 5 MS MS \"-\" \"-\" \"UUID\" \"b\" \"{upstream}\""));
    until(|| lines().len() == expected.len(), || format!("{:#?}", lines())).await;
    assert_eq!(lines(), expected);
}
