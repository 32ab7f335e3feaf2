//! Child processes that are pinned to a core, end in bounded time, and never outlive the comparison.
//!
//! Every child starts through this program's own `launch` role, which pins itself, asks the kernel for SIGTERM when
//! its parent dies, raises the limit of open files and then becomes the wanted program. A child has a process group
//! of its own, so that Ctrl-C in a terminal reaches only this program, which then stops the children in order.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::CpuSet;

use super::{Result, failure};

/// Set by the first SIGINT or SIGTERM. Everything that waits looks at it.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How long a child may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(10);

/// Notes SIGINT and SIGTERM from now on instead of dying of them.
pub(crate) fn watch_signals() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        use tokio::signal::unix::{SignalKind, signal};
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        INTERRUPTED.store(true, Ordering::Relaxed);
    });
    Ok(())
}

/// Fails once the user asked to stop.
pub(crate) fn check_interrupted() -> Result<()> {
    match INTERRUPTED.load(Ordering::Relaxed) {
        true => Err(failure("interrupted")),
        false => Ok(()),
    }
}

/// Sleeps, but not past an interruption.
pub(crate) fn pause(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        check_interrupted()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(POLL));
    }
}

/// Keeps this thread, and what it starts, on one core.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set)
        .map_err(|error| failure(format!("cannot run on core {core}: {error}")))
}

/// The cores that this process may use.
pub(crate) fn cores() -> Result<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect())
}

/// Becomes `program`. Returns only when that fails.
pub(crate) fn launch(core: usize, program: &[OsString]) -> Result<()> {
    pin(core)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    let limit = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    let (name, arguments) = program.split_first().ok_or_else(|| failure("nothing to launch"))?;
    let error = Command::new(name).args(arguments).exec();
    Err(failure(format!("cannot start {}: {error}", name.display())))
}

/// A program with its arguments and what else it needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Invocation {
    pub(crate) fn new(program: impl Into<PathBuf>) -> Invocation {
        Invocation { program: program.into(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// This very program in one of its helping roles.
    pub(crate) fn role(name: &str) -> Result<Invocation> {
        Ok(Invocation::new(std::env::current_exe()?).arg(name))
    }

    #[must_use]
    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Invocation {
        self.arguments.push(argument.into());
        self
    }

    /// An option and its value.
    #[must_use]
    pub(crate) fn option(self, name: &str, value: impl ToString + Copy) -> Invocation {
        self.arg(name).arg(value.to_string())
    }

    #[must_use]
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Invocation {
        self.environment.push((name.into(), value.into()));
        self
    }
}

/// A child that is stopped when this value goes away.
pub(crate) struct Running {
    child: Child,
    name: String,
    output: PathBuf,
}

impl Running {
    /// Starts a program on `core`; what it prints goes to the file `output`.
    ///
    /// Call it on the main thread only: the kernel counts the end of the starting thread as the parent's death.
    pub(crate) fn start(invocation: &Invocation, core: usize, output: &Path) -> Result<Running> {
        let file = File::create(output)?;
        let child = Command::new(std::env::current_exe()?)
            .args(["launch", "--core", &core.to_string(), "--"])
            .arg(&invocation.program)
            .args(&invocation.arguments)
            .envs(invocation.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stderr(file.try_clone()?)
            .stdout(file)
            .process_group(0)
            .spawn()?;
        let name = invocation.program.file_name().unwrap_or_default().display().to_string();
        Ok(Running { child, name, output: output.to_owned() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub(crate) fn output(&self) -> String {
        fs::read(&self.output).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits until `ready` gives a value; fails when the child ends before that, or after `limit`.
    pub(crate) fn wait_for<T>(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let end = Instant::now() + limit;
        loop {
            if let Some(value) = ready(&self.output()) {
                return Ok(value);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(self.complaint(&format!("ended with {status}")));
            }
            if Instant::now() > end {
                return Err(self.complaint(&format!("was not ready after {} s", limit.as_secs())));
            }
            pause(POLL)?;
        }
    }

    /// Waits for the end of a program that ends by itself and gives what it printed.
    pub(crate) fn finish(mut self, limit: Duration) -> Result<(ExitStatus, String)> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, self.output()));
            }
            if Instant::now() > end {
                return Err(self.complaint(&format!("had not ended after {} s", limit.as_secs())));
            }
            pause(POLL)?;
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself, which is as good.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    fn complaint(&self, what: &str) -> super::BoxError {
        let output = self.output();
        let mut last: Vec<&str> = output.lines().rev().take(4).collect();
        last.reverse();
        failure(format!("{} {what}: {}", self.name, last.join(" / ")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A child that was waited for has no process group any more, and its number may belong to somebody else.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        self.signal(Signal::TERM);
        let end = Instant::now() + GRACE;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL);
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A folder for configurations and logs that is removed when this value goes away.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Named after the program that needs it.
    pub(crate) fn new(program: &str) -> Result<Scratch> {
        let path = std::env::temp_dir().join(format!("nuncio-{program}-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Scratch { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
