//! What is known about a field: its type, its default, its rules and what becomes of it, in words. `explain` and the
//! JSON Schema say the same because both ask here.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor, Value};

use crate::{
    rules::Rules,
    support::{self, Support, defaults},
};

pub(crate) struct Facts {
    pub(crate) rules: Option<Rules>,
    pub(crate) required: bool,
    pub(crate) deprecated: bool,
    /// `None` in the messages of `google.protobuf`, which are neither supported nor unsupported by themselves.
    pub(crate) support: Option<Support>,
    pub(crate) default: Option<String>,
    /// The values that are not supported, where the field itself is.
    pub(crate) refused: &'static [&'static str],
}

impl Facts {
    pub(crate) fn of(field: &FieldDescriptor) -> Self {
        let message = field.parent_message();
        let rules = Rules::of(field);
        let required = rules.as_ref().is_some_and(|rules| is_required(field, rules));
        let options = field.options();
        let deprecated = options.get_field_by_name("deprecated");
        let is_ours = message.package_name() != "google.protobuf";
        Self {
            required,
            deprecated: deprecated.is_some_and(|value| value.as_bool() == Some(true)),
            support: is_ours.then(|| support::of_field(message.full_name(), field.name())),
            refused: support::values::refused(message.full_name(), field.name()),
            default: if required { None } else { default(field) },
            rules,
        }
    }

    /// The rules as clauses.
    pub(crate) fn rules_in_words(&self) -> Vec<String> {
        let mut words = self.rules.as_ref().map(Rules::in_words).unwrap_or_default();
        if self.required {
            words.retain(|clause| clause != "must not be empty");
            words.insert(0, "is required".to_owned());
        }
        words
    }
}

/// Whether a message without the field is refused: because a rule says so, or because the value that an unset scalar
/// has breaks one.
fn is_required(field: &FieldDescriptor, rules: &Rules) -> bool {
    if field.containing_oneof().is_some() {
        return false;
    }
    if rules.required() || field.supports_presence() {
        return rules.required();
    }
    let unset = if field.is_list() {
        Value::List(Vec::new())
    } else if field.is_map() {
        Value::Map(Default::default())
    } else {
        field.default_value()
    };
    let mut broken = Vec::new();
    rules.check(&unset, &mut broken);
    !broken.is_empty()
}

/// What an unset field means, where that is a value.
fn default(field: &FieldDescriptor) -> Option<String> {
    if let Some(default) = defaults::of(field.parent_message().full_name(), field.name()) {
        return Some(default.to_string());
    }
    if field.is_list() || field.is_map() || field.supports_presence() {
        return None;
    }
    match (field.kind(), field.default_value()) {
        (Kind::Enum(of), Value::EnumNumber(number)) => Some(of.get_value(number)?.name().to_owned()),
        (_, Value::Bool(value)) => Some(value.to_string()),
        (_, Value::String(_) | Value::Bytes(_)) => Some("\"\"".to_owned()),
        _ => Some("0".to_owned()),
    }
}

/// The type of a field in words.
pub(crate) fn type_in_words(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let [key, value] = [entry.map_entry_key_field(), entry.map_entry_value_field()]
                .map(|field| kind_in_words(&field.kind()));
            format!("map of {key} to {value}")
        }
        kind if field.is_list() => format!("list of {}", kind_in_words(&kind)),
        kind => kind_in_words(&kind),
    }
}

fn kind_in_words(kind: &Kind) -> String {
    let words = match kind {
        Kind::Bool => "boolean",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "32-bit integer",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "64-bit integer",
        Kind::Uint32 | Kind::Fixed32 => "32-bit unsigned integer",
        Kind::Uint64 | Kind::Fixed64 => "64-bit unsigned integer",
        Kind::Float | Kind::Double => "number",
        Kind::String => "string",
        Kind::Bytes => "bytes in base64",
        Kind::Enum(of) => return of.full_name().to_owned(),
        Kind::Message(of) => match (of.package_name(), of.name()) {
            ("google.protobuf", "Duration") => "duration in seconds such as 1.5s",
            ("google.protobuf", "Timestamp") => "time such as 2006-01-02T15:04:05Z",
            ("google.protobuf", "FieldMask") => "field names separated by commas",
            ("google.protobuf", "Any") => "extension, a map with an \"@type\"",
            ("google.protobuf", "Struct") => "map of anything",
            ("google.protobuf", "ListValue") => "list of anything",
            ("google.protobuf", "Value") => "anything",
            ("google.protobuf", name) if name.ends_with("Value") => {
                return of
                    .get_field_by_name("value")
                    .map(|field| kind_in_words(&field.kind()))
                    .unwrap_or_default();
            }
            _ => return of.full_name().to_owned(),
        },
    };
    words.to_owned()
}

/// What becomes of a field, in words.
pub(crate) fn support_in_words(support: Support) -> String {
    match support {
        Support::Honoured => "honoured".to_owned(),
        Support::NoEffect(reason) => format!("no effect: {reason}"),
        Support::Unsupported => "not supported: refused, unless --allow-unsupported is given".to_owned(),
        Support::Guard => {
            "not supported: always refused, because leaving it out would weaken security".to_owned()
        }
    }
}

/// The message or enum below a field: the values of a map, the elements of a list.
pub(crate) fn value_kind(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

/// The message below a field that has fields of its own to speak of.
pub(crate) fn message_below(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match value_kind(field) {
        Kind::Message(message) if message.package_name() != "google.protobuf" => Some(message),
        _ => None,
    }
}

pub(crate) fn holds_extension(field: &FieldDescriptor) -> bool {
    matches!(value_kind(field), Kind::Message(message) if message.full_name() == "google.protobuf.Any")
}

pub(crate) fn enum_names(of: &EnumDescriptor) -> Vec<String> {
    of.values().map(|value| value.name().to_owned()).collect()
}

/// The fields of a message, `name` first and then by number.
pub(crate) fn fields(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let mut fields: Vec<FieldDescriptor> = message.fields().collect();
    fields.sort_by_key(|field| (field.name() != "name", field.number()));
    fields
}

/// The oneof of a field, unless it only gives a scalar presence.
pub(crate) fn oneof(field: &FieldDescriptor) -> Option<OneofDescriptor> {
    field.containing_oneof().filter(|oneof| !oneof.is_synthetic())
}

/// Whether one of its members must be set.
pub(crate) fn is_required_oneof(oneof: &OneofDescriptor) -> bool {
    let required = nuncio_api::descriptors().get_extension_by_name("validate.required");
    required.is_some_and(|required| oneof.options().get_extension(&required).as_bool() == Some(true))
}
