//! What the kernel knows about a process: processor time, memory, children. It is the source of the primary figure.

use std::fs;
use std::time::Duration;

use super::{Result, failure};

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    /// User and system time of all threads, in clock ticks.
    pub(crate) ticks: u64,
}

/// Reads one line of `/proc/PID/stat`. The program's name stands in parentheses and may itself hold spaces and
/// parentheses, so the fields are counted from the last one.
pub(crate) fn parse_stat(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let user: u64 = fields.nth(9)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Stat { parent, ticks: user + system })
}

/// The resident size in KiB from the text of `/proc/PID/status`.
pub(crate) fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The processes of one proxy: the one started and what it started (nginx has a master and a worker).
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    members: Vec<u32>,
}

impl Tree {
    /// Looks for the descendants of `root` now; later ones are not counted.
    pub(crate) fn of(root: u32) -> Result<Tree> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            if let Some(stat) = stat(pid) {
                parents.push((pid, stat.parent));
            }
        }
        Ok(Tree { members: descendants(root, &parents) })
    }

    pub(crate) fn members(&self) -> &[u32] {
        &self.members
    }

    /// User and system time used so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut ticks = 0;
        for &pid in &self.members {
            ticks += stat(pid).ok_or_else(|| failure(format!("process {pid} is gone")))?.ticks;
        }
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }

    /// Resident memory in KiB, pages shared between the processes counted in each.
    pub(crate) fn resident(&self) -> Result<u64> {
        let mut sum = 0;
        for &pid in &self.members {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            sum += parse_resident(&status).ok_or_else(|| failure(format!("process {pid} has no memory")))?;
        }
        Ok(sum)
    }
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `root` and everything below it, given (process, parent) pairs in any order.
fn descendants(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&current) = found.get(next) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == current).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_the_last_parenthesis() {
        let check = |line: &str, expected: Option<(u32, u64)>| {
            let seen = parse_stat(line).map(|stat| (stat.parent, stat.ticks));
            assert_eq!(seen, expected, "{line}");
        };
        check("7 (envoy) S 5 7 7 0 -1 4194560 2 0 0 0 310 120 9 9 20 0 3 0 100 1 1", Some((5, 430)));
        check("7 (a) b (c) R 12 7 7 0 -1 0 2 0 0 0 1 2 0 0 20 0 1 0 1 1 1", Some((12, 3)));
        check("7 (short) S 5 7 7", None);
        check("", None);
    }

    #[test]
    fn resident_size_is_read_in_kib() {
        let check = |status: &str, expected| assert_eq!(parse_resident(status), expected, "{status}");
        check("Name:\tx\nVmHWM:\t 9 kB\nVmRSS:\t   1234 kB\nThreads:\t3\n", Some(1234));
        check("Name:\tkthread\nThreads:\t1\n", None);
    }

    #[test]
    fn a_tree_holds_children_of_children() {
        let parents = [(11, 10), (12, 11), (13, 1), (10, 1), (14, 10)];
        assert_eq!(descendants(10, &parents), [10, 11, 14, 12]);
    }

    #[test]
    fn this_process_uses_memory() {
        let tree = Tree::of(std::process::id()).expect("/proc is there");
        assert!(tree.resident().expect("resident size") > 100);
        tree.cpu().expect("processor time");
    }
}
