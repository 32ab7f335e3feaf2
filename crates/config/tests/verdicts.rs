//! Small configurations that Envoy accepts or refuses, and what we say about them: see `fixtures/config/verdicts`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use nuncio_config::{ErrorKind, LoadOptions, Source, load};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[path = "common/cases.rs"]
mod cases;
#[path = "common/dump.rs"]
mod dump;

use cases::{Prepared, cases, folder, groups, tls_folder};

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Accepts,
    Refuses,
    /// We find no mistake, and refuse only because something is not supported. It is no other verdict than that of
    /// an Envoy that accepts.
    Unsupported,
}

impl Verdict {
    fn agrees_with(self, envoys: Verdict) -> bool {
        (self == Self::Refuses) == (envoys == Self::Refuses)
    }
}

/// What is known about a case.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    envoy: Option<Verdict>,
    nuncio: Verdict,
    /// What both read, where the case names a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

fn recorded_path(group: &str) -> PathBuf {
    folder().join(format!("{group}.recorded.yaml"))
}

/// What we say.
fn nuncio(prepared: &Prepared) -> Record {
    let options =
        LoadOptions { allow_unknown_static_fields: prepared.case.allow_unknown, ..LoadOptions::default() };
    let show = |text: String| text.replace(tls_folder(), "%TLS%");
    let loaded = load(&[Source::new(prepared.file_name(), &*prepared.text)], &options);
    let mut value = None;
    let (errors, warnings) = match loaded {
        Ok(loaded) => {
            value = named_value(prepared, &loaded.document.bootstrap_json());
            (Vec::new(), loaded.warnings)
        }
        Err(errors) => (errors.errors().to_vec(), errors.warnings().to_vec()),
    };
    let nuncio = match errors.as_slice() {
        [] => Verdict::Accepts,
        errors if errors.iter().all(|error| error.kind == ErrorKind::Unsupported) => Verdict::Unsupported,
        _ => Verdict::Refuses,
    };
    Record {
        envoy: None,
        nuncio,
        value,
        errors: errors.iter().map(ToString::to_string).map(show).collect(),
        warnings: warnings.iter().map(ToString::to_string).map(show).collect(),
    }
}

/// The value that a case names, in a bootstrap.
fn named_value(prepared: &Prepared, bootstrap: &Value) -> Option<Value> {
    let pointer = prepared.case.value.as_ref()?;
    Some(bootstrap.pointer(pointer).map_or_else(|| "(unset)".into(), with_plain_numbers))
}

/// `1` and `1.0` are one number, and are shown as one.
fn with_plain_numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or_else(|| value.clone(), Value::from),
        Value::Array(items) => items.iter().map(with_plain_numbers).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), with_plain_numbers(value))).collect()
        }
        // In a record, null would be no value at all.
        Value::Null => "(null)".into(),
        _ => value.clone(),
    }
}

/// What Envoy says of all cases, with the values that they name.
fn envoy(program: &str, all: &[Prepared]) -> Vec<(Verdict, Option<Value>)> {
    const AT_ONCE: usize = 4;
    let scratch = Scratch::new();
    let verdicts = Mutex::new(vec![None; all.len()]);
    std::thread::scope(|scope| {
        for first in 0..AT_ONCE {
            let (scratch, verdicts) = (&scratch, &verdicts);
            scope.spawn(move || {
                for (index, prepared) in all.iter().enumerate().skip(first).step_by(AT_ONCE) {
                    let verdict = ask_envoy(program, prepared, &scratch.path, index);
                    verdicts.lock().unwrap()[index] = Some(verdict);
                }
            });
        }
    });
    verdicts.into_inner().unwrap().into_iter().map(Option::unwrap).collect()
}

fn ask_envoy(program: &str, prepared: &Prepared, scratch: &Path, index: usize) -> (Verdict, Option<Value>) {
    let name = if prepared.file_name() == "f" { "f.yaml" } else { prepared.file_name() };
    let file = scratch.join(format!("{index}-{name}"));
    fs::write(&file, &prepared.text).unwrap();
    let mut command = Command::new(program);
    // Each with a base id of its own, or they would wait for one another.
    command.args(["--mode", "validate", "--use-dynamic-base-id", "--log-level", "off", "-c"]).arg(&file);
    if prepared.case.allow_unknown {
        command.arg("--allow-unknown-static-fields");
    }
    let output = command.output().unwrap();
    if !output.status.success() {
        return (Verdict::Refuses, None);
    }
    let value = prepared.case.value.as_ref().and_then(|_| {
        named_value(prepared, &dump::bootstrap(program, &file, &scratch.join(format!("{index}.admin"))))
    });
    (Verdict::Accepts, value)
}

/// A folder that goes with its owner.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("nuncio-verdicts-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self { path }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The first cell of every row in the list of differences.
fn subjects() -> BTreeSet<String> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ENVOY_COMPAT.md");
    let text = fs::read_to_string(document).unwrap();
    let cell = |line: &str| Some(line.strip_prefix("| ")?.split_once(" |")?.0.to_owned());
    text.lines().filter_map(cell).collect()
}

fn recorded(group: &str) -> BTreeMap<String, Record> {
    match fs::read_to_string(recorded_path(group)) {
        Ok(text) => serde_yaml::from_str(&text).unwrap(),
        Err(_) => BTreeMap::new(),
    }
}

/// What is wrong with a case, given what is known about it.
fn findings(
    prepared: &Prepared,
    is: &Record,
    was: Option<&Record>,
    subjects: &BTreeSet<String>,
) -> Vec<String> {
    let mut findings = Vec::new();
    let title = prepared.title();
    let Some(was) = was else { return vec![format!("{title}: not recorded")] };
    let Some(envoys) = is.envoy.or(was.envoy) else {
        return vec![format!("{title}: Envoy's verdict is not recorded")];
    };
    if is.envoy.is_some_and(|verdict| Some(verdict) != was.envoy) {
        findings.push(format!("{title}: Envoy {envoys:?}, recorded is {:?}", was.envoy));
    }
    if *is != (Record { envoy: is.envoy, ..was.clone() }) {
        findings.push(format!("{title}: we say\n{is:#?}\nrecorded is\n{was:#?}\n{}", prepared.text));
    }
    match &prepared.case.differs {
        None if !is.nuncio.agrees_with(envoys) => findings.push(format!(
            "{title}: Envoy {envoys:?}, we {:?}: {:#?}\n{}",
            is.nuncio, is.errors, prepared.text
        )),
        Some(reason) if is.nuncio.agrees_with(envoys) => {
            findings.push(format!("{title}: does not differ any more, as is said of {reason:?}"));
        }
        Some(reason) if !subjects.contains(reason) => {
            findings.push(format!("{title}: docs/ENVOY_COMPAT.md has no row about {reason:?}"));
        }
        _ => {}
    }
    findings
}

#[test]
fn every_verdict_is_envoys_or_explained() {
    let recording = std::env::var_os("NUNCIO_RECORD").is_some();
    let program = std::env::var("ENVOY_BIN").ok().filter(|path| !path.is_empty());
    let subjects = subjects();
    let mut wrong = Vec::new();
    let mut count = 0;
    for group in groups() {
        let all = cases(&group);
        count += all.len();
        let before = recorded(&group);
        let mut now: Vec<Record> = all.iter().map(nuncio).collect();
        if let Some(program) = &program {
            for ((prepared, record), (verdict, value)) in all.iter().zip(&mut now).zip(envoy(program, &all)) {
                record.envoy = Some(verdict);
                if value.is_some() && record.value.is_some() && value != record.value {
                    let title = prepared.title();
                    wrong.push(format!("{title}: Envoy reads {value:?}, we {:?}", record.value));
                }
            }
        }
        let mut records: BTreeMap<String, Record> = BTreeMap::new();
        for (prepared, mut is) in all.iter().zip(now) {
            let was = before.get(&prepared.case.name);
            if recording {
                is.envoy = is.envoy.or(was.and_then(|was| was.envoy));
                wrong.extend(findings(prepared, &is, Some(&is), &subjects));
            } else {
                wrong.extend(findings(prepared, &is, was, &subjects));
            }
            records.insert(prepared.case.name.clone(), is);
        }
        let stale = before.keys().filter(|name| !records.contains_key(*name));
        if recording {
            fs::write(recorded_path(&group), serde_yaml::to_string(&records).unwrap()).unwrap();
        } else {
            wrong.extend(stale.map(|name| format!("{group}: {name}: recorded, but no such case is there")));
        }
    }
    println!(
        "{count} cases{}",
        if program.is_some() { "" } else { "; Envoy's verdicts are those on record" }
    );
    assert!(wrong.is_empty(), "{}\n{} of {count} cases", wrong.join("\n\n"), wrong.len());
}
