//! The load generators from elsewhere: how `wrk` and `h2load` are called and what their output says.

use std::fmt::Write as _;

/// What a generator counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Load {
    pub(crate) completed: u64,
    /// Requests without an answer, or with an answer other than 2xx.
    pub(crate) failed: u64,
    pub(crate) per_second: f64,
}

/// Reads the report that `wrk` prints at its end.
pub(crate) fn parse_wrk(output: &str) -> Option<Load> {
    let mut load = Load::default();
    let mut complete = false;
    for line in output.lines().map(str::trim) {
        if let Some((count, _)) = line.split_once(" requests in ") {
            load.completed = count.parse().ok()?;
        } else if let Some(rate) = line.strip_prefix("Requests/sec:") {
            load.per_second = rate.trim().parse().ok()?;
            complete = true;
        } else if let Some(count) = line.strip_prefix("Non-2xx or 3xx responses:") {
            load.failed += count.trim().parse::<u64>().ok()?;
        } else if let Some(errors) = line.strip_prefix("Socket errors:") {
            for error in errors.split(',') {
                load.failed += error.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()?;
            }
        }
    }
    complete.then_some(load)
}

/// Reads the report that `h2load` prints at its end.
pub(crate) fn parse_h2load(output: &str) -> Option<Load> {
    let mut load = Load::default();
    let mut complete = false;
    for line in output.lines().map(str::trim) {
        if line.starts_with("finished in ") {
            let rate = line.split(", ").find_map(|part| part.strip_suffix(" req/s"))?;
            load.per_second = rate.parse().ok()?;
        } else if let Some(counts) = line.strip_prefix("requests:") {
            load.completed = counted(counts, "done")?;
            for kind in ["failed", "errored", "timeout"] {
                load.failed += counted(counts, kind)?;
            }
        } else if let Some(counts) = line.strip_prefix("status codes:") {
            for kind in ["3xx", "4xx", "5xx"] {
                load.failed += counted(counts, kind)?;
            }
            complete = true;
        }
    }
    complete.then_some(load)
}

/// The number before `kind` in `1 total, 2 done, 3 failed`.
fn counted(counts: &str, kind: &str) -> Option<u64> {
    let pair = counts.split(',').find_map(|pair| pair.trim().strip_suffix(kind))?;
    pair.trim().parse().ok()
}

/// The number of system calls from the summary of `strace -c`.
pub(crate) fn parse_strace(output: &str) -> Option<u64> {
    let total = output.lines().rev().find(|line| line.trim_end().ends_with(" total"))?;
    total.split_ascii_whitespace().nth(3)?.parse().ok()
}

/// A script that makes `wrk` send a body of so many bytes.
pub(crate) fn upload_script(bytes: usize) -> String {
    format!("wrk.method = \"POST\"\nwrk.body = string.rep(\"n\", {bytes})\n")
}

/// A script that makes `wrk` ask for the given number of routes in an order that no processor foresees.
pub(crate) fn routes_script(routes: usize, bytes: usize) -> String {
    const REQUESTS: usize = 4096;
    let mut script = String::from("local paths = {");
    for step in 0..REQUESTS {
        let at = (step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % routes.max(1);
        let _ = write!(script, "\"/service/{at}/{bytes}\",");
    }
    script.push_str("}\nlocal requests, at = {}, 0\n");
    script.push_str("function init(args)\n  for i, path in ipairs(paths) do requests[i] = wrk.format(nil, path) end\nend\n");
    script.push_str("function request()\n  at = at % #requests + 1\n  return requests[at]\nend\n");
    script
}

/// Settings for OpenSSL, which both generators use, so that every proxy encrypts with the same suite and group.
pub(crate) const OPENSSL_SETTINGS: &str = "openssl_conf = start
[start]
ssl_conf = library
[library]
system_default = choice
[choice]
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = X25519
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrk_reports() {
        let check = |output: &str, expected: Option<(u64, u64, f64)>| {
            let expected =
                expected.map(|(completed, failed, per_second)| Load { completed, failed, per_second });
            assert_eq!(parse_wrk(output), expected, "{output}");
        };
        let report = "Running 2s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n  \
                      Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     1.10ms  200us\n  \
                      105217 requests in 2.01s, 30.50MB read\n";
        check(
            &format!("{report}Requests/sec:  52347.03\nTransfer/sec: 15MB\n"),
            Some((105_217, 0, 52_347.03)),
        );
        let troubled =
            "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 100\n";
        check(&format!("{report}{troubled}Requests/sec:  1.00\n"), Some((105_217, 110, 1.0)));
        check(report, None);
        check("unable to connect to 127.0.0.1:1 Connection refused", None);
    }

    #[test]
    fn h2load_reports() {
        let check = |output: &str, expected: Option<(u64, u64, f64)>| {
            let expected =
                expected.map(|(completed, failed, per_second)| Load { completed, failed, per_second });
            assert_eq!(parse_h2load(output), expected, "{output}");
        };
        let report = "finished in 2.00s, 25000.50 req/s, 3.10MB/s\n\
                      requests: 50001 total, 50257 started, 50001 done, 49991 succeeded, 10 failed, 2 errored, 1 timeout\n";
        let codes = "status codes: 49991 2xx, 0 3xx, 3 4xx, 4 5xx\n";
        check(&format!("{report}{codes}"), Some((50_001, 20, 25_000.5)));
        check(report, None);
    }

    #[test]
    fn strace_summaries() {
        let output = "% time     seconds  usecs/call     calls    errors syscall\n\
                      ------ ----------- ----------- --------- --------- ----------------\n \
                      50.00    0.100000           1     80000           writev\n\
                      ------ ----------- ----------- --------- --------- ----------------\n\
                      100.00    0.200000           1    160123        12 total\n";
        assert_eq!(parse_strace(output), Some(160_123));
        assert_eq!(parse_strace(""), None);
    }

    #[test]
    fn scripts_name_only_routes_that_exist() {
        let script = routes_script(10, 89);
        assert!(script.contains("\"/service/9/89\"") && !script.contains("/service/10/"), "{script}");
        assert!(upload_script(12).contains("string.rep(\"n\", 12)"));
    }
}
