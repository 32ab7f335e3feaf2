//! The front proxy as its user meets it: flags, exit codes, what it prints, signals.

use nuncio_test_support::{Client, Directory, Origin, Process, Signal, get, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_front-proxy");

/// A configuration with one origin and nothing else; ports are the kernel's choice.
fn configuration(directory: &Directory, origin: &Origin) -> String {
    let template = include_str!("../../../crates/test-support/src/proxy/one_origin.yaml");
    let text = template.replace("ORIGIN_PORT", &origin.address().port().to_string());
    directory.write("front-proxy.yaml", &text).display().to_string()
}

#[tokio::test]
async fn a_good_configuration_is_valid() {
    let (directory, origin) = (Directory::new(), Origin::answering("hello").await);
    let file = configuration(&directory, &origin);
    let ended = run(PROGRAM, ["-c", &file, "--mode", "validate"]).await;
    assert_eq!(
        (ended.code, ended.output),
        (0, format!("configuration '{file}' OK: 1 listener, 1 cluster, 1 route\n"))
    );
}

#[tokio::test]
async fn a_bad_configuration_is_refused_with_all_errors_and_their_places() {
    let directory = Directory::new();
    let text = "static_resources:\n  clusters:\n  - name: a\n    connect_timeot: 1s\n  - nam: b\n";
    let file = directory.write("bad.yaml", text).display().to_string();
    for mode in ["validate", "serve"] {
        let ended = run(PROGRAM, ["-c", &file, "--mode", mode]).await;
        assert_eq!(ended.code, 1);
        let lines: Vec<&str> = ended.output.lines().collect();
        assert!(
            lines[0].starts_with(&format!("{file}:4:5: static_resources.clusters[0]: ")),
            "{}",
            ended.output
        );
        assert!(lines[0].ends_with("(did you mean \"connect_timeout\"?)"), "{}", ended.output);
        assert!(lines[1].starts_with(&format!("{file}:5:5: ")), "{}", ended.output);
        assert!(lines.last().unwrap().ends_with(" errors; nothing was started"), "{}", ended.output);
    }
}

#[tokio::test]
async fn what_cannot_be_run_is_said_and_is_a_failure() {
    async fn check(arguments: &[&str], code: i32, expected: &str) {
        let ended = run(PROGRAM, arguments).await;
        assert_eq!(ended.code, code, "{arguments:?}: {}", ended.output);
        assert!(ended.output.contains(expected), "{arguments:?}: {}", ended.output);
    }
    check(&[], 1, "error: nothing to run: give a configuration with -c FILE").await;
    check(&["-c", "/no/such/file"], 1, "/no/such/file: cannot be read: No such file or directory").await;
    check(&["--bogus"], 2, "unexpected argument '--bogus'").await;
    check(&["-c", "x", "--mode", "dry"], 2, "possible values: serve, validate, init_only").await;
    check(&["--config-yaml", "{}", "-l", "loud"], 1, "error: unknown log level \"loud\"").await;
    check(&["--config-yaml", "{}", "--log-format", "%q"], 1, "error: --log-format: \"%q\" is not supported")
        .await;
    check(&["--config-yaml", "{}", "--log-path", "/no/dir/l"], 1, "error: --log-path: cannot open /no/dir/l")
        .await;
    check(&["--version"], 0, "front-proxy 0.1.0 (Nuncio; follows Envoy's v3 API as of Envoy 1.40)").await;
    check(&["--help"], 0, "--drain-time-s <SECONDS>").await;
    check(&["--hot-restart-version"], 0, "disabled\n").await;
}

/// A file that is too large is refused by its size: it is not read, let alone parsed.
#[tokio::test]
async fn what_is_no_configuration_file_is_refused_at_once() {
    let directory = Directory::new();
    let check = async |path: &str, expected: &str| {
        let ended = run(PROGRAM, ["-c", path, "--mode", "validate"]).await;
        let shown = format!("{path}: cannot be read: {expected}\n");
        assert!(ended.output.starts_with(&shown) && ended.code == 1, "{}", ended.output);
    };
    let large = directory.write("large.yaml", "").display().to_string();
    std::fs::File::options().write(true).open(&large).unwrap().set_len(1 << 40).unwrap();
    check(&large, "it has more than 67108864 bytes").await;
    check("/dev/zero", "it has more than 67108864 bytes").await;
    check(env!("CARGO_MANIFEST_DIR"), "Is a directory (os error 21)").await;
    for (bytes, expected) in [
        (&b"\xff\xfen\0o\0"[..], "it is UTF-16 text, and must be UTF-8"),
        (&b"node:\n  id: \xe4\n"[..], "it is not UTF-8 text: line 2 has the byte 0xe4"),
    ] {
        let file = directory.write("text.yaml", "").display().to_string();
        std::fs::write(&file, bytes).unwrap();
        check(&file, expected).await;
    }
}

#[tokio::test]
async fn a_flag_without_effect_says_so_once() {
    let arguments = ["--config-yaml", "{}", "--mode", "validate", "--cpuset-threads", "-l", "off"];
    let ended = run(PROGRAM, arguments).await;
    assert_eq!(ended.code, 0);
    assert_eq!(
        ended.output.matches("note: --cpuset-threads changes nothing: ").count(),
        1,
        "{}",
        ended.output
    );
}

#[tokio::test]
async fn it_starts_without_a_configuration() {
    let (users, web) = (Origin::answering("users").await, Origin::answering("web").await);
    let routes = [format!("/users={}", users.address()), format!("/={}", web.address())];
    let flags = ["--listen", "127.0.0.1:0", "--route", &routes[0], "--route", &routes[1]];
    let printed = run(PROGRAM, flags.iter().chain(&["--print-config"])).await;
    assert_eq!(printed.code, 0);
    assert!(printed.output.contains("prefix: /users\n"), "{}", printed.output);

    let process = Process::start(PROGRAM, flags);
    let admin = process.live().await;
    let listeners = get(admin, "/listeners").await.body;
    let address = listeners.trim().strip_prefix("main::").unwrap().parse().unwrap();
    assert_eq!(get(address, "/users/1").await.body, "users");
    assert_eq!(get(address, "/other").await.body, "web");
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.code, 0);

    // What was printed means the same.
    let directory = Directory::new();
    let file = directory.write("printed.yaml", &printed.output).display().to_string();
    assert_eq!(run(PROGRAM, ["-c", &file, "--mode", "validate"]).await.code, 0);
}

#[tokio::test]
async fn flags_reach_the_server() {
    let (directory, origin) = (Directory::new(), Origin::answering("hello").await);
    let file = configuration(&directory, &origin);
    let log = directory.path("log").display().to_string();
    let process = Process::start(
        PROGRAM,
        [
            "-c",
            &file,
            "--concurrency",
            "3",
            "--service-cluster",
            "front",
            "--service-node",
            "node-1",
            "--service-zone",
            "zone-a",
            "--log-path",
            &log,
            "--config-yaml",
            "{stats_flush_interval: 1s}",
        ],
    );
    let admin = process.live().await;
    let info: serde_json::Value = serde_json::from_str(&get(admin, "/server_info").await.body).unwrap();
    assert_eq!(info["command_line_options"]["concurrency"], 3);
    assert_eq!(info["command_line_options"]["config_path"], file.as_str());
    assert_eq!(info["node"]["cluster"], "front");
    assert_eq!(info["node"]["id"], "node-1");
    assert_eq!(info["node"]["locality"]["zone"], "zone-a");
    assert!(get(admin, "/stats?filter=server.concurrency").await.body.contains("server.concurrency: 3\n"));
    process.signal(Signal::INT);
    assert_eq!(process.ended().await.code, 0);
    let log = std::fs::read_to_string(log).unwrap();
    let line = log.lines().find(|line| line.ends_with(&format!("admin address: {admin}"))).unwrap();
    // [2026-01-31 23:59:59.999][1234][info][main] [crates/proxy/src/server/lifecycle.rs:1] …
    assert!(line.contains("][info][main] [crates/proxy/src/server/lifecycle.rs:"), "{line}");
    assert_eq!((&line[..1], &line[20..21]), ("[", "."), "{line}");
}

#[tokio::test]
async fn init_only_ends_when_all_is_there() {
    let (directory, origin) = (Directory::new(), Origin::answering("hello").await);
    let file = configuration(&directory, &origin);
    let ended = run(PROGRAM, ["-c", &file, "--mode", "init_only"]).await;
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert!(ended.output.contains("] LIVE\n"), "{}", ended.output);
}

#[tokio::test]
async fn a_second_signal_ends_a_drain_at_once() {
    // Accepts and never answers.
    let origin = Origin::scripted(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let directory = Directory::new();
    let file = configuration(&directory, &origin);
    let process = Process::start(PROGRAM, ["-c", &file]);
    let admin = process.live().await;
    let listeners = get(admin, "/listeners").await.body;
    let mut client = Client::connect(listeners.trim().strip_prefix("main::").unwrap().parse().unwrap()).await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    nuncio_test_support::soon("a request under way", async {
        while !get(admin, "/stats?filter=origin.upstream_rq_active").await.body.contains(": 1\n") {}
    })
    .await;
    process.signal(Signal::TERM);
    process.wait_for_output("draining for at most 600 s after SIGTERM; a second signal ends at once").await;
    nuncio_test_support::soon("the admin server says that it drains", async {
        while get(admin, "/ready").await.status() != 503 {}
    })
    .await;
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.code, 143);
    assert_eq!(client.until_closed().await, "");
}

#[tokio::test]
async fn a_second_process_does_not_share_ports_by_accident() {
    let (directory, origin) = (Directory::new(), Origin::answering("hello").await);
    let first = Process::start(PROGRAM, ["-c", &configuration(&directory, &origin)]);
    let listeners = get(first.live().await, "/listeners").await.body;
    let address = listeners.trim().strip_prefix("main::").unwrap().to_owned();
    let target = format!("/={}", origin.address());
    let flags = ["--listen", &address, "--route", &target];
    let refused = run(PROGRAM, flags).await;
    assert_eq!(refused.code, 1);
    assert!(refused.output.contains(&format!("cannot bind '{address}'")), "{}", refused.output);
    let second = Process::start(PROGRAM, flags.iter().chain(&["--disable-hot-restart"]));
    second.live().await;
    first.signal(Signal::TERM);
    assert_eq!(first.ended().await.code, 0);
    assert_eq!(get(address.parse().unwrap(), "/").await.body, "hello");
}

/// Whether an address can be had is a question to the machine on which a configuration is served, at the time.
#[tokio::test]
async fn a_port_in_use_is_valid_and_cannot_be_served() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (directory, origin) = (Directory::new(), Origin::answering("hello").await);
    let file = configuration(&directory, &origin);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("port_value: 0", &format!("port_value: {}", address.port()))).unwrap();
    let ended = run(PROGRAM, ["-c", &file, "--mode", "validate"]).await;
    assert_eq!(
        (ended.code, ended.output),
        (0, format!("configuration '{file}' OK: 1 listener, 1 cluster, 1 route\n"))
    );
    for mode in ["serve", "init_only"] {
        let ended = run(PROGRAM, ["-c", &file, "--mode", mode, "-l", "off"]).await;
        let cannot = |place: &str| format!("{file}:{place}: cannot bind '{address}': Address already in use");
        let lines: Vec<&str> = ended.output.lines().collect();
        assert_eq!((ended.code, lines.len()), (1, 3), "{}", ended.output);
        assert!(lines[0].starts_with(&cannot("5:14: static_resources.listeners[0].address")), "{}", lines[0]);
        assert!(lines[1].starts_with(&cannot("32:12: admin.address")), "{}", lines[1]);
        assert_eq!(lines[2], "2 errors; nothing was started");
    }
}

#[tokio::test]
async fn log_files_are_opened_anew_on_sigusr1() {
    let (directory, origin) = (Directory::new(), Origin::answering("hello").await);
    let (log, moved) = (directory.path("admin.log"), directory.path("admin.log.1"));
    let merged = format!("{{admin: {{access_log_path: {}}}}}", log.display());
    let file = configuration(&directory, &origin);
    let process =
        Process::start(PROGRAM, ["-c", &file, "--config-yaml", &merged, "--file-flush-interval-msec", "5"]);
    let admin = process.live().await;
    std::fs::rename(&log, &moved).unwrap();
    process.signal(Signal::USR1);
    nuncio_test_support::until(|| log.exists(), || "no new file".to_owned()).await;
    get(admin, "/listeners").await;
    nuncio_test_support::until(
        || std::fs::read_to_string(&log).unwrap().contains("GET /listeners "),
        || "no line".to_owned(),
    )
    .await;
    assert!(!std::fs::read_to_string(&moved).unwrap().contains("GET /listeners "));
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.code, 0);
}
