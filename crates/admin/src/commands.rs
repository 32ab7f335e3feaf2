//! The table of commands. Dispatch, `/help` and the page at `/` are all made from it, so that they cannot disagree.

use std::fmt::Write as _;

/// One command.
pub(crate) struct Command {
    /// Its path.
    pub(crate) path: &'static str,
    /// What answers.
    pub(crate) endpoint: Endpoint,
    /// Whether it changes something and so wants `POST`.
    pub(crate) mutates: bool,
    /// What it does.
    pub(crate) help: &'static str,
    /// The query parameters that it looks at.
    pub(crate) parameters: &'static [Parameter],
}

/// What answers a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Home,
    Certs,
    Clusters,
    ConfigDump,
    FailHealthChecks,
    Help,
    Listeners,
    Memory,
    PassHealthChecks,
    Quit,
    Ready,
    ReopenLogs,
    ResetCounters,
    ServerInfo,
    Stats,
    Prometheus,
}

/// One query parameter.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) input: Input,
}

/// How the page asks for a parameter.
pub(crate) enum Input {
    Text,
    Switch,
    Choice(&'static [&'static str]),
}

const USED_ONLY: Parameter =
    Parameter { name: "usedonly", help: "Leave out stats that were never written", input: Input::Switch };
const FILTER: Parameter = Parameter {
    name: "filter",
    help: "Show only stats in whose name this regular expression is found",
    input: Input::Text,
};

const INVERT_FILTER: Parameter = Parameter {
    name: "invert_filter",
    help: "Show only stats in whose name the regular expression is not found",
    input: Input::Switch,
};

/// All commands, sorted by path.
pub(crate) const COMMANDS: &[Command] = &[
    Command {
        path: "/",
        endpoint: Endpoint::Home,
        mutates: false,
        help: "This list as a page",
        parameters: &[],
    },
    Command {
        path: "/certs",
        endpoint: Endpoint::Certs,
        mutates: false,
        help: "Show the certificates of the listeners",
        parameters: &[],
    },
    Command {
        path: "/clusters",
        endpoint: Endpoint::Clusters,
        mutates: false,
        help: "Show every cluster with its limits and hosts",
        parameters: &[
            Parameter {
                name: "filter",
                help: "Show only clusters in whose name this regular expression is found",
                input: Input::Text,
            },
            Parameter {
                name: "format",
                help: "Format of the answer",
                input: Input::Choice(&["text", "json"]),
            },
        ],
    },
    Command {
        path: "/config_dump",
        endpoint: Endpoint::ConfigDump,
        mutates: false,
        help: "Show the configuration that is running, without secrets",
        parameters: &[Parameter {
            name: "resource",
            help: "Show only one kind of resource, for instance static_clusters",
            input: Input::Text,
        }],
    },
    Command {
        path: "/healthcheck/fail",
        endpoint: Endpoint::FailHealthChecks,
        mutates: true,
        help: "Say that the server drains, and end connections with their next response",
        parameters: &[],
    },
    Command {
        path: "/healthcheck/ok",
        endpoint: Endpoint::PassHealthChecks,
        mutates: true,
        help: "Take /healthcheck/fail back",
        parameters: &[],
    },
    Command {
        path: "/help",
        endpoint: Endpoint::Help,
        mutates: false,
        help: "This list as text",
        parameters: &[],
    },
    Command {
        path: "/listeners",
        endpoint: Endpoint::Listeners,
        mutates: false,
        help: "Show every listener with its address",
        parameters: &[Parameter {
            name: "format",
            help: "Format of the answer",
            input: Input::Choice(&["text", "json"]),
        }],
    },
    Command {
        path: "/memory",
        endpoint: Endpoint::Memory,
        mutates: false,
        help: "Show how much memory the process uses",
        parameters: &[],
    },
    Command {
        path: "/quitquitquit",
        endpoint: Endpoint::Quit,
        mutates: true,
        help: "End the server after a short drain",
        parameters: &[],
    },
    Command {
        path: "/ready",
        endpoint: Endpoint::Ready,
        mutates: false,
        help: "Show the server's state: 200 if it is LIVE, 503 otherwise",
        parameters: &[],
    },
    Command {
        path: "/reopen_logs",
        endpoint: Endpoint::ReopenLogs,
        mutates: true,
        help: "Open the access log files anew, after they were moved away",
        parameters: &[],
    },
    Command {
        path: "/reset_counters",
        endpoint: Endpoint::ResetCounters,
        mutates: true,
        help: "Set all counters to zero",
        parameters: &[],
    },
    Command {
        path: "/server_info",
        endpoint: Endpoint::ServerInfo,
        mutates: false,
        help: "Show version, state, uptime and command line",
        parameters: &[],
    },
    Command {
        path: "/stats",
        endpoint: Endpoint::Stats,
        mutates: false,
        help: "Show the stats",
        parameters: &[
            USED_ONLY,
            FILTER,
            INVERT_FILTER,
            Parameter {
                name: "format",
                help: "Format of the answer",
                input: Input::Choice(&["text", "json", "prometheus"]),
            },
            Parameter {
                name: "type",
                help: "Show only stats of this kind",
                input: Input::Choice(&["All", "Counters", "Histograms", "Gauges", "TextReadouts"]),
            },
            Parameter {
                name: "histogram_buckets",
                help: "How histograms are shown",
                input: Input::Choice(&["summary", "cumulative", "disjoint", "detailed"]),
            },
        ],
    },
    Command {
        path: "/stats/prometheus",
        endpoint: Endpoint::Prometheus,
        mutates: false,
        help: "Show the stats in Prometheus's text format",
        parameters: &[
            USED_ONLY,
            FILTER,
            INVERT_FILTER,
            Parameter {
                name: "text_readouts",
                help: "Show text readouts as gauges of value 0",
                input: Input::Switch,
            },
            Parameter {
                name: "histogram_buckets",
                help: "How histograms are shown",
                input: Input::Choice(&["cumulative", "summary"]),
            },
        ],
    },
];

/// The command with this path, which must match to the letter.
pub(crate) fn find(path: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.path == path)
}

/// The text of `/help`, in the layout of Envoy's.
pub(crate) fn help() -> String {
    let mut text = String::from("admin commands are:\n");
    for Command { path, mutates, help, parameters, .. } in COMMANDS {
        let post = if *mutates { " (POST)" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {path}{post}: {help}");
        for Parameter { name, help, input } in *parameters {
            let _ = write!(text, "      {name}: {help}");
            if let Input::Choice(choices) = input {
                let _ = write!(text, "; One of ({})", choices.join(", "));
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_sorted_and_found_to_the_letter() {
        assert!(COMMANDS.is_sorted_by_key(|command| command.path));
        assert_eq!(find("/stats").map(|command| command.endpoint), Some(Endpoint::Stats));
        assert!(find("/stats/").is_none());
        assert!(find("stats").is_none());
    }

    #[test]
    fn help_has_envoys_layout() {
        let help = help();
        assert!(help.starts_with("admin commands are:\n  /: "));
        assert!(help.contains("\n  /quitquitquit (POST): "));
        assert!(help.contains("\n      format: Format of the answer; One of (text, json)\n"));
    }
}
