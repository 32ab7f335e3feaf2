use std::{future::Ready, time::Instant};

use nuncio_service::{Body, Connection};
use nuncio_stats::{Registry, Shard};

use super::*;

/// Answers 200 with the request's target and host as headers.
#[derive(Clone)]
struct Echo;

impl Service<Request> for Echo {
    type Response = Response;
    type Error = LocalReply;
    type Future = Ready<Result<Response, LocalReply>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LocalReply>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let target = request.http.uri().to_string();
        let host = request.http.headers().get("host").map(|host| host.to_str().unwrap().to_owned());
        let http = http::Response::builder()
            .header("x-target", target)
            .header("x-host", host.unwrap_or_default())
            .body(Body::Empty)
            .unwrap();
        std::future::ready(Ok(Response { http, info: request.info }))
    }
}

fn answer(method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    answer_over(Version::HTTP_11, method, target, headers)
}

fn answer_over(version: Version, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    answer_with(&HttpConnectionManager::default(), version, method, target, headers)
}

fn answer_with(
    config: &HttpConnectionManager,
    version: Version,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Response {
    let scope = Registry::new(1).scope(Shard::worker(0), "http.test");
    let stats = Arc::new(HttpStats::new(&scope, &scope, &scope));
    let mut service = HeadersLayer::new(config, stats).layer(Echo);
    let connection = Arc::new(Connection {
        remote_address: "127.0.0.1:5000".parse().unwrap(),
        local_address: "127.0.0.1:80".parse().unwrap(),
        tls: None,
    });
    let mut http = http::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        http = http.header(*name, *value);
    }
    let request = Request {
        http: http.body(Body::Empty).unwrap(),
        info: Box::new(StreamInfo::new(Instant::now(), connection, version)),
    };
    let mut future = std::pin::pin!(service.call(request));
    match future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        _ => panic!("no response"),
    }
}

#[track_caller]
fn check_refused(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    status: u16,
    details: &str,
    close: bool,
) {
    let response = answer(method, target, headers);
    assert_eq!(response.http.status().as_u16(), status);
    assert_eq!(response.info.response_code_details, details);
    assert_eq!(response.http.headers().contains_key("connection"), close);
    assert_eq!(response.http.headers().get("server").unwrap(), "envoy");
}

#[test]
fn what_no_upstream_may_see_is_answered_here() {
    let host = ("host", "a");
    check_refused("GET", "/", &[], 400, "missing_host_header", true);
    check_refused("GET", "/", &[host, ("connection", "Host")], 400, "missing_host_header", true);
    check_refused("OPTIONS", "*", &[host], 404, "absolute_path_rejected", false);
}

#[test]
fn an_upgrade_that_is_not_asked_for_is_no_upgrade() {
    for (headers, upgrade) in [
        ([("host", "a"), ("upgrade", "websocket"), ("connection", "Upgrade")], true),
        ([("host", "a"), ("upgrade", "websocket"), ("connection", "keep-alive")], false),
        ([("host", "a"), ("upgrade", "h2c"), ("connection", "upgrade, http2-settings")], false),
    ] {
        assert_eq!(answer("GET", "/", &headers).info.upgrade, upgrade, "{headers:?}");
    }
}

#[test]
fn the_absolute_form_gives_its_host_and_goes_on_in_origin_form() {
    let response = answer("GET", "http://user@Example.com:81/a?b", &[("host", "other")]);
    assert_eq!(response.http.headers().get("x-target").unwrap(), "/a?b");
    assert_eq!(response.http.headers().get("x-host").unwrap(), "Example.com:81");
    let response = answer("GET", "http://example.com", &[]);
    assert_eq!(response.http.headers().get("x-target").unwrap(), "/");
}

/// Envoy takes the whole URL for the path then.
#[test]
fn the_absolute_form_without_leave_is_no_path() {
    #[track_caller]
    fn check(version: Version, target: &str, headers: &[(&str, &str)], status: u16, details: &str) {
        let config = HttpConnectionManager { allow_absolute_url: false, ..HttpConnectionManager::default() };
        let response = answer_with(&config, version, "GET", target, headers);
        let (found, info) = (response.http.status().as_u16(), response.info);
        assert_eq!((found, info.response_code_details), (status, details), "{target}");
    }
    let host = ("host", "a");
    check(Version::HTTP_11, "http://x/y", &[host], 404, "absolute_path_rejected");
    check(Version::HTTP_11, "http://x", &[host], 404, "absolute_path_rejected");
    check(Version::HTTP_11, "http://x/y", &[], 400, "missing_host_header");
    check(Version::HTTP_11, "/y", &[host], 200, "");
    check(Version::HTTP_2, "http://x/y", &[], 200, "");
}

/// Routing and the upstream must go by the same name.
#[test]
fn an_http2_request_has_one_authority() {
    #[track_caller]
    fn check(target: &str, hosts: &[&str], expected: Result<&str, u16>) {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        let response = answer_over(Version::HTTP_2, "GET", target, &headers);
        let seen = match response.http.headers().get("x-target") {
            Some(target) => Ok((target.to_str().unwrap(), response.http.headers().get("x-host").unwrap())),
            None => Err(response.http.status().as_u16()),
        };
        assert_eq!(
            seen.map(|(target, host)| format!("{target} {}", host.to_str().unwrap())),
            expected.map(str::to_owned)
        );
    }
    check("http://a/", &[], Ok("http://a/ "));
    check("http://a/", &["b"], Ok("http://a/ "));
    check("http://a/", &["b", "c"], Ok("http://a/ "));
    check("/", &["b"], Ok("/ b"));
    check("/", &["b", "c"], Err(400));
    check("/", &[], Err(400));
}
