//! Instructions per route lookup and per proxied request, counted by callgrind.
//!
//! Where there are no hardware counters, and beside other work on the machine, this is the way to see a change of one
//! per cent: callgrind runs a program on a processor of its own making and counts what it executes, so the figure
//! hardly depends on the day. It counts user-side instructions only; the kernel's part of a request is not in it.
//!
//! The program runs itself under valgrind once for each [`subject`]. The run prepares its subject, warms it up, and
//! then calls a function that callgrind knows by its name to begin and end counting ([`counting`]), so that neither
//! the start of the program nor the making of a table is in the figure. [`request`] holds the proxied request,
//! [`callgrind`] calls valgrind, [`report`] prints.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::report::{Counts, Row};
use self::subject::Subject;
use crate::compare::process::{self, Scratch};
use crate::compare::{Result, failure};

mod callgrind;
mod counting;
mod report;
mod request;
mod subject;

/// Count the instructions of route lookups and of proxied requests with callgrind.
#[derive(Debug, Parser)]
#[command(name = "instructions", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    /// Only what has this in its name, for instance `request` or `routing/mixed`.
    filter: Option<String>,
    /// Print the names.
    #[arg(long)]
    list: bool,
    /// Write the counts to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compare with the counts in this file, which `--json` wrote.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// What valgrind is given to run.
    #[command(hide = true)]
    Subject { name: String },
}

/// The whole program: exit code 0 if everything was counted, 1 otherwise.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.role {
        Some(Role::Subject { name }) => match Subject::find(name) {
            Some(subject) => subject.run(),
            None => Err(failure(format!("nothing is named {name}"))),
        },
        None => count(&cli),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count(cli: &Cli) -> Result<()> {
    let filter = cli.filter.as_deref().unwrap_or_default();
    let chosen: Vec<Subject> =
        Subject::all().into_iter().filter(|subject| subject.name().contains(filter)).collect();
    if chosen.is_empty() {
        return Err(failure(format!("nothing has {filter} in its name; --list prints the names")));
    }
    if cli.list {
        chosen.iter().for_each(|subject| println!("{}", subject.name()));
        return Ok(());
    }
    let baseline = cli.baseline.as_deref().map(Counts::read).transpose()?;
    let valgrind = callgrind::locate()?;
    process::watch_signals()?;
    let scratch = Scratch::new("instructions")?;
    let mut counts = Counts::new(callgrind::version(&valgrind)?, profile());
    let mut failures = 0;
    for subject in chosen {
        process::check_interrupted()?;
        match callgrind::count(&valgrind, &subject, scratch.path()) {
            Ok(instructions) => {
                let row = Row::new(&subject, instructions);
                eprintln!("{:<28} {:.0}", row.name, row.instructions);
                counts.rows.push(row);
            }
            Err(error) => {
                process::check_interrupted()?;
                eprintln!("{:<28} failed: {error}", subject.name());
                failures += 1;
            }
        }
    }
    if !counts.rows.is_empty() {
        println!("{}", counts.print(baseline.as_ref()));
    }
    if let Some(file) = &cli.json {
        counts.write(file)?;
    }
    match failures {
        0 => Ok(()),
        _ => Err(failure(format!("{failures} could not be counted"))),
    }
}

/// The profile that this program was built with, which is the name of its folder.
fn profile() -> String {
    let own = std::env::current_exe().unwrap_or_default();
    let folder = own.parent().and_then(Path::file_name).unwrap_or_default();
    folder.display().to_string()
}
