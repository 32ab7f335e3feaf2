use std::time::Instant;

use http::{HeaderValue, Method};
use nuncio_service::{Connection, ResponseFlags};

use super::*;

fn line(format: &str) -> String {
    let connection = Connection {
        remote_address: "127.0.0.1:5000".parse().unwrap(),
        local_address: "[::1]:80".parse().unwrap(),
        tls: None,
    };
    let mut info = StreamInfo::new(Instant::now(), Arc::new(connection), Version::HTTP_11);
    info.flags = ResponseFlags::NO_ROUTE_FOUND;
    info.response_code_details = "route_not_found";
    info.upstream_host = Some("127.0.0.2:8080".parse().unwrap());
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", HeaderValue::from_static("curl/7.88"));
    let request = LoggedRequest {
        method: Method::GET,
        authority: Some("example.com".to_owned()),
        path: "/a?b".to_owned(),
        headers,
        ..LoggedRequest::default()
    };
    let mut response = HeaderMap::new();
    response.insert("x-envoy-upstream-service-time", HeaderValue::from_static("3"));
    let record = Record {
        request: Some(&request),
        response: Some((StatusCode::NOT_FOUND, &response)),
        info: &info,
        bytes_received: 1,
        bytes_sent: 2,
        duration: Duration::from_micros(4_900),
    };
    let mut line = String::new();
    Format::parse(format).unwrap().write(&record, &mut line);
    line
}

#[track_caller]
fn check(format: &str, expected: &str) {
    assert_eq!(line(format), expected);
}

#[test]
fn the_default_format_is_envoys() {
    let line = line(DEFAULT_FORMAT);
    let (time, rest) = line.split_once("] ").unwrap();
    assert!(time.starts_with("[20") && time.ends_with('Z') && time.len() == 25, "{time}");
    assert_eq!(
        rest,
        "\"GET /a?b HTTP/1.1\" 404 NR 1 2 4 3 \"-\" \"curl/7.88\" \"-\" \"example.com\" \"127.0.0.2:8080\"\n"
    );
}

#[test]
fn operators_print_what_they_name() {
    check("%REQ(X-NONE?USER-AGENT)% %REQ(user-agent):4%", "curl/7.88 curl");
    check("%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", "127.0.0.1:5000 ::1");
    check("%RESPONSE_CODE_DETAILS% 100%% %ROUTE_NAME%", "route_not_found 100% -");
    check("%RESP(x)% %REQ(:SCHEME)%", "- http");
    check("%REQUESTED_SERVER_NAME% %DOWNSTREAM_TLS_CIPHER%", "- -");
}

#[test]
fn a_format_that_is_not_understood_is_refused() {
    assert_eq!(Format::parse("a %NONE%").unwrap_err(), FormatError::Unknown("NONE".to_owned()));
    assert_eq!(Format::parse("a %REQ(").unwrap_err(), FormatError::Unclosed("REQ(".to_owned()));
    assert_eq!(Format::parse("%REQ(a b)%").unwrap_err(), FormatError::Argument("REQ(a b)".to_owned()));
    assert_eq!(Format::parse("%REQ(a):x%").unwrap_err(), FormatError::Argument("REQ(a):x".to_owned()));
}

#[test]
fn timestamps_are_civil_dates() {
    for (seconds, expected) in [
        (0, "1970-01-01T00:00:00.007Z"),
        (951_782_399, "2000-02-28T23:59:59.007Z"),
        (951_782_400, "2000-02-29T00:00:00.007Z"),
        (1_798_761_599, "2026-12-31T23:59:59.007Z"),
    ] {
        assert_eq!(timestamp(UNIX_EPOCH + Duration::new(seconds, 7_000_000)), expected);
    }
}
