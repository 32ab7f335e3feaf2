//! The messages of `google.protobuf` that have a form of their own in JSON.

use prost_reflect::{DynamicMessage, MessageDescriptor, Value};

use super::{Fields, Walker, scalar};
use crate::{
    error::ErrorKind,
    path::Path,
    suggest::in_words,
    tree::{Node, Plain, Value as Written},
};

/// The range of `google.protobuf.Duration`: 10,000 years.
const MOST_SECONDS: i64 = 315_576_000_000;

/// A level of free-form data is up to three messages deep, and the decoder takes no more than a hundred of them.
const FREE_FORM_LEVELS: usize = 25;

impl Walker<'_> {
    pub(super) fn well_known(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        match descriptor.name() {
            "Any" => self.any(descriptor, node, path),
            "Struct" => self.structure(descriptor, node, path),
            "Value" => self.dynamic_value(descriptor, node, path),
            "ListValue" => self.list_value(descriptor, node, path),
            "Duration" | "Timestamp" if node.entries().is_none() => self.read_text(descriptor, node, path),
            name if name.ends_with("Value") && node.entries().is_none() => {
                let field = descriptor.get_field_by_name("value")?;
                let value = self.scalar(&field.kind(), node, path)?;
                Some(with(descriptor, [("value", value)]))
            }
            _ => match node.entries() {
                Some(entries) => {
                    Some(self.fields(descriptor, entries, path, Fields::OfMessage { base: None }))
                }
                None => {
                    self.expected(
                        &format!("a map with the fields of {}", descriptor.full_name()),
                        node,
                        path,
                    );
                    None
                }
            },
        }
    }

    fn read_text(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        let text = match node.scalar() {
            Some(scalar) if matches!(scalar.plain(), None | Some(Plain::Text)) => Some(&*scalar.text),
            _ => None,
        };
        let (expected, read) = match descriptor.name() {
            "Duration" => {
                let read = text
                    .and_then(duration)
                    .map(|(seconds, nanos)| seconds_and_nanos(descriptor, seconds, nanos));
                ("a duration in seconds such as 1.5s", read)
            }
            _ => {
                let read = text
                    .and_then(timestamp)
                    .map(|(seconds, nanos)| seconds_and_nanos(descriptor, seconds, nanos));
                ("a time such as 2006-01-02T15:04:05Z", read)
            }
        };
        if read.is_none() {
            let found = self.describe(node);
            let meant = node
                .scalar()
                .filter(|_| descriptor.name() == "Duration")
                .and_then(|scalar| meant(&scalar.text));
            let hint = in_words(meant.as_deref());
            self.unread(node.mark, path, format!("expected {expected}, found {found}{hint}"));
        }
        read
    }

    fn structure(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        if node.entries().is_none() {
            self.expected("a map", node, path);
            return None;
        }
        let field = descriptor.get_field_by_name("fields")?;
        let map = self.map(&field, node, path)?;
        Some(with(descriptor, [("fields", map)]))
    }

    fn dynamic_value(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        self.free_form += 1;
        let value = if self.free_form > FREE_FORM_LEVELS {
            let message = format!("free-form data can be nested at most {FREE_FORM_LEVELS} levels deep");
            self.error(node.mark, path, ErrorKind::Limit, message);
            None
        } else {
            self.free_form_value(descriptor, node, path)
        };
        self.free_form -= 1;
        value
    }

    fn free_form_value(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        let nested = |name: &str| match descriptor.get_field_by_name(name)?.kind() {
            prost_reflect::Kind::Message(nested) => Some(nested),
            _ => None,
        };
        let (name, value) = match node.resolved() {
            Written::Map(_) => {
                ("struct_value", Value::Message(self.structure(&nested("struct_value")?, node, path)?))
            }
            Written::List(_) => {
                ("list_value", Value::Message(self.list_value(&nested("list_value")?, node, path)?))
            }
            _ => {
                let scalar = node.scalar()?;
                match scalar.plain() {
                    Some(Plain::Null) => ("null_value", Value::EnumNumber(0)),
                    Some(Plain::Bool(value)) => ("bool_value", Value::Bool(value)),
                    // Envoy hands integers beyond 32 bits and fractions on as strings, except from JSON.
                    Some(Plain::Int(value)) if i32::try_from(value).is_ok() || self.json => {
                        ("number_value", Value::F64(value as f64))
                    }
                    Some(Plain::Int(value)) => ("string_value", Value::String(value.to_string())),
                    Some(Plain::Text) if self.json => match scalar::double(scalar) {
                        Some(number) => ("number_value", Value::F64(number)),
                        None => {
                            self.expected("a number that fits 64 bits", node, path);
                            return None;
                        }
                    },
                    Some(Plain::Text) | None => ("string_value", Value::String(scalar.text.to_string())),
                }
            }
        };
        Some(with(descriptor, [(name, value)]))
    }

    fn list_value(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
    ) -> Option<DynamicMessage> {
        let Written::List(items) = node.resolved() else {
            self.expected("a list", node, path);
            return None;
        };
        let kind = descriptor.get_field_by_name("values")?.kind();
        self.count(items.len(), 0, node.mark, path);
        // Unlike in a repeated field, a list in the list stays one, and null is a value.
        let values = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| self.value(&kind, item, &path.index(index), None))
            .collect();
        Some(with(descriptor, [("values", Value::List(values))]))
    }
}

fn with<const N: usize>(descriptor: &MessageDescriptor, fields: [(&str, Value); N]) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, value) in fields {
        // The fields of google.protobuf's own messages are fixed.
        let _ = message.try_set_field_by_name(name, value);
    }
    message
}

fn seconds_and_nanos(descriptor: &MessageDescriptor, seconds: i64, nanos: i32) -> DynamicMessage {
    with(descriptor, [("seconds", Value::I64(seconds)), ("nanos", Value::I32(nanos))])
}

/// Digits, at most nine digits of a fraction, and `s`.
fn duration(text: &str) -> Option<(i64, i32)> {
    let number = text.strip_suffix('s')?;
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && fraction.len() <= 9 => (whole, fraction),
        Some(_) => return None,
        None => (number, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let seconds = whole.parse::<i64>().ok().filter(|seconds| *seconds <= MOST_SECONDS)?;
    let nanos = format!("{fraction:0<9}").parse::<i32>().ok()?;
    Some(if negative { (-seconds, -nanos) } else { (seconds, nanos) })
}

/// The duration that somebody meant who left the unit out or used another one.
fn meant(text: &str) -> Option<String> {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    let number = text.strip_suffix(unit)?;
    let value = number.parse::<f64>().ok().filter(|_| number.len() <= 9)?;
    Some(match unit.trim() {
        "" | "s" | "S" | "sec" => format!("{value}s"),
        "ms" => format!("{}s", value / 1e3),
        "m" | "min" => format!("{}s", value * 60.0),
        "h" => format!("{}s", value * 3600.0),
        _ => return None,
    })
}

/// RFC 3339 with capital letters: a day, a time with at most nine digits of a fraction, and `Z` or an offset.
fn timestamp(text: &str) -> Option<(i64, i32)> {
    let (day, time) = text.split_once('T')?;
    let (time, offset) = match time.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => {
            let at = time.rfind(['+', '-'])?;
            let (time, offset) = time.split_at_checked(at)?;
            let (sign, offset) = offset.split_at_checked(1)?;
            let [hours, minutes] = numbers(offset, ':', [2, 2])?;
            let offset = (hours * 60 + minutes) * 60;
            (time, if sign == "+" { offset } else { -offset })
        }
    };
    let (time, fraction) = match time.split_once('.') {
        Some((time, fraction)) if !fraction.is_empty() => (time, fraction),
        Some(_) => return None,
        None => (time, ""),
    };
    let is_digits = fraction.len() <= 9 && fraction.bytes().all(|digit| digit.is_ascii_digit());
    let nanos = format!("{fraction:0<9}").parse::<i32>().ok().filter(|_| is_digits)?;
    let [year, month, day] = numbers(day, '-', [4, 2, 2])?;
    let [hours, minutes, seconds] = numbers(time, ':', [2, 2, 2])?;
    let is_time = hours < 24 && minutes < 60 && seconds <= 60;
    let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(is_leap_year),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_day = year > 0 && (1..=12).contains(&month) && (1..=days).contains(&day);
    (is_time && is_day).then(|| {
        let seconds = (hours * 60 + minutes) * 60 + seconds - offset;
        (days_since_1970(year, month, day) * 86_400 + seconds, nanos)
    })
}

/// Numbers with fixed counts of digits.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let fits = part.len() == digits && part.bytes().all(|digit| digit.is_ascii_digit());
        *number = part.parse().ok().filter(|_| fits)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// In the Gregorian calendar, of a year from 1 on.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Counted from March, the leap day is the last day of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}
