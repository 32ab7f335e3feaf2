//! Start a program that ends when the demo ends, however the demo ends.
//!
//! A demo that is killed cannot stop its proxies, so each of them is started through this step: it asks the kernel
//! for SIGTERM at the parent's death, and becomes the program. The request survives `exec`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::failure::Failure;

/// What the step is told by the demo.
#[derive(Args, Debug, Clone)]
pub struct GuardArgs {
    /// The process id of the demo
    #[arg(long)]
    parent: u32,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl GuardArgs {
    /// The command line that starts `program` in this way. [`run`] gets the rest of it.
    pub fn command_line(parent: u32, program: OsString, arguments: Vec<OsString>) -> Vec<OsString> {
        let mut line =
            vec!["guard".into(), "--parent".into(), parent.to_string().into(), "--".into(), program];
        line.extend(arguments);
        line
    }
}

/// Become the program; returns only if that is impossible.
pub fn run(args: &GuardArgs) -> Failure {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return Failure::new(format!("the end of the demo cannot be watched: {error}"));
    }
    // The demo may have ended before the request was made.
    if std::os::unix::process::parent_id() != args.parent {
        return Failure::new("the demo has ended");
    }
    let Some((program, arguments)) = args.command.split_first() else {
        return Failure::new("there is no program to start");
    };
    let error = Command::new(program).args(arguments).exec();
    Failure::new(format!("{} cannot be started: {error}", program.to_string_lossy()))
}
