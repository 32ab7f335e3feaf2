//! The validation rules of the API as keywords of JSON Schema. A rule that no keyword can say is left to the loader.

use nuncio_api::validate::{KnownRegex, StringRules, field_rules, field_rules::Type, string_rules};
use serde_json::{Map, Value as Json, json};

use super::Keywords;
use crate::rules::Rules;

/// Adds what the rules say about a single value.
pub(super) fn of_single(rules: Option<&Rules>, value: &mut Keywords) {
    if let Some(rules) = rules.and_then(|rules| rules.of_api().r#type.as_ref()) {
        single(rules, value);
    }
}

/// What the rules say about a list; what they say about its elements is added to `element`.
pub(super) fn of_list(rules: Option<&Rules>, element: &mut Keywords) -> Keywords {
    let mut list = Map::new();
    let Some(Type::Repeated(rules)) = rules.and_then(|rules| rules.of_api().r#type.as_ref()) else {
        return list;
    };
    // An empty list is no list at all to a rule that ignores it.
    if !rules.ignore_empty() {
        put(&mut list, "minItems", rules.min_items.filter(|least| *least > 0));
    }
    put(&mut list, "maxItems", rules.max_items);
    put(&mut list, "uniqueItems", rules.unique().then_some(true));
    if let Some(rules) = inner(rules.items.as_deref()) {
        single(rules, element);
    }
    list
}

/// What the rules say about a map; what they say about its values is added to `value`.
pub(super) fn of_map(rules: Option<&Rules>, value: &mut Keywords) -> Keywords {
    let mut map = Map::new();
    let Some(Type::Map(rules)) = rules.and_then(|rules| rules.of_api().r#type.as_ref()) else { return map };
    put(&mut map, "minProperties", rules.min_pairs.filter(|least| *least > 0));
    if let Some(rules) = inner(rules.keys.as_deref()) {
        let mut keys = Map::new();
        single(rules, &mut keys);
        put(&mut map, "propertyNames", (!keys.is_empty()).then_some(keys));
    }
    if let Some(rules) = inner(rules.values.as_deref()) {
        single(rules, value);
    }
    map
}

fn inner(rules: Option<&nuncio_api::validate::FieldRules>) -> Option<&field_rules::Type> {
    rules.and_then(|rules| rules.r#type.as_ref())
}

fn put(keywords: &mut Keywords, name: &str, value: Option<impl Into<Json>>) {
    if let Some(value) = value {
        keywords.insert(name.to_owned(), value.into());
    }
}

fn single(rules: &field_rules::Type, value: &mut Keywords) {
    match rules {
        Type::Float(rules) => range(value, [rules.gt, rules.gte], [rules.lt, rules.lte]),
        Type::Double(rules) => range(value, [rules.gt, rules.gte], [rules.lt, rules.lte]),
        Type::Int32(rules) => range(value, [rules.gt, rules.gte], [rules.lt, rules.lte]),
        Type::Int64(rules) => range(value, [rules.gt, rules.gte], [rules.lt, rules.lte]),
        Type::Uint32(rules) if rules.ignore_empty() => {
            range(value, [None, None], [rules.lt, rules.lte]);
        }
        Type::Uint32(rules) => range(value, [rules.gt, rules.gte], [rules.lt, rules.lte]),
        Type::Uint64(rules) => range(value, [rules.gt, rules.gte], [rules.lt, rules.lte]),
        Type::Bool(rules) => put(value, "const", rules.r#const),
        Type::String(rules) => string(rules, value),
        Type::Bytes(rules) => put(value, "minLength", rules.min_len.filter(|least| *least > 0).map(|_| 1)),
        Type::Duration(rules) => {
            let is_zero = |bound: &prost_types::Duration| bound.seconds == 0 && bound.nanos == 0;
            if rules.gt.as_ref().is_some_and(|bound| bound.seconds >= 0 && bound.nanos >= 0) {
                put(value, "not", Some(json!({"type": "string", "pattern": "^(?:-|[0.]*s$)"})));
            } else if rules
                .gte
                .as_ref()
                .is_some_and(|bound| is_zero(bound) || bound.seconds > 0 || bound.nanos > 0)
            {
                put(value, "not", Some(json!({"type": "string", "pattern": "^-"})));
            }
        }
        _ => {}
    }
}

/// A range with its upper bound below its lower one means the values outside, which is rare enough to be left out.
fn range<T: PartialOrd + Copy + Into<Json>>(
    value: &mut Keywords,
    lower: [Option<T>; 2],
    upper: [Option<T>; 2],
) {
    let [gt, gte] = lower;
    let [lt, lte] = upper;
    if let (Some(low), Some(high)) = (gt.or(gte), lt.or(lte))
        && high < low
    {
        return;
    }
    put(value, "exclusiveMinimum", gt);
    put(value, "minimum", gte.filter(|_| gt.is_none()));
    put(value, "exclusiveMaximum", lt);
    put(value, "maximum", lte.filter(|_| lt.is_none()));
}

fn string(rules: &StringRules, value: &mut Keywords) {
    let mut keywords = Map::new();
    // A character takes at least one byte, and text that is not empty has both.
    let least = rules.min_len.or(rules.min_bytes.map(|least| least.min(1)));
    put(&mut keywords, "minLength", least.filter(|least| *least > 0));
    put(&mut keywords, "maxLength", rules.max_len.or(rules.max_bytes));
    put(&mut keywords, "enum", (!rules.r#in.is_empty()).then(|| rules.r#in.clone()));
    let mut patterns: Vec<String> = Vec::new();
    patterns.extend(rules.pattern.clone());
    patterns.extend(rules.prefix.as_ref().map(|start| format!("^{}", escaped(start))));
    patterns.extend(rules.suffix.as_ref().map(|end| format!("{}$", escaped(end))));
    patterns.extend(header(rules).map(str::to_owned));
    match patterns.as_slice() {
        [] => {}
        [only] => put(&mut keywords, "pattern", Some(only.as_str())),
        several => {
            let several: Vec<Json> = several.iter().map(|pattern| json!({ "pattern": pattern })).collect();
            put(&mut keywords, "allOf", Some(several));
        }
    }
    if rules.ignore_empty() && !keywords.is_empty() {
        put(value, "anyOf", Some(json!([{"maxLength": 0}, keywords])));
    } else {
        value.extend(keywords);
    }
}

/// What may stand in a header.
fn header(rules: &StringRules) -> Option<&'static str> {
    let Some(string_rules::WellKnown::WellKnownRegex(known)) = rules.well_known else { return None };
    let is_name = known == KnownRegex::HttpHeaderName as i32;
    Some(match (is_name, rules.strict()) {
        (true, true) => "^:?[0-9A-Za-z!#$%&'*+.^_`|~-]+$",
        (true, false) => "^[^\\u0000\\r\\n]+$",
        (false, true) => "^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$",
        (false, false) => "^[^\\u0000\\r\\n]*$",
    })
}

/// With a backslash before everything that means something in a pattern.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$/".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}
