//! The answers that are kept beside the cases.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Result,
    case::Case,
    seen::{Part, Seen},
};

/// The version of Envoy whose answers are kept.
pub const ENVOY: &str = "1.40.0";

/// Envoy's answers to the exchanges of a case.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// Envoy's version.
    pub envoy: String,
    /// The command that recorded them.
    pub recorded_with: String,
    /// The answers by the exchange's name.
    pub exchanges: BTreeMap<String, Seen>,
}

/// Nuncio's own answers where they differ on purpose: exchange, part, answer.
pub type Own = BTreeMap<String, BTreeMap<String, Value>>;

impl Record {
    /// Reads the record of a case.
    ///
    /// # Errors
    /// Where there is none, or it cannot be read.
    pub fn load(cases: &Path, name: &str) -> Result<Self> {
        let path = file(cases, name, "envoy");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?)
    }

    /// Writes Envoy's answers to a case.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(cases: &Path, name: &str, exchanges: BTreeMap<String, Seen>) -> Result<()> {
        let recorded_with = format!("cargo run -p nuncio-oracle -- record {name}");
        let record = Self { envoy: ENVOY.to_owned(), recorded_with, exchanges };
        write(&file(cases, name, "envoy"), &record)
    }
}

/// Nuncio's own answers to a case; none where there is no file.
///
/// # Errors
/// Where the file cannot be understood.
pub fn load_own(cases: &Path, name: &str) -> Result<Own> {
    match fs::read_to_string(file(cases, name, "nuncio")) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(_) => Ok(Own::new()),
    }
}

/// Writes the parts of Nuncio's answers to a case that differ on purpose.
///
/// # Errors
/// Where the file cannot be written.
pub fn save_own(cases: &Path, name: &str, own: &Own) -> Result<()> {
    let path = file(cases, name, "nuncio");
    if own.is_empty() {
        let _there_was_none = fs::remove_file(path);
        return Ok(());
    }
    write(&path, own)
}

/// The name of a part in a file.
pub fn key(part: Part) -> String {
    format!("{part:?}").to_lowercase()
}

/// All cases of a folder whose names `wanted` picks.
///
/// # Errors
/// Where a case cannot be read.
pub fn cases(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Case>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let is_case = |path: &&PathBuf| {
        path.extension().is_some_and(|end| end == "yaml")
            && path.file_stem().is_some_and(|name| wanted(&name.to_string_lossy()))
    };
    files.iter().filter(is_case).map(|path| Case::load(path)).collect()
}

/// The patterns of the stats that Nuncio leaves out, one a line.
///
/// # Errors
/// Where the file cannot be read.
pub fn left_out_stats(cases: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(cases.join("left-out-stats.txt"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

fn file(cases: &Path, name: &str, whose: &str) -> PathBuf {
    cases.join(format!("{name}.{whose}.json"))
}

fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(fs::write(path, format!("{text}\n"))?)
}
