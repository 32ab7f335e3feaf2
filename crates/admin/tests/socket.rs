//! The admin server on a real socket: the bytes of an answer, its limits, its log and its stats.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nuncio_admin::{AdminHandles, ConfigDump, Limits, Memory, ServerFacts, ServerState, serve};
use nuncio_service::{Drain, DrainHandle, LineSink};
use nuncio_stats::Registry;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

struct Admin {
    address: SocketAddr,
    stats: Registry,
    log: Arc<Mutex<String>>,
    drain: DrainHandle,
}

fn start(limits: Limits) -> Admin {
    let stats = Registry::new(1);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let handles = AdminHandles {
        stats: stats.clone(),
        facts: ServerFacts {
            version: String::new(),
            display_version: String::new(),
            hot_restart_version: String::new(),
            started: Instant::now(),
            command_line_options: Value::Null,
            node: Value::Null,
        },
        config: ConfigDump::default(),
        listeners: Vec::new(),
        certificates: Vec::new(),
        clusters: Box::new(Vec::new),
        state: Box::new(|| ServerState::Live),
        memory: Box::new(Memory::default),
        fail_health_checks: Box::new(|_| {}),
        quit: Box::new(|| {}),
        reopen_logs: Box::new(|| {}),
    };
    let log = Arc::new(Mutex::new(String::new()));
    let sink = {
        let log = Arc::clone(&log);
        LineSink::new(move |line| log.lock().unwrap().push_str(std::str::from_utf8(line).unwrap()))
    };
    let (drain, signal) = Drain::new();
    tokio::spawn(serve(listener, handles, vec![sink], limits, signal));
    Admin { address, stats, log, drain }
}

impl Admin {
    /// Sends bytes and reads until the server closes.
    async fn ask(&self, bytes: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }

    /// Waits until a stat has a value.
    async fn stat(&self, name: &str, value: i64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let counter = self.stats.counter_value(name).map(u64::cast_signed);
            let now = counter.or_else(|| self.stats.gauge_value(name));
            if now == Some(value) {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is {now:?} and not {value}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    // A reset ends the answer too; what came before it is what counts.
    let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("the server closes");
    String::from_utf8(answer).unwrap()
}

fn without_date(answer: &str) -> String {
    answer.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

/// Recorded with `curl -si` from Envoy 1.40, `connection: close` by a request that asks for it.
#[tokio::test]
async fn the_head_is_envoys_to_the_letter() {
    let admin = start(Limits::default());
    let answer = admin.ask("GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(
        without_date(&answer),
        "HTTP/1.1 200 OK\r\n\
         content-type: text/plain; charset=UTF-8\r\n\
         cache-control: no-cache, max-age=0\r\n\
         x-content-type-options: nosniff\r\n\
         server: envoy\r\n\
         connection: close\r\n\
         transfer-encoding: chunked\r\n\r\n\
         5\r\nLIVE\n\r\n0\r\n\r\n"
    );
    let head = admin.ask("HEAD /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn unfit_requests_are_refused() {
    let admin = start(Limits { body_bytes: 10, head_bytes: 8192, ..Limits::default() });
    let check = async |request: &str, expected: &str| {
        let answer = admin.ask(request).await;
        assert!(answer.starts_with(expected), "{request:?}: {answer:?}");
        assert!(answer.contains("connection: close\r\n"), "{request:?}: {answer:?}");
    };
    check("GET /ready HTTP/1.0\r\n\r\n", "HTTP/1.0 426 Upgrade Required\r\ncontent-length: 16\r\n").await;
    check("GET /ready HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n").await;
    check("nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n").await;
    let long = format!("GET /ready HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(40_000));
    check(&long, "HTTP/1.1 431 Request Header Fields Too Large\r\n").await;
    let body = "POST /ready HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\nhello world";
    check(body, "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 17\r\n").await;
    admin.stat("http.admin.downstream_cx_protocol_error", 2).await;
}

#[tokio::test]
async fn a_client_that_sends_nothing_more_is_let_go() {
    let limits = Limits {
        head_timeout: Duration::from_millis(50),
        body_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let admin = start(limits);
    admin.ask("GET /ready HT").await;
    let answer = admin.ask("POST /ready HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhel").await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let admin = start(Limits { write_timeout: Duration::from_millis(50), ..Limits::default() });
    let scope = admin.stats.scope(nuncio_stats::Shard::MAIN, "filling");
    for i in 0..200_000 {
        let _ = scope.counter(&format!("a_name_that_makes_the_answer_long_enough_to_fill_the_sockets_{i}"));
    }
    let mut stream = TcpStream::connect(admin.address).await.unwrap();
    stream.write_all(b"GET /stats HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    admin.stat("http.admin.downstream_cx_destroy_local", 1).await;
    assert!(admin.log.lock().unwrap().contains("\"GET /stats HTTP/1.1\" 200 DC 0 "));
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_counted() {
    let admin = start(Limits { connections: 1, ..Limits::default() });
    let mut first = TcpStream::connect(admin.address).await.unwrap();
    admin.stat("listener.admin.downstream_cx_active", 1).await;
    let mut second = TcpStream::connect(admin.address).await.unwrap();
    assert_eq!(read_to_end(&mut second).await, "");
    admin.stat("listener.admin.downstream_cx_overflow", 1).await;
    first.write_all(b"GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(read_to_end(&mut first).await.contains("LIVE"));
    admin.stat("listener.admin.downstream_cx_active", 0).await;
}

#[tokio::test]
async fn requests_are_logged_and_counted() {
    let admin = start(Limits::default());
    let request = "POST /ready?a=b HTTP/1.1\r\nhost: a.b\r\nuser-agent: test\r\nx-forwarded-for: 192.0.2.1\r\n\
                   content-length: 3\r\nconnection: close\r\n\r\nabc";
    let answer = admin.ask(request).await;
    admin.stat("http.admin.downstream_cx_destroy", 1).await;
    let log = admin.log.lock().unwrap().clone();
    let (time, rest) = log.split_once("] ").unwrap();
    assert!(time.starts_with("[20") && time.ends_with('Z') && time.len() == 25, "{time}");
    let fields: Vec<&str> = rest.split(' ').collect();
    assert_eq!(fields[..7], ["\"POST", "/ready?a=b", "HTTP/1.1\"", "200", "-", "3", "5"]);
    assert_eq!(fields[8..].join(" "), "- \"192.0.2.1,127.0.0.1\" \"test\" \"-\" \"a.b\" \"-\"\n");
    for (name, value) in [
        ("http.admin.downstream_cx_total", 1),
        ("http.admin.downstream_cx_http1_total", 1),
        ("http.admin.downstream_cx_active", 0),
        ("http.admin.downstream_cx_destroy_local", 1),
        ("http.admin.downstream_cx_rx_bytes_total", request.len() as i64),
        ("http.admin.downstream_cx_rx_bytes_buffered", 0),
        ("http.admin.downstream_cx_tx_bytes_total", answer.len() as i64),
        ("http.admin.downstream_rq_total", 1),
        ("http.admin.downstream_rq_active", 0),
        ("http.admin.downstream_rq_2xx", 1),
        ("http.admin.downstream_rq_4xx", 0),
        ("http.admin.downstream_rq_completed", 1),
        ("listener.admin.downstream_cx_total", 1),
        ("listener.admin.downstream_pre_cx_active", 0),
        ("listener.admin.http.admin.downstream_rq_2xx", 1),
        ("listener.admin.main_thread.downstream_cx_total", 1),
    ] {
        admin.stat(name, value).await;
    }
}

#[tokio::test]
async fn draining_ends_idle_connections_and_refuses_new_ones() {
    let admin = start(Limits::default());
    let mut idle = TcpStream::connect(admin.address).await.unwrap();
    admin.stat("http.admin.downstream_cx_active", 1).await;
    admin.drain.start();
    tokio::time::timeout(Duration::from_secs(10), admin.drain.ended()).await.unwrap();
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(TcpStream::connect(admin.address).await.is_err());
}
