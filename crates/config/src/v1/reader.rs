//! Reads objects of the v1 format as strictly as v1 did, and collects everything that is wrong with them.

use std::{borrow::Cow, rc::Rc, sync::Arc};

use super::{
    fields,
    schema::{Key, Kind, Schema},
};
use crate::{
    error::{ErrorKind, Issues, WarningKind},
    model::Place,
    path::Path,
    redact::looks_secret,
    suggest::{closest, in_words},
    tree::{Entry, Mark, Node, Plain, Scalar, Value},
};

/// What the upgrade of one file knows while it goes on.
pub(super) struct Upgrade<'u, 't> {
    source: &'u Arc<str>,
    issues: &'u mut Issues,
    /// How many more unknown keys get a suggestion, which takes time.
    suggestions: usize,
    /// What the top level says and other places need.
    pub(super) globals: Globals<'t>,
}

/// What the top level of a file says about things that v3 says elsewhere.
#[derive(Default)]
pub(super) struct Globals<'t> {
    /// `tracing`: the provider for every connection manager that traces.
    pub(super) tracer: Option<Rc<Node<'t>>>,
    /// `rate_limit_service`, for every rate limit filter.
    pub(super) rate_limit_service: Option<Rc<Node<'t>>>,
    /// `cluster_manager.sds` is there.
    pub(super) has_sds: bool,
}

/// An object whose values have the types that its schema asks for.
pub(super) struct Object<'o, 'n, 't> {
    pub(super) mark: Mark,
    pub(super) path: Path<'o>,
    /// The entries whose values fit.
    entries: Vec<(Key, &'n Entry<'t>)>,
    /// The keys of the schema that are written, whatever their values.
    written: Vec<&'static str>,
    schema: &'static Schema,
}

impl<'u, 't> Upgrade<'u, 't> {
    pub(super) fn new(source: &'u Arc<str>, issues: &'u mut Issues) -> Self {
        Self { source, issues, suggestions: 1000, globals: Globals::default() }
    }

    pub(super) fn error(&mut self, mark: Mark, path: &Path<'_>, kind: ErrorKind, message: impl Into<String>) {
        let place = self.place(mark, path);
        self.issues.error(place, kind, message);
    }

    /// A value that is right by itself and wrong with the rest.
    pub(super) fn semantic(&mut self, mark: Mark, path: &Path<'_>, message: impl Into<String>) {
        self.error(mark, path, ErrorKind::Semantic, message);
    }

    /// A warning that v3 does something else than v1 did here.
    pub(super) fn lossy(&mut self, mark: Mark, path: &Path<'_>, message: impl Into<String>) {
        let place = self.place(mark, path);
        self.issues.warning(place, WarningKind::Lossy, message);
    }

    /// Warns that a condition on internal requests may hold for fewer requests than it did.
    pub(super) fn trusts_nobody(&mut self, object: &Object<'_, '_, 't>, key: &'static str) {
        self.lossy(object.mark_of(key), &object.path.field(key), NOBODY_IS_INTERNAL);
    }

    fn place(&self, mark: Mark, path: &Path<'_>) -> Place {
        Place::at(self.source, mark, path.to_string())
    }

    /// The tracing provider, if the file has one.
    pub(super) fn tracer(&self, mark: Mark) -> Option<Node<'t>> {
        self.globals.tracer.as_ref().map(|node| shared(mark, node))
    }

    /// The rate limit service, if the file has one.
    pub(super) fn rate_limit_service(&self, mark: Mark) -> Option<Node<'t>> {
        self.globals.rate_limit_service.as_ref().map(|node| shared(mark, node))
    }

    /// Reads `node` as an object. `None` if it is none, which is reported.
    pub(super) fn read<'o, 'n>(
        &mut self,
        node: &'n Node<'t>,
        path: Path<'o>,
        schema: &'static Schema,
    ) -> Option<Object<'o, 'n, 't>> {
        let Some(entries) = node.entries() else {
            let message = format!("expected {}, an object, found {}", schema.name, describe(node));
            self.error(node.mark, &path, ErrorKind::Type, message);
            return None;
        };
        let mut object = Object { mark: node.mark, path, entries: Vec::new(), written: Vec::new(), schema };
        let mut excused: Vec<&str> = Vec::new();
        let mut misplaced = false;
        for entry in entries {
            match schema.keys.iter().find(|key| key.name == entry.key) {
                Some(key) if object.is_written(key.name) => {
                    let message = format!("{:?} is given twice", shortened(&entry.key));
                    self.error(entry.mark, &path, ErrorKind::Type, message);
                }
                Some(key) => {
                    object.written.push(key.name);
                    if self.fits(key, &entry.value, &path.field(key.name)) {
                        object.entries.push((*key, entry));
                    }
                }
                None => {
                    misplaced |= schema.mistakes.iter().any(|(key, _)| *key == entry.key);
                    excused.extend(self.unknown(entry, &path, schema));
                }
            }
        }
        // Who wrote something else here altogether is not told what else is missing.
        if misplaced && object.entries.is_empty() {
            return None;
        }
        for key in schema.keys.iter().filter(|key| key.required) {
            if !object.is_written(key.name) && !excused.contains(&key.name) {
                self.error(node.mark, &path.field(key.name), ErrorKind::Rule, "is required");
            }
        }
        Some(object)
    }

    /// Reads the object under `key`, if there is one.
    pub(super) fn child<'o, 'n, R>(
        &mut self,
        object: &'o Object<'_, 'n, 't>,
        key: &'static str,
        schema: &'static Schema,
        upgrade: impl FnOnce(&mut Self, &Object<'o, 'n, 't>) -> R,
    ) -> Option<R> {
        let node = object.get(key)?;
        let child = self.read(node, object.path.field(key), schema)?;
        Some(upgrade(self, &child))
    }

    /// Reads each object of the list under `key`, and gives the list of what they became.
    pub(super) fn each<'n>(
        &mut self,
        object: &Object<'_, 'n, 't>,
        key: &'static str,
        schema: &'static Schema,
        mut upgrade: impl FnMut(&mut Self, &Object<'_, 'n, 't>) -> Option<Node<'t>>,
    ) -> Option<Node<'t>> {
        let node = object.get(key)?;
        let mut upgraded = Vec::new();
        self.items(object, key, |up, item, at| {
            if let Some(child) = up.read(item, at, schema) {
                upgraded.extend(upgrade(up, &child));
            }
        });
        Some(fields::list(node.mark, upgraded))
    }

    /// Hands out each item of the list under `key`.
    pub(super) fn items<'n>(
        &mut self,
        object: &Object<'_, 'n, 't>,
        key: &'static str,
        mut take: impl FnMut(&mut Self, &'n Node<'t>, Path<'_>),
    ) {
        let Some(Value::List(items)) = object.get(key).map(Node::resolved) else { return };
        let list = object.path.field(key);
        for (index, item) in items.iter().enumerate() {
            take(self, item, list.index(index));
        }
    }

    /// Reports more than one of `keys`, or none of them if one is `required`. The one that is written, if it is one.
    pub(super) fn one_of(
        &mut self,
        object: &Object<'_, '_, 't>,
        keys: &[&'static str],
        required: bool,
    ) -> Option<&'static str> {
        let written: Vec<&'static str> = keys.iter().copied().filter(|key| object.is_written(key)).collect();
        let quoted = |keys: &[&str], between: &str| {
            keys.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(between)
        };
        match written.as_slice() {
            [] if required => {
                let message = format!("one of {} is required", quoted(keys, ", "));
                self.error(object.mark, &object.path, ErrorKind::Rule, message);
                None
            }
            [] => None,
            [one] => Some(one),
            several => {
                let message = format!("{} exclude each other", quoted(several, " and "));
                let second = object.entries.iter().filter(|(key, _)| several.contains(&key.name)).nth(1);
                let mark = second.map_or(object.mark, |(_, entry)| entry.mark);
                self.error(mark, &object.path, ErrorKind::Rule, message);
                None
            }
        }
    }

    /// Reports a key that the object may not have, and gives the keys that were meant.
    fn unknown(
        &mut self,
        entry: &Entry<'t>,
        path: &Path<'_>,
        schema: &'static Schema,
    ) -> Option<&'static str> {
        if let Some((_, instead)) = schema.mistakes.iter().find(|(key, _)| *key == entry.key) {
            let message = format!("{:?} is no key of {}: {instead}", entry.key, schema.name);
            self.error(entry.mark, path, ErrorKind::Unknown, message);
            return None;
        }
        let candidates = schema.keys.iter().take_while(|_| self.suggestions > 0).map(|key| key.name);
        let meant = closest(&entry.key, candidates);
        self.suggestions = self.suggestions.saturating_sub(1);
        let message =
            format!("unknown key {:?} in {}{}", shortened(&entry.key), schema.name, in_words(meant));
        if schema.open {
            let place = self.place(entry.mark, path);
            self.issues.warning(place, WarningKind::Unknown, format!("{message}; it is ignored, as by v1"));
            return None;
        }
        self.error(entry.mark, path, ErrorKind::Unknown, message);
        schema.keys.iter().map(|key| key.name).find(|name| Some(*name) == meant)
    }

    /// Whether a value is what its key asks for; if not, that is reported.
    fn fits(&mut self, key: &Key, node: &Node<'t>, path: &Path<'_>) -> bool {
        let problem = match key.kind {
            Kind::Any => None,
            Kind::Text { least } => match string(node) {
                Some(text) if text.chars().count() >= least => None,
                Some(_) => Some((ErrorKind::Rule, "must not be empty".to_owned())),
                None => Some(expected("a string", node)),
            },
            Kind::Integer(least, most) => match whole_number(node) {
                Some(number) => out_of_range(number, least, most).map(|message| (ErrorKind::Rule, message)),
                None => Some(expected("an integer", node)),
            },
            Kind::Boolean => truth(node).is_none().then(|| expected("true or false", node)),
            Kind::Choice(words) => not_a_choice(words, node),
            Kind::Object => node.entries().is_none().then(|| expected("an object", node)),
            Kind::List { least } => match node.resolved() {
                Value::List(items) => too_few(items.len(), least),
                _ => Some(expected("a list", node)),
            },
            Kind::Texts { least, unique } => return self.texts_fit(node, path, least, unique),
        };
        match problem {
            None => true,
            Some((kind, mut message)) => {
                let is_meant = |word: &str| string(node) == Some(word) || node.get(word).is_some();
                if let Some((_, instead)) = key.meant.iter().find(|(word, _)| is_meant(word)) {
                    message.push_str(": ");
                    message.push_str(instead);
                }
                self.error(node.mark, path, kind, message);
                false
            }
        }
    }

    fn texts_fit(&mut self, node: &Node<'t>, path: &Path<'_>, least: usize, unique: bool) -> bool {
        let Value::List(items) = node.resolved() else {
            let (kind, message) = expected("a list of strings", node);
            self.error(node.mark, path, kind, message);
            return false;
        };
        if let Some((kind, message)) = too_few(items.len(), least) {
            self.error(node.mark, path, kind, message);
            return false;
        }
        let mut fit = true;
        let mut seen: std::collections::HashSet<&str> = std::collections::HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let at = path.index(index);
            let problem = match string(item) {
                None => Some(expected("a string", item)),
                Some(text) if unique && !seen.insert(text) => {
                    Some((ErrorKind::Rule, format!("{:?} is in the list already", shortened(text))))
                }
                Some(_) => None,
            };
            if let Some((kind, message)) = problem {
                self.error(item.mark, &at, kind, message);
                fit = false;
            }
        }
        fit
    }
}

impl<'n, 't> Object<'_, 'n, 't> {
    /// The value of a key, if it is written and fits.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node<'t>> {
        self.entries.iter().find(|(known, _)| known.name == key).map(|(_, entry)| &entry.value)
    }

    /// Whether a key is written, even with a value that does not fit.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.written.contains(&key)
    }

    /// Whether the schema asks for a key.
    pub(super) fn is_required(&self, key: &str) -> bool {
        self.schema.keys.iter().any(|known| known.required && known.name == key)
    }

    /// Where the value of a key stands, or else the object.
    pub(super) fn mark_of(&self, key: &str) -> Mark {
        self.get(key).map_or(self.mark, |node| node.mark)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'n str> {
        string(self.get(key)?)
    }

    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        whole_number(self.get(key)?)
    }

    pub(super) fn boolean(&self, key: &str) -> Option<bool> {
        truth(self.get(key)?)
    }

    pub(super) fn is_true(&self, key: &str) -> bool {
        self.boolean(key) == Some(true)
    }

    /// The strings of a list.
    pub(super) fn texts(&self, key: &str) -> Vec<(Mark, &'n str)> {
        match self.get(key).map(Node::resolved) {
            Some(Value::List(items)) => {
                items.iter().filter_map(|item| Some((item.mark, string(item)?))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What v3 calls the word of a choice.
    pub(super) fn choice(&self, key: &str) -> Option<&'static str> {
        let (known, entry) = self.entries.iter().find(|(known, _)| known.name == key)?;
        let Kind::Choice(words) = known.kind else { return None };
        let word = string(&entry.value)?;
        words.iter().find(|(v1, _)| *v1 == word).map(|(_, v3)| *v3)
    }

    /// The same for the new tree.
    pub(super) fn chosen(&self, key: &str) -> Option<Node<'t>> {
        Some(fields::text(self.mark_of(key), self.choice(key)?))
    }

    /// A copy of a string, number or boolean for the new tree.
    pub(super) fn copied(&self, key: &str) -> Option<Node<'t>> {
        copied(self.get(key)?)
    }

    /// A copy of a list of strings for the new tree.
    pub(super) fn copied_texts(&self, key: &str) -> Option<Node<'t>> {
        let node = self.get(key)?;
        let Value::List(items) = node.resolved() else { return None };
        Some(fields::list(node.mark, items.iter().filter_map(copied).collect()))
    }

    /// Milliseconds as a duration for the new tree.
    pub(super) fn duration(&self, key: &str) -> Option<Node<'t>> {
        Some(fields::duration(self.mark_of(key), self.integer(key)?))
    }
}

/// A value that stands in several places.
pub(super) fn shared<'t>(mark: Mark, node: &Rc<Node<'t>>) -> Node<'t> {
    Node { mark, value: Value::Shared(Rc::clone(node)) }
}

/// A copy of a scalar. Strings that look like something else are quoted.
pub(super) fn copied<'t>(node: &Node<'t>) -> Option<Node<'t>> {
    let scalar = node.scalar()?;
    Some(match scalar.plain() {
        Some(Plain::Int(number)) => fields::integer(node.mark, number),
        Some(Plain::Bool(value)) => fields::boolean(node.mark, value),
        Some(Plain::Null) => return None,
        Some(Plain::Text) | None => fields::text(node.mark, scalar.text.clone()),
    })
}

/// A copy of free-form data, nulls and all.
pub(super) fn copied_whole<'t>(node: &Node<'t>) -> Node<'t> {
    let value = match node.resolved() {
        Value::Shared(inner) => return copied_whole(inner),
        Value::Scalar(scalar) => {
            let null = || Scalar { text: scalar.text.clone(), quoted: scalar.quoted };
            return copied(node).unwrap_or_else(|| Node { mark: node.mark, value: Value::Scalar(null()) });
        }
        Value::List(items) => Value::List(items.iter().map(copied_whole).collect()),
        Value::Map(entries) => {
            let copy = |entry: &Entry<'t>| Entry {
                mark: entry.mark,
                key: entry.key.clone(),
                value: copied_whole(&entry.value),
            };
            Value::Map(entries.iter().map(copy).collect())
        }
    };
    Node { mark: node.mark, value }
}

fn string<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    let scalar = node.scalar()?;
    let is_string = match scalar.plain() {
        None => true,
        Some(Plain::Text) => !is_fraction(&scalar.text),
        Some(_) => false,
    };
    is_string.then_some(&*scalar.text)
}

/// Whether a scalar without quotes is a number that is not whole.
fn is_fraction(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.'))
        && text.parse::<f64>().is_ok()
}

fn whole_number(node: &Node<'_>) -> Option<i64> {
    match node.scalar()?.plain() {
        Some(Plain::Int(number)) => Some(number),
        _ => None,
    }
}

fn truth(node: &Node<'_>) -> Option<bool> {
    match node.scalar()?.plain() {
        Some(Plain::Bool(value)) => Some(value),
        _ => None,
    }
}

fn expected(what: &str, node: &Node<'_>) -> (ErrorKind, String) {
    (ErrorKind::Type, format!("expected {what}, found {}", describe(node)))
}

fn not_a_choice(words: &[(&str, &str)], node: &Node<'_>) -> Option<(ErrorKind, String)> {
    let Some(found) = string(node) else { return Some(expected("a string", node)) };
    if words.iter().any(|(word, _)| *word == found) {
        return None;
    }
    let allowed: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    let meant = in_words(closest(found, words.iter().map(|(word, _)| *word)));
    Some((ErrorKind::Rule, format!("must be one of {} but is {}{meant}", allowed.join(", "), describe(node))))
}

fn out_of_range(number: i64, least: i64, most: i64) -> Option<String> {
    if number < least {
        Some(format!("must be at least {least} but is {number}"))
    } else if number > most {
        Some(format!("must be at most {most} but is {number}"))
    } else {
        None
    }
}

fn too_few(count: usize, least: usize) -> Option<(ErrorKind, String)> {
    if count >= least {
        return None;
    }
    let message = match least {
        1 => "must not be empty".to_owned(),
        _ => format!("must have at least {least} elements but has {count}"),
    };
    Some((ErrorKind::Rule, message))
}

pub(super) const NOBODY_IS_INTERNAL: &str =
    "no address is internal any more; for v1 those of RFC 1918 and loopback were";

/// A text for a message, cut if it is long.
pub(super) fn shortened(text: &str) -> Cow<'_, str> {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => (text.get(..end).unwrap_or_default().to_owned() + "…").into(),
        None => text.into(),
    }
}

/// What stands there, in words.
pub(super) fn describe(node: &Node<'_>) -> Cow<'static, str> {
    match node.resolved() {
        Value::List(_) => "a list".into(),
        Value::Scalar(scalar) => match scalar.plain() {
            Some(Plain::Null) => "null".into(),
            _ if looks_secret(&scalar.text) => "a value that is not shown".into(),
            Some(Plain::Bool(value)) => value.to_string().into(),
            Some(Plain::Int(_)) => format!("the number {}", scalar.text).into(),
            Some(Plain::Text) if is_fraction(&scalar.text) => format!("the number {}", scalar.text).into(),
            _ => format!("the string {:?}", shortened(&scalar.text)).into(),
        },
        Value::Map(_) | Value::Shared(_) => "an object".into(),
    }
}
