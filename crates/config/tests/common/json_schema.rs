//! As much of a JSON Schema validator as our schema needs. A keyword that it does not know is a failure, so the schema
//! cannot use one that is misspelt or means something else.

use regex_automata::meta::Regex;
use serde_json::{Map, Value};

/// Keywords that say nothing about what is valid.
const ANNOTATIONS: [&str; 6] = ["$schema", "$defs", "title", "description", "deprecated", "default"];

pub(crate) struct Schema<'s> {
    pub(crate) root: &'s Value,
}

impl<'s> Schema<'s> {
    /// The first thing that is wrong, with the path to it.
    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
        self.value(self.root, value, "")
    }

    pub(crate) fn resolve(&self, reference: &str) -> &'s Value {
        let pointer = reference.strip_prefix('#').unwrap();
        self.root.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    fn value(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        match schema {
            Value::Bool(true) => Ok(()),
            Value::Bool(false) => Err(format!("{at}: not allowed")),
            Value::Object(keywords) => keywords
                .iter()
                .filter(|(keyword, _)| !ANNOTATIONS.contains(&keyword.as_str()))
                .try_for_each(|(keyword, argument)| self.keyword(keywords, keyword, argument, value, at)),
            other => panic!("no schema: {other}"),
        }
    }

    fn keyword(
        &self,
        beside: &Map<String, Value>,
        keyword: &str,
        argument: &Value,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let number = || argument.as_f64().unwrap();
        let count = || argument.as_u64().unwrap();
        let all = || argument.as_array().unwrap();
        let named = || argument.as_object().unwrap();
        let matching = || all().iter().filter(|schema| self.value(schema, value, at).is_ok()).count();
        let fits = match (keyword, value) {
            ("$ref", _) => return self.value(self.resolve(argument.as_str().unwrap()), value, at),
            ("allOf", _) => return all().iter().try_for_each(|schema| self.value(schema, value, at)),
            ("anyOf", _) => matching() > 0,
            ("oneOf", _) => matching() == 1,
            ("not", _) => self.value(argument, value, at).is_err(),
            ("const", _) => value == argument,
            ("enum", _) => all().contains(value),
            ("type", _) => match argument.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "number" => value.is_number(),
                "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
                other => panic!("no type: {other}"),
            },
            ("minimum", Value::Number(value)) => value.as_f64().unwrap() >= number(),
            ("maximum", Value::Number(value)) => value.as_f64().unwrap() <= number(),
            ("exclusiveMinimum", Value::Number(value)) => value.as_f64().unwrap() > number(),
            ("exclusiveMaximum", Value::Number(value)) => value.as_f64().unwrap() < number(),
            ("minLength", Value::String(text)) => text.chars().count() as u64 >= count(),
            ("maxLength", Value::String(text)) => text.chars().count() as u64 <= count(),
            ("pattern", Value::String(text)) => regex(argument.as_str().unwrap()).is_match(text),
            ("minItems", Value::Array(items)) => items.len() as u64 >= count(),
            ("maxItems", Value::Array(items)) => items.len() as u64 <= count(),
            ("uniqueItems", Value::Array(items)) => {
                items.iter().enumerate().all(|(index, item)| !items[..index].contains(item))
            }
            ("items", Value::Array(items)) => {
                return items
                    .iter()
                    .enumerate()
                    .try_for_each(|(index, item)| self.value(argument, item, &format!("{at}[{index}]")));
            }
            ("minProperties", Value::Object(map)) => map.len() as u64 >= count(),
            ("maxProperties", Value::Object(map)) => map.len() as u64 <= count(),
            ("required", Value::Object(map)) => {
                all().iter().all(|name| map.contains_key(name.as_str().unwrap()))
            }
            ("propertyNames", Value::Object(map)) => {
                return map.keys().try_for_each(|key| {
                    self.value(argument, &Value::String(key.clone()), &format!("{at}.{key}"))
                });
            }
            ("properties", Value::Object(map)) => {
                return map.iter().try_for_each(|(key, value)| match named().get(key) {
                    Some(schema) => self.value(schema, value, &format!("{at}.{key}")),
                    None => Ok(()),
                });
            }
            ("patternProperties", Value::Object(map)) => {
                return map.iter().try_for_each(|(key, value)| {
                    named()
                        .iter()
                        .filter(|(pattern, _)| regex(pattern).is_match(key))
                        .try_for_each(|(_, schema)| self.value(schema, value, &format!("{at}.{key}")))
                });
            }
            ("additionalProperties", Value::Object(map)) => {
                let known = |keyword: &str| beside.get(keyword).and_then(Value::as_object);
                let is_known = |key: &str| {
                    known("properties").is_some_and(|names| names.contains_key(key))
                        || known("patternProperties")
                            .is_some_and(|names| names.keys().any(|pattern| regex(pattern).is_match(key)))
                };
                return map
                    .iter()
                    .filter(|(key, _)| !is_known(key))
                    .try_for_each(|(key, value)| self.value(argument, value, &format!("{at}.{key}")));
            }
            (
                "minimum"
                | "maximum"
                | "exclusiveMinimum"
                | "exclusiveMaximum"
                | "minLength"
                | "maxLength"
                | "pattern"
                | "minItems"
                | "maxItems"
                | "uniqueItems"
                | "items"
                | "minProperties"
                | "maxProperties"
                | "required"
                | "propertyNames"
                | "properties"
                | "patternProperties"
                | "additionalProperties",
                _,
            ) => true,
            (other, _) => panic!("unknown keyword {other:?}"),
        };
        if fits { Ok(()) } else { Err(format!("{at}: {keyword} {argument}")) }
    }
}

pub(crate) fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}
