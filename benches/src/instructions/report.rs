//! The counts as tables in Markdown and as JSON, and the change against earlier ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::subject::Subject;
use crate::compare::{Result, failure};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) valgrind: String,
    /// Of cargo's profiles, the one that the program was built with.
    pub(super) profile: String,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// For each repetition.
    pub(super) instructions: f64,
    pub(super) repetitions: usize,
}

impl Row {
    pub(super) fn new(subject: &Subject, counted: u64) -> Self {
        let repetitions = subject.repetitions();
        Self { name: subject.name(), instructions: counted as f64 / repetitions as f64, repetitions }
    }
}

impl Counts {
    pub(super) fn new(valgrind: String, profile: String) -> Self {
        Self { valgrind, profile, rows: Vec::new() }
    }

    pub(super) fn read(file: &Path) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| failure(format!("{}: {error}", file.display()));
        let text = fs::read_to_string(file).map_err(|error| failed(&error))?;
        serde_json::from_str(&text).map_err(|error| failed(&error))
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        fs::write(file, serde_json::to_string_pretty(self)? + "\n")
            .map_err(|error| failure(format!("{}: {error}", file.display())))
    }

    fn find(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// A table for each group, in the order of the subjects. Next to each count stands its change since `baseline`.
    pub(super) fn print(&self, baseline: Option<&Counts>) -> String {
        let mut text = format!("User-side instructions ({}, profile {})\n", self.valgrind, self.profile);
        if let Some(other) = baseline.filter(|other| other.profile != self.profile) {
            let _ = writeln!(text, "The baseline was built with the profile {}.", other.profile);
        }
        for (group, title) in [
            ("routing", "for each route lookup, by kind and number of routes"),
            ("domains", "for each lookup of a virtual host with one route, by kind and number of hosts"),
            ("request", "for each proxied request in memory"),
        ] {
            let table = self.table(group, baseline);
            if !table.is_empty() {
                let _ = write!(text, "\nInstructions {title}:\n\n{table}");
            }
        }
        text
    }

    fn table(&self, group: &str, baseline: Option<&Counts>) -> String {
        let mut rows: Vec<&str> = Vec::new();
        let mut columns = BTreeSet::new();
        let mut cells: BTreeMap<(&str, Option<usize>), String> = BTreeMap::new();
        let subjects = Subject::all();
        for subject in &subjects {
            let (of, row, column) = subject.place();
            let Some(counted) = self.find(&subject.name()).filter(|_| of == group) else { continue };
            if !rows.contains(&row) {
                rows.push(row);
            }
            columns.insert(column);
            let change =
                baseline.and_then(|counts| counts.find(&counted.name)).map(|old| change(old, counted));
            cells.insert((row, column), format!("{:.0}{}", counted.instructions, change.unwrap_or_default()));
        }
        if rows.is_empty() {
            return String::new();
        }
        let heading =
            |column: &Option<usize>| column.map_or("instructions".to_owned(), |count| count.to_string());
        let headings: Vec<String> = columns.iter().map(heading).collect();
        let mut text =
            format!("| {group} | {} |\n|---|{}\n", headings.join(" | "), "---:|".repeat(columns.len()));
        for row in rows {
            let cell = |column: &Option<usize>| cells.get(&(row, *column)).map_or("-", String::as_str);
            let cells: Vec<&str> = columns.iter().map(cell).collect();
            let _ = writeln!(text, "| {row} | {} |", cells.join(" | "));
        }
        text
    }
}

fn change(old: &Row, new: &Row) -> String {
    format!(" ({:+.2} %)", (new.instructions / old.instructions - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, f64)]) -> Counts {
        let row =
            |&(name, instructions): &(&str, f64)| Row { name: name.to_owned(), instructions, repetitions: 1 };
        let mut counts = Counts::new("valgrind-3".to_owned(), "release".to_owned());
        counts.rows = rows.iter().map(row).collect();
        counts
    }

    #[test]
    fn tables_have_kinds_as_rows_and_sizes_as_columns() {
        let counts =
            counts(&[("routing/exact/1", 90.4), ("routing/exact/100", 120.0), ("routing/mixed/100", 200.0)]);
        let expected = "| routing | 1 | 100 |\n|---|---:|---:|\n| exact | 90 | 120 |\n| mixed | - | 200 |\n";
        assert_eq!(counts.table("routing", None), expected);
        assert_eq!(counts.table("request", None), "");
    }

    #[test]
    fn changes_are_against_the_same_row_of_the_baseline() {
        let old = counts(&[("request/http1", 40_000.0)]);
        let new = counts(&[("request/http1", 39_000.0), ("request/http2", 50_000.0)]);
        let text = new.print(Some(&old));
        assert!(text.contains("| http1 | 39000 (-2.50 %) |\n| http2 | 50000 |\n"), "{text}");
    }
}
