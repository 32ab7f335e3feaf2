use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const BODY: &str = "Hello from behind Envoy (service 1)! hostname: service1-1 resolvedhostname: 127.0.1.1\n";

/// The example's answer with one header changed, or removed if the value is empty.
fn check(changed: (&'static str, &'static str), expected: Result<(), &str>) {
    let length = BODY.len().to_string();
    let mut headers = HeaderMap::new();
    for (name, value) in HEADERS.into_iter().zip(["text/html; charset=utf-8", &length, "envoy", "now", "2"]) {
        let value = if name == changed.0 { changed.1 } else { value };
        if !value.is_empty() {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        }
    }
    let answer = Answer { status: StatusCode::OK, headers, body: BODY.to_owned() };
    assert_eq!(check_page(&answer, 1), expected.map_err(str::to_owned));
}

#[test]
fn only_the_examples_answer_passes() {
    check(("", ""), Ok(()));
    check(("server", "nginx"), Err("200, server: nginx"));
    check(("content-length", "7"), Err("200, content-length: 7"));
    check(("x-envoy-upstream-service-time", "soon"), Err("200, x-envoy-upstream-service-time is no number"));
    check(
        ("date", ""),
        Err("200, with headers content-type content-length server x-envoy-upstream-service-time"),
    );
}

#[test]
fn reads_the_certificate_in_the_file() {
    let file = "transport_socket:
  tls_certificates:
  - certificate_chain:
      inline_string: |
        -----BEGIN CERTIFICATE-----
        AQID
        -----END CERTIFICATE-----
";
    assert_eq!(certificate(file).expect("a certificate").as_ref(), [1, 2, 3]);
    assert!(certificate("a: 1").is_err());
}
