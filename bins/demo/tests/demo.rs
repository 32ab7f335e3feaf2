//! How the demo ends, in every way in which it can: with programs in the proxies' place that misbehave as told.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nuncio_demo::ports::Ports;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// How long anything here may take before the test fails.
const LIMIT: Duration = Duration::from_secs(20);

/// A directory with a `front-proxy` and a `sidecar` that run a shell script; it goes at the end of the test.
struct Programs(PathBuf);

impl Programs {
    fn new(test: &str, script: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("nuncio-programs-{}-{test}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        for name in ["front-proxy", "sidecar"] {
            let path = directory.join(name);
            let text = format!("#!/bin/sh\ndirectory={}\n{script}\n", directory.display());
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file of ours");
        }
        Self(directory)
    }

    fn demo(&self, base_port: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command.arg("--bin-dir").arg(&self.0).arg("--base-port").arg(base_port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Wait until the script has written its process id.
    fn pid(&self) -> Pid {
        let read =
            || fs::read_to_string(self.0.join("pid")).ok()?.trim().parse().ok().and_then(Pid::from_raw);
        wait_for("a process id", read)
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn wait_for_end(pid: Pid) {
    wait_for("the end of the process", || test_kill_process(pid).is_err().then_some(()));
}

fn free_base() -> u16 {
    Ports::free_base().expect("free ports")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The demo must have failed and said each of these.
fn check_failure(output: &Output, said: &[&str]) {
    let text = text(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in said {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

#[test]
fn a_process_that_ends_is_explained_and_takes_the_demo_with_it() {
    let programs = Programs::new("ends", "echo cannot go on >&2; exit 3");
    let output = programs.demo(free_base()).output().expect("the demo");
    check_failure(
        &output,
        &["service", "-1 ended (exit status: 3)", "cannot go on", "everything has stopped"],
    );
}

#[test]
fn an_interrupt_stops_everything() {
    let programs = Programs::new(
        "interrupt",
        "echo $$ > $directory/pid.new; mv $directory/pid.new $directory/pid; exec sleep 60",
    );
    let demo = programs.demo(free_base()).spawn().expect("the demo");
    let pid = programs.pid();
    kill_process(pid_of(&demo), Signal::INT).expect("a running demo");
    let output = demo.wait_with_output().expect("an end");
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("everything has stopped"), "{}", text(&output));
    wait_for_end(pid);
}

#[test]
fn a_demo_that_is_killed_takes_its_processes_with_it() {
    let programs = Programs::new(
        "killed",
        "echo $$ > $directory/pid.new; mv $directory/pid.new $directory/pid; exec sleep 60",
    );
    let mut demo = programs.demo(free_base()).spawn().expect("the demo");
    let pid = programs.pid();
    demo.kill().expect("a running demo");
    demo.wait().expect("an end");
    wait_for_end(pid);
}

#[test]
fn a_process_that_ignores_its_signal_is_killed() {
    let script = "trap '' TERM; echo $$ > $directory/pid.new; mv $directory/pid.new $directory/pid; sleep 60 & wait; sleep 60";
    let programs = Programs::new("ignores", script);
    let demo = programs.demo(free_base()).spawn().expect("the demo");
    let pid = programs.pid();
    let demo_pid = pid_of(&demo);
    kill_process(demo_pid, Signal::INT).expect("a running demo");
    // The second one does not wait for the drain time.
    kill_process(demo_pid, Signal::TERM).expect("a running demo");
    check_failure(&demo.wait_with_output().expect("an end"), &["everything was killed"]);
    wait_for_end(pid);
}

#[test]
fn a_taken_port_is_named_before_anything_starts() {
    let base = free_base();
    let taken = TcpListener::bind(("0.0.0.0", base + 2)).expect("a port that was free");
    let programs = Programs::new("port", "touch $directory/started; exec sleep 60");
    let output = programs.demo(base).output().expect("the demo");
    check_failure(&output, &[&format!("0.0.0.0:{} is in use", base + 2), "--base-port"]);
    assert!(!programs.0.join("started").exists());
    drop(taken);
}

#[test]
fn what_is_missing_is_named() {
    let programs = Programs::new("missing", "exit 0");
    let demo = |arguments: &[&str]| programs.demo(free_base()).args(arguments).output().expect("the demo");
    check_failure(
        &demo(&["--front-config", "/nowhere/front.yaml"]),
        &["/nowhere/front.yaml cannot be read: No such file"],
    );
    check_failure(
        &demo(&["--service-config", "/nowhere/service.yaml"]),
        &["/nowhere/service.yaml cannot be read"],
    );
    check_failure(&demo(&["scale", "service1=3"]), &["no demo is running with --base-port"]);
    fs::remove_file(programs.0.join("sidecar")).expect("a file");
    check_failure(&demo(&[]), &["sidecar is missing; build it with `cargo build"]);
}

#[test]
fn no_file_is_left_in_the_temporary_directory() {
    let scratch = std::env::temp_dir().join(format!("nuncio-scratch-{}", std::process::id()));
    fs::create_dir_all(&scratch).expect("a directory");
    let programs = Programs::new("files", "exit 3");
    programs.demo(free_base()).env("TMPDIR", &scratch).output().expect("the demo");
    let left: Vec<_> =
        fs::read_dir(&scratch).expect("a directory").flatten().map(|entry| entry.path()).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    fs::remove_dir(Path::new(&scratch)).expect("an empty directory");
}
