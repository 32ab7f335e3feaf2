//! The command line of both binaries: Envoy's flags, and a few of our own.
//!
//! Every flag of Envoy 1.40 is known. One that cannot do anything here is accepted and says why, once, so that a
//! start script written for Envoy runs unchanged; an unknown one is an error.

mod config;
mod generate;
mod no_effect;
mod report;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, ValueEnum};

pub use self::{
    config::{Command, Form, Tool},
    generate::Route,
};

/// The version of Envoy whose API and behaviour are followed.
pub const ENVOY_VERSION: &str = "1.40";

/// What `--version` prints after the binary's name.
pub const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (Nuncio; follows Envoy's v3 API as of Envoy 1.40)");

/// The heading of the flags that make a configuration. A heading holds for all that is declared after it, also beyond
/// the struct that sets it, so these flags name theirs.
const NO_FILE: &str = "Without a configuration file";

/// The flags that both binaries have.
#[derive(Args, Debug)]
pub struct Common {
    /// Read the configuration from this file (YAML or JSON)
    #[arg(short = 'c', long, value_name = "FILE")]
    pub config_path: Option<PathBuf>,

    /// Merge this YAML or JSON text over the file's, or use it alone
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub config_yaml: String,

    /// What to do with the configuration
    #[arg(long, value_enum, default_value_t = Mode::Serve, ignore_case = true)]
    pub mode: Mode,

    /// How to show problems: with the lines they are about, in one line each, or as JSON on standard output
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Auto)]
    pub format: Format,

    /// Say of each field that the configuration uses whether it is honoured, has no effect here, or is not supported,
    /// and exit: with 0 if nothing is wrong and all is supported
    #[arg(long)]
    pub report: bool,

    /// Number of worker threads; by default the CPUs that affinity and the cgroup's quota allow
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,

    /// Log level: trace, debug, info, warning (or warn), error, critical, off
    #[arg(short = 'l', long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,

    /// Log levels of single components, for instance upstream:debug,config:trace
    #[arg(long, value_name = "COMPONENT:LEVEL,...", default_value = "", hide_default_value = true)]
    pub component_log_level: String,

    /// Write the log to this file instead of standard error
    #[arg(long, value_name = "FILE")]
    pub log_path: Option<PathBuf>,

    /// Shape of a log line, in spdlog's pattern syntax
    #[arg(long, value_name = "PATTERN", default_value = crate::log::DEFAULT_FORMAT)]
    pub log_format: String,

    /// Escape line ends and other control characters in log messages
    #[arg(long)]
    pub log_format_escaped: bool,

    /// Write the admin server's address to this file
    #[arg(long, value_name = "FILE")]
    pub admin_address_path: Option<PathBuf>,

    /// Longest time in seconds for which connections may go on after SIGTERM or SIGINT
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub drain_time_s: u32,

    /// Name of the cluster that this server belongs to; overrides node.cluster
    #[arg(long, value_name = "NAME")]
    pub service_cluster: Option<String>,

    /// Name of this server; overrides node.id
    #[arg(long, value_name = "NAME")]
    pub service_node: Option<String>,

    /// Zone of this server; overrides node.locality.zone
    #[arg(long, value_name = "NAME")]
    pub service_zone: Option<String>,

    /// Longest time in milliseconds for which access log lines are held back
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    pub file_flush_interval_msec: u32,

    /// Size in KiB at which held back access log lines are written at once
    #[arg(long, value_name = "KIB", default_value_t = 64)]
    pub file_flush_min_size_kb: u32,

    /// Listen even where another process listens already, and share its connections, so that one can take the
    /// other's place without a gap; so do the next three
    #[arg(long)]
    pub disable_hot_restart: bool,

    /// Any number but 0: share ports, as --disable-hot-restart
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub base_id: u32,

    /// Share ports, as --disable-hot-restart
    #[arg(long)]
    pub use_dynamic_base_id: bool,

    /// Any number but 0: share ports, as --disable-hot-restart
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub restart_epoch: u32,

    /// Accept fields that the API does not have, with a warning
    #[arg(long, alias = "allow-unknown-fields")]
    pub allow_unknown_static_fields: bool,

    /// Accept what this proxy does not support, with a warning, unless leaving it out weakens security
    #[arg(long)]
    pub allow_unsupported: bool,

    /// Do not log that a deprecated field is used
    #[arg(long)]
    pub skip_deprecated_logs: bool,

    /// Print the hot restart compatibility version and exit
    #[arg(long)]
    pub hot_restart_version: bool,

    /// Flags of Envoy's that change nothing here
    #[command(flatten)]
    pub no_effect: no_effect::NoEffect,
}

/// What to do with the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Mode {
    /// Check it, then serve
    Serve,
    /// Check it and exit
    Validate,
    /// Start everything, wait until all clusters are there, and exit
    InitOnly,
}

/// How problems are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `pretty` on a terminal, `plain` elsewhere
    Auto,
    /// With the line of the file under each, in colour on a terminal unless NO_COLOR is set
    Pretty,
    /// One line each: file:line:column: path: message
    Plain,
    /// One object on standard output
    Json,
}

/// A proxy at the edge, before several services.
#[derive(Parser, Debug)]
#[command(
    name = "front-proxy",
    version = VERSION,
    disable_help_subcommand = true,
    about = "A proxy before your services, configured as Envoy is",
    after_help = "Without a configuration: front-proxy --listen 0.0.0.0:8080 --route /users=users:8000 --route /=web:8000"
)]
pub struct FrontProxy {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show the text as a heading")]
    pub common: Common,

    /// Listen here
    #[arg(long, value_name = "ADDR:PORT", conflicts_with_all = ["config_path", "config_yaml"], requires = "route",
          help_heading = NO_FILE)]
    pub listen: Option<SocketAddr>,

    /// Send requests whose path begins with PREFIX to HOST:PORT; the first match wins
    #[arg(long, value_name = "PREFIX=HOST:PORT", requires = "listen", help_heading = NO_FILE)]
    pub route: Vec<Route>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show the text as a heading")]
    pub generated: Generated,

    #[command(subcommand)]
    #[expect(missing_docs, reason = "clap would show the text as a heading")]
    pub tool: Option<Tool>,
}

/// A proxy beside one application.
#[derive(Parser, Debug)]
#[command(
    name = "sidecar",
    version = VERSION,
    disable_help_subcommand = true,
    about = "A proxy beside your application, configured as Envoy is",
    after_help = "Without a configuration: sidecar --listen 0.0.0.0:8000 --app 127.0.0.1:8080 -- python3 app.py"
)]
pub struct Sidecar {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show the text as a heading")]
    pub common: Common,

    /// Listen here
    #[arg(long, value_name = "ADDR:PORT", conflicts_with_all = ["config_path", "config_yaml"], requires = "app",
          help_heading = NO_FILE)]
    pub listen: Option<SocketAddr>,

    /// Send all requests to HOST:PORT
    #[arg(long, value_name = "HOST:PORT", requires = "listen", value_parser = generate::host_and_port,
          help_heading = NO_FILE)]
    pub app: Option<(String, u16)>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show the text as a heading")]
    pub generated: Generated,

    /// Start this application once the proxy runs, pass signals on to it, and end as it ends
    #[arg(last = true, value_name = "COMMAND", help_heading = None::<&'static str>)]
    pub command: Vec<OsString>,

    #[command(subcommand)]
    #[expect(missing_docs, reason = "clap would show the text as a heading")]
    pub tool: Option<Tool>,
}

/// What goes with a configuration made from flags.
#[derive(Args, Debug)]
#[command(next_help_heading = NO_FILE)]
pub struct Generated {
    /// Let the admin server listen here
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0", requires = "listen")]
    pub admin: SocketAddr,

    /// Print the configuration that the flags stand for, and exit
    #[arg(long, requires = "listen")]
    pub print_config: bool,
}

/// A command line, read.
#[derive(Debug)]
pub struct Invocation {
    /// What to do in the place of running.
    pub tool: Option<Tool>,
    /// The flags that both binaries have.
    pub common: Common,
    /// The configuration that `--listen` and its companions stand for.
    pub generated: Option<String>,
    /// Whether that is only to be printed.
    pub print_config: bool,
    /// The application to run beside the proxy; empty for none.
    pub command: Vec<OsString>,
    /// What was given and changes nothing: a flag, and why.
    pub no_effect: Vec<(String, &'static str)>,
}

impl Invocation {
    /// Reads `front-proxy`'s command line.
    ///
    /// # Errors
    /// Where it cannot be understood, or asks for help or the version: let clap print it.
    pub fn front_proxy(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = FrontProxy::command().try_get_matches_from(args)?;
        config::alone(&matches, FrontProxy::command)?;
        let FrontProxy { common, listen, route, generated, tool } = FrontProxy::from_arg_matches(&matches)?;
        let text = listen.map(|listen| generate::front_proxy(listen, &route, generated.admin));
        Ok(Self { tool, ..Self::new(&matches, common, text, &generated, Vec::new()) })
    }

    /// Reads `sidecar`'s command line.
    ///
    /// # Errors
    /// As [`Invocation::front_proxy`].
    pub fn sidecar(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = Sidecar::command().try_get_matches_from(args)?;
        config::alone(&matches, Sidecar::command)?;
        let Sidecar { common, listen, app, generated, command, tool } = Sidecar::from_arg_matches(&matches)?;
        let text = listen.zip(app).map(|(listen, app)| generate::sidecar(listen, &app, generated.admin));
        Ok(Self { tool, ..Self::new(&matches, common, text, &generated, command) })
    }

    fn new(
        matches: &ArgMatches,
        common: Common,
        generated: Option<String>,
        options: &Generated,
        command: Vec<OsString>,
    ) -> Self {
        let no_effect = no_effect::given(matches);
        Self { tool: None, common, generated, print_config: options.print_config, command, no_effect }
    }
}

impl Common {
    /// The number of workers.
    pub fn workers(&self) -> usize {
        // The standard library looks at the affinity mask and at the cgroup's quota.
        let available = || std::thread::available_parallelism().map_or(1, usize::from);
        self.concurrency.map_or_else(available, |given| given as usize).max(1)
    }

    /// Whether ports may be shared with another process. Envoy refuses to run twice with one base id unless hot
    /// restart is off; here these flags are taken as what they say about that.
    pub fn shares_ports(&self) -> bool {
        self.disable_hot_restart || self.use_dynamic_base_id || self.base_id != 0 || self.restart_epoch != 0
    }

    /// `--drain-time-s`.
    pub fn drain_time(&self) -> Duration {
        Duration::from_secs(self.drain_time_s.into())
    }
}

#[cfg(test)]
mod tests;
