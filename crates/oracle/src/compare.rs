//! Compares answers, and says what differs so that one can see it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    case::Case,
    pattern,
    record::{Own, key},
    run::Answers,
    seen::{Part, Seen},
};

/// Something that is not as it should be.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The case.
    pub case: String,
    /// The exchange.
    pub exchange: String,
    /// What, in lines.
    pub text: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} / {}: {}", self.case, self.exchange, self.text)
    }
}

/// A part of what was seen.
pub fn part(seen: &Seen, part: Part) -> Value {
    let value = match part {
        Part::Responses => serde_json::to_value(&seen.responses),
        Part::Connection => serde_json::to_value(&seen.connection),
        Part::Origin => serde_json::to_value(&seen.origin),
        Part::Log => serde_json::to_value(&seen.log),
        Part::Stats => serde_json::to_value(&seen.stats),
    };
    // Strings, numbers and lists of them always have a JSON form.
    value.unwrap_or_default()
}

/// How Envoy's answers differ from those that are recorded.
pub fn with_record(case: &Case, recorded: &BTreeMap<String, Seen>, now: &Answers) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, seen) in &now.exchanges {
        let Some(record) = recorded.get(name) else {
            findings.push(finding(case, name, "is not recorded".to_owned()));
            continue;
        };
        for what in Part::ALL {
            let (record, seen) = (part(record, what), part(seen, what));
            if record != seen {
                let text = format!("{} (- recorded, + Envoy now)\n{}", key(what), diff(&record, &seen));
                findings.push(finding(case, name, text));
            }
        }
    }
    findings
}

/// How Nuncio's answers differ from those that are recorded, apart from what differs on purpose.
pub fn with_envoy(
    case: &Case,
    recorded: &BTreeMap<String, Seen>,
    nuncio: &Answers,
    own: &Own,
    left_out: &[String],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, seen) in &nuncio.exchanges {
        let Some(record) = recorded.get(name) else {
            findings.push(finding(case, name, "is not recorded".to_owned()));
            continue;
        };
        let mut record = record.clone();
        let left_out = |stat: &str| {
            !nuncio.names.contains(stat) && left_out.iter().any(|pattern| pattern::matches(pattern, stat))
        };
        record.stats.retain(|stat, _| !left_out(stat));
        let named: BTreeSet<Part> =
            case.differs(name).flat_map(|differs| differs.what.iter().copied()).collect();
        for what in Part::ALL {
            let (envoy, nuncio) = (part(&record, what), part(seen, what));
            if !named.contains(&what) {
                if envoy != nuncio {
                    let text = format!("{} (- Envoy, + Nuncio)\n{}", key(what), diff(&envoy, &nuncio));
                    findings.push(finding(case, name, text));
                }
                continue;
            }
            if envoy == nuncio {
                let text = format!("{} is said to differ from Envoy, but does not any more", key(what));
                findings.push(finding(case, name, text));
            }
            let own = own.get(name).and_then(|parts| parts.get(&key(what))).cloned().unwrap_or_default();
            if own != nuncio {
                let text = format!("{} (- Nuncio's own, + Nuncio now)\n{}", key(what), diff(&own, &nuncio));
                findings.push(finding(case, name, text));
            }
        }
    }
    for name in recorded.keys().filter(|name| !case.exchanges.iter().any(|exchange| exchange.name == **name))
    {
        findings.push(finding(case, name, "is recorded, but not in the case any more".to_owned()));
    }
    findings
}

fn finding(case: &Case, exchange: &str, text: String) -> Finding {
    Finding { case: case.name.clone(), exchange: exchange.to_owned(), text }
}

/// The lines of two values that are not in both, in order.
fn diff(old: &Value, new: &Value) -> String {
    let lines = |value: &Value| {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        let bare = |line: &str| line.trim_end_matches(',').to_owned();
        text.lines().map(bare).collect::<Vec<_>>()
    };
    let (old, new) = (lines(old), lines(new));
    // The length of the longest common rest from each pair of lines on.
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    let at = |common: &[u32], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or_default();
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let best = if a == b {
                at(&common, i + 1, j + 1) + 1
            } else {
                at(&common, i + 1, j).max(at(&common, i, j + 1))
            };
            if let Some(cell) = common.get_mut(i * width + j) {
                *cell = best;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut out = String::new();
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => (i, j) = (i + 1, j + 1),
            (Some(a), b) if b.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                out.push_str(&format!("    - {}\n", a.trim_start()));
                i += 1;
            }
            (_, Some(b)) => {
                out.push_str(&format!("    + {}\n", b.trim_start()));
                j += 1;
            }
            (_, None) => return out,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::diff;

    #[test]
    fn only_lines_that_differ_are_shown() {
        let check = |old, new, expected: &str| assert_eq!(diff(&old, &new), expected);
        check(json!(["a", "b"]), json!(["a", "b"]), "");
        check(json!(["a", "b", "c"]), json!(["a", "c"]), "    - \"b\"\n");
        check(json!(["a", "c"]), json!(["a", "b", "c"]), "    + \"b\"\n");
        check(json!(["a", "b"]), json!(["a", "x"]), "    - \"b\"\n    + \"x\"\n");
    }
}
