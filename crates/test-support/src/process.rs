//! A binary of the project as a process of its own.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};

use crate::{get, soon, until};

/// A running process. Dropping it kills it.
pub struct Process {
    child: Child,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    directory: Directory,
}

/// How a process ended, and what it had to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code, or 128 and the signal's number.
    pub code: i32,
    /// Its standard output and standard error, line by line as they came.
    pub output: String,
}

/// A directory of a test's own, removed when it is dropped.
pub struct Directory(PathBuf);

impl Directory {
    /// Makes one.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nuncio-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and gives its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a program to its end.
pub async fn run(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
    Process::spawn(program, arguments, Directory::new()).ended().await
}

/// Runs a program to its end on a terminal of so many columns, with these environment variables.
pub fn run_on_terminal(
    program: &str,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    columns: u16,
    variables: &[(&str, &str)],
) -> Ended {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let other_end = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    tcsetwinsize(&other_end, Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let mut command = std::process::Command::new(program);
    command.args(arguments).env_remove("NO_COLOR").env("TERM", "xterm").envs(variables.iter().copied());
    let streams = command.stdin(Stdio::null()).stdout(other_end.try_clone().unwrap()).stderr(other_end);
    let mut child = streams.spawn().unwrap();
    // With it goes the last of the parent's ends, so that reading stops when the child has ended.
    drop(command);
    let mut output = Vec::new();
    // The error says that nobody can write any more.
    let _ = File::from(terminal).read_to_end(&mut output);
    let code = code(child.wait().unwrap());
    Ended { code, output: String::from_utf8(output).unwrap().replace("\r\n", "\n") }
}

impl Process {
    /// Starts one of the project's binaries, with `--admin-address-path` in front of the arguments.
    pub fn start(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let directory = Directory::new();
        let mut all = vec!["--admin-address-path".into(), directory.path("admin").into_os_string()];
        all.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        Self::spawn(program, all, directory)
    }

    fn spawn(
        program: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        directory: Directory,
    ) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            tokio::spawn(read(child.stdout.take().unwrap(), Arc::clone(&output))),
            tokio::spawn(read(child.stderr.take().unwrap(), Arc::clone(&output))),
        ];
        Self { child, output, readers, directory }
    }

    /// What it has said so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Waits until it has said something.
    pub async fn wait_for_output(&self, text: &str) {
        until(|| self.output().contains(text), || format!("{text:?} in: {}", self.output())).await;
    }

    /// Waits until it is LIVE, and gives the admin server's address.
    pub async fn live(&self) -> SocketAddr {
        let address =
            || std::fs::read_to_string(self.directory.path("admin")).ok()?.parse::<SocketAddr>().ok();
        until(|| address().is_some(), || format!("the admin server's address; output: {}", self.output()))
            .await;
        let address = address().unwrap();
        let live = async {
            while get(address, "/ready").await.body != "LIVE\n" {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        soon("a LIVE process", live).await;
        address
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(id.unwrap(), signal).unwrap();
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        let status = soon("the end of a process", self.child.wait()).await.unwrap();
        for reader in self.readers.drain(..) {
            // Whatever it started may hold the pipes open.
            let _ = tokio::time::timeout(std::time::Duration::from_secs(1), reader).await;
        }
        Ended { code: code(status), output: self.output() }
    }
}

async fn read(stream: impl AsyncRead + Unpin, output: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut output = output.lock().unwrap();
        output.push_str(&line);
        output.push('\n');
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}
