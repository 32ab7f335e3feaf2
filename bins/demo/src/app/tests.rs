use http_body_util::BodyExt;

use super::*;

fn check(method: &str, path: &str, expected: (u16, &str)) {
    let app = App::new(&AppArgs {
        listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
        service: "1".to_owned(),
        hostname: Some("e60ba6d0671c".to_owned()),
        resolved: Some(IpAddr::from([172, 18, 0, 2])),
    })
    .expect("both names are given");
    let request = Request::builder().method(method).uri(path).body(()).expect("a valid request");
    let response = app.answer(&request);
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let body = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(response.into_body().collect())
        .expect("a body from memory")
        .to_bytes();
    assert_eq!((status, std::str::from_utf8(&body).expect("text")), expected, "{method} {path}");
}

#[test]
fn answers_the_examples_text() {
    let text = "Hello from behind Envoy (service 1)! hostname: e60ba6d0671c resolvedhostname: 172.18.0.2\n";
    // The example shows `content-length: 89` for this host name.
    assert_eq!(text.len(), 89);
    check("GET", "/service/1", (200, text));
    check("GET", "/service/anything", (200, text));
}

#[test]
fn refuses_what_the_examples_program_refuses() {
    check("GET", "/", (404, "Not Found\n"));
    check("GET", "/service/", (404, "Not Found\n"));
    check("GET", "/service/1/2", (404, "Not Found\n"));
    check("POST", "/service/1", (405, "Method Not Allowed\n"));
}

#[test]
fn the_ready_line_carries_the_pid() {
    let line = ready_line(4711, SocketAddr::from(([127, 0, 1, 1], 8081)));
    assert_eq!(pid_in_ready_line(&line), Some(4711));
    assert_eq!(pid_in_ready_line("application listens"), None);
}
