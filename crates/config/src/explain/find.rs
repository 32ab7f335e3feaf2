//! From a path, as people write it or as errors show it, to a field or a message.

use std::fmt;

use prost_reflect::{FieldDescriptor, MessageDescriptor};

use super::old_names;
use crate::{facts, load::BOOTSTRAP, suggest::did_you_mean, support};

/// How many candidates an error lists.
const LISTED: usize = 12;

/// A path that leads nowhere. Its text says from where on, and what may have been meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound(String);

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotFound {}

#[derive(Debug)]
pub(super) enum Target {
    Message(MessageDescriptor),
    Field(FieldDescriptor),
}

impl Target {
    fn name(&self) -> &str {
        match self {
            Self::Message(message) => message.full_name(),
            Self::Field(field) => field.full_name(),
        }
    }
}

pub(super) fn find(path: &str) -> Result<Target, NotFound> {
    if let Some(end) = path.strip_prefix('…') {
        return find_end(end);
    }
    let segments = segments(path);
    let Some(first) = segments.first() else {
        return Err(NotFound("the path is empty".to_owned()));
    };
    let Some(bootstrap) = nuncio_api::descriptors().get_message_by_name(BOOTSTRAP) else {
        return Err(NotFound(String::new()));
    };
    if find_field(&bootstrap, first).is_some() {
        return descend(bootstrap, &segments);
    }
    match message_at_start(&segments, &[])? {
        Some((message, rest)) => descend(message, rest),
        None => Err(no_start(&bootstrap, first)),
    }
}

/// What the end of a path leads to, as errors show long paths: from every message that has its first field.
fn find_end(end: &str) -> Result<Target, NotFound> {
    let segments = segments(end);
    let Some(first) = segments.first() else {
        return Err(NotFound("nothing stands behind the …".to_owned()));
    };
    let pool = nuncio_api::descriptors();
    let messages = support::messages().filter_map(|name| pool.get_message_by_name(name));
    let mut found: Vec<Target> = Vec::new();
    for target in messages
        .filter(|message| find_field(message, first).is_some())
        .filter_map(|message| descend(message, &segments).ok())
    {
        if !found.iter().any(|known| known.name() == target.name()) {
            found.push(target);
        }
    }
    match (found.len(), found.pop()) {
        (1, Some(only)) => Ok(only),
        (_, None) => Err(NotFound(format!("no path of the API ends in {end}"))),
        (_, Some(last)) => {
            found.push(last);
            Err(NotFound(format!("…{end} may be {}", list(found.iter().map(Target::name)))))
        }
    }
}

/// The steps of a path; indices and keys in brackets are left out, and dots inside them are no separators.
fn segments(path: &str) -> Vec<String> {
    let mut segments = Vec::new();
    let mut segment = String::new();
    let (mut bracket, mut quoted) = (false, false);
    for letter in path.chars() {
        match letter {
            '"' if bracket => quoted = !quoted,
            '[' if !bracket => bracket = true,
            ']' if bracket && !quoted => bracket = false,
            _ if bracket => {}
            '.' => segments.push(std::mem::take(&mut segment)),
            _ => segment.push(letter),
        }
    }
    segments.push(segment);
    segments.retain(|segment| !segment.is_empty());
    segments
}

fn descend(mut message: MessageDescriptor, mut rest: &[String]) -> Result<Target, NotFound> {
    let mut target = Target::Message(message.clone());
    while let Some((segment, below)) = rest.split_first() {
        let Some(field) = find_field(&message, segment) else { return Err(no_field(&message, segment)) };
        rest = below;
        if rest.is_empty() {
            return Ok(Target::Field(field));
        }
        if facts::holds_extension(&field) {
            (message, rest) = extension(&field, rest)?;
        } else if let Some(inner) = facts::message_below(&field) {
            message = inner;
        } else {
            let of = facts::type_in_words(&field);
            return Err(NotFound(format!("{} is a {of}: the API names nothing below it", field.full_name())));
        }
        target = Target::Message(message.clone());
    }
    Ok(target)
}

/// The message in a field that holds extensions: by its name, or by the field of it that comes next.
fn extension<'s>(
    field: &FieldDescriptor,
    rest: &'s [String],
) -> Result<(MessageDescriptor, &'s [String]), NotFound> {
    let supported: Vec<MessageDescriptor> = support::extensions_in(field.full_name())
        .into_iter()
        .filter_map(|name| nuncio_api::descriptors().get_message_by_name(name))
        .collect();
    if let Some(found) = message_at_start(rest, &supported)? {
        return Ok(found);
    }
    let next = rest.first().map(String::as_str).unwrap_or_default();
    let holders: Vec<&MessageDescriptor> =
        supported.iter().filter(|message| find_field(message, next).is_some()).collect();
    match holders.as_slice() {
        [only] => Ok(((*only).clone(), rest)),
        [_, ..] => {
            let names: Vec<&str> = holders.iter().map(|message| message.name()).collect();
            Err(NotFound(format!("several extensions have {next:?}: write {} before it", names.join(" or "))))
        }
        [] => {
            let names: Vec<&str> = supported.iter().map(MessageDescriptor::name).collect();
            let fields: Vec<FieldDescriptor> = supported.iter().flat_map(MessageDescriptor::fields).collect();
            let known = names.iter().copied().chain(fields.iter().map(FieldDescriptor::name));
            let suggestion = did_you_mean(next, known);
            Err(NotFound(format!(
                "{next:?} is neither the name of an extension nor a field of one that is supported in {}: {}{suggestion}",
                field.full_name(),
                names.join(", "),
            )))
        }
    }
}

/// The message that the first segments name, in full or without its package, and the segments behind the name. Where
/// several have the name, those that are `expected` come first, and after them those that are supported.
fn message_at_start<'s>(
    segments: &'s [String],
    expected: &[MessageDescriptor],
) -> Result<Option<(MessageDescriptor, &'s [String])>, NotFound> {
    let pool = nuncio_api::descriptors();
    for count in (1..=segments.len()).rev() {
        let (name, rest) = segments.split_at(count);
        let name = name.join(".");
        // Names without a package have no lower-case parts, names with one begin with such a part.
        if let Some(message) = pool.get_message_by_name(&name) {
            return Ok(Some((message, rest)));
        }
        if !name.starts_with(|letter: char| letter.is_ascii_uppercase()) {
            continue;
        }
        let named: Vec<MessageDescriptor> = pool
            .all_messages()
            .filter(|message| !message.is_map_entry() && short_name(message) == name)
            .collect();
        let is_supported =
            |message: &&MessageDescriptor| support::messages().any(|known| known == message.full_name());
        let mut candidates: Vec<&MessageDescriptor> =
            named.iter().filter(|message| expected.contains(message)).collect();
        if candidates.is_empty() {
            candidates = named.iter().filter(is_supported).collect();
        }
        if candidates.is_empty() {
            candidates = named.iter().collect();
        }
        if let (2.., Some(next)) = (candidates.len(), rest.first()) {
            // The next step may tell them apart.
            let having: Vec<_> =
                candidates.iter().copied().filter(|message| find_field(message, next).is_some()).collect();
            candidates = if having.is_empty() { candidates } else { having };
        }
        match candidates.as_slice() {
            [] => {}
            [only] => return Ok(Some(((*only).clone(), rest))),
            several => {
                let names = several.iter().map(|message| message.full_name());
                return Err(NotFound(format!("{name} is the name of several messages: {}", list(names))));
            }
        }
    }
    Ok(None)
}

/// The name without the package.
pub(super) fn short_name(message: &MessageDescriptor) -> &str {
    let name = message.full_name();
    name.strip_prefix(message.package_name()).map_or(name, |rest| rest.trim_start_matches('.'))
}

fn find_field(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name))
}

fn no_field(message: &MessageDescriptor, name: &str) -> NotFound {
    let names: Vec<FieldDescriptor> = message.fields().collect();
    let suggestion = match old_names::hint(name) {
        Some(hint) => format!("; {hint}"),
        None => did_you_mean(name, names.iter().map(FieldDescriptor::name)),
    };
    NotFound(format!("unknown field {name:?} in {}{suggestion}", message.full_name()))
}

/// The first word is neither a field of the bootstrap nor a message: it may be a field of another message, or old.
fn no_start(bootstrap: &MessageDescriptor, name: &str) -> NotFound {
    let pool = nuncio_api::descriptors();
    let supported: Vec<MessageDescriptor> =
        support::messages().filter_map(|message| pool.get_message_by_name(message)).collect();
    let holders = || supported.iter().filter(|message| find_field(message, name).is_some());
    let suggestion = if let Some(hint) = old_names::hint(name) {
        format!("; {hint}")
    } else if holders().next().is_some() {
        format!("; it is a field of {}", list(holders().map(short_name)))
    } else {
        let fields: Vec<FieldDescriptor> = bootstrap.fields().collect();
        let known = fields.iter().map(FieldDescriptor::name).chain(supported.iter().map(short_name));
        did_you_mean(name, known)
    };
    NotFound(format!("{name:?} is neither a field of the bootstrap nor a message of the API{suggestion}"))
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.get(..LISTED) {
        Some(first) if names.len() > LISTED => {
            format!("{} and {} more", first.join(", "), names.len() - LISTED)
        }
        _ => names.join(", "),
    }
}
