//! Flags of Envoy's that are accepted and change nothing here, each with its reason.

use clap::{ArgMatches, Args, parser::ValueSource};

const NO_HOT_RESTART: &str = "processes share no memory here; a new one binds the same ports \
                              beside the old one, which then drains on SIGTERM";
const NO_DYNAMIC: &str = "no configuration is fetched over the network here";

/// The flags. Their values are shown by `/server_info` and used nowhere else.
#[derive(Args, Debug)]
#[command(next_help_heading = "Envoy's flags that change nothing here")]
pub struct NoEffect {
    /// Write the base id to this file
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    pub base_id_path: String,
    /// Time after which a hot restarted parent ends
    #[arg(long, value_name = "SECONDS", default_value_t = 900, hide_default_value = true)]
    pub parent_shutdown_time_s: u32,
    /// Start without a hot restart parent
    #[arg(long)]
    pub skip_hot_restart_on_no_parent: bool,
    /// Do not take over the hot restart parent's stats
    #[arg(long)]
    pub skip_hot_restart_parent_stats: bool,
    /// Socket of hot restart
    #[arg(long, value_name = "PATH", default_value = "@envoy_domain_socket", hide_default_value = true)]
    pub socket_path: String,
    /// File mode of hot restart's socket
    #[arg(long, value_name = "MODE", default_value = "0", hide_default_value = true)]
    pub socket_mode: String,
    /// How connections are asked to end in the course of a drain: gradual or immediate
    #[arg(long, value_name = "NAME", default_value = "gradual", hide_default_value = true,
          value_parser = ["gradual", "immediate"])]
    pub drain_strategy: String,
    /// Take the number of workers from the CPU set
    #[arg(long)]
    pub cpuset_threads: bool,
    /// IP version of the local address: v4 or v6
    #[arg(long, value_name = "VERSION", default_value = "v4", hide_default_value = true, value_parser = ["v4", "v6"])]
    pub local_address_ip_version: String,
    /// Reject unknown fields in dynamic configuration
    #[arg(long)]
    pub reject_unknown_dynamic_fields: bool,
    /// Ignore unknown fields in dynamic configuration
    #[arg(long)]
    pub ignore_unknown_dynamic_fields: bool,
    /// Extensions to switch off
    #[arg(long, value_name = "NAMES", default_value = "", hide_default_value = true)]
    pub disable_extensions: String,
    /// Trace mutex contention
    #[arg(long)]
    pub enable_mutex_tracing: bool,
    /// Log levels by file
    #[arg(long)]
    pub enable_fine_grain_logging: bool,
    /// Log a stack trace as one entry
    #[arg(long)]
    pub log_stacktrace_single_entry: bool,
    /// Write core dumps
    #[arg(long)]
    pub enable_core_dump: bool,
    /// A tag for all stats
    #[arg(long, value_name = "NAME:VALUE")]
    pub stats_tag: Vec<String>,
}

/// Each flag by its field's name, and why it changes nothing.
const REASONS: &[(&str, &str)] = &[
    ("base_id_path", NO_HOT_RESTART),
    ("parent_shutdown_time_s", NO_HOT_RESTART),
    ("skip_hot_restart_on_no_parent", NO_HOT_RESTART),
    ("skip_hot_restart_parent_stats", NO_HOT_RESTART),
    ("socket_path", NO_HOT_RESTART),
    ("socket_mode", NO_HOT_RESTART),
    (
        "drain_strategy",
        "a drain asks every connection to end with its next response, which is Envoy's `immediate`",
    ),
    ("cpuset_threads", "the number of workers always follows the CPU set"),
    ("local_address_ip_version", "nothing here depends on the machine's own address"),
    ("reject_unknown_dynamic_fields", NO_DYNAMIC),
    ("ignore_unknown_dynamic_fields", NO_DYNAMIC),
    ("disable_extensions", "an extension that the configuration does not name is never used"),
    ("enable_mutex_tracing", "workers share no mutex"),
    ("enable_fine_grain_logging", "log levels are set by component: see --component-log-level"),
    ("log_stacktrace_single_entry", "no stack traces are logged"),
    ("enable_core_dump", "the system's core dump limit holds"),
    ("stats_tag", "stats carry the tags of their names only"),
];

/// The flags of the table that were given, as they are written, each with its reason.
pub(super) fn given(matches: &ArgMatches) -> Vec<(String, &'static str)> {
    let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    REASONS
        .iter()
        .filter(|(id, _)| given(id))
        .map(|(id, reason)| (format!("--{}", id.replace('_', "-")), *reason))
        .collect()
}

/// How many such flags there are.
#[cfg(test)]
pub(super) fn count() -> usize {
    REASONS.len()
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    #[test]
    fn every_flag_has_its_reason() {
        let command = NoEffect::augment_args(clap::Command::new("test"));
        let mut flags: Vec<&str> = command.get_arguments().map(|flag| flag.get_id().as_str()).collect();
        let mut reasons: Vec<&str> = REASONS.iter().map(|(id, _)| *id).collect();
        flags.sort_unstable();
        reasons.sort_unstable();
        assert_eq!(flags, reasons);
    }
}
