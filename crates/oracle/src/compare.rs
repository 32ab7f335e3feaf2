//! Compares answers, and says what differs so that one can see it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    Result,
    case::{Case, Differs, What},
    pattern,
    record::{Own, Record, key, left_out_stats, load_own},
    run::{Answers, DELAYED_CLOSE},
    seen::{Connection, Part, Response, Seen},
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

/// What is known about a case before it is run.
#[derive(Clone, Debug)]
pub struct Known {
    /// The case.
    pub case: Case,
    /// Envoy's answers by the exchange's name.
    pub envoy: BTreeMap<String, Seen>,
    /// Nuncio's own where they differ on purpose.
    pub own: Own,
    /// Patterns of the stats that Nuncio leaves out.
    pub left_out: Vec<String>,
}

impl Known {
    /// Reads what is kept beside a case.
    ///
    /// # Errors
    /// Where it is not there or cannot be understood.
    pub fn load(folder: &Path, case: Case) -> Result<Self> {
        Ok(Self {
            envoy: Record::load(folder, &case.name)?.exchanges,
            own: load_own(folder, &case.name)?,
            left_out: left_out_stats(folder)?,
            case,
        })
    }

    /// What is expected of Nuncio: what Envoy showed, and Nuncio's own where that differs on purpose.
    fn expected(&self, exchange: &str, seen: &Seen, names: &BTreeSet<String>, what: Part) -> Option<Value> {
        let record = comparable(&self.case, exchange, self.envoy.get(exchange)?, seen, names, &self.left_out);
        let envoy = part(&record, what);
        Some(match self.own.get(exchange).and_then(|own| own.get(&key(what))) {
            Some(own) => with_own(&envoy, own, what),
            None => envoy,
        })
    }

    /// How Nuncio's answers differ from what is expected.
    pub fn with_expected(&self, nuncio: &Answers) -> Vec<Finding> {
        let case = &self.case;
        let mut findings = Vec::new();
        for (name, seen) in &nuncio.exchanges {
            for what in Part::ALL {
                let Some(expected) = self.expected(name, seen, &nuncio.names, what) else {
                    findings.push(finding(case, name, "is not recorded".to_owned()));
                    break;
                };
                let own = self.own.get(name).is_some_and(|own| own.contains_key(&key(what)));
                if own && !is_named(case, name, what) {
                    let text =
                        format!("{} is kept as Nuncio's own, but the case does not name it", key(what));
                    findings.push(finding(case, name, text));
                }
                let nuncio = part(seen, what);
                if expected != nuncio {
                    let whose = if own { "Envoy but for differences on purpose" } else { "Envoy" };
                    let text = format!("{} (- {whose}, + Nuncio)\n{}", key(what), diff(&expected, &nuncio));
                    findings.push(finding(case, name, text));
                }
            }
        }
        findings
    }

    /// Stats that are said to be left out, though Nuncio has them.
    pub fn wrongly_left_out(&self, nuncio: &Answers) -> Vec<Finding> {
        let has = |pattern: &&String| nuncio.names.iter().any(|name| pattern::matches(pattern, name));
        let text = |pattern: &String| {
            format!("left-out-stats.txt has {pattern:?}, but Nuncio does not leave it out")
        };
        self.left_out.iter().filter(has).map(|pattern| finding(&self.case, "all", text(pattern))).collect()
    }

    /// Answers to exchanges that are not in the case any more.
    pub fn left_over(&self) -> Vec<Finding> {
        let is_left_over = |name: &&String| !self.case.exchanges.iter().any(|one| one.name == **name);
        let text = "is recorded, but not in the case any more";
        let names = self.envoy.keys().chain(self.own.keys()).filter(is_left_over);
        names.map(|name| finding(&self.case, name, text.to_owned())).collect()
    }
}

/// What a proxy should show, as it is known before it is run. It only tells how long to wait for what is late; all that
/// was seen is compared in the end.
#[derive(Clone, Debug)]
pub enum Expected {
    /// What Envoy showed.
    Envoys(Arc<Known>),
    /// The same, and Nuncio's own where that differs on purpose.
    Nuncios(Arc<Known>),
}

impl Expected {
    /// Whether a proxy whose stats have these names showed what it should.
    pub fn is_met(&self, exchange: &str, seen: &Seen, names: &BTreeSet<String>) -> bool {
        match self {
            Self::Envoys(known) => known.envoy.get(exchange) == Some(seen),
            Self::Nuncios(known) => Part::ALL
                .into_iter()
                .all(|what| known.expected(exchange, seen, names, what) == Some(part(seen, what))),
        }
    }

    /// Whether the proxy will close the client's connection; unknown where nothing is recorded.
    pub fn closes(&self, exchange: &str) -> Option<bool> {
        let is_closed = |connection: &Connection| connection.fate.starts_with("closed");
        let own: Option<Connection> = self.own(exchange, Part::Connection);
        match own {
            Some(connection) => Some(is_closed(&connection)),
            None => self.known().envoy.get(exchange).map(|seen| is_closed(&seen.connection)),
        }
    }

    /// Whether every response will be complete.
    pub fn answers(&self, exchange: &str) -> bool {
        let is_complete = |responses: &[Response]| {
            !responses.is_empty() && responses.iter().all(|response| response.end == "complete")
        };
        let own: Option<Vec<Response>> = self.own(exchange, Part::Responses);
        match own {
            Some(responses) => is_complete(&responses),
            None => self.known().envoy.get(exchange).is_some_and(|seen| is_complete(&seen.responses)),
        }
    }

    fn known(&self) -> &Known {
        match self {
            Self::Envoys(known) | Self::Nuncios(known) => known,
        }
    }

    fn own<T: DeserializeOwned>(&self, exchange: &str, about: Part) -> Option<T> {
        let Self::Nuncios(known) = self else {
            return None;
        };
        let own = known.own.get(exchange)?.get(&key(about))?;
        serde_json::from_value(own.clone()).ok()
    }
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

/// The parts of Nuncio's answers that differ from Envoy's on purpose; and what is said to differ, but does not.
pub fn on_purpose(
    case: &Case,
    recorded: &BTreeMap<String, Seen>,
    nuncio: &Answers,
    left_out: &[String],
) -> (Own, Vec<Finding>) {
    let mut own = Own::new();
    let mut findings = Vec::new();
    for differs in &case.differs {
        for what in &differs.what {
            let mut found = *what == What::DelayedClose;
            for (name, seen) in nuncio.exchanges.iter().filter(|(name, _)| differs.is_about(name)) {
                let Some(record) = recorded.get(name) else { continue };
                let record = comparable(case, name, record, seen, &nuncio.names, left_out);
                let (about, value) = match what {
                    What::Part(about) => {
                        let nuncio = part(seen, *about);
                        (*about, Some(nuncio.clone()).filter(|_| nuncio != part(&record, *about)))
                    }
                    What::Stats(pattern) => (Part::Stats, some_stats(&record.stats, &seen.stats, pattern)),
                    What::DelayedClose => continue,
                };
                let Some(value) = value else { continue };
                found = true;
                let parts = own.entry(name.clone()).or_default();
                match (parts.get_mut(&key(about)), value) {
                    (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
                    (_, value) => _ = parts.insert(key(about), value),
                }
            }
            if !found {
                let text = format!("{what:?} is said to differ from Envoy, but does not");
                findings.push(finding(case, &differs.exchange, text));
            }
        }
    }
    (own, findings)
}

/// Whether the case says that a part of an exchange differs.
fn is_named(case: &Case, exchange: &str, about: Part) -> bool {
    let is_about = |what: &What| match what {
        What::Part(part) => *part == about,
        What::Stats(_) => about == Part::Stats,
        What::DelayedClose => false,
    };
    case.differs.iter().any(|differs| differs.is_about(exchange) && differs.what.iter().any(is_about))
}

/// The stats of a pattern that differ, as Nuncio has them; one that it does not move is null.
fn some_stats(envoy: &BTreeMap<String, i64>, nuncio: &BTreeMap<String, i64>, pattern: &str) -> Option<Value> {
    let names: BTreeSet<&String> = envoy.keys().chain(nuncio.keys()).collect();
    let differs = |name: &&String| pattern::matches(pattern, name) && envoy.get(*name) != nuncio.get(*name);
    let own = names.into_iter().filter(differs).map(|name| {
        let value = nuncio.get(name).map_or(Value::Null, |value| Value::from(*value));
        (name.clone(), value)
    });
    let own: serde_json::Map<_, _> = own.collect();
    (!own.is_empty()).then_some(Value::Object(own))
}

/// Envoy's answer with what is Nuncio's own in its place: the whole part, or single stats.
fn with_own(envoy: &Value, own: &Value, about: Part) -> Value {
    let (Value::Object(envoy), Value::Object(changes), Part::Stats) = (envoy, own, about) else {
        return own.clone();
    };
    let mut both: BTreeMap<_, _> = envoy.clone().into_iter().chain(changes.clone()).collect();
    both.retain(|_, value| !value.is_null());
    Value::Object(both.into_iter().collect())
}

/// What Envoy showed, without what is not to be compared: stats that Nuncio leaves out, and Envoy's delay before a
/// connection is closed where the case says so.
fn comparable(
    case: &Case,
    exchange: &str,
    record: &Seen,
    seen: &Seen,
    names: &BTreeSet<String>,
    left_out: &[String],
) -> Seen {
    let is_left_out =
        |stat: &str| !names.contains(stat) && left_out.iter().any(|pattern| pattern::matches(pattern, stat));
    let mut record = record.clone();
    record.stats.retain(|stat, _| !is_left_out(stat));
    let delayed =
        |differs: &Differs| differs.is_about(exchange) && differs.what.contains(&What::DelayedClose);
    // By the clock, a close comes late, too, where the proxy waited for something else before it.
    if record.stats.keys().any(|stat| stat.ends_with(DELAYED_CLOSE))
        && seen.connection.fate.starts_with("closed")
        && case.differs.iter().any(delayed)
    {
        record.connection.fate.clone_from(&seen.connection.fate);
        record.stats.retain(|stat, _| !stat.ends_with(DELAYED_CLOSE));
    }
    record
}

/// Something about an exchange of a case.
pub(crate) fn finding(case: &Case, exchange: &str, text: String) -> Finding {
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
