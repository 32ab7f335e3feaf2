//! Puts words in place of what is new in every run: dates, durations, ids and ports.

use std::sync::LazyLock;

use regex_automata::meta::Regex;

use crate::seen::Seen;

/// Replacements of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Normal {
    /// Ports with their names.
    ports: Vec<(String, String)>,
    client_address: bool,
}

/// Patterns, and the word that takes the place of all but their two groups.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    compiled(&[
        // A date of this century's second quarter is the proxy's own; origins in the cases use older ones.
        (r"(?i)^(date: )\w{3}, \d\d \w{3} 20[2-9]\d \d\d:\d\d:\d\d GMT$", "{{date}}"),
        (r"^(x-envoy-upstream-service-time: )\d+$", "{{ms}}"),
        // Envoy's default access log line: the time, the duration and the upstream's time.
        (r"^(\[)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z(\] .*)$", "{{time}}"),
        (r#"^(\[.*" \d+ [-A-Z,]+ \d+ \d+ )\d+( (?:\d+|-) ".*)$"#, "{{ms}}"),
        (r#"^(\[.*" \d+ [-A-Z,]+ \d+ \d+ \{\{ms\}\} )\d+( ".*)$"#, "{{ms}}"),
        (r"()[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}()", "{{uuid}}"),
    ])
});

/// The client's address: the last one in x-forwarded-for, and in the log.
static CLIENT_ADDRESS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    compiled(&[
        (r"^(x-forwarded-for: (?:.*,)?)\d+\.\d+\.\d+\.\d+()$", "{{client}}"),
        (r#"^(\[.*" \d+ [-A-Z,]+ \d+ \d+ \S+ \S+ "(?:[^"]*,)?)\d+\.\d+\.\d+\.\d+(".*)$"#, "{{client}}"),
    ])
});

fn compiled(patterns: &[(&str, &'static str)]) -> Vec<(Regex, &'static str)> {
    patterns.iter().filter_map(|(pattern, word)| Some((Regex::new(pattern).ok()?, *word))).collect()
}

impl Normal {
    /// Knows ports by their names.
    pub(crate) fn new<'a>(ports: impl Iterator<Item = (&'a str, u16)>, client_address: bool) -> Self {
        let mut pairs = Vec::new();
        for (name, port) in ports {
            pairs.push((format!("\"port_value\": {port}"), format!("\"port_value\": {{{{{name}}}}}")));
            for address in ["127.0.0.1", "0.0.0.0", "localhost"] {
                for sign in [':', '_'] {
                    pairs.push((format!("{address}{sign}{port}"), format!("{address}{sign}{{{{{name}}}}}")));
                }
            }
        }
        Self { ports: pairs, client_address }
    }

    /// One line.
    pub(crate) fn line(&self, line: &str) -> String {
        let mut line = self.addresses(line);
        let client_address = CLIENT_ADDRESS.iter().filter(|_| self.client_address);
        for (regex, word) in PATTERNS.iter().chain(client_address) {
            line = replace(regex, word, &line);
        }
        line
    }

    fn addresses(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (address, name) in &self.ports {
            if text.contains(address.as_str()) {
                text = text.replace(address.as_str(), name);
            }
        }
        text
    }

    /// All that was seen.
    pub(crate) fn seen(&self, seen: &mut Seen) {
        let lines = |lines: &mut Vec<String>| {
            lines.iter_mut().for_each(|line| *line = self.line(line));
            group(lines);
        };
        for response in &mut seen.responses {
            response.interim.iter_mut().for_each(lines);
            lines(&mut response.head);
            lines(&mut response.trailers);
            response.body = self.addresses(&response.body);
        }
        let excess: Vec<String> = seen.connection.excess.split("\r\n").map(|line| self.line(line)).collect();
        seen.connection.excess = excess.join("\r\n");
        for request in &mut seen.origin {
            lines(&mut request.head);
            lines(&mut request.trailers);
        }
        seen.log.iter_mut().for_each(|line| *line = self.line(line));
        seen.stats = seen.stats.iter().map(|(name, value)| (self.line(name), *value)).collect();
    }
}

/// Puts lines of one name together, and pseudo-headers in the order of their names: neither order means anything
/// (RFC 9110, 5.3; RFC 9113, 8.3), and libraries differ in it.
fn group(lines: &mut Vec<String>) {
    let mut rest = std::mem::take(lines);
    let pseudo = rest.iter().take_while(|line| line.starts_with(':')).count();
    rest.get_mut(..pseudo).unwrap_or_default().sort();
    while !rest.is_empty() {
        let first = rest.remove(0);
        let name = name(&first).map(str::to_owned);
        lines.push(first);
        if let Some(name) = name {
            lines.extend(rest.extract_if(.., |line| self::name(line) == Some(&name)));
        }
    }
}

/// The name of a header line.
fn name(line: &str) -> Option<&str> {
    Some(line.split_once(": ")?.0).filter(|name| !name.contains(' '))
}

fn replace(regex: &Regex, word: &str, line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut end = 0;
    for captures in regex.captures_iter(line) {
        let group = |index: usize| {
            captures.get_group(index).and_then(|span| line.get(span.range())).unwrap_or_default()
        };
        let Some(whole) = captures.get_match() else {
            continue;
        };
        out.push_str(line.get(end..whole.start()).unwrap_or_default());
        out.push_str(group(1));
        out.push_str(word);
        out.push_str(group(2));
        end = whole.end();
    }
    out.push_str(line.get(end..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::Normal;

    #[test]
    fn lines_of_one_name_come_together() {
        let check = |lines: &[&str], expected: &[&str]| {
            let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            super::group(&mut lines);
            assert_eq!(lines, expected);
        };
        check(&["GET / HTTP/1.1", "a: 1", "b: 2", "a: 3"], &["GET / HTTP/1.1", "a: 1", "a: 3", "b: 2"]);
        check(&[":path: /", ":method: GET", "b: 1", "a: 2"], &[":method: GET", ":path: /", "b: 1", "a: 2"]);
        check(&[":status: 200"], &[":status: 200"]);
    }

    #[test]
    fn only_what_is_new_in_every_run_is_replaced() {
        let normal = Normal::new([("h1", 40_001)].into_iter(), false);
        let check = |line: &str, expected: &str| assert_eq!(normal.line(line), expected);
        check("date: Sat, 21 Nov 2026 23:07:23 GMT", "date: {{date}}");
        check("date: Tue, 01 Jan 2000 00:00:00 GMT", "date: Tue, 01 Jan 2000 00:00:00 GMT");
        check("x-envoy-upstream-service-time: 17", "x-envoy-upstream-service-time: {{ms}}");
        check("x-request-id: 73f0b9c9-9b98-4393-8de8-7579305c3e25", "x-request-id: {{uuid}}");
        check(
            "x-request-id: 73f0b9c9-9b98-1393-8de8-7579305c3e25",
            "x-request-id: 73f0b9c9-9b98-1393-8de8-7579305c3e25",
        );
        check(
            "listener.127.0.0.1_40001.downstream_cx_total",
            "listener.127.0.0.1_{{h1}}.downstream_cx_total",
        );
        check(
            r#"[2026-11-21T23:11:41.803Z] "GET / HTTP/1.1" 200 - 0 5 12 3 "-" "-" "-" "a" "127.0.0.1:40001""#,
            r#"[{{time}}] "GET / HTTP/1.1" 200 - 0 5 {{ms}} {{ms}} "-" "-" "-" "a" "127.0.0.1:{{h1}}""#,
        );
        check(
            r#"[2026-11-21T23:11:41.803Z] "- - HTTP/1.1" 400 DPE 0 11 0 - "-" "-" "-" "-" "-""#,
            r#"[{{time}}] "- - HTTP/1.1" 400 DPE 0 11 {{ms}} - "-" "-" "-" "-" "-""#,
        );
        check("x-forwarded-for: 1.2.3.4,192.0.2.2", "x-forwarded-for: 1.2.3.4,192.0.2.2");

        let normal = Normal::new([].into_iter(), true);
        let check = |line: &str, expected: &str| assert_eq!(normal.line(line), expected);
        check("x-forwarded-for: 1.2.3.4,192.0.2.2", "x-forwarded-for: 1.2.3.4,{{client}}");
        check(
            r#"[2026-11-21T23:11:41.803Z] "GET / HTTP/1.1" 404 NR 0 0 0 - "192.0.2.2" "-" "-" "a" "-""#,
            r#"[{{time}}] "GET / HTTP/1.1" 404 NR 0 0 {{ms}} - "{{client}}" "-" "-" "a" "-""#,
        );
    }
}
