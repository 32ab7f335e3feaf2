//! The cases in `fixtures/config/verdicts`.
#![allow(dead_code, reason = "each test program uses a part")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(default)]
    wraps: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) wrap: Option<String>,
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) json: bool,
    /// The name of the file, where its ending matters.
    pub(crate) file: Option<String>,
    #[serde(default)]
    pub(crate) allow_unknown: bool,
    pub(crate) differs: Option<String>,
    /// A JSON pointer into the bootstrap, to the value to compare.
    pub(crate) value: Option<String>,
}

/// A case with the text that both programs get.
pub(crate) struct Prepared {
    pub(crate) group: String,
    pub(crate) text: String,
    pub(crate) case: Case,
}

impl Prepared {
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.group, self.case.name)
    }

    pub(crate) fn file_name(&self) -> &str {
        match &self.case.file {
            Some(name) => name,
            None if self.case.json => "f.json",
            None => "f",
        }
    }
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/config/verdicts")
}

/// Relative to the crate's folder, where tests run, so that it is as long on every machine and columns are the same.
pub(crate) fn tls_folder() -> &'static str {
    "../../fixtures/tls"
}

/// The names of all groups, in order.
pub(crate) fn groups() -> BTreeSet<String> {
    let names = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.filter_map(|name| Some(name.to_str()?.strip_suffix(".yaml")?.to_owned()));
    names.filter(|name| !name.ends_with(".recorded")).collect()
}

pub(crate) fn cases(group: &str) -> Vec<Prepared> {
    let text = fs::read_to_string(folder().join(format!("{group}.yaml"))).unwrap();
    let Group { wraps, cases } =
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{group}.yaml: {error}"));
    let mut seen = BTreeSet::new();
    let prepare = |case: Case| {
        assert!(seen.insert(case.name.clone()), "{group}.yaml has two cases with the name {:?}", case.name);
        let wrap = case.wrap.as_ref().map(|name| {
            wraps.get(name).unwrap_or_else(|| panic!("{group}.yaml: {}: no wrap {name:?}", case.name))
        });
        let text = wrap.map_or_else(|| case.text.clone(), |wrap| wrapped(wrap, &case.text));
        Prepared { group: group.to_owned(), text: text.replace("%TLS%", tls_folder()), case }
    };
    cases.into_iter().map(prepare).collect()
}

/// Puts a text in the place of `@@`, each line with the indentation that it has there.
fn wrapped(wrap: &str, text: &str) -> String {
    let mut whole = String::new();
    for line in wrap.lines() {
        match line.split_once("@@") {
            Some((before, after)) => {
                let indent = " ".repeat(before.chars().count());
                for (index, inner) in text.trim_end().lines().enumerate() {
                    whole += if index == 0 { before } else { "\n" };
                    whole += if index == 0 || inner.is_empty() { "" } else { &indent };
                    whole += inner;
                }
                whole += after;
            }
            None => whole += line,
        }
        whole.push('\n');
    }
    whole
}
