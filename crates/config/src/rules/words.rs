//! The rules of a field in words, for those who ask what may stand in it.

use std::fmt::Display;

use nuncio_api::validate::{
    EnumRules, KnownRegex, MapRules, RepeatedRules, StringRules, field_rules, string_rules,
};
use prost_reflect::EnumDescriptor;

use super::{Rules, Seconds, counted};

impl Rules {
    /// One clause for each rule that is checked, without the one that the field is required.
    pub(crate) fn in_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(rules) = &self.rules.r#type {
            self.single_in_words(rules, &mut words);
        }
        words
    }

    fn single_in_words(&self, rules: &field_rules::Type, words: &mut Vec<String>) {
        use field_rules::Type;
        match rules {
            Type::Float(rules) => words.extend(range([rules.gt, rules.gte], [rules.lt, rules.lte])),
            Type::Double(rules) => words.extend(range([rules.gt, rules.gte], [rules.lt, rules.lte])),
            Type::Int32(rules) => words.extend(range([rules.gt, rules.gte], [rules.lt, rules.lte])),
            Type::Int64(rules) => words.extend(range([rules.gt, rules.gte], [rules.lt, rules.lte])),
            Type::Uint32(rules) => {
                let or_zero = if rules.ignore_empty() { ", or 0" } else { "" };
                let range = range([rules.gt, rules.gte], [rules.lt, rules.lte]);
                words.extend(range.map(|range| range + or_zero));
            }
            Type::Uint64(rules) => words.extend(range([rules.gt, rules.gte], [rules.lt, rules.lte])),
            Type::Bool(rules) => words.extend(rules.r#const.map(|wanted| format!("must be {wanted}"))),
            Type::String(rules) => string(rules, words),
            Type::Bytes(rules) => {
                words.extend(rules.min_len.and_then(|least| at_least(least, "byte")));
                words.extend(rules.max_len.map(|most| at_most(most, "byte")));
            }
            Type::Enum(rules) => words.extend(self.enumeration.as_ref().and_then(|of| not_in(rules, of))),
            Type::Duration(rules) => {
                let bound = |bound: &Option<prost_types::Duration>| {
                    bound.as_ref().map(|bound| Seconds(bound.seconds, bound.nanos))
                };
                words.extend(range(
                    [bound(&rules.gt), bound(&rules.gte)],
                    [bound(&rules.lt), bound(&rules.lte)],
                ));
            }
            Type::Repeated(rules) => self.repeated_in_words(rules, words),
            Type::Map(rules) => self.map_in_words(rules, words),
            _ => {}
        }
    }

    fn repeated_in_words(&self, rules: &RepeatedRules, words: &mut Vec<String>) {
        words.extend(rules.min_items.and_then(|least| at_least(least, "element")));
        words.extend(rules.max_items.map(|most| at_most(most, "element")));
        if rules.unique() {
            words.push("no element twice".to_owned());
        }
        if let Some(rules) = rules.items.as_ref().and_then(|rules| rules.r#type.as_ref()) {
            self.within("each element", rules, words);
        }
    }

    fn map_in_words(&self, rules: &MapRules, words: &mut Vec<String>) {
        words.extend(rules.min_pairs.and_then(|least| at_least(least, "entry")));
        if let Some(rules) = rules.keys.as_ref().and_then(|rules| rules.r#type.as_ref()) {
            self.within("each key", rules, words);
        }
        if let Some(rules) = rules.values.as_ref().and_then(|rules| rules.r#type.as_ref()) {
            self.within("each value", rules, words);
        }
    }

    fn within(&self, what: &str, rules: &field_rules::Type, words: &mut Vec<String>) {
        let mut inner = Vec::new();
        self.single_in_words(rules, &mut inner);
        words.extend(inner.into_iter().map(|clause| format!("{what} {clause}")));
    }
}

fn string(rules: &StringRules, words: &mut Vec<String>) {
    words.extend(rules.min_len.and_then(|least| at_least(least, "character")));
    words.extend(rules.max_len.map(|most| at_most(most, "character")));
    words.extend(rules.min_bytes.and_then(|least| at_least(least, "byte")));
    words.extend(rules.max_bytes.map(|most| at_most(most, "byte")));
    words.extend(rules.prefix.as_ref().map(|start| format!("must start with {start:?}")));
    words.extend(rules.suffix.as_ref().map(|end| format!("must end with {end:?}")));
    if !rules.r#in.is_empty() {
        let allowed: Vec<String> = rules.r#in.iter().map(|allowed| format!("{allowed:?}")).collect();
        words.push(format!("must be one of {}", allowed.join(", ")));
    }
    words
        .extend(rules.pattern.as_ref().map(|pattern| format!("must match the regular expression {pattern}")));
    if let Some(string_rules::WellKnown::WellKnownRegex(known)) = rules.well_known {
        let name = if known == KnownRegex::HttpHeaderName as i32 { "name" } else { "value" };
        words.push(format!("only characters that can stand in a header {name}"));
    }
    if rules.ignore_empty() && !words.is_empty() {
        words.push("or empty".to_owned());
    }
}

fn at_least(least: u64, what: &str) -> Option<String> {
    match (least, what) {
        (0, _) => None,
        (1, _) => Some("must not be empty".to_owned()),
        _ => Some(format!("must have at least {}", counted(least, what))),
    }
}

fn at_most(most: u64, what: &str) -> String {
    format!("must have at most {}", counted(most, what))
}

fn not_in(rules: &EnumRules, of: &EnumDescriptor) -> Option<String> {
    let names: Vec<String> = rules
        .not_in
        .iter()
        .map(|number| {
            of.get_value(*number).map_or_else(|| number.to_string(), |value| value.name().to_owned())
        })
        .collect();
    (!names.is_empty()).then(|| format!("must not be {}", names.join(" or ")))
}

/// Where the upper bound is below the lower one, the value must lie outside.
fn range<T: PartialOrd + Display + Copy>(lower: [Option<T>; 2], upper: [Option<T>; 2]) -> Option<String> {
    let above = match lower {
        [Some(bound), _] => Some((format!("greater than {bound}"), bound)),
        [_, Some(bound)] => Some((format!("at least {bound}"), bound)),
        _ => None,
    };
    let below = match upper {
        [Some(bound), _] => Some((format!("less than {bound}"), bound)),
        [_, Some(bound)] => Some((format!("at most {bound}"), bound)),
        _ => None,
    };
    Some(match (above, below) {
        (Some((over, low)), Some((under, high))) if high < low => format!("must be {under} or {over}"),
        (Some((over, _)), Some((under, _))) => format!("must be {over} and {under}"),
        (Some((bound, _)), None) | (None, Some((bound, _))) => format!("must be {bound}"),
        (None, None) => return None,
    })
}
