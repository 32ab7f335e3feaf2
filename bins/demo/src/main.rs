//! The demo binary: what each command runs, and the exit code.

use std::process::ExitCode;

use clap::Parser;
use nuncio_demo::binaries::Binaries;
use nuncio_demo::cli::{Cli, Command, Options};
use nuncio_demo::failure::Failure;
use nuncio_demo::fleet::Plan;
use nuncio_demo::ports::Ports;
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
        Some(Command::Check) => block_on(check::run(plan(&options, ports_for_check(&options)?)?)),
        Some(Command::ComposeCheck) => block_on(compose::run()),
        None => {
            let plan = plan(&options, options.ports())?;
            block_on(run::run(plan, options.base_port, options.verbose)).map(|()| true)
        }
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

fn plan(options: &Options, ports: Ports) -> Result<Plan, Failure> {
    Ok(Plan {
        ports,
        binaries: Binaries::locate(options.bin_dir.as_deref())?,
        front_config: options.front_config.clone(),
        service_config: options.service_config.clone(),
        concurrency: options.concurrency,
    })
}

/// The ports that were asked for, or the standard ones if they are free, or else free ones.
fn ports_for_check(options: &Options) -> Result<Ports, Failure> {
    if options.base_port.is_some() || Ports::STANDARD.in_use().is_empty() {
        return Ok(options.ports());
    }
    let base = Ports::free_base()?;
    eprintln!("standard ports are in use, so this runs with --base-port {base}");
    Ok(Ports::new(Some(base)))
}
