//! What the running demo prints: messages, and below them the processes, redrawn in place on a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::rows::{self, Row};

/// Without a terminal, how often rows are printed of which only the number of requests has changed.
const COUNT_INTERVAL: Duration = Duration::from_secs(10);

/// Standard output.
pub struct Screen {
    terminal: bool,
    colour: bool,
    /// How many lines of rows stand below the last message.
    drawn: usize,
    shown: Vec<Row>,
    counts_shown: Option<Instant>,
}

impl Default for Screen {
    fn default() -> Self {
        let terminal = io::stdout().is_terminal();
        let colour = terminal && std::env::var_os("NO_COLOR").is_none();
        Self { terminal, colour, drawn: 0, shown: Vec::new(), counts_shown: None }
    }
}

impl Screen {
    /// Whether lines may be redrawn.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Print a message above the rows.
    pub fn say(&mut self, message: &str) {
        let rows = self.rows_text();
        let mut out = self.erase();
        out.push_str(message);
        out.push('\n');
        out.push_str(&rows);
        print(&out);
    }

    /// Show the rows: all in place on a terminal, or else those that have changed.
    pub fn show(&mut self, rows: Vec<Row>) {
        if self.terminal {
            self.shown = rows;
            let mut out = self.erase();
            let (_, lines) = size();
            self.drawn = (self.shown.len() + 2).min(lines - 1);
            out.push_str(&self.rows_text());
            print(&out);
            return;
        }
        let counts_due = self.counts_shown.is_none_or(|shown| shown.elapsed() >= COUNT_INTERVAL);
        let known = std::mem::take(&mut self.shown);
        let (mut changed, mut shown) = (Vec::new(), Vec::new());
        for row in rows {
            let before = known.iter().find(|before| before.name == row.name && before.address == row.address);
            match before {
                Some(before) if *before == row => shown.push(row),
                Some(before)
                    if !counts_due && Row { requests: before.requests, ..row.clone() } == *before =>
                {
                    shown.push(before.clone());
                }
                _ => {
                    changed.push(row.to_string());
                    shown.push(row);
                }
            }
        }
        self.shown = shown;
        if !changed.is_empty() {
            if self.counts_shown.is_none() {
                print(&format!("{}\n", rows::heading()));
            }
            if counts_due {
                self.counts_shown = Some(Instant::now());
            }
            print(&format!("{}\n", changed.join("\n")));
        }
    }

    /// Leave the rows where they stand and print below them from now on.
    pub fn finish(&mut self) {
        self.drawn = 0;
        self.shown.clear();
    }

    /// Green for what is well, red for what is not.
    pub fn paint(&self, good: bool, text: &str) -> String {
        match (self.colour, good) {
            (false, _) => text.to_owned(),
            (true, true) => format!("\x1b[32m{text}\x1b[0m"),
            (true, false) => format!("\x1b[31m{text}\x1b[0m"),
        }
    }

    /// Move over the rows that were drawn and clear everything from there.
    fn erase(&mut self) -> String {
        if self.drawn == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.drawn) }
    }

    fn rows_text(&self) -> String {
        if self.drawn == 0 {
            return String::new();
        }
        // A line that wraps would be two, and one that scrolls away cannot be taken back: the next redraw would
        // leave them behind.
        let (width, _) = size();
        let mut text = String::from("\n");
        let heading = format!("{:.width$}", rows::heading());
        text.push_str(&if self.colour { format!("\x1b[1m{heading}\x1b[0m") } else { heading });
        text.push('\n');
        for row in self.shown.iter().take(self.drawn - 2) {
            text.push_str(&format!("{:.width$}\n", row.to_string()));
        }
        text
    }
}

/// The terminal's columns and lines.
fn size() -> (usize, usize) {
    let (columns, lines) = rustix::termios::tcgetwinsize(io::stdout())
        .map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()));
    (columns.max(20), lines.max(5))
}

/// Print and flush; whether the reader is still there does not matter to what runs.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
