//! The end-to-end comparison of Nuncio's `front-proxy` with Envoy, nginx and HAProxy.
//!
//! Each measurement starts one proxy with one worker on a core of its own, and the load generator and the origin on
//! another core. The primary figure is the processor time of the proxy divided by the completed requests, because it
//! stays meaningful when the generator is what limits the throughput. Every round contains every proxy, in rotated
//! order; `docs/BENCHMARKS.md` says how to read the result.
//!
//! [`peers`] knows the proxies, [`workload`] what they are loaded with, [`measure`] does one measurement,
//! [`report`] prints. [`process`] sees to it that nothing outlives the program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};

use self::generators::{Handshakes, Schedule};
use self::machine::Machine;
use self::measure::{Cores, Sample, Stand, Tools};
use self::peers::{Peer, on_path};
use self::process::Scratch;
use self::report::{Comparison, Outcome};
use self::workload::{Generator, QUICK, Workload};

pub(crate) mod client;
mod figures;
mod generators;
mod machine;
mod measure;
pub(crate) mod origin;
pub(crate) mod peers;
pub(crate) mod process;
mod procfs;
mod report;
mod tools;
mod workload;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, BoxError>;

pub(crate) fn failure(text: impl Into<String>) -> BoxError {
    text.into().into()
}

/// Compare Nuncio's front-proxy with Envoy, nginx and HAProxy on this machine.
#[derive(Debug, Parser)]
#[command(name = "compare", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Options {
    /// Only the small GET over 64 connections, 3 rounds of 2 s, in under a minute.
    #[arg(long, conflicts_with = "workload")]
    quick: bool,
    /// Only these workloads, by name, with commas between them.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = parse_workload)]
    workload: Vec<Workload>,
    /// Print the names of the workloads, and what each measures.
    #[arg(long)]
    list: bool,
    /// Rounds of each workload [default: 5; 3 with --quick].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Seconds of load for each measurement [default: 4; 2 with --quick].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: Option<u32>,
    /// Only these proxies: nuncio, envoy, envoy-benchmark, nginx, haproxy.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = Peer::parse)]
    peers: Vec<Peer>,
    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The front proxy to measure [default: the newest of target/dist and target/release].
    #[arg(long, value_name = "PATH")]
    front_proxy: Option<PathBuf>,
    /// Also count the system calls of the small GET with strace.
    #[arg(long)]
    system_calls: bool,
    /// Requests per second of the workload with a fixed rate [default: half of Envoy's peak].
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    rate: Option<f64>,
    /// The core for the proxy.
    #[arg(long, value_name = "N", default_value_t = 0)]
    proxy_core: usize,
    /// The core for generator and origin.
    #[arg(long, value_name = "N", default_value_t = 1)]
    load_core: usize,
}

fn parse_workload(name: &str) -> std::result::Result<Workload, String> {
    Workload::find(name).ok_or_else(|| "no such workload; --list prints their names".to_owned())
}

fn parse_rate(text: &str) -> std::result::Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| *rate > 0.0 && rate.is_finite());
    rate.ok_or_else(|| "a rate is a number above zero".to_owned())
}

/// The parts of the comparison that run as processes of their own.
#[derive(Debug, Subcommand)]
enum Role {
    #[command(hide = true)]
    Launch {
        #[arg(long)]
        core: usize,
        #[arg(last = true)]
        program: Vec<OsString>,
    },
    #[command(hide = true)]
    Origin,
    #[command(hide = true)]
    Idle {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        path: String,
        #[arg(long)]
        connections: usize,
    },
    #[command(hide = true)]
    FixedRate {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        path: String,
        #[arg(long)]
        rate: f64,
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        seconds: f64,
    },
    #[command(hide = true)]
    Handshakes {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        path: String,
        #[arg(long)]
        certificate: PathBuf,
        #[arg(long)]
        resume: bool,
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        seconds: f64,
    },
}

/// The whole program: exit code 0 for a valid run, 2 for an invalid one, 1 when something went wrong.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.role {
        None => compare(&cli.options),
        Some(role) => play(role).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("compare: {error}");
        ExitCode::FAILURE
    })
}

fn play(role: Role) -> Result<()> {
    match role {
        Role::Launch { core, program } => process::launch(core, &program),
        Role::Origin => origin::run(),
        Role::Idle { port, path, connections } => generators::idle(port, &path, connections),
        Role::FixedRate { port, path, rate, connections, seconds } => {
            generators::fixed_rate(&Schedule { port, path, rate, connections, seconds })
        }
        Role::Handshakes { port, path, certificate, resume, connections, seconds } => {
            let plan = Handshakes { port, path, certificate, resume, connections, seconds };
            generators::handshakes(&plan)
        }
    }
}

/// Seconds of each measurement without load: start, warm-up, end. Envoy with many routes needs more.
const OVERHEAD: f64 = 0.7;

/// Prints to standard error, so that the tables on standard output can be kept.
fn progress(text: impl Display) {
    eprintln!("{text}");
}

/// What has been decided before the first measurement.
struct Run {
    stand: Stand,
    rounds: usize,
    programs: Vec<(Peer, PathBuf)>,
    rate: Option<f64>,
    system_calls: bool,
}

fn compare(options: &Options) -> Result<ExitCode> {
    if options.list {
        for workload in workload::ALL {
            println!("{:<20} {} ({})", workload.name, workload.what, workload.unit().text());
        }
        return Ok(ExitCode::SUCCESS);
    }
    process::watch_signals()?;
    let (cores, available) =
        (Cores { proxy: options.proxy_core, load: options.load_core }, process::cores()?);
    if cores.proxy == cores.load || ![cores.proxy, cores.load].iter().all(|core| available.contains(core)) {
        return Err(failure(format!(
            "the proxy and the load need a core each; there are {available:?}, asked for were {} and {}",
            cores.proxy, cores.load
        )));
    }
    let machine = Machine::here(available.len());
    process::pin(cores.load)?;

    let asked = if options.peers.is_empty() { Peer::ALL.to_vec() } else { options.peers.clone() };
    let mut programs = Vec::new();
    let mut missing = BTreeMap::new();
    for peer in Peer::ALL.into_iter().filter(|peer| asked.contains(peer)) {
        match peer.locate(options.front_proxy.as_deref()) {
            Ok(path) => programs.push((peer, path)),
            // Without it there is nothing to compare.
            Err(reason) if peer == Peer::Nuncio => return Err(failure(reason)),
            Err(reason) => {
                progress(format_args!("missing: {}: {reason}", peer.name()));
                missing.insert(peer.name().to_owned(), reason);
            }
        }
    }
    let tools = Tools { wrk: on_path("wrk"), h2load: on_path("h2load"), strace: on_path("strace") };
    for (name, path) in [("wrk", &tools.wrk), ("h2load", &tools.h2load)] {
        if path.is_none() {
            progress(format_args!("missing: {name}: not on PATH; its workloads are skipped"));
            missing.insert(name.to_owned(), "not on PATH".to_owned());
        }
    }
    let scratch = Scratch::new("compare")?;
    let mut versions = versions(&programs, &tools, cores, &scratch)?;
    if let Some((peer, path)) = programs.iter().find(|(peer, _)| *peer == Peer::Nuncio) {
        let build = machine::build(path);
        progress(format_args!("front-proxy: {}, {build}", path.display()));
        versions.entry(peer.name().to_owned()).and_modify(|version| *version += &format!(", {build}"));
    }

    let default = |quick, full| if options.quick { quick } else { full };
    let seconds = options.seconds.unwrap_or(default(2, 4));
    let rounds = options.rounds.unwrap_or(default(3, 5)) as usize;
    let selected = match (options.quick, options.workload.as_slice()) {
        (true, _) => Workload::find(QUICK).into_iter().collect(),
        (false, []) => workload::ALL.to_vec(),
        (false, named) => named.to_vec(),
    };
    let stand = Stand::set_up(scratch, tools, cores, seconds)?;
    let run = Run { stand, rounds, programs, rate: options.rate, system_calls: options.system_calls };
    let measurements = selected.len() * rounds * run.programs.len();
    let minutes = (measurements as f64 * (f64::from(seconds) + OVERHEAD) / 60.0).ceil();
    progress(format_args!("workloads: {}; minutes: about {minutes}", selected.len()));
    if machine.load_average > machine::QUIET {
        progress(format_args!("warning: load average {:.2}, the machine is not quiet", machine.load_average));
    }

    let mut outcomes = Vec::new();
    let mut interrupted = None;
    for workload in &selected {
        match run.all_rounds(workload) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                interrupted = Some(error);
                break;
            }
        }
    }
    let valid = report::all_valid(&outcomes);
    let whole = outcomes.iter().all(Outcome::is_whole);
    let comparison = Comparison { machine, versions, missing, rounds, seconds, workloads: outcomes, valid };
    println!("{}", report::print(&comparison));
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string_pretty(&comparison)? + "\n")?;
    }
    match interrupted {
        Some(error) => Err(error),
        None if !whole => Err(failure("not everything could be measured")),
        None if valid == Some(false) => Ok(ExitCode::from(2)),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn versions(
    programs: &[(Peer, PathBuf)],
    tools: &Tools,
    cores: Cores,
    scratch: &Scratch,
) -> Result<BTreeMap<String, String>> {
    let mut versions = BTreeMap::new();
    let proxies = programs.iter().map(|(peer, path)| (peer.name(), path, peer.version_argument()));
    let tools = [("wrk", &tools.wrk, "-v"), ("h2load", &tools.h2load, "--version")];
    let tools = tools.into_iter().filter_map(|(name, path, argument)| Some((name, path.as_ref()?, argument)));
    for (name, path, argument) in proxies.chain(tools) {
        versions.insert(name.to_owned(), machine::version(path, argument, cores.load, scratch.path())?);
    }
    Ok(versions)
}

impl Run {
    /// Fails only when the user interrupts; what goes wrong with one proxy is noted.
    fn all_rounds(&self, workload: &Workload) -> Result<Outcome> {
        let (mut notes, mut failures) = (Vec::new(), Vec::new());
        let mut taking_part = Vec::new();
        for (peer, program) in &self.programs {
            match workload.exclusion(*peer) {
                Some(reason) => notes.push(format!("{} takes no part: {reason}", peer.name())),
                None => taking_part.push((*peer, program.as_path())),
            }
        }
        if let Some(reason) = self.stand.lacks(workload) {
            progress(format_args!("{} skipped: {reason}", workload.name));
            let failures = vec![format!("skipped: {reason}")];
            return Ok(Outcome { notes, failures, ..Outcome::new(workload, Vec::new(), &[]) });
        }
        let rate = match self.rate_for(workload, &mut notes) {
            Ok(rate) => rate,
            Err(error) => {
                process::check_interrupted()?;
                let failures = vec![format!("no rate: {error}")];
                return Ok(Outcome { notes, failures, ..Outcome::new(workload, Vec::new(), &[]) });
            }
        };
        let mut samples: Vec<(Peer, Vec<Sample>)> =
            taking_part.iter().map(|(peer, _)| (*peer, Vec::new())).collect();
        for round in 0..self.rounds {
            for (peer, program) in figures::rotated(&taking_part, round) {
                process::check_interrupted()?;
                let begun = Instant::now();
                let result = self.stand.measure(workload, peer, program, rate);
                process::check_interrupted()?;
                let said = match &result {
                    Ok(sample) => format!("{:.2} {}", sample.cost, workload.unit().text()),
                    Err(error) => format!("failed: {error}"),
                };
                let at = format!("{} round {}/{}", workload.name, round + 1, self.rounds);
                let took = begun.elapsed().as_secs_f64();
                progress(format_args!("{at:<30} {:<16} {said} ({took:.1} s)", peer.name()));
                match result {
                    Ok(sample) => {
                        samples.iter_mut().filter(|(of, _)| *of == peer).for_each(|(_, all)| all.push(sample))
                    }
                    Err(error) => failures.push(format!("{} in round {}: {error}", peer.name(), round + 1)),
                }
            }
        }
        let calls = self.count_system_calls(workload, &taking_part, &mut failures)?;
        Ok(Outcome { notes, failures, ..Outcome::new(workload, samples, &calls) })
    }

    /// Half of what Envoy, in whichever settings are there, or else the first proxy can serve. Zero where no rate is needed.
    fn rate_for(&self, workload: &Workload, notes: &mut Vec<String>) -> Result<f64> {
        if !matches!(workload.load, Generator::FixedRate { .. }) {
            return Ok(0.0);
        }
        let envoy = self.programs.iter().find(|(peer, _)| matches!(peer, Peer::Envoy | Peer::EnvoyBenchmark));
        let rate = match (self.rate, envoy.or(self.programs.first())) {
            (Some(rate), _) => rate,
            (None, Some((peer, program))) => {
                let peak = self.stand.peak(workload, *peer, program)?;
                notes.push(format!("peak of {}: {peak:.0} requests per second", peer.name()));
                peak / 2.0
            }
            (None, None) => return Err(failure("there is no proxy to measure")),
        };
        notes.push(format!("rate: {rate:.0} requests per second"));
        Ok(rate)
    }

    fn count_system_calls(
        &self,
        workload: &Workload,
        taking_part: &[(Peer, &std::path::Path)],
        failures: &mut Vec<String>,
    ) -> Result<Vec<(Peer, f64)>> {
        let mut counts = Vec::new();
        if self.system_calls && workload.name == QUICK {
            for (peer, program) in taking_part {
                progress(format_args!("{} system calls of {}", workload.name, peer.name()));
                match self.stand.system_calls(workload, *peer, program) {
                    Ok(calls) => counts.push((*peer, calls)),
                    Err(error) => failures.push(format!("system calls of {}: {error}", peer.name())),
                }
                process::check_interrupted()?;
            }
        }
        Ok(counts)
    }
}
