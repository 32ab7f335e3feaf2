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
fn the_time_of_the_start_has_a_format() {
    check("[%START_TIME(at %%:)x)%] %PROTOCOL%", "[at %:)x] HTTP/1.1");
    let line = line("%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%|%START_TIME%|%START_TIME()%");
    let times: Vec<&str> = line.split('|').collect();
    assert!(times[0].starts_with("20") && times[0].len() == 24, "{line}");
    assert_eq!((times[0], times[1]), (times[1], times[2]));
}

#[test]
fn a_format_that_is_not_understood_is_refused() {
    fn check(format: &str, expected: &[FormatMistake]) {
        assert_eq!(Format::parse(format).unwrap_err().mistakes, expected, "{format}");
    }
    use FormatMistake::{Argument, Unclosed, Unknown};
    check("a %NONE%", &[Unknown("NONE".to_owned())]);
    check("a %REQ(", &[Unclosed("REQ(".to_owned())]);
    check("%START_TIME(%Y% b", &[Unclosed("START_TIME(%Y% b".to_owned())]);
    check("%REQ(a b)%", &[Argument("REQ(a b)".to_owned())]);
    check("%REQ(a):x%", &[Argument("REQ(a):x".to_owned())]);
    check("%START_TIME(%Y):3%", &[Argument("START_TIME(%Y):3".to_owned())]);
    check("%START_TIME:3%", &[Argument("START_TIME:3".to_owned())]);
    check("%NONE(%Y)% %PROTOCOL% %B%", &[Unknown("NONE(%Y)".to_owned()), Unknown("B".to_owned())]);
    let unknown = Format::parse("%START_TIME(%Y %Q)% %X%").unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "the specifier \"%Q\" in the command operator \"%START_TIME(%Y %Q)%\" is not supported; \
         the command operator \"%X%\" is not supported"
    );
}
