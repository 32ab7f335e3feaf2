//! Numbers, words and times, with the forms in which the loader takes them.

use prost_reflect::Kind;
use serde_json::{Value as Json, json};

const NUMBER_IN_TEXT: &str = "^[-+]?[0-9]+(?:\\.[0-9]*)?(?:[eE][-+]?[0-9]+)?$";

/// The name of the definition, and the definition.
pub(super) fn definition(kind: &Kind) -> (&'static str, Json) {
    match kind {
        Kind::Bool => ("boolean", boolean()),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            ("int32", integer(i32::MIN.into(), i32::MAX.unsigned_abs().into()))
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => ("int64", integer(i64::MIN, i64::MAX.unsigned_abs())),
        Kind::Uint32 | Kind::Fixed32 => ("uint32", integer(0, u32::MAX.into())),
        Kind::Uint64 | Kind::Fixed64 => ("uint64", integer(0, u64::MAX)),
        Kind::Float | Kind::Double => ("number", number()),
        Kind::Bytes => ("bytes", json!({"type": "string", "pattern": "^[A-Za-z0-9+/_-]*=*$"})),
        Kind::Message(message) if message.name() == "Duration" => ("duration", duration()),
        Kind::Message(message) if message.name() == "Timestamp" => {
            ("timestamp", json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T"}))
        }
        Kind::Message(_) => ("field_mask", json!({"type": "string"})),
        Kind::String | Kind::Enum(_) => ("string", json!({"type": "string"})),
    }
}

/// YAML 1.1 has more words for it than the readers of most editors.
fn boolean() -> Json {
    let words = "^(?:[Yy]|[Yy]es|YES|[Nn]|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF|[Tt]rue|TRUE|[Ff]alse|FALSE)$";
    json!({"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": words}]})
}

fn integer(least: i64, most: u64) -> Json {
    let sign = if least < 0 { "[-+]?" } else { "" };
    let text = format!("^{sign}(?:0[xX][0-9a-fA-F]+|[0-9]+(?:\\.0*)?)$");
    json!({"anyOf": [
        {"type": "integer", "minimum": least, "maximum": most},
        {"type": "string", "pattern": text},
    ]})
}

fn number() -> Json {
    json!({"anyOf": [
        {"type": "number"},
        {"type": "string", "pattern": NUMBER_IN_TEXT},
        {"enum": ["NaN", "Infinity", "-Infinity"]},
    ]})
}

fn duration() -> Json {
    json!({"anyOf": [
        {"type": "string", "pattern": "^-?[0-9]+(?:\\.[0-9]{1,9})?s$"},
        {
            "type": "object",
            "properties": {"seconds": {"type": "integer"}, "nanos": {"type": "integer"}},
            "additionalProperties": false,
        },
    ]})
}

/// A pattern for any of the names, whatever the case of their letters: the dialect has no flag for that.
pub(super) fn any_case(names: &[String]) -> String {
    let letter = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' => format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase()),
        other => other.to_string(),
    };
    let names: Vec<String> = names.iter().map(|name| name.chars().map(letter).collect()).collect();
    format!("^(?:{})$", names.join("|"))
}
