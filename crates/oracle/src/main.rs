//! Records Envoy's answers and compares Nuncio's with them.

use std::{process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use nuncio_oracle::{
    Result, THREADS,
    case::Case,
    check_all,
    compare::{on_purpose, with_record},
    fixtures, pattern, progress,
    proxy::{CHILD, Program},
    record::{self, Record},
    run::run,
};
use nuncio_proxy::Crypto;
use rustls::crypto::aws_lc_rs;

/// Runs the same exchanges in Nuncio and in Envoy and compares what everybody sees.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Record Envoy's answers (ENVOY_BIN, or envoy on the path) to the cases; all by default
    Record {
        /// Names of cases, `*` for any text
        cases: Vec<String>,
        /// Record Nuncio's answers where they differ on purpose instead
        #[arg(long)]
        own: bool,
    },
    /// Compare Nuncio, and Envoy where it is installed, with what is recorded
    Check {
        /// Names of cases, `*` for any text
        cases: Vec<String>,
        /// Only exchanges with this name, `*` for any text
        #[arg(long, default_value = "*")]
        exchange: String,
        /// Do not run Envoy
        #[arg(long)]
        nuncio_only: bool,
    },
    /// Print what both show in an exchange
    Show {
        /// The case
        case: String,
        /// The exchange, `*` for any text
        exchange: String,
    },
}

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        let provider = Arc::new(aws_lc_rs::default_provider());
        return nuncio_proxy::main_front_proxy(Crypto { provider, ticketer: aws_lc_rs::Ticketer::new });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let result =
        runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(command(Cli::parse().command)));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn command(command: Command) -> Result<bool> {
    let folder = fixtures();
    let _told = progress::tell();
    let nuncio = Program::nuncio(&std::env::current_exe()?);
    match command {
        Command::Record { cases, own } => {
            let mut running = Vec::new();
            for case in record::cases(&folder, picks(&cases))? {
                let nuncio = nuncio.clone();
                running.push(tokio::spawn(async move {
                    if own { record_own(&case, &nuncio).await } else { record_envoy(&case).await }
                }));
            }
            let mut good = true;
            for case in running {
                good &= case.await??;
            }
            Ok(good)
        }
        Command::Check { cases, exchange, nuncio_only } => {
            let envoy = if nuncio_only { Err("not wanted".to_owned()) } else { Program::envoy()? };
            let envoy = envoy.inspect_err(|why| eprintln!("Envoy is not asked: {why}")).ok();
            let report = check_all(picks(&cases), &exchange, &nuncio, envoy.as_ref()).await?;
            print!("{report}");
            Ok(report.findings.is_empty())
        }
        Command::Show { case, exchange } => {
            for case in record::cases(&folder, |name| pattern::matches(&case, name))? {
                for program in Program::envoy()?.iter().chain([&nuncio]) {
                    let answers =
                        run(&case, program, &folder, |name| pattern::matches(&exchange, name), None);
                    for (name, seen) in answers.await?.exchanges {
                        println!("{}: {name}\n{}", program.name(), serde_json::to_string_pretty(&seen)?);
                    }
                }
            }
            Ok(true)
        }
    }
}

fn picks(names: &[String]) -> impl Fn(&str) -> bool {
    |name| names.is_empty() || names.iter().any(|wanted| pattern::matches(wanted, name))
}

/// Records Envoy's answers, once it has given the same ones twice.
async fn record_envoy(case: &Case) -> Result<bool> {
    let envoy = Program::envoy()??;
    let folder = fixtures();
    let first = run(case, &envoy, &folder, |_| true, None).await?;
    let second = run(case, &envoy, &folder, |_| true, None).await?;
    let findings = with_record(case, &first.exchanges, &second);
    findings.iter().for_each(|finding| println!("Envoy disagrees with itself: {finding}"));
    println!("{}: {} exchanges recorded", case.name, first.exchanges.len());
    Record::save(&folder, &case.name, first.exchanges)?;
    Ok(findings.is_empty())
}

/// Records what Nuncio answers where that differs from Envoy on purpose.
async fn record_own(case: &Case, nuncio: &Program) -> Result<bool> {
    let folder = fixtures();
    let record = Record::load(&folder, &case.name)?;
    let differs = |name: &str| case.differs.iter().any(|differs| differs.is_about(name));
    let answers = run(case, nuncio, &folder, differs, None).await?;
    let left_out = record::left_out_stats(&folder)?;
    let (own, findings) = on_purpose(case, &record.exchanges, &answers, &left_out);
    findings.iter().for_each(|finding| println!("{finding}"));
    println!("{}: {} exchanges differ on purpose", case.name, own.len());
    record::save_own(&folder, &case.name, &own)?;
    Ok(findings.is_empty())
}
