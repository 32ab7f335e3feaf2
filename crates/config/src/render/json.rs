//! What came of a configuration, for programs.

use serde_json::{Value, json};

use super::Problem;
use crate::{
    error::ConfigErrors,
    load::Loaded,
    model::{Bootstrap, Place},
};

/// The version of the objects that [`json()`] and [`Report::to_json`](crate::report::Report::to_json) make. It changes when a member goes away or changes its meaning, not
/// when one is added.
pub const JSON_VERSION: u32 = 1;

/// What came of loading a configuration, as one object:
///
/// ```json
/// {
///   "version": 1,
///   "file": "envoy.yaml",
///   "errors": [
///     {
///       "kind": "unknown",
///       "place": {"file": "envoy.yaml", "line": 3, "column": 5, "end_column": 8},
///       "path": "static_resources.clusters[0]",
///       "message": "unknown field \"nam\" in envoy.config.cluster.v3.Cluster (did you mean \"name\"?)"
///     }
///   ],
///   "warnings": [],
///   "summary": {"valid": false, "errors": 1, "warnings": 0, "listeners": null, "clusters": null, "routes": null}
/// }
/// ```
///
/// `kind` is that of [`ErrorKind`](crate::ErrorKind) or [`WarningKind`](crate::WarningKind). Lines and columns count
/// from 1, columns in characters; `end_column` is the one behind the place, and `column` itself where only the start is
/// known. For a file as a whole, as one that cannot be read, all three are null. `summary.errors` counts those beyond the first 1000, too, which are
/// not listed. The counts of what was read are null if there are errors.
pub fn json(file: &str, result: Result<&Loaded, &ConfigErrors>) -> Value {
    let (errors, warnings) = match result {
        Ok(loaded) => (&[][..], loaded.warnings.as_slice()),
        Err(errors) => (errors.errors(), errors.warnings()),
    };
    let errors: Vec<Value> = errors.iter().map(|error| problem_json(&error.into())).collect();
    let warnings: Vec<Value> = warnings.iter().map(|warning| problem_json(&warning.into())).collect();
    let count = |count: fn(&Bootstrap) -> usize| result.ok().map(|loaded| count(&loaded.bootstrap));
    let summary = json!({
        "valid": result.is_ok(),
        "errors": result.err().map_or(0, ConfigErrors::count),
        "warnings": warnings.len(),
        "listeners": count(|bootstrap| bootstrap.listeners.len()),
        "clusters": count(|bootstrap| bootstrap.clusters.len()),
        "routes": count(Bootstrap::route_count),
    });
    json!({
        "version": JSON_VERSION,
        "file": file,
        "errors": errors,
        "warnings": warnings,
        "summary": summary,
    })
}

pub(crate) fn problem_json(problem: &Problem<'_>) -> Value {
    json!({
        "kind": problem.kind,
        "place": place_json(problem.place),
        "path": &*problem.place.path,
        "message": problem.message,
    })
}

pub(crate) fn place_json(place: &Place) -> Value {
    let known = |number: u32| (place.line > 0).then_some(number);
    json!({
        "file": &*place.source,
        "line": known(place.line),
        "column": known(place.column),
        "end_column": known(place.column + place.width),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_line_has_null() {
        let place = place_json(&Place::generated("a"));
        assert_eq!(place, json!({"file": "(generated)", "line": null, "column": null, "end_column": null}));
    }
}
