//! Calling valgrind, and reading what callgrind counted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::counting::TOGGLES;
use super::subject::Subject;
use crate::compare::peers::on_path;
use crate::compare::{Result, failure};

/// Where valgrind is, or how to get it.
pub(super) fn locate() -> Result<PathBuf> {
    on_path("valgrind").ok_or_else(|| {
        failure("valgrind is not on PATH; install it (Debian: apt-get install valgrind, Fedora: dnf install valgrind)")
    })
}

pub(super) fn version(valgrind: &Path) -> Result<String> {
    let output = Command::new(valgrind).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs the subject under callgrind. Gives the instructions that were counted, of all its repetitions together.
pub(super) fn count(valgrind: &Path, subject: &Subject, scratch: &Path) -> Result<u64> {
    let file = scratch.join("callgrind.out");
    let output = Command::new(valgrind)
        .args(["--tool=callgrind", "--quiet", "--combine-dumps=yes"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .args(TOGGLES.map(|function| format!("--toggle-collect={function}")))
        .arg(std::env::current_exe()?)
        .args(["subject", &subject.name()])
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(failure(format!("ended with {}: {}", output.status, last_lines(&output))));
    }
    let counted = total(&fs::read_to_string(&file)?)
        .ok_or_else(|| failure("callgrind wrote no total; its format may have changed"))?;
    fs::remove_file(&file)?;
    match counted {
        0 => Err(failure(
            "nothing was counted: the program was built without symbols, which tell callgrind where to",
        )),
        counted => Ok(counted),
    }
}

/// The sum at the end of a callgrind file. Of its columns the first is `Ir`, the instructions.
fn total(file: &str) -> Option<u64> {
    let line = file.lines().rev().find_map(|line| line.strip_prefix("totals:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn last_lines(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut lines: Vec<&str> = text.lines().rev().take(4).collect();
    lines.reverse();
    lines.join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_stand_at_the_end() {
        let check = |file: &str, expected| assert_eq!(total(file), expected, "{file}");
        check("version: 1\nevents: Ir\nfn=(1) a\n3 40\n\ntotals: 12345\n", Some(12_345));
        check("totals: 1\ntotals: 77 2 3\n", Some(77));
        check("version: 1\n", None);
    }
}
