//! Regular expressions, wherever they stand.

use prost_reflect::DynamicMessage;

use super::{Check, Scope, fields::Fields as _};
use crate::{path::Path, re2};

pub(super) fn of_message(full_name: &str) -> Option<Check> {
    match full_name {
        "envoy.type.matcher.v3.RegexMatcher" => Some(matcher),
        _ => None,
    }
}

fn matcher(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let regex = message.text("regex");
    if regex.is_empty() {
        return;
    }
    let own = message.message("google_re2").and_then(|re2| re2.number("max_program_size"));
    let limit = own.and_then(|limit| u64::try_from(limit).ok()).unwrap_or(scope.facts.regex_size);
    let at = path.field("regex");
    match re2::least_size(regex) {
        Err(invalid) => scope.error(&at, format!("the regular expression is not valid: {invalid}")),
        Ok(size) if size > limit => scope.error(
            &at,
            format!(
                "the regular expression becomes a program of {size} instructions or more, and {limit} are allowed \
                 (runtime key \"re2.max_program_size.error_level\")"
            ),
        ),
        Ok(_) => {}
    }
}
