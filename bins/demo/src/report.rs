//! The table of a check: what was expected of each step, and what was seen.

use std::io::{self, IsTerminal};

use crate::screen::{self, Screen};

/// The rows so far; each is printed when its step ends.
#[derive(Default)]
pub struct Report {
    screen: Screen,
    started: bool,
    passed: usize,
    failed: usize,
}

impl Report {
    /// Say what is going on, where that can be taken away again.
    pub fn progress(&self, what: &str) {
        if self.screen.is_terminal() {
            screen::print(&format!("\r\x1b[K  ... {what}"));
        } else if io::stderr().is_terminal() {
            eprintln!("... {what}");
        }
    }

    /// One step: `seen` is what there was, and whether it is what was expected.
    pub fn row(&mut self, step: &str, expected: &str, seen: Result<String, String>) {
        if !self.started {
            self.started = true;
            self.line("      ", "STEP", "EXPECTED", "SEEN");
        }
        let (passed, seen) = match seen {
            Ok(seen) => (true, seen),
            Err(seen) => (false, seen),
        };
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        let mark = self.screen.paint(passed, if passed { "ok    " } else { "FAILED" });
        self.line(&mark, step, expected, &seen);
    }

    /// One step that passes if the two are equal.
    pub fn equal<T: ToString + PartialEq>(&mut self, step: &str, expected: &T, seen: &T) {
        let text = seen.to_string();
        self.row(step, &expected.to_string(), if seen == expected { Ok(text) } else { Err(text) });
    }

    /// A last row for what an error has kept from being run.
    pub fn aborted(&mut self) {
        self.row("the rest", "every step runs", Err("not run, because of the error below".to_owned()));
    }

    /// Print the last line; whether every step passed.
    pub fn finish(&self) -> bool {
        let passed = self.failed == 0;
        let sentence = if passed {
            format!("all {} steps passed", self.passed)
        } else {
            format!("{} of {} steps failed", self.failed, self.passed + self.failed)
        };
        screen::print(&format!("{}{}\n", self.start_of_line(), self.screen.paint(passed, &sentence)));
        passed
    }

    fn line(&self, mark: &str, step: &str, expected: &str, seen: &str) {
        let text = format!("{mark}  {step:<42}  {expected:<46}  {seen}");
        screen::print(&format!("{}{}\n", self.start_of_line(), text.trim_end()));
    }

    fn start_of_line(&self) -> &'static str {
        if self.screen.is_terminal() { "\r\x1b[K" } else { "" }
    }
}
