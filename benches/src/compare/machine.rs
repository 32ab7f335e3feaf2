//! What stands next to every figure: the machine and the versions.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::Result;
use super::process::{Invocation, Running};

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) system: String,
    pub(crate) kernel: String,
    /// Over the last minute, before the first measurement.
    pub(crate) load_average: f64,
}

/// Above this the machine was busy with something else when the comparison began.
pub(crate) const QUIET: f64 = 0.3;

impl Machine {
    pub(crate) fn here(cores: usize) -> Machine {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<f64>().ok());
        let memory = read("/proc/meminfo");
        let memory = field(&memory, "MemTotal", ':').and_then(|size| size.strip_suffix("kB"));
        Machine {
            processor: field(&read("/proc/cpuinfo"), "model name", ':').unwrap_or("unknown").to_owned(),
            cores,
            memory_mib: number(memory).unwrap_or_default() as u64 / 1024,
            system: field(&read("/etc/os-release"), "PRETTY_NAME", '=').unwrap_or("unknown").to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_average: number(read("/proc/loadavg").split(' ').next()).unwrap_or_default(),
        }
    }

    pub(crate) fn sentence(&self) -> String {
        format!(
            "{}, {} cores, {} MiB, {}, Linux {}, load average {:.2} at the start",
            self.processor, self.cores, self.memory_mib, self.system, self.kernel, self.load_average
        )
    }
}

/// The value of the first line `name<separator>value`, without quotes.
fn field<'a>(text: &'a str, name: &str, separator: char) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(separator)?;
        (found.trim() == name).then(|| value.trim().trim_matches('"'))
    })
}

/// Of which profile a front proxy is, going by its folder, and when it was built: the version says neither, and an old
/// build or one without link-time optimisation is easily measured by mistake.
pub(crate) fn build(program: &Path) -> String {
    let profile = program.parent().and_then(Path::file_name).unwrap_or_default().display();
    match program.metadata().and_then(|metadata| metadata.modified()) {
        Ok(time) => format!("profile {profile}, built {}", httpdate::fmt_http_date(time)),
        Err(_) => format!("profile {profile}"),
    }
}

/// The version that a program prints about itself.
pub(crate) fn version(program: &Path, argument: &str, core: usize, scratch: &Path) -> Result<String> {
    let running = Running::start(&Invocation::new(program).arg(argument), core, &scratch.join("version"))?;
    let (_, output) = running.finish(Duration::from_secs(10))?;
    Ok(version_in(&output).unwrap_or("unknown").to_owned())
}

/// Some name their own path before the word "version:", which says nothing to a reader.
fn version_in(output: &str) -> Option<&str> {
    let line = output.lines().map(str::trim).find(|line| !line.is_empty())?;
    let (_, version) = line.split_once("version:").unwrap_or(("", line));
    Some(version.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_system_files() {
        let check = |text, name, separator, expected| assert_eq!(field(text, name, separator), expected);
        check("a\t: 1\nmodel name\t: Some CPU\n", "model name", ':', Some("Some CPU"));
        check("NAME=\"x\"\nPRETTY_NAME=\"Some OS 12\"\n", "PRETTY_NAME", '=', Some("Some OS 12"));
        check("", "NAME", '=', None);
    }

    #[test]
    fn versions_without_paths() {
        let check = |output, expected| assert_eq!(version_in(output), expected);
        check("\n/opt/envoy  version: abc/1.40.0/Clean\n\n", Some("abc/1.40.0/Clean"));
        check("HAProxy version 2.6.12 2026/10/17\nStatus: x\n", Some("HAProxy version 2.6.12 2026/10/17"));
        check("nginx version: nginx/1.22.1\n", Some("nginx/1.22.1"));
        check("", None);
    }
}
