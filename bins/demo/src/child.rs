//! One process that the demo started: its output, its end, and stopping it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::{mpsc, watch};

use crate::app;
use crate::binaries::Binaries;
use crate::failure::Failure;
use crate::guard::GuardArgs;

/// How many lines of a process's output are kept to explain its end.
const KEPT_LINES: usize = 15;

/// How long a process's output is read after its end.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// What the processes tell the demo.
#[derive(Debug)]
pub enum Event {
    /// A process wrote a line.
    Line {
        /// The process's name.
        name: String,
        /// What it wrote.
        line: String,
    },
    /// A process ended that nobody had asked to.
    Ended(Failure),
    /// Something happened that the person at the terminal should know.
    Note(String),
}

/// A running or ended process.
pub struct Child {
    name: String,
    pid: Pid,
    stopping: Arc<AtomicBool>,
    /// Whether the process has ended.
    ended: watch::Receiver<bool>,
    /// The same with the reason, once all output was read.
    explained: watch::Receiver<Option<Failure>>,
    app_pid: watch::Receiver<Option<u32>>,
}

impl Child {
    /// Start `program` in a process group of its own, so that a Ctrl-C at the terminal reaches the demo only.
    pub fn spawn(
        binaries: &Binaries,
        name: &str,
        program: OsString,
        arguments: Vec<OsString>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<Self, Failure> {
        let cannot_start =
            |error: &dyn std::fmt::Display| Failure::new(format!("{name} cannot be started: {error}"));
        let mut process = Command::new(&binaries.demo)
            .args(GuardArgs::command_line(std::process::id(), program, arguments))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| cannot_start(&error))?;
        let pid = process
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .ok_or_else(|| cannot_start(&"it has no process id"))?;

        let (app_pid_out, app_pid) = watch::channel(None);
        let log =
            Arc::new(Log { name: name.to_owned(), lines: Mutex::default(), app_pid: app_pid_out, events });
        let outputs = [
            process.stdout.take().map(|output| tokio::spawn(Arc::clone(&log).follow(output))),
            process.stderr.take().map(|output| tokio::spawn(Arc::clone(&log).follow(output))),
        ];
        let (ended_out, ended) = watch::channel(false);
        let (explained_out, explained) = watch::channel(None);
        let stopping = Arc::new(AtomicBool::new(false));
        tokio::spawn({
            let stopping = Arc::clone(&stopping);
            async move {
                let status = process.wait().await.unwrap_or_default();
                ended_out.send_replace(true);
                // What was written last explains the end best, so it is read to its end; an orphan of the process
                // may hold the pipe open, so not for ever.
                for output in outputs.into_iter().flatten() {
                    let _ = tokio::time::timeout(LAST_OUTPUT, output).await;
                }
                let failure = log.explain(status);
                explained_out.send_replace(Some(failure.clone()));
                if !stopping.load(Ordering::Relaxed) {
                    let _ = log.events.send(Event::Ended(failure));
                }
            }
        });
        Ok(Self { name: name.to_owned(), pid, stopping, ended, explained, app_pid })
    }

    /// The name that the demo gave the process.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id, also that of the process group.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// The process id of the application that the process started, once it accepts connections.
    pub fn app_pid(&self) -> Option<u32> {
        *self.app_pid.borrow()
    }

    /// Wait until the application accepts connections; for ever if it never does.
    pub async fn app_ready(&self) {
        if self.app_pid.clone().wait_for(Option::is_some).await.is_err() {
            std::future::pending().await
        }
    }

    /// Wait for the end of the process and explain it.
    pub async fn ended(&self) -> Failure {
        let mut explained = self.explained.clone();
        let explained = explained.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone());
        explained.unwrap_or_else(|| Failure::new(format!("{} ended", self.name)))
    }

    /// Ask the process to end and wait for it; kill its group if it takes longer than `grace`.
    ///
    /// Returns what went wrong, if anything did.
    pub async fn stop(&self, grace: Duration) -> Option<Failure> {
        self.stopping.store(true, Ordering::Relaxed);
        let mut ended = self.ended.clone();
        if !*ended.borrow() {
            // An error means that the process ended just now, which the wait below finds out.
            let _ = rustix::process::kill_process(self.pid, Signal::TERM);
        }
        let in_time = tokio::time::timeout(grace, ended.wait_for(|ended| *ended)).await.is_ok();
        let orphans = rustix::process::test_kill_process_group(self.pid).is_ok();
        self.kill();
        if !in_time {
            let _ = ended.wait_for(|ended| *ended).await;
            return Some(Failure::new(format!(
                "{} did not end within {} s and was killed",
                self.name,
                grace.as_secs()
            )));
        }
        orphans.then(|| Failure::new(format!("{} left a process behind, which was killed", self.name)))
    }

    /// End the process and everything that it started at once.
    pub fn kill(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        // An error means that nothing of the group is left.
        let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
    }
}

/// What a process wrote.
struct Log {
    name: String,
    lines: Mutex<VecDeque<String>>,
    app_pid: watch::Sender<Option<u32>>,
    events: mpsc::UnboundedSender<Event>,
}

impl Log {
    async fn follow(self: Arc<Self>, output: impl AsyncRead + Unpin) {
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        while output.read_until(b'\n', &mut bytes).await.is_ok_and(|length| length > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            if let Some(pid) = app::pid_in_ready_line(&line) {
                self.app_pid.send_replace(Some(pid));
            }
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == KEPT_LINES {
                lines.pop_front();
            }
            lines.push_back(line.clone());
            drop(lines);
            let _ = self.events.send(Event::Line { name: self.name.clone(), line });
        }
    }

    fn explain(&self, status: ExitStatus) -> Failure {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = format!("{} ended ({status})", self.name);
        if !lines.is_empty() {
            text.push_str("; it wrote last:");
        }
        for line in lines.iter() {
            text.push_str("\n  ");
            text.push_str(line);
        }
        Failure::new(text)
    }
}
