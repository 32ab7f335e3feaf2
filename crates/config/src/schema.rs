//! Writes the supported configuration as a JSON Schema (2020-12), for editors.
//!
//! A message is an object with the fields that are honoured or have no effect; all others are mistakes. What is in a
//! field without effect is described in full, because it is read and then ignored. The schema is a little narrower than
//! the loader in what nobody writes on purpose (null for an unset field, lists in lists, `TypedStruct`), so that an
//! editor can say more, and wider where a keyword cannot say what a rule says (lengths in bytes, references between
//! clusters and routes). Names in camel case are accepted and not offered.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value as Json, json};

use crate::{
    facts::{self, Facts},
    known_names,
    load::BOOTSTRAP,
    support::{self, Support},
};

mod keywords;
mod scalars;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const DESCRIPTION: &str =
    "What Nuncio supports of Envoy's v3 bootstrap. Fields that are not supported are not in here.";

/// The JSON Schema of the supported configuration, for the YAML or JSON of a v3 bootstrap. The same for the same version
/// of this crate.
pub fn schema() -> Json {
    let mut builder = Builder { definitions: BTreeMap::new(), waiting: Vec::new() };
    let root = nuncio_api::descriptors().get_message_by_name(BOOTSTRAP);
    let reference = root.map(|root| builder.message(&root, Form::SUPPORTED));
    while let Some((name, message, form)) = builder.waiting.pop() {
        let definition = builder.object(&message, form);
        builder.definitions.insert(name, definition);
    }
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), DIALECT.into());
    schema.insert("title".to_owned(), "Nuncio's configuration".into());
    schema.insert("description".to_owned(), DESCRIPTION.into());
    schema.extend(reference.into_iter().flatten());
    schema.insert("$defs".to_owned(), Json::Object(builder.definitions.into_iter().collect()));
    Json::Object(schema)
}

/// How a message is described.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Form {
    /// With an `@type`, as the payload of an `Any`.
    typed: bool,
    /// With all fields of the API, because nothing in it is looked at.
    ignored: bool,
}

impl Form {
    const SUPPORTED: Self = Self { typed: false, ignored: false };
    const TYPED: Self = Self { typed: true, ignored: false };

    fn definition(self, message: &MessageDescriptor) -> String {
        let kind = match self {
            Self { typed: true, .. } => "extension:",
            Self { ignored: true, .. } => "ignored:",
            _ => "",
        };
        format!("{kind}{}", message.full_name())
    }
}

type Keywords = Map<String, Json>;

struct Builder {
    definitions: BTreeMap<String, Json>,
    /// Definitions that are referred to and not written yet.
    waiting: Vec<(String, MessageDescriptor, Form)>,
}

fn reference(definition: &str) -> Keywords {
    Keywords::from_iter([("$ref".to_owned(), format!("#/$defs/{definition}").into())])
}

impl Builder {
    fn define(&mut self, name: &str, definition: impl FnOnce() -> Json) -> Keywords {
        if !self.definitions.contains_key(name) {
            self.definitions.insert(name.to_owned(), definition());
        }
        reference(name)
    }

    fn message(&mut self, message: &MessageDescriptor, form: Form) -> Keywords {
        let name = form.definition(message);
        if !self.definitions.contains_key(&name) {
            // The place is taken before the fields are looked at: messages contain themselves.
            self.definitions.insert(name.clone(), Json::Null);
            self.waiting.push((name.clone(), message.clone(), form));
        }
        reference(&name)
    }

    fn object(&mut self, message: &MessageDescriptor, form: Form) -> Json {
        let name = form.definition(message);
        let mut properties = Map::new();
        let mut camel_case = Map::new();
        let mut required: Vec<Json> = Vec::new();
        let mut conditions: Vec<Json> = Vec::new();
        let mut members: BTreeMap<String, Vec<FieldDescriptor>> = BTreeMap::new();
        if form.typed {
            let url = format!("type.googleapis.com/{}", message.full_name());
            properties.insert("@type".to_owned(), json!({ "const": url }));
            required.push("@type".into());
        }
        for field in facts::fields(message) {
            let facts = Facts::of(&field);
            let offered = form.ignored
                || matches!(facts.support, None | Some(Support::Honoured | Support::NoEffect(_)));
            if !offered {
                continue;
            }
            let ignored = form.ignored || matches!(facts.support, Some(Support::NoEffect(_)));
            properties.insert(field.name().to_owned(), Json::Object(self.property(&field, &facts, ignored)));
            if field.json_name() != field.name() {
                let pointer = format!("#/$defs/{name}/properties/{}", field.name());
                camel_case.insert(format!("^{}$", field.json_name()), json!({ "$ref": pointer }));
            }
            if facts.required {
                if field.json_name() == field.name() {
                    required.push(field.name().into());
                } else {
                    conditions.push(is_set(&field));
                }
            }
            if let Some(oneof) = facts::oneof(&field) {
                members.entry(oneof.name().to_owned()).or_default().push(field);
            }
        }
        conditions.extend(members.values().filter_map(|members| choice(members)));
        let mut object = Map::new();
        object.insert("type".to_owned(), "object".into());
        object.insert("properties".to_owned(), Json::Object(properties));
        for (keyword, value) in [("patternProperties", camel_case)] {
            if !value.is_empty() {
                object.insert(keyword.to_owned(), Json::Object(value));
            }
        }
        object.insert("additionalProperties".to_owned(), false.into());
        for (keyword, value) in [("required", required), ("allOf", conditions)] {
            if !value.is_empty() {
                object.insert(keyword.to_owned(), Json::Array(value));
            }
        }
        Json::Object(object)
    }

    fn property(&mut self, field: &FieldDescriptor, facts: &Facts, ignored: bool) -> Keywords {
        let rules = facts.rules.as_ref();
        let mut property = if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            let mut values = self.value(field, &entry.map_entry_value_field().kind(), ignored);
            let mut map = keywords::of_map(rules, &mut values);
            map.insert("type".to_owned(), "object".into());
            map.insert("additionalProperties".to_owned(), Json::Object(values));
            map
        } else if field.is_list() {
            let mut element = self.value(field, &field.kind(), ignored);
            let mut list = keywords::of_list(rules, &mut element);
            list.insert("type".to_owned(), "array".into());
            list.insert("items".to_owned(), Json::Object(element.clone()));
            // A single value stands for a list of one.
            match list.get("minItems").and_then(Json::as_u64) {
                Some(2..) => list,
                _ => Map::from_iter([("anyOf".to_owned(), json!([list, element]))]),
            }
        } else {
            let mut value = self.value(field, &field.kind(), ignored);
            keywords::of_single(rules, &mut value);
            value
        };
        let mut words = sentence(&facts::type_in_words(field));
        // That a string is empty by default needs no telling.
        let default = facts.default.iter().filter(|default| *default != "\"\"");
        words.extend(default.map(|default| format!(" Default: {default}.")));
        words.extend(facts.rules_in_words().iter().map(|rule| format!(" {}", sentence(rule))));
        if !facts.refused.is_empty() {
            words = words + " Not supported: " + &facts.refused.join(", ") + ".";
        }
        if let Some(support @ Support::NoEffect(_)) = facts.support {
            words = words + " " + &sentence(&facts::support_in_words(support));
        }
        property.insert("description".to_owned(), words.into());
        if facts.deprecated {
            property.insert("deprecated".to_owned(), true.into());
        }
        property
    }

    /// The schema of one value, which for a list is an element and for a map is the value of an entry.
    fn value(&mut self, field: &FieldDescriptor, kind: &Kind, ignored: bool) -> Keywords {
        match kind {
            Kind::String => Map::from_iter([("type".to_owned(), "string".into())]),
            Kind::Enum(of) => self.enumeration(field, of, ignored),
            Kind::Bool => {
                let mut boolean = self.scalar(kind);
                let refused = support::values::refused(field.parent_message().full_name(), field.name());
                if let (Some(refused), false) = (refused.first(), ignored) {
                    boolean.insert("not".to_owned(), json!({"const": *refused == "true"}));
                }
                boolean
            }
            Kind::Message(message) if message.full_name() == "google.protobuf.Any" => {
                self.extension(field, ignored)
            }
            Kind::Message(message) if message.package_name() == "google.protobuf" => match message.name() {
                "Struct" | "Empty" => Map::from_iter([("type".to_owned(), "object".into())]),
                "ListValue" => Map::from_iter([("type".to_owned(), "array".into())]),
                "Value" => Map::new(),
                name if name.ends_with("Value") => {
                    let inner = message.get_field_by_name("value").map(|inner| inner.kind());
                    inner.map(|inner| self.value(field, &inner, ignored)).unwrap_or_default()
                }
                _ => self.scalar(kind),
            },
            Kind::Message(message) => self.message(message, Form { typed: false, ignored }),
            _ => self.scalar(kind),
        }
    }

    fn scalar(&mut self, kind: &Kind) -> Keywords {
        let (name, definition) = scalars::definition(kind);
        self.define(name, || definition)
    }

    /// Where the field is honoured and some values are not, those are left out.
    fn enumeration(&mut self, field: &FieldDescriptor, of: &EnumDescriptor, ignored: bool) -> Keywords {
        let refused = match ignored {
            true => &[],
            false => support::values::refused(field.parent_message().full_name(), field.name()),
        };
        let name = if refused.is_empty() {
            of.full_name().to_owned()
        } else {
            format!("values:{}", field.full_name())
        };
        self.define(&name, || {
            let values: Vec<_> = of.values().filter(|value| !refused.contains(&value.name())).collect();
            let names: Vec<String> = values.iter().map(|value| value.name().to_owned()).collect();
            let numbers: Vec<i32> = values.iter().map(|value| value.number()).collect();
            json!({"anyOf": [
                {"enum": &names},
                {"type": "string", "pattern": scalars::any_case(&names)},
                {"enum": numbers},
            ]})
        })
    }

    fn extension(&mut self, field: &FieldDescriptor, ignored: bool) -> Keywords {
        if ignored {
            return Map::from_iter([("type".to_owned(), "object".into())]);
        }
        let pool = nuncio_api::descriptors();
        let mut forms: Vec<Json> = support::extensions_in(field.full_name())
            .into_iter()
            .filter_map(|name| pool.get_message_by_name(name))
            .map(|message| Json::Object(self.message(&message, Form::TYPED)))
            .collect();
        if known_names::may_stand_alone(field.parent_message().full_name()) {
            // The name beside it is enough.
            forms.push(json!({"type": "object", "maxProperties": 0}));
        }
        self.define(&format!("extensions:{}", field.full_name()), || json!({ "oneOf": forms }))
    }
}

/// Whether a field is there, under either of its names.
fn is_set(field: &FieldDescriptor) -> Json {
    let snake_case = json!({"required": [field.name()]});
    match field.json_name() == field.name() {
        true => snake_case,
        false => json!({"anyOf": [snake_case, {"required": [field.json_name()]}]}),
    }
}

/// The members of a oneof exclude one another, and where one is required, one must be there.
fn choice(members: &[FieldDescriptor]) -> Option<Json> {
    let oneof = facts::oneof(members.first()?)?;
    let mut choices: Vec<Json> = members.iter().map(is_set).collect();
    if facts::is_required_oneof(&oneof) {
        return Some(json!({ "oneOf": choices }));
    }
    if members.len() < 2 {
        return None;
    }
    choices.push(json!({"not": {"anyOf": &choices}}));
    Some(json!({ "oneOf": choices }))
}

/// A clause as a sentence.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    // The name of a type stays as it is.
    if clause.starts_with("envoy.") {
        format!("{clause}.")
    } else {
        first.into_iter().chain(letters).collect::<String>() + "."
    }
}
