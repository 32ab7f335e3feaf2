//! The demo's command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::app::AppArgs;
use crate::guard::GuardArgs;
use crate::ports::MAX_BASE;
use crate::scale::ScaleRequest;

/// The configurations as they stand in the repository.
const FRONT_CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/config/front-envoy.yaml");
const SERVICE_CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/config/service-envoy.yaml");

/// The front-proxy example on this machine's loopback addresses
///
/// Starts a front proxy (HTTP on 8080, HTTPS on 8443, admin on 8001) before two services, each instance of which is
/// a small application behind a sidecar of its own, and a DNS server in which the front proxy finds them. Every one
/// is a process of its own; root is not needed. Ctrl-C stops them all.
#[derive(Parser, Debug)]
#[command(name = "demo", bin_name = "cargo demo --", version)]
pub struct Cli {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What holds for every command that runs the example.
#[derive(Args, Debug)]
pub struct Options {
    /// Use the ports from N on instead: HTTP N, HTTPS N+1, admin N+2 and three more
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1024..=i64::from(MAX_BASE)))]
    pub base_port: Option<u16>,
    /// The front proxy's configuration [default: the repository's fixtures/config/front-envoy.yaml]
    #[arg(long, global = true, value_name = "FILE", default_value = FRONT_CONFIG, hide_default_value = true)]
    pub front_config: PathBuf,
    /// The services' configuration, of which every instance gets a copy with addresses of its own
    /// [default: the repository's fixtures/config/service-envoy.yaml]
    #[arg(long, global = true, value_name = "FILE", default_value = SERVICE_CONFIG, hide_default_value = true)]
    pub service_config: PathBuf,
    /// Where the binaries front-proxy and sidecar are [default: next to this one, built first if cargo runs it]
    #[arg(long, global = true, value_name = "DIR")]
    pub bin_dir: Option<PathBuf>,
    /// The front proxy's worker threads. As in Envoy each balances its own requests, so only with one do requests on
    /// different connections reach the instances strictly in turn
    #[arg(long, global = true, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// Print what the processes write
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// What to do instead of running the example until Ctrl-C.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Change how many instances a service of the running demo has
    Scale {
        /// For example service1=3
        #[arg(required = true, value_name = "SERVICE=COUNT")]
        services: Vec<ScaleRequest>,
    },
    /// Run every step of the example and print what was expected and what was seen
    ///
    /// Uses the standard ports, or free ones if they are taken. The exit code is 0 if every step passed.
    Check,
    /// Run every step in containers, from deploy/compose, and take everything down again
    ///
    /// Needs the images' binaries: deploy/compose/build makes them. Without a container engine it says that it was
    /// skipped, and the exit code is 0.
    ComposeCheck,
    /// The application of one instance
    #[command(hide = true)]
    App(AppArgs),
    /// Start a program that ends when the demo ends
    #[command(hide = true)]
    Guard(GuardArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    fn check(line: &str, expected: Result<Option<u16>, &str>) {
        let parsed = Cli::try_parse_from(line.split_whitespace());
        let parsed = parsed.map(|cli| cli.options.base_port).map_err(|error| error.to_string());
        match (parsed, expected) {
            (Ok(parsed), Ok(expected)) => assert_eq!(parsed, expected, "{line}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{line}: {error}"),
            (parsed, expected) => panic!("{line}: {parsed:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn options_stand_before_or_after_the_command() {
        check("demo", Ok(None));
        check("demo --base-port 9000 scale service1=3 service2=2", Ok(Some(9000)));
        check("demo check --base-port 9000", Ok(Some(9000)));
        check("demo --base-port 80", Err("80 is not in 1024..=65530"));
        check("demo scale", Err("SERVICE=COUNT"));
        check("demo scale service9=1", Err("the example's services are service1 and service2"));
    }
}
