//! Numbers, words, strings and bytes.

use base64::Engine as _;
use prost_reflect::{EnumDescriptor, Kind, Value};

use crate::{
    suggest::did_you_mean,
    tree::{Plain, Scalar},
};

/// What a field wanted and did not get.
pub(super) struct Mismatch {
    pub(super) expected: String,
    pub(super) hint: String,
}

impl Mismatch {
    pub(super) fn plain(expected: impl Into<String>) -> Self {
        Self { expected: expected.into(), hint: String::new() }
    }
}

/// A scalar type in words.
pub(super) fn expectation(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "a 32-bit signed integer".to_owned(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "a 64-bit signed integer".to_owned(),
        Kind::Uint32 | Kind::Fixed32 => "a 32-bit unsigned integer".to_owned(),
        Kind::Uint64 | Kind::Fixed64 => "a 64-bit unsigned integer".to_owned(),
        Kind::Float => "a number that fits 32 bits".to_owned(),
        Kind::Double => "a number".to_owned(),
        Kind::String => "a string".to_owned(),
        Kind::Bytes => "base64-encoded bytes".to_owned(),
        Kind::Enum(descriptor) => enum_expectation(descriptor),
        Kind::Message(descriptor) => format!("a map with the fields of {}", descriptor.full_name()),
    }
}

fn enum_expectation(descriptor: &EnumDescriptor) -> String {
    const LISTED: usize = 12;
    let mut names: Vec<String> = descriptor.values().map(|value| value.name().to_owned()).collect();
    match names.len() {
        0..=1 => format!("a value of {}", descriptor.full_name()),
        2..=LISTED => {
            let last = names.pop().unwrap_or_default();
            format!("{} or {last}", names.join(", "))
        }
        _ => format!("a value of {}", descriptor.full_name()),
    }
}

/// What stands there, in words; without the text itself where that may be a secret.
pub(super) fn describe(scalar: &Scalar<'_>, secret: bool) -> String {
    const SHOWN: usize = 60;
    match scalar.plain() {
        Some(Plain::Null) => "nothing".to_owned(),
        _ if secret => "a value that is not shown".to_owned(),
        Some(Plain::Bool(value)) => value.to_string(),
        Some(Plain::Int(_)) => format!("the number {}", scalar.text),
        Some(Plain::Text) if decimal(&scalar.text).is_some() => format!("the number {}", scalar.text),
        _ if scalar.text.chars().count() > SHOWN => {
            let start: String = scalar.text.chars().take(SHOWN).collect();
            format!("the string {:?}", start + "…")
        }
        _ => format!("the string {:?}", scalar.text),
    }
}

/// Reads a scalar as a value of the kind. In JSON a number is never a string.
pub(super) fn read(kind: &Kind, scalar: &Scalar<'_>, json: bool) -> Result<Value, Mismatch> {
    let mismatch = || Mismatch::plain(expectation(kind));
    let value = match kind {
        Kind::Bool => boolean(scalar).map(Value::Bool),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            integer(scalar).and_then(|value| value.try_into().ok()).map(Value::I32)
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            integer(scalar).and_then(|value| value.try_into().ok()).map(Value::I64)
        }
        Kind::Uint32 | Kind::Fixed32 => {
            integer(scalar).and_then(|value| value.try_into().ok()).map(Value::U32)
        }
        Kind::Uint64 | Kind::Fixed64 => {
            integer(scalar).and_then(|value| value.try_into().ok()).map(Value::U64)
        }
        Kind::Float => float(scalar).map(Value::F32),
        Kind::Double => double(scalar).map(Value::F64),
        Kind::String => return string(scalar, json).map(Value::String),
        Kind::Bytes => {
            let bytes = string(scalar, json).ok().and_then(|text| base64(&text));
            bytes.map(|bytes| Value::Bytes(bytes.into()))
        }
        Kind::Enum(descriptor) => return enumerator(descriptor, scalar),
        Kind::Message(_) => None,
    };
    value.ok_or_else(mismatch)
}

/// A plain boolean, or one of the words that Envoy's parser takes in quotes as well.
fn boolean(scalar: &Scalar<'_>) -> Option<bool> {
    match scalar.plain() {
        Some(Plain::Bool(value)) => Some(value),
        Some(Plain::Null | Plain::Int(_)) => None,
        Some(Plain::Text) | None => match scalar.text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "0" => Some(false),
            _ => None,
        },
    }
}

/// An integer, also in quotes, also written as a floating point number without a fraction.
fn integer(scalar: &Scalar<'_>) -> Option<i128> {
    match scalar.plain() {
        Some(Plain::Int(value)) => Some(value.into()),
        Some(Plain::Null | Plain::Bool(_)) => None,
        Some(Plain::Text) | None => {
            let text = &*scalar.text;
            if let Ok(value) = text.parse::<i128>() {
                return Some(value);
            }
            if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                return u64::from_str_radix(hex, 16).ok().map(i128::from);
            }
            let value = decimal(text)?;
            // Every field is at most 64 bits wide.
            let in_range = (-1.0e19..1.0e20).contains(&value);
            (in_range && value.fract() == 0.0).then_some(value as i128)
        }
    }
}

pub(super) fn double(scalar: &Scalar<'_>) -> Option<f64> {
    match scalar.plain() {
        Some(Plain::Int(value)) => Some(value as f64),
        Some(Plain::Null | Plain::Bool(_)) => None,
        Some(Plain::Text) | None => match &*scalar.text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            // In quotes Envoy lets blanks pass, and hexadecimal integers.
            text if scalar.quoted => {
                let text = text.trim_ascii();
                let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
                match hex.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit())) {
                    Some(hex) => u64::from_str_radix(hex, 16).ok().map(|value| value as f64),
                    None => decimal(text),
                }
            }
            text => decimal(text),
        },
    }
}

/// A number that is in the range of a float, or infinite because it was written so.
fn float(scalar: &Scalar<'_>) -> Option<f32> {
    let value = double(scalar)?;
    let float = value as f32;
    (float.is_finite() || !value.is_finite()).then_some(float)
}

/// Rust also reads words such as `inf`, which no configuration means as a number.
fn decimal(text: &str) -> Option<f64> {
    let numeric =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    if numeric { text.parse::<f64>().ok().filter(|value| value.is_finite()) } else { None }
}

/// A plain number that fits 32 bits, or a boolean, is no string; Envoy hands larger numbers on as strings.
fn string(scalar: &Scalar<'_>, json: bool) -> Result<String, Mismatch> {
    match scalar.plain() {
        Some(_) if json => {
            Err(Mismatch { expected: "a string".to_owned(), hint: " (put it in quotes)".to_owned() })
        }
        Some(Plain::Int(value)) if i32::try_from(value).is_err() => Ok(value.to_string()),
        Some(Plain::Bool(_) | Plain::Int(_)) => {
            Err(Mismatch { expected: "a string".to_owned(), hint: " (put it in quotes)".to_owned() })
        }
        Some(Plain::Null) => Err(Mismatch::plain("a string")),
        Some(Plain::Text) | None => Ok(scalar.text.to_string()),
    }
}

/// Standard or URL-safe base64, padded or not. Bits after the last byte are passed over.
fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let standard: String = text
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    // Some padding but not enough is no padding at all.
    let is_whole = !text.ends_with('=') || text.len().is_multiple_of(4);
    ENGINE.decode(standard).ok().filter(|_| is_whole)
}

/// A name in any case, or a number.
fn enumerator(descriptor: &EnumDescriptor, scalar: &Scalar<'_>) -> Result<Value, Mismatch> {
    let text = &*scalar.text;
    match scalar.plain() {
        Some(Plain::Int(value)) => i32::try_from(value)
            .map(Value::EnumNumber)
            .map_err(|_| Mismatch::plain(enum_expectation(descriptor))),
        Some(Plain::Bool(_)) => Err(Mismatch {
            expected: enum_expectation(descriptor),
            hint: format!(" (put {text:?} in quotes if it is a name)"),
        }),
        Some(Plain::Null) => Err(Mismatch::plain(enum_expectation(descriptor))),
        Some(Plain::Text) | None => {
            let named = descriptor
                .get_value_by_name(text)
                .or_else(|| descriptor.values().find(|value| value.name().eq_ignore_ascii_case(text)))
                .map(|value| value.number());
            named.or_else(|| text.parse().ok()).map(Value::EnumNumber).ok_or_else(|| {
                let names: Vec<String> = descriptor.values().map(|value| value.name().to_owned()).collect();
                Mismatch {
                    expected: enum_expectation(descriptor),
                    hint: did_you_mean(text, names.iter().map(String::as_str)),
                }
            })
        }
    }
}
