//! One line per process: what is shown of it.

use std::fmt;

/// What a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Started, not yet ready.
    Starting,
    /// In DNS and serving.
    Running,
    /// Out of DNS; the front proxy may not know yet.
    Leaving,
    /// Asked to end.
    Draining,
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Leaving => "leaving",
            Self::Draining => "draining",
        })
    }
}

/// What is shown of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: String,
    /// Its process id, once known.
    pub pid: Option<u32>,
    /// What it is doing.
    pub state: State,
    /// How many requests it has served; nothing where that means nothing or nobody answers.
    pub requests: Option<u64>,
}

/// The line above the rows.
pub fn heading() -> String {
    line("PROCESS", "ADDRESS", "PID", "STATE", "REQUESTS")
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let pid = number(self.pid.map(u64::from));
        let requests = number(self.requests);
        formatter.write_str(&line(&self.name, &self.address, &pid, &self.state.to_string(), &requests))
    }
}

fn line(name: &str, address: &str, pid: &str, state: &str, requests: &str) -> String {
    format!("{name:<14} {address:<34} {pid:>8}  {state:<9} {requests:>9}")
}
