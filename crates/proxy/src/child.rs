//! The application that a sidecar runs beside itself.

use std::{ffi::OsString, io, os::unix::process::ExitStatusExt, process::ExitStatus};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// A running application.
pub(crate) struct Application {
    child: Child,
    /// Its process group, which it leads: signals reach what it started, too, and a signal that the terminal sends to
    /// the sidecar's group reaches the application once and not twice.
    group: Option<Pid>,
}

impl Application {
    /// Starts it. The runtime must drive processes.
    pub(crate) fn start(command: &[OsString]) -> Result<Self, String> {
        let [program, arguments @ ..] = command else {
            return Err("no application was given".to_owned());
        };
        let child = Command::new(program)
            .args(arguments)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {}: {}", program.display(), explain(&error)))?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { child, group })
    }

    /// Passes a signal on.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It has ended if there is nobody to signal.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Ends when it ends, with the exit code that a shell would give. Can be asked again.
    pub(crate) async fn ended(&mut self) -> u8 {
        self.child.wait().await.map_or(1, code)
    }
}

/// The exit code, or 128 and the number of the signal.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such program".to_owned(),
        io::ErrorKind::PermissionDenied => "it may not be executed".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        fn check(raw: i32, expected: u8) {
            assert_eq!(code(ExitStatus::from_raw(raw)), expected);
        }
        check(0, 0);
        check(7 << 8, 7);
        check(15, 143);
        check(9, 137);
        check(11 | 0x80, 139);
    }

    #[tokio::test]
    async fn an_application_that_cannot_be_started_is_named() {
        fn check(command: &[&str], expected: &str) {
            let command: Vec<OsString> = command.iter().map(OsString::from).collect();
            assert_eq!(Application::start(&command).err().as_deref(), Some(expected));
        }
        check(&[], "no application was given");
        check(&["/no/such/program", "x"], "cannot start /no/such/program: there is no such program");
        check(&["/"], "cannot start /: it may not be executed");
    }

    #[tokio::test]
    async fn signals_reach_the_application() {
        let mut application = Application::start(&["sleep".into(), "600".into()]).unwrap();
        application.signal(Signal::TERM);
        assert_eq!(application.ended().await, 143);
        assert_eq!(application.ended().await, 143);
        application.signal(Signal::TERM);
    }
}
