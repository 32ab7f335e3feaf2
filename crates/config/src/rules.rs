//! The validation rules that stand in Envoy's API (protoc-gen-validate), checked by reflection on one value.
//!
//! Each function returns what is wrong as a clause that follows the field's path: `must be at least 1`.

use std::{
    collections::HashMap,
    fmt::Display,
    hash::{BuildHasher as _, RandomState},
};

use nuncio_api::validate::{
    BytesRules, DurationRules, EnumRules, FieldRules, MapRules, RepeatedRules, StringRules, field_rules,
    string_rules,
};
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, Value};
use regex_automata::meta::Regex;

#[cfg(test)]
mod kinds;
#[cfg(test)]
mod tests;
mod words;

/// The rules of one field, ready to be checked.
pub(crate) struct Rules {
    rules: FieldRules,
    enumeration: Option<EnumDescriptor>,
    pattern: Option<Regex>,
}

/// A rule that is broken: by the value itself, or by the element or entry at a place in it.
pub(crate) struct Broken {
    pub(crate) at: Within,
    pub(crate) message: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Within {
    Value,
    Element(usize),
    Key(String),
}

impl Rules {
    /// The rules that stand on a field, if there are any.
    pub(crate) fn of(field: &FieldDescriptor) -> Option<Self> {
        let extension = nuncio_api::descriptors().get_extension_by_name("validate.rules")?;
        let options = field.options();
        if !options.has_extension(&extension) {
            return None;
        }
        let value = options.get_extension(&extension);
        let rules = value.as_message()?.transcode_to::<FieldRules>().ok()?;
        let kind = if field.is_map() { value_kind(field) } else { Some(field.kind()) };
        let enumeration = match kind {
            Some(Kind::Enum(descriptor)) => Some(descriptor),
            _ => None,
        };
        let pattern = pattern(&rules).and_then(|pattern| Regex::new(pattern).ok());
        Some(Self { rules, enumeration, pattern })
    }

    /// Whether the field must be there.
    pub(crate) fn required(&self) -> bool {
        self.rules.message.as_ref().is_some_and(|message| message.required())
            || match &self.rules.r#type {
                Some(field_rules::Type::Duration(rules)) => rules.required(),
                Some(field_rules::Type::Timestamp(rules)) => rules.required(),
                Some(field_rules::Type::Any(rules)) => rules.required(),
                _ => false,
            }
    }

    /// The rules as they stand in the API.
    pub(crate) fn of_api(&self) -> &FieldRules {
        &self.rules
    }

    /// Whether what is in the field is not checked at all.
    pub(crate) fn skips_content(&self) -> bool {
        self.rules.message.as_ref().is_some_and(|message| message.skip())
    }

    /// Checks a value, or the value that a scalar field without one has.
    pub(crate) fn check(&self, value: &Value, broken: &mut Vec<Broken>) {
        let Some(rules) = &self.rules.r#type else { return };
        match (rules, value) {
            (field_rules::Type::Repeated(rules), Value::List(items)) => self.repeated(rules, items, broken),
            (field_rules::Type::Map(rules), Value::Map(map)) => self.map(rules, map, broken),
            _ => {
                broken.extend(self.single(rules, value).map(|message| Broken { at: Within::Value, message }))
            }
        }
    }

    fn single(&self, rules: &field_rules::Type, value: &Value) -> Option<String> {
        use field_rules::Type;
        // A wrapper stands for the scalar in it; without one, no rule holds.
        let inner = match value {
            Value::Message(message) => wrapped(message),
            _ => None,
        };
        let value = inner.as_ref().unwrap_or(value);
        match (rules, value) {
            (Type::Float(rules), Value::F32(value)) => {
                range(*value, [rules.gt, rules.gte], [rules.lt, rules.lte])
            }
            (Type::Double(rules), Value::F64(value)) => {
                range(*value, [rules.gt, rules.gte], [rules.lt, rules.lte])
            }
            (Type::Int32(rules), Value::I32(value)) => {
                range(*value, [rules.gt, rules.gte], [rules.lt, rules.lte])
            }
            (Type::Int64(rules), Value::I64(value)) => {
                range(*value, [rules.gt, rules.gte], [rules.lt, rules.lte])
            }
            (Type::Uint32(rules), Value::U32(value)) => {
                if rules.ignore_empty() && *value == 0 {
                    return None;
                }
                range(*value, [rules.gt, rules.gte], [rules.lt, rules.lte])
            }
            (Type::Uint64(rules), Value::U64(value)) => {
                range(*value, [rules.gt, rules.gte], [rules.lt, rules.lte])
            }
            (Type::Bool(rules), Value::Bool(value)) => {
                rules.r#const.filter(|wanted| wanted != value).map(|wanted| format!("must be {wanted}"))
            }
            (Type::String(rules), Value::String(text)) => self.string(rules, text),
            (Type::Bytes(rules), Value::Bytes(bytes)) => byte_string(rules, bytes.len()),
            (Type::Enum(rules), Value::EnumNumber(number)) => self.enumerator(rules, *number),
            (Type::Duration(rules), Value::Message(message)) => duration(rules, message),
            _ => None,
        }
    }

    fn repeated(&self, rules: &RepeatedRules, items: &[Value], broken: &mut Vec<Broken>) {
        if rules.ignore_empty() && items.is_empty() {
            return;
        }
        let count = items.len() as u64;
        let mut whole = |message| broken.push(Broken { at: Within::Value, message });
        if let Some(least) = rules.min_items.filter(|least| count < *least) {
            whole(if count == 0 && least == 1 {
                "must not be empty".to_owned()
            } else {
                format!("must have at least {} but has {count}", counted(least, "element"))
            });
        }
        if let Some(most) = rules.max_items.filter(|most| count > *most) {
            whole(format!("must have at most {} but has {count}", counted(most, "element")));
        }
        if rules.unique() {
            for index in twice(items) {
                let message = "is in the list twice".to_owned();
                broken.push(Broken { at: Within::Element(index), message });
            }
        }
        if let Some(rules) = rules.items.as_ref().and_then(|rules| rules.r#type.as_ref()) {
            for (index, item) in items.iter().enumerate() {
                let message = self.single(rules, item);
                broken.extend(message.map(|message| Broken { at: Within::Element(index), message }));
            }
        }
    }

    fn map(&self, rules: &MapRules, map: &HashMap<prost_reflect::MapKey, Value>, broken: &mut Vec<Broken>) {
        let count = map.len() as u64;
        if let Some(least) = rules.min_pairs.filter(|least| count < *least) {
            let message = format!("must have at least {} but has {count}", counted(least, "entry"));
            broken.push(Broken { at: Within::Value, message });
        }
        let keys = rules.keys.as_ref().and_then(|rules| rules.r#type.as_ref());
        let values = rules.values.as_ref().and_then(|rules| rules.r#type.as_ref());
        for (key, value) in map {
            let name = key.as_str().unwrap_or_default().to_owned();
            let at = || Within::Key(name.clone());
            let about_key = keys.and_then(|rules| self.single(rules, &Value::String(name.clone())));
            broken
                .extend(about_key.map(|message| Broken { at: at(), message: format!("the key {message}") }));
            let about_value = values.and_then(|rules| self.single(rules, value));
            broken.extend(about_value.map(|message| Broken { at: at(), message }));
        }
    }

    fn string(&self, rules: &StringRules, text: &str) -> Option<String> {
        if rules.ignore_empty() && text.is_empty() {
            return None;
        }
        let letters = text.chars().count() as u64;
        let bytes = text.len() as u64;
        if let Some(least) = rules.min_len.filter(|least| letters < *least) {
            return Some(too_short(least, letters, "character"));
        }
        if let Some(most) = rules.max_len.filter(|most| letters > *most) {
            return Some(format!("must have at most {} but has {letters}", counted(most, "character")));
        }
        if let Some(least) = rules.min_bytes.filter(|least| bytes < *least) {
            return Some(too_short(least, bytes, "byte"));
        }
        if let Some(most) = rules.max_bytes.filter(|most| bytes > *most) {
            return Some(format!("must have at most {} but has {bytes}", counted(most, "byte")));
        }
        if let Some(start) = rules.prefix.as_ref().filter(|start| !text.starts_with(start.as_str())) {
            return Some(format!("must start with {start:?}"));
        }
        if let Some(end) = rules.suffix.as_ref().filter(|end| !text.ends_with(end.as_str())) {
            return Some(format!("must end with {end:?}"));
        }
        if !rules.r#in.is_empty() && !rules.r#in.iter().any(|allowed| allowed == text) {
            let allowed: Vec<String> = rules.r#in.iter().map(|allowed| format!("{allowed:?}")).collect();
            return Some(format!("must be one of {}", allowed.join(", ")));
        }
        if let (Some(pattern), Some(compiled)) = (&rules.pattern, &self.pattern)
            && !compiled.is_match(text)
        {
            return Some(format!("must match the regular expression {pattern}"));
        }
        header(rules, text)
    }

    fn enumerator(&self, rules: &EnumRules, number: i32) -> Option<String> {
        let descriptor = self.enumeration.as_ref()?;
        let name = descriptor.get_value(number).map(|value| value.name().to_owned());
        if rules.defined_only() && name.is_none() {
            return Some(format!("{number} is not a value of {}", descriptor.full_name()));
        }
        rules
            .not_in
            .contains(&number)
            .then(|| format!("must not be {}", name.unwrap_or_else(|| number.to_string())))
    }
}

/// The indices of the elements that stand earlier in the list already.
fn twice(items: &[Value]) -> Vec<usize> {
    let hasher = RandomState::new();
    let mut seen: HashMap<u64, Vec<&Value>> = HashMap::with_capacity(items.len());
    let mut twice = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let hash = match item {
            Value::String(text) => hasher.hash_one(text),
            Value::Bytes(bytes) => hasher.hash_one(bytes),
            Value::I32(number) | Value::EnumNumber(number) => hasher.hash_one(number),
            Value::U32(number) => hasher.hash_one(number),
            Value::I64(number) => hasher.hash_one(number),
            Value::U64(number) => hasher.hash_one(number),
            // No rule of Envoy's API asks this of anything else.
            _ => 0,
        };
        let alike = seen.entry(hash).or_default();
        if alike.contains(&item) {
            twice.push(index);
        } else {
            alike.push(item);
        }
    }
    twice
}

fn value_kind(field: &FieldDescriptor) -> Option<Kind> {
    match field.kind() {
        Kind::Message(entry) => Some(entry.map_entry_value_field().kind()),
        _ => None,
    }
}

/// The one pattern in the rules of a field, wherever it stands.
fn pattern(rules: &FieldRules) -> Option<&str> {
    match rules.r#type.as_ref()? {
        field_rules::Type::String(rules) => rules.pattern.as_deref(),
        field_rules::Type::Repeated(rules) => pattern(rules.items.as_deref()?),
        field_rules::Type::Map(rules) => {
            rules.keys.as_deref().and_then(pattern).or_else(|| rules.values.as_deref().and_then(pattern))
        }
        _ => None,
    }
}

/// The scalar in a wrapper message.
fn wrapped(message: &DynamicMessage) -> Option<Value> {
    let descriptor = prost_reflect::ReflectMessage::descriptor(message);
    let is_wrapper = descriptor.package_name() == "google.protobuf" && descriptor.name().ends_with("Value");
    let field = descriptor.get_field_by_name("value").filter(|_| is_wrapper)?;
    Some(message.get_field(&field).into_owned())
}

fn counted(count: u64, what: &str) -> String {
    match (count, what) {
        (1, _) => format!("1 {what}"),
        (_, "entry") => format!("{count} entries"),
        _ => format!("{count} {what}s"),
    }
}

fn too_short(least: u64, found: u64, what: &str) -> String {
    if least == 1 {
        "must not be empty".to_owned()
    } else {
        format!("must have at least {} but has {found}", counted(least, what))
    }
}

/// `[greater than, at least]` and `[less than, at most]`. Where the upper bound is below the lower one, the value
/// must lie outside.
fn range<T: PartialOrd + Display + Copy>(
    value: T,
    lower: [Option<T>; 2],
    upper: [Option<T>; 2],
) -> Option<String> {
    let above = match lower {
        [Some(bound), _] => Some((value > bound, format!("greater than {bound}"), bound)),
        [_, Some(bound)] => Some((value >= bound, format!("at least {bound}"), bound)),
        _ => None,
    };
    let below = match upper {
        [Some(bound), _] => Some((value < bound, format!("less than {bound}"), bound)),
        [_, Some(bound)] => Some((value <= bound, format!("at most {bound}"), bound)),
        _ => None,
    };
    match (above, below) {
        (Some((above, over, low)), Some((below, under, high))) => {
            if high < low {
                (!above && !below).then(|| format!("must be {under} or {over} but is {value}"))
            } else {
                (!above || !below).then(|| format!("must be {over} and {under} but is {value}"))
            }
        }
        (Some((holds, bound, _)), None) | (None, Some((holds, bound, _))) => {
            (!holds).then(|| format!("must be {bound} but is {value}"))
        }
        (None, None) => None,
    }
}

fn byte_string(rules: &BytesRules, length: usize) -> Option<String> {
    let length = length as u64;
    if let Some(least) = rules.min_len.filter(|least| length < *least) {
        return Some(too_short(least, length, "byte"));
    }
    let most = rules.max_len.filter(|most| length > *most)?;
    Some(format!("must have at most {} but has {length}", counted(most, "byte")))
}

/// What may stand in a header: strictly the characters of RFC 9110, otherwise all but NUL, CR and LF.
fn header(rules: &StringRules, text: &str) -> Option<String> {
    let Some(string_rules::WellKnown::WellKnownRegex(known)) = rules.well_known else { return None };
    let is_name = known == nuncio_api::validate::KnownRegex::HttpHeaderName as i32;
    let strict = rules.strict();
    let allowed = |byte: u8| match (is_name, strict) {
        (_, false) => !matches!(byte, 0 | b'\r' | b'\n'),
        (true, true) => byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte),
        (false, true) => byte == b'\t' || byte >= b' ' && byte != 0x7f,
    };
    // The name of a pseudo header starts with a colon.
    let body = if is_name && strict { text.strip_prefix(':').unwrap_or(text) } else { text };
    let fits = body.bytes().all(allowed) && !(is_name && strict && body.is_empty());
    (!fits).then(|| {
        format!("has a character that cannot stand in a header {}", if is_name { "name" } else { "value" })
    })
}

fn duration(rules: &DurationRules, message: &DynamicMessage) -> Option<String> {
    let value = message.transcode_to::<prost_types::Duration>().ok()?;
    let seconds = |bound: &prost_types::Duration| Seconds(bound.seconds, bound.nanos);
    range(
        seconds(&value),
        [rules.gt.as_ref().map(seconds), rules.gte.as_ref().map(seconds)],
        [rules.lt.as_ref().map(seconds), rules.lte.as_ref().map(seconds)],
    )
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Seconds(i64, i32);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Seconds(seconds, nanos) = *self;
        let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
        let fraction = format!("{:09}", nanos.unsigned_abs());
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{}{point}{fraction}s", seconds.unsigned_abs())
    }
}
