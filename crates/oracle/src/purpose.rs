//! Whether what is said to differ on purpose does differ, and stands in `docs/ENVOY_COMPAT.md` with its reason.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::{
    Result,
    case::{Differs, What},
    compare::{Finding, Known, finding, part},
    pattern,
    record::key,
    seen::Part,
};

/// How the reason begins of what differs because something is missing.
const MISSING: &str = "not yet:";

/// What the tables of `docs/ENVOY_COMPAT.md` are about: the first cell of each row.
///
/// # Errors
/// Where the document cannot be read.
pub(crate) fn subjects(document: &Path) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(document).map_err(|error| format!("{}: {error}", document.display()))?;
    Ok(text.lines().filter_map(first_cell).map(str::to_owned).collect())
}

fn first_cell(line: &str) -> Option<&str> {
    Some(line.strip_prefix("| ")?.split_once(" |")?.0)
}

impl Known {
    /// What the case says of differences that is not so.
    pub(crate) fn wrongly_named(&self, subjects: &BTreeSet<String>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut told = |differs: &Differs, text: String| {
            findings.push(finding(&self.case, &differs.exchange, text));
        };
        for differs in &self.case.differs {
            if !differs.reason.starts_with(MISSING) && !subjects.contains(&differs.reason) {
                told(differs, format!("docs/ENVOY_COMPAT.md has no row about {:?}", differs.reason));
            }
            for what in differs.what.iter().filter(|what| !self.is_so(differs, what)) {
                told(differs, format!("{what:?} is said to differ from Envoy, but does not"));
            }
        }
        findings
    }

    /// The exchanges that differ because something is missing, with what that is.
    pub(crate) fn missing(&self) -> Vec<Finding> {
        let rows = self.case.differs.iter().filter(|differs| differs.reason.starts_with(MISSING));
        rows.map(|differs| finding(&self.case, &differs.exchange, differs.reason.clone())).collect()
    }

    /// Whether something differs in any exchange that is meant, by what is recorded.
    fn is_so(&self, differs: &Differs, what: &What) -> bool {
        let mut meant = self.envoy.iter().filter(|(name, _)| differs.is_about(name));
        meant.any(|(name, envoy)| {
            let own = |about: Part| self.own.get(name).and_then(|own| own.get(&key(about)));
            match what {
                What::Part(about) => own(*about).is_some_and(|own| *own != part(envoy, *about)),
                What::Stats(stats) => own(Part::Stats).and_then(Value::as_object).is_some_and(|own| {
                    let envoys =
                        |name: &str| envoy.stats.get(name).map_or(Value::Null, |value| (*value).into());
                    own.iter().any(|(name, value)| pattern::matches(stats, name) && *value != envoys(name))
                }),
                What::DelayedClose => {
                    envoy.connection.fate == "closed after a delay" && own(Part::Connection).is_none()
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::json;

    use crate::{
        compare::Known,
        seen::{Connection, Seen},
    };

    #[test]
    fn rows_of_the_document_are_named_by_their_first_cell() {
        let check = |line: &str, expected: Option<&str>| assert_eq!(super::first_cell(line), expected);
        check("| two `Host` lines | joined | 400 | |", Some("two `Host` lines"));
        check("|---|---|", None);
        check("Words.", None);
    }

    #[test]
    fn a_difference_needs_a_row_and_must_be_one() {
        let case = "{about: a, config: c, exchanges: [{name: x, client: []}], differs: [{exchange: x, what: [WHAT], reason: REASON}]}";
        let check = |what: &str, reason: &str, expected: &[&str]| {
            let case = case.replace("WHAT", what).replace("REASON", reason);
            let envoy = Seen {
                connection: Connection { fate: "kept".to_owned(), ..Connection::default() },
                stats: [("a.b".to_owned(), 1)].into(),
                ..Seen::default()
            };
            let own = [("stats".to_owned(), json!({"a.b": 1, "a.c": 2}))].into();
            let known = Known {
                case: serde_yaml::from_str(&case).unwrap(),
                envoy: [("x".to_owned(), envoy)].into(),
                own: BTreeMap::from([("x".to_owned(), own)]),
                left_out: Vec::new(),
            };
            let findings = known.wrongly_named(&BTreeSet::from(["a row".to_owned()]));
            let texts: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
            assert_eq!(texts, expected, "{what} {reason}");
        };
        check("\"stats:a.c\"", "a row", &[]);
        check("\"stats:a.c\"", "\"not yet: a thing\"", &[]);
        check("\"stats:a.c\"", "another", &["docs/ENVOY_COMPAT.md has no row about \"another\""]);
        check("\"stats:a.b\"", "a row", &["Stats(\"a.b\") is said to differ from Envoy, but does not"]);
        check("log", "a row", &["Part(Log) is said to differ from Envoy, but does not"]);
        check("delayed-close", "a row", &["DelayedClose is said to differ from Envoy, but does not"]);
    }
}
