//! Reads a tree as a message, by the message's descriptor, and reports everything that does not fit.
//!
//! Envoy turns YAML into JSON and reads that with a lenient parser; the leniencies that real files rely on are all
//! here. A value that cannot be read is reported and left out, and reading goes on.

use std::sync::Arc;

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

use crate::{
    error::{ErrorKind, Issues, WarningKind},
    known_names,
    load::BOOTSTRAP,
    model::Place,
    parse::is_json,
    path::Path,
    redact::{is_sensitive, looks_secret},
    render::secrets::{Hiding, hiding_of},
    source::{Limits, LoadOptions},
    suggest::in_words,
    tree::{Entry, Mark, Node, Plain, Value as Written},
};

mod any;
mod scalar;
mod well_known;

/// Reads `node` as a message of the type `descriptor`. What is wrong goes to `issues`.
///
/// The message will be merged over `base`, so the elements of a list are counted from the end of the list there.
pub(crate) fn walk(
    descriptor: &MessageDescriptor,
    base: Option<&DynamicMessage>,
    node: &Node<'_>,
    source: &Arc<str>,
    options: &LoadOptions<'_>,
    issues: &mut Issues,
) -> DynamicMessage {
    let json = is_json(source);
    let mut walker = Walker {
        source,
        options,
        issues,
        json,
        alias_nodes: 0,
        alias_bytes: 0,
        aliases: 0,
        free_form: 0,
        stopped: false,
        fields: Vec::new(),
    };
    let read = walker.message(descriptor, node, &Path::ROOT, base);
    read.unwrap_or_else(|| DynamicMessage::new(descriptor.clone()))
}

struct Walker<'w> {
    source: &'w Arc<str>,
    options: &'w LoadOptions<'w>,
    issues: &'w mut Issues,
    /// The source is a JSON file, where a number with a fraction is a number also in a `Struct`.
    json: bool,
    /// How many values have been visited through aliases.
    alias_nodes: usize,
    /// How many bytes of text they had.
    alias_bytes: usize,
    /// How many aliases lead to the current value.
    aliases: usize,
    /// How many levels of free-form data lead to the current value.
    free_form: usize,
    /// A limit was exceeded: nothing more is read.
    stopped: bool,
    /// The message fields that lead to the current value, to know whether it is a secret.
    fields: Vec<FieldDescriptor>,
}

impl Walker<'_> {
    fn error(&mut self, mark: Mark, path: &Path<'_>, kind: ErrorKind, message: String) {
        self.issues.error(self.place(mark, path), kind, message);
    }

    /// An error because of which the value at `path` is left out.
    fn unread(&mut self, mark: Mark, path: &Path<'_>, message: String) {
        let place = self.place(mark, path);
        self.issues.mark_unread(Arc::clone(&place.path));
        self.issues.error(place, ErrorKind::Type, message);
    }

    fn place(&self, mark: Mark, path: &Path<'_>) -> Place {
        Place::at(self.source, mark, path.to_string())
    }

    fn expected(&mut self, what: &str, node: &Node<'_>, path: &Path<'_>) {
        let found = self.describe(node);
        self.unread(node.mark, path, format!("expected {what}, found {found}"));
    }

    /// Whether the value that is being read is a secret or may hold one.
    fn is_secret(&self) -> bool {
        self.fields.iter().any(is_sensitive)
    }

    /// What stands there, in words. Only says of what type it is where it may be a secret.
    fn describe(&self, node: &Node<'_>) -> String {
        // As in the lines that are shown with the message.
        let hiding = self
            .fields
            .iter()
            .fold(Hiding::Nothing, |hiding, field| hiding.inside(hiding_of(field.name()), field.name()));
        let secret = self.is_secret() || hiding != Hiding::Nothing;
        match node.resolved() {
            Written::Scalar(scalar) => scalar::describe(scalar, secret || looks_secret(&scalar.text)),
            Written::List(_) => "a list".to_owned(),
            _ => "a map".to_owned(),
        }
    }

    /// Reads one value that is neither a list nor a map of its field. The only way from a message to what is in it,
    /// so repetition is counted here.
    fn value(
        &mut self,
        kind: &Kind,
        node: &Node<'_>,
        path: &Path<'_>,
        base: Option<&DynamicMessage>,
    ) -> Option<Value> {
        if self.stopped {
            return None;
        }
        let aliased = usize::from(matches!(node.value, Written::Shared(_)));
        self.aliases += aliased;
        let bytes = node.scalar().map_or(0, |scalar| scalar.text.len());
        self.count(aliased, bytes, node.mark, path);
        let value = if self.stopped {
            None
        } else {
            match kind {
                Kind::Message(descriptor) => self.message(descriptor, node, path, base).map(Value::Message),
                scalar => self.scalar(scalar, node, path),
            }
        };
        self.aliases -= aliased;
        value
    }

    /// Counts values and their text if an alias leads to them, and ends the reading of a text that says little many
    /// times over.
    fn count(&mut self, nodes: usize, bytes: usize, mark: Mark, path: &Path<'_>) {
        if self.aliases == 0 || self.stopped {
            return;
        }
        self.alias_nodes += nodes;
        self.alias_bytes += bytes;
        let Limits { alias_nodes, alias_bytes, .. } = self.options.limits;
        let exceeded = if self.alias_nodes > alias_nodes {
            format!("{alias_nodes} values")
        } else if self.alias_bytes > alias_bytes {
            format!("{alias_bytes} bytes of text")
        } else {
            return;
        };
        self.stopped = true;
        self.error(mark, path, ErrorKind::Limit, format!("the aliases stand for more than {exceeded}"));
    }

    fn scalar(&mut self, kind: &Kind, node: &Node<'_>, path: &Path<'_>) -> Option<Value> {
        let read = match node.scalar() {
            Some(scalar) => scalar::read(kind, scalar, self.json),
            None => Err(scalar::Mismatch::plain(scalar::expectation(kind))),
        };
        match read {
            Ok(value) => Some(value),
            Err(mismatch) => {
                let found = self.describe(node);
                let is_name =
                    node.scalar().is_some_and(|scalar| matches!(scalar.plain(), None | Some(Plain::Text)));
                if let (true, true, Kind::Enum(names)) =
                    (self.options.allow_unknown_static_fields, is_name, kind)
                {
                    let message = format!("{found} is not a value of {} and is left out", names.full_name());
                    self.issues.warning(self.place(node.mark, path), WarningKind::Unknown, message);
                    return None;
                }
                let scalar::Mismatch { expected, hint } = mismatch;
                self.unread(node.mark, path, format!("expected {expected}, found {found}{hint}"));
                None
            }
        }
    }

    fn message(
        &mut self,
        descriptor: &MessageDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
        base: Option<&DynamicMessage>,
    ) -> Option<DynamicMessage> {
        if descriptor.package_name() == "google.protobuf" && descriptor.name() != "Empty" {
            return self.well_known(descriptor, node, path);
        }
        let Some(entries) = node.entries() else {
            self.expected(&format!("a map with the fields of {}", descriptor.full_name()), node, path);
            return None;
        };
        Some(self.fields(descriptor, entries, path, Fields::OfMessage { base }))
    }

    fn fields(
        &mut self,
        descriptor: &MessageDescriptor,
        entries: &[Entry<'_>],
        path: &Path<'_>,
        fields: Fields<'_>,
    ) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        let mut seen: Vec<(u32, &str)> = Vec::with_capacity(entries.len());
        for entry in entries {
            // Also those that lead to no value: there may be many of them.
            self.count(1, 0, entry.mark, path);
            if self.stopped {
                break;
            }
            if matches!(fields, Fields::OfPayload) && entry.key == "@type" {
                continue;
            }
            let Some(field) = find_field(descriptor, &entry.key) else {
                self.unknown_field(descriptor, entry, path);
                continue;
            };
            if let Some((_, first)) = seen.iter().find(|(number, _)| *number == field.number()) {
                let twice = if *first == entry.key {
                    format!("{:?} is given twice", entry.key)
                } else {
                    format!("{first:?} and {:?} are the same field, given twice", entry.key)
                };
                self.error(entry.mark, path, ErrorKind::Type, twice);
                continue;
            }
            seen.push((field.number(), &entry.key));
            if entry.value.is_null() && !takes_null(&field) {
                continue;
            }
            if let Some(other) = other_member(&message, &field) {
                let both = format!("{:?} and {:?} exclude each other", other.name(), field.name());
                self.error(entry.mark, path, ErrorKind::Type, both);
                continue;
            }
            let earlier = match fields {
                Fields::OfMessage { base: Some(base) } if base.has_field(&field) => {
                    Some(base.get_field(&field))
                }
                Fields::OfMessage { .. } | Fields::OfPayload => None,
            };
            let at = path.field(field.name());
            if let Some(value) = self.field(&field, &entry.value, &at, earlier.as_deref()) {
                // A value is built by the descriptor of its field, so it fits.
                let _ = message.try_set_field(&field, value);
            }
        }
        self.fill_typed_config(&mut message, entries, path);
        message
    }

    fn field(
        &mut self,
        field: &FieldDescriptor,
        node: &Node<'_>,
        path: &Path<'_>,
        earlier: Option<&Value>,
    ) -> Option<Value> {
        self.fields.push(field.clone());
        let value = if field.is_map() {
            self.map(field, node, path)
        } else if field.is_list() {
            let earlier = earlier.and_then(Value::as_list).map_or(0, <[Value]>::len);
            let mut list = List { kind: field.kind(), earlier, items: Vec::new() };
            if !node.is_null() {
                self.list(&mut list, node, path);
            }
            Some(Value::List(list.items))
        } else {
            self.value(&field.kind(), node, path, earlier.and_then(Value::as_message))
        };
        self.fields.pop();
        value
    }

    /// Reads a list, a single value in its place, or nested lists. Null in a list is an element without a value.
    fn list(&mut self, list: &mut List, node: &Node<'_>, path: &Path<'_>) {
        if self.stopped {
            return;
        }
        match node.resolved() {
            Written::List(items) => {
                let aliased = usize::from(matches!(node.value, Written::Shared(_)));
                self.aliases += aliased;
                self.count(items.len() + 1, 0, node.mark, path);
                for item in items {
                    self.list(list, item, path);
                }
                self.aliases -= aliased;
            }
            _ if node.is_null() => list.items.push(Value::default_value(&list.kind)),
            _ => {
                let at = path.index(list.earlier + list.items.len());
                let value = self.value(&list.kind, node, &at, None);
                // An element that could not be read keeps its place, so that the indices of the others stay true.
                list.items.push(value.unwrap_or_else(|| Value::default_value(&list.kind)));
            }
        }
    }

    fn map(&mut self, field: &FieldDescriptor, node: &Node<'_>, path: &Path<'_>) -> Option<Value> {
        let Some(entries) = node.entries() else {
            self.expected("a map", node, path);
            return None;
        };
        let Kind::Message(entry_type) = field.kind() else { return None };
        let (key_field, value_field) = (entry_type.map_entry_key_field(), entry_type.map_entry_value_field());
        let mut map = std::collections::HashMap::with_capacity(entries.len());
        for entry in entries {
            let at = path.key(&entry.key);
            self.count(1, entry.key.len(), entry.mark, &at);
            if self.stopped {
                break;
            }
            let Some(key) = map_key(&key_field.kind(), &entry.key) else {
                let expected = scalar::expectation(&key_field.kind());
                self.unread(
                    entry.mark,
                    &at,
                    format!("expected {expected} as the key, found {:?}", entry.key),
                );
                continue;
            };
            let kind = value_field.kind();
            let value = if entry.value.is_null() && !takes_null(&value_field) {
                Some(Value::default_value(&kind))
            } else {
                self.value(&kind, &entry.value, &at, None)
            };
            if let Some(value) = value
                && map.insert(key, value).is_some()
            {
                self.error(
                    entry.mark,
                    path,
                    ErrorKind::Type,
                    format!("the key {:?} is given twice", entry.key),
                );
            }
        }
        Some(Value::Map(map))
    }

    fn unknown_field(&mut self, descriptor: &MessageDescriptor, entry: &Entry<'_>, path: &Path<'_>) {
        if self.issues.is_full() {
            return self.issues.omit();
        }
        let names: Vec<FieldDescriptor> = descriptor.fields().collect();
        let meant = self.issues.closest(&entry.key, names.iter().map(FieldDescriptor::name));
        let suggestion = match &*entry.key {
            "<<" => " (merge keys are not applied; write the fields out)".to_owned(),
            key @ ("listeners" | "clusters" | "secrets") if descriptor.full_name() == BOOTSTRAP => {
                format!(" ({key:?} stands in \"static_resources\")")
            }
            // Names that no field may have again.
            key if descriptor.reserved_names().any(|name| name == key) => match key {
                "hosts" => " (the API has it no more; \"load_assignment\" took its place)".to_owned(),
                "tls_context" => " (the API has it no more; \"transport_socket\" took its place)".to_owned(),
                "config" => " (the API has it no more; \"typed_config\" took its place)".to_owned(),
                _ => " (the API has it no more)".to_owned(),
            },
            _ => in_words(meant),
        };
        // A secret that stands beside its field by mistake reads as the name of another one.
        let shown = if meant.is_none() && self.is_secret() {
            format!("unknown field in {} (its name is not shown: it may be a secret)", descriptor.full_name())
        } else {
            format!("unknown field {:?} in {}", entry.key, descriptor.full_name())
        };
        let message = format!("{shown}{suggestion}");
        let place = self.place(entry.mark, path);
        if self.options.allow_unknown_static_fields {
            self.issues.warning(place, WarningKind::Unknown, message);
            return;
        }
        // That the field that was meant is missing would be the same mistake told twice.
        for name in [Some(&*entry.key), meant].into_iter().flatten() {
            self.issues.mark_unread(path.field(name).to_string());
        }
        self.issues.error(place, ErrorKind::Unknown, message);
    }

    /// Gives an extension that is known by its name alone the type that its name stands for.
    fn fill_typed_config(&mut self, message: &mut DynamicMessage, entries: &[Entry<'_>], path: &Path<'_>) {
        let descriptor = message.descriptor();
        if !known_names::may_stand_alone(descriptor.full_name()) {
            return;
        }
        let (Some(name_field), Some(config_field)) =
            (descriptor.get_field_by_name("name"), descriptor.get_field_by_name("typed_config"))
        else {
            return;
        };
        let has_type = match message.get_field(&config_field).as_ref() {
            Value::Message(any) => any.has_field_by_name("type_url"),
            _ => true,
        };
        if has_type || other_member(message, &config_field).is_some() {
            return;
        }
        let name_value = message.get_field(&name_field);
        let Some(name) = name_value.as_str() else { return };
        let Some(type_name) = known_names::type_of(descriptor.full_name(), name) else { return };
        let is_left_out = |entry: &Entry<'_>| {
            entry.value.is_null() || entry.value.entries().is_some_and(|entries| entries.is_empty())
        };
        let is_config =
            |entry: &&Entry<'_>| find_field(&descriptor, &entry.key).as_ref() == Some(&config_field);
        // One that could not be read was told already, and the defaults are only there for later phases.
        let is_wrong = entries.iter().filter(is_config).any(|entry| !is_left_out(entry));
        let warning = format!(
            "{name:?} has no type in typed_config; {type_name} with its defaults is taken by its name, which current \
             versions of Envoy refuse"
        );
        let mark =
            entries.iter().find(|entry| entry.key == "name").map_or(Mark::START, |entry| entry.value.mark);
        let place = self.place(mark, &path.field("name"));
        drop(name_value);
        if !is_wrong {
            self.issues.warning(place, WarningKind::NameOnly, warning);
        }
        if let Kind::Message(any_type) = config_field.kind() {
            let any = any::packed(&any_type, type_name, Vec::new());
            let _ = message.try_set_field(&config_field, Value::Message(any));
        }
    }
}

/// The elements of a list that have been read.
struct List {
    kind: Kind,
    /// How many elements earlier sources put before these.
    earlier: usize,
    items: Vec<Value>,
}

/// Whose fields a map holds.
#[derive(Clone, Copy)]
enum Fields<'b> {
    /// Those of a message, with what earlier sources say about it.
    OfMessage { base: Option<&'b DynamicMessage> },
    /// Those of a message in an `Any`, beside its `@type`.
    OfPayload,
}

fn find_field(descriptor: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    descriptor.get_field_by_name(name).or_else(|| descriptor.get_field_by_json_name(name))
}

/// Whether null is a value of the field rather than its absence.
fn takes_null(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(descriptor) => descriptor.full_name() == "google.protobuf.Value",
        _ => false,
    }
}

/// The other member of the field's oneof that is set.
fn other_member(message: &DynamicMessage, field: &FieldDescriptor) -> Option<FieldDescriptor> {
    field.containing_oneof()?.fields().find(|other| other != field && message.has_field(other))
}

fn map_key(kind: &Kind, text: &str) -> Option<MapKey> {
    Some(match kind {
        Kind::String => MapKey::String(text.to_owned()),
        Kind::Bool => MapKey::Bool(text.parse().ok()?),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => MapKey::I32(text.parse().ok()?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => MapKey::I64(text.parse().ok()?),
        Kind::Uint32 | Kind::Fixed32 => MapKey::U32(text.parse().ok()?),
        Kind::Uint64 | Kind::Fixed64 => MapKey::U64(text.parse().ok()?),
        _ => return None,
    })
}
