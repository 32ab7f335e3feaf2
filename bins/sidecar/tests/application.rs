//! The sidecar and the application that it runs: start, signals, exit codes.

use std::time::Duration;

use nuncio_test_support::{Client, Directory, Origin, Process, Signal, get, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sidecar");

/// A shell script that says that it runs, and then waits to be signalled.
const WAITS: &str = "trap 'echo got TERM; exit 7' TERM; trap 'echo got HUP' HUP; echo running; \
                     while :; do sleep 0.01; done";

fn beside(script: &str) -> Vec<String> {
    ["--listen", "127.0.0.1:0", "--app", "127.0.0.1:9", "--", "sh", "-c", script].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn it_ends_as_its_application_ends() {
    async fn check(script: &str, code: i32) {
        let ended = run(PROGRAM, beside(script)).await;
        assert_eq!(ended.code, code, "{script}: {}", ended.output);
    }
    check("exit 0", 0).await;
    check("exit 3", 3).await;
    check("kill -9 $$", 137).await;
}

#[tokio::test]
async fn signals_are_passed_on() {
    let process = Process::start(PROGRAM, beside(WAITS));
    process.wait_for_output("running").await;
    process.signal(Signal::HUP);
    process.wait_for_output("got HUP").await;
    process.signal(Signal::TERM);
    let ended = process.ended().await;
    assert!(ended.output.contains("got TERM"), "{}", ended.output);
    assert_eq!(ended.code, 7);
}

#[tokio::test]
async fn a_second_signal_kills_an_application_that_does_not_end() {
    let process =
        Process::start(PROGRAM, beside("trap 'echo no' TERM; echo running; while :; do sleep 0.01; done"));
    process.wait_for_output("running").await;
    process.signal(Signal::TERM);
    process.wait_for_output("no").await;
    process.signal(Signal::TERM);
    let code = process.ended().await.code;
    assert!(matches!(code, 137 | 143), "{code}");
}

#[tokio::test]
async fn the_application_is_started_when_the_proxy_serves() {
    let origin = Origin::answering("hello").await;
    let app = origin.address().to_string();
    let process = Process::start(
        PROGRAM,
        ["--listen", "127.0.0.1:0", "--app", &app, "--", "sh", "-c", "echo application; sleep 600"],
    );
    process.wait_for_output("application").await;
    let admin = process.live().await;
    let listeners = get(admin, "/listeners").await.body;
    let address = listeners.trim().strip_prefix("main::").and_then(|address| address.parse().ok());
    assert_eq!(get(address.expect("an address"), "/").await.body, "hello");
    let output = process.output();
    assert!(output.find("] LIVE\n") < output.find("application\n"), "{output}");
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.code, 143);
}

#[tokio::test]
async fn the_application_ends_when_the_admin_server_ends_the_proxy() {
    let process = Process::start(PROGRAM, beside(WAITS));
    process.wait_for_output("running").await;
    let mut admin = Client::connect(process.live().await).await;
    admin.send("POST /quitquitquit HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(admin.response().await.body, "OK\n");
    let ended = process.ended().await;
    assert!(ended.output.contains("got TERM"), "{}", ended.output);
    assert_eq!(ended.code, 7);
}

#[tokio::test]
async fn without_a_proxy_there_is_no_application() {
    let directory = Directory::new();
    let proof = directory.path("started");
    let script = format!("touch {}", proof.display());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let ended = run(PROGRAM, ["--listen", &address, "--app", "127.0.0.1:9", "--", "sh", "-c", &script]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.output.contains("1 error; nothing was started"), "{}", ended.output);
    assert!(!proof.exists());
}

#[tokio::test]
async fn an_application_that_does_not_exist_is_an_error() {
    let arguments = ["--listen", "127.0.0.1:0", "--app", "127.0.0.1:9", "--", "/no/such/program"];
    let ended = run(PROGRAM, arguments).await;
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("error: cannot start /no/such/program: there is no such program"),
        "{}",
        ended.output
    );
}

#[tokio::test]
async fn what_the_application_started_gets_the_signal_too() {
    let process = Process::start(
        PROGRAM,
        beside(
            "sh -c 'trap \"echo grandchild; exit\" TERM; echo running; while :; do sleep 0.01; done' & wait",
        ),
    );
    process.wait_for_output("running").await;
    process.signal(Signal::TERM);
    process.wait_for_output("grandchild").await;
    let ended = tokio::time::timeout(Duration::from_secs(20), process.ended()).await.expect("an end");
    assert_eq!(ended.code, 143, "{}", ended.output);
}
