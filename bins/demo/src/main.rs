//! The demo binary: what each command runs, and the exit code.

use std::process::ExitCode;

use clap::Parser;
use nuncio_demo::cli::{Cli, Command};
use nuncio_demo::failure::Failure;
use nuncio_demo::{app, check, compose, control, guard, run};

fn main() -> ExitCode {
    match execute(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("demo: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything that was looked at is as it should be.
fn execute(Cli { options, command }: Cli) -> Result<bool, Failure> {
    match command {
        // Becomes another program, so it comes before anything that starts threads.
        Some(Command::Guard(args)) => Err(guard::run(&args)),
        Some(Command::App(args)) => block_on(app::run(&args)).map(|()| true),
        Some(Command::Scale { services }) => {
            block_on(control::scale(options.base_port, &services)).map(|()| true)
        }
        Some(Command::Check) => block_on(check::run(&options)),
        Some(Command::ComposeCheck) => block_on(compose::run()),
        None => block_on(run::run(&options)).map(|()| true),
    }
}

/// One thread for all of it: the kernel ties each child to the thread that started it.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime cannot start: {error}")))?
        .block_on(work)
}
