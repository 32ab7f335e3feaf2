//! A message as the JSON value that stands for it: protobuf's JSON mapping with the field names of the API.

use base64::Engine as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};
use serde_json::{Map, Number, Value as Json};

use super::{Format, Notes, yaml::note_key};
use crate::{path::Path, redact::unpack};

/// The range of `google.protobuf.Duration`: 10,000 years.
const MOST_SECONDS: u64 = 315_576_000_000;

pub(super) struct Writer<'n> {
    pub(super) format: Format,
    /// What the format cannot express is noted here.
    pub(super) notes: &'n mut Notes,
}

impl Writer<'_> {
    /// `None` if a payload is nested deeper than messages can be.
    pub(super) fn message(&mut self, message: &DynamicMessage, path: &Path<'_>) -> Option<Json> {
        let descriptor = message.descriptor();
        if descriptor.package_name() == "google.protobuf"
            && let Some(value) = self.well_known(descriptor.name(), message, path)
        {
            return value;
        }
        self.fields(message, path).map(Json::Object)
    }

    fn fields(&mut self, message: &DynamicMessage, path: &Path<'_>) -> Option<Map<String, Json>> {
        let mut fields: Vec<(FieldDescriptor, &Value)> = message.fields().collect();
        fields.sort_by_key(|(field, _)| (field.name() != "name", field.number()));
        let mut map = Map::with_capacity(fields.len());
        for (field, value) in fields {
            let at = path.field(field.name());
            map.insert(field.name().to_owned(), self.value(&field.kind(), value, &at)?);
        }
        Some(map)
    }

    fn value(&mut self, kind: &Kind, value: &Value, path: &Path<'_>) -> Option<Json> {
        Some(match value {
            Value::Bool(value) => Json::Bool(*value),
            Value::I32(value) => (*value).into(),
            Value::I64(value) => (*value).into(),
            Value::U32(value) => (*value).into(),
            Value::U64(value) => (*value).into(),
            // By way of its text, so that 0.1 does not become 0.10000000149.
            Value::F32(value) => number(value.to_string().parse().unwrap_or_else(|_| f64::from(*value))),
            Value::F64(value) => number(*value),
            Value::String(text) => Json::String(text.clone()),
            Value::Bytes(bytes) => Json::String(base64::engine::general_purpose::STANDARD.encode(bytes)),
            Value::EnumNumber(number) => enumerator(kind, *number),
            Value::Message(message) => self.message(message, path)?,
            Value::List(items) => {
                let items = items.iter().enumerate();
                let items: Option<Vec<Json>> =
                    items.map(|(index, item)| self.value(kind, item, &path.index(index))).collect();
                Json::Array(items?)
            }
            Value::Map(entries) => {
                let Kind::Message(entry) = kind else { return None };
                let kind = entry.map_entry_value_field().kind();
                let mut sorted: Vec<(String, &Value)> =
                    entries.iter().map(|(key, value)| (map_key(key), value)).collect();
                sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
                let mut map = Map::with_capacity(sorted.len());
                for (key, value) in sorted {
                    let value = self.value(&kind, value, &path.key(&key))?;
                    map.insert(key, value);
                }
                Json::Object(map)
            }
        })
    }

    /// The types of `google.protobuf` with a form of their own; the outer `None` for a form that they do not fit.
    fn well_known(&mut self, name: &str, message: &DynamicMessage, path: &Path<'_>) -> Option<Option<Json>> {
        Some(match name {
            "Any" => self.any(message, path),
            "Struct" => self.structure(message, path),
            "ListValue" => self.list_value(message, path),
            "Value" => self.dynamic_value(message, path),
            "Duration" => Some(Json::String(duration(message)?)),
            "Timestamp" => Some(Json::String(timestamp(message)?)),
            _ if name.ends_with("Value") => {
                let field = message.descriptor().get_field_by_name("value")?;
                self.value(&field.kind(), &message.get_field(&field), path)
            }
            _ => return None,
        })
    }

    fn any(&mut self, any: &DynamicMessage, path: &Path<'_>) -> Option<Json> {
        let type_url = any.get_field_by_name("type_url")?.as_str()?.to_owned();
        let mut map = Map::new();
        if type_url.is_empty() {
            return Some(Json::Object(map));
        }
        let payload = unpack(any)?;
        map.insert("@type".to_owned(), Json::String(type_url));
        let descriptor = payload.descriptor();
        if descriptor.package_name() == "google.protobuf" && descriptor.name() != "Empty" {
            map.insert("value".to_owned(), self.message(&payload, &path.field("value"))?);
        } else {
            map.extend(self.fields(&payload, path)?);
        }
        Some(Json::Object(map))
    }

    fn structure(&mut self, message: &DynamicMessage, path: &Path<'_>) -> Option<Json> {
        let field = message.descriptor().get_field_by_name("fields")?;
        self.value(&field.kind(), &message.get_field(&field), path)
    }

    fn list_value(&mut self, message: &DynamicMessage, path: &Path<'_>) -> Option<Json> {
        let field = message.descriptor().get_field_by_name("values")?;
        self.value(&field.kind(), &message.get_field(&field), path)
    }

    fn dynamic_value(&mut self, message: &DynamicMessage, path: &Path<'_>) -> Option<Json> {
        let Some((field, value)) = message.fields().next() else { return Some(Json::Null) };
        match value {
            Value::EnumNumber(_) => Some(Json::Null),
            Value::F64(value) if self.format == Format::Yaml && !is_small_integer(*value) => {
                // Both Envoy and the reader here take such a number as text, unless it stands in a JSON file.
                let note = "A number in the JSON file. YAML in Envoy has only integers of 32 bits in free-form data, \
                            so this one is text here.";
                self.notes.entry(note_key(&path.to_string())).or_default().push(note.to_owned());
                Some(Json::String(number(*value).to_string()))
            }
            value => self.value(&field.kind(), value, path),
        }
    }
}

fn is_small_integer(value: f64) -> bool {
    value.fract() == 0.0 && value.abs() <= f64::from(i32::MAX) && !(value == 0.0 && value.is_sign_negative())
}

/// Without a point where there is no fraction; protobuf has words for what JSON has no numbers for.
fn number(value: f64) -> Json {
    if is_small_integer(value) {
        return Json::Number((value as i64).into());
    }
    match Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => Json::String("NaN".to_owned()),
        None => Json::String(if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()),
    }
}

/// By its name; by its number where the API has no name for it.
fn enumerator(kind: &Kind, number: i32) -> Json {
    match kind {
        Kind::Enum(descriptor) => match descriptor.get_value(number) {
            Some(value) => Json::String(value.name().to_owned()),
            None => number.into(),
        },
        _ => number.into(),
    }
}

fn map_key(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

/// Seconds with no fraction or one of three, six or nine digits. `None` for what is no duration.
fn duration(message: &DynamicMessage) -> Option<String> {
    let seconds = message.get_field_by_name("seconds")?.as_i64()?;
    let nanos = message.get_field_by_name("nanos")?.as_i32()?;
    let mixed = seconds.signum() * i64::from(nanos.signum()) < 0;
    if mixed || nanos.unsigned_abs() > 999_999_999 || seconds.unsigned_abs() > MOST_SECONDS {
        return None;
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let (whole, nanos) = (seconds.unsigned_abs(), nanos.unsigned_abs());
    let fraction = match nanos {
        0 => String::new(),
        _ if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        _ if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
        _ => format!(".{nanos:09}"),
    };
    Some(format!("{sign}{whole}{fraction}s"))
}

fn timestamp(message: &DynamicMessage) -> Option<String> {
    let time = message.transcode_to::<prost_types::Timestamp>().ok()?;
    let text = time.to_string();
    (text.parse::<prost_types::Timestamp>().ok()? == time).then_some(text)
}
