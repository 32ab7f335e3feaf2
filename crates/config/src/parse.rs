//! YAML and JSON text to a [`Node`] tree.

use std::{borrow::Cow, collections::HashMap, rc::Rc};

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::{
    error::ErrorKind,
    source::{Limits, Source},
    tree::{Entry, Mark, Node, Scalar, Value, is_null},
};

mod json;
mod words;

/// Why a text could not be parsed.
#[derive(Debug)]
pub(crate) struct ParseError {
    pub(crate) mark: Mark,
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl ParseError {
    fn syntax(mark: Mark, message: impl Into<String>) -> Self {
        Self { mark, kind: ErrorKind::Syntax, message: message.into() }
    }

    fn limit(mark: Mark, message: impl Into<String>) -> Self {
        Self { mark, kind: ErrorKind::Limit, message: message.into() }
    }
}

/// Parses a source: as JSON where its name ends so, otherwise as YAML, of which JSON is a part.
pub(crate) fn parse_source<'t>(source: &'t Source, limits: &Limits) -> Result<Node<'t>, ParseError> {
    let Source { name, text } = source;
    if let Some(ending) = [".pb", ".pb_text"].iter().find(|ending| name.ends_with(**ending)) {
        let message =
            format!("a file that ends in {ending} holds a protobuf message, which is not supported");
        return Err(ParseError { mark: Mark::START, kind: ErrorKind::Unsupported, message });
    }
    if is_json(name) {
        check_size(text, limits)?;
        json::parse(text, limits)
    } else {
        parse(text, limits)
    }
}

/// Whether a source with this name is JSON.
pub(crate) fn is_json(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("json"))
}

fn check_size(text: &str, limits: &Limits) -> Result<(), ParseError> {
    if text.len() > limits.bytes {
        let message = format!("the text has {} bytes; at most {} are read", text.len(), limits.bytes);
        return Err(ParseError::limit(Mark::START, message));
    }
    Ok(())
}

/// Parses one YAML document. An empty text gives a null scalar.
pub(crate) fn parse<'t>(text: &'t str, limits: &Limits) -> Result<Node<'t>, ParseError> {
    check_size(text, limits)?;
    let options = granit_parser::options! {
        emit_comments: false,
        block_nesting_limit: limits.depth,
        flow_nesting_limit: limits.depth,
    };
    let mut builder =
        Builder { limits, nodes: 0, key_bytes: 0, open: Vec::new(), anchors: HashMap::new(), root: None };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            let mark = Mark::new(marker.line(), marker.col() + 1, 0);
            match error.kind() {
                granit_parser::ErrorKind::RecursionLimitExceeded => too_deep(mark, limits),
                _ => {
                    let (mark, message) = words::explain(text, mark, &error.info());
                    ParseError::syntax(mark, message)
                }
            }
        })?;
        builder.event(event, span).map_err(|mut error| {
            if error.kind == ErrorKind::Syntax {
                error.message.push_str(&words::hint(text, error.mark));
            }
            error
        })?;
    }
    Ok(builder.root.unwrap_or(Node { mark: Mark::START, value: Value::Scalar(null()) }))
}

fn too_deep(mark: Mark, limits: &Limits) -> ParseError {
    ParseError::limit(mark, format!("nested more than {} levels deep", limits.depth))
}

fn null() -> Scalar<'static> {
    Scalar { text: Cow::Borrowed(""), quoted: false }
}

/// What goes on in the next line has no width.
fn mark_of(span: &Span) -> Mark {
    let in_one_line = span.start.line() == span.end.line();
    let width = if in_one_line { span.end.col().saturating_sub(span.start.col()) } else { 0 };
    Mark::new(span.start.line(), span.start.col() + 1, width)
}

/// A collection whose end has not been seen.
struct Open<'t> {
    mark: Mark,
    anchor: usize,
    /// How many levels the deepest of its values has so far.
    height: usize,
    content: Content<'t>,
}

enum Content<'t> {
    List(Vec<Node<'t>>),
    Map { entries: Vec<Entry<'t>>, key: Option<Key<'t>> },
}

struct Key<'t> {
    mark: Mark,
    text: Cow<'t, str>,
    /// The key has the tag `!ignore`: it and its value are left out.
    ignored: bool,
}

/// The value of an anchor. Its height is kept because aliases in anchors in aliases would otherwise build a value that
/// is too deep to be walked, or only dropped, without running out of stack.
struct Anchored<'t> {
    node: Rc<Node<'t>>,
    height: usize,
}

struct Builder<'t, 'l> {
    limits: &'l Limits,
    nodes: usize,
    /// Bytes of the keys that are aliases or have anchors. Unlike a value, a key is copied.
    key_bytes: usize,
    open: Vec<Open<'t>>,
    anchors: HashMap<usize, Anchored<'t>>,
    root: Option<Node<'t>>,
}

impl<'t> Builder<'t, '_> {
    fn event(&mut self, event: Event<'t>, span: Span) -> Result<(), ParseError> {
        let mark = mark_of(&span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.count(mark)?;
                // As in Envoy a tag takes the meaning of quotes away, and a value with a tag is not null.
                let quoted = match tag.as_deref() {
                    None => style != ScalarStyle::Plain,
                    Some(tag) => is_non_specific(tag) || is_null(&text),
                };
                let ignored = tag.as_deref().is_some_and(is_ignore);
                let node = Node { mark, value: Value::Scalar(Scalar { text, quoted }) };
                self.complete(node, anchor, 0, ignored)
            }
            Event::SequenceStart(_, anchor, _) => self.start(mark, anchor, Content::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                self.start(mark, anchor, Content::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let value = match open.content {
                    Content::List(items) => Value::list(items),
                    Content::Map { entries, .. } => Value::map(entries),
                };
                self.complete(Node { mark: open.mark, value }, open.anchor, open.height + 1, false)
            }
            Event::Alias(id) => {
                self.count(mark)?;
                let Some(target) = self.anchors.get(&id) else {
                    return Err(ParseError::syntax(mark, "an anchor cannot contain an alias for itself"));
                };
                let height = target.height;
                if self.open.len() + height > self.limits.depth {
                    return Err(too_deep(mark, self.limits));
                }
                let value = Value::Shared(Rc::clone(&target.node));
                self.complete(Node { mark, value }, 0, height, false)
            }
            Event::DocumentStart(..) if self.root.is_some() => Err(ParseError::syntax(
                mark,
                "a second document starts here; a configuration is one document",
            )),
            _ => Ok(()),
        }
    }

    fn count(&mut self, mark: Mark) -> Result<(), ParseError> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(ParseError::limit(mark, format!("more than {} values", self.limits.nodes)));
        }
        Ok(())
    }

    fn start(&mut self, mark: Mark, anchor: usize, content: Content<'t>) -> Result<(), ParseError> {
        self.count(mark)?;
        if self.open.len() >= self.limits.depth {
            return Err(too_deep(mark, self.limits));
        }
        self.open.push(Open { mark, anchor, height: 0, content });
        Ok(())
    }

    fn complete(
        &mut self,
        node: Node<'t>,
        anchor: usize,
        height: usize,
        ignored: bool,
    ) -> Result<(), ParseError> {
        if let Some(parent) = self.open.last_mut() {
            parent.height = parent.height.max(height);
        }
        let node = if anchor == 0 {
            node
        } else {
            let mark = node.mark;
            let shared = Rc::new(node);
            self.anchors.insert(anchor, Anchored { node: Rc::clone(&shared), height });
            Node { mark, value: Value::Shared(shared) }
        };
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key }) => match key.take() {
                Some(Key { ignored: true, .. }) => {}
                Some(Key { mark, text, .. }) => entries.push(Entry { mark, key: text, value: node }),
                None => {
                    let mark = node.mark;
                    let text = match node.value {
                        Value::Scalar(scalar) => scalar.text,
                        _ => {
                            let Some(scalar) = node.scalar() else {
                                let message = "a key must be a plain word or a string";
                                return Err(ParseError::syntax(mark, message));
                            };
                            self.key_bytes += scalar.text.len();
                            if self.key_bytes > self.limits.alias_bytes {
                                let most = self.limits.alias_bytes;
                                let message = format!("the aliases stand for more than {most} bytes of keys");
                                return Err(ParseError::limit(mark, message));
                            }
                            scalar.text.clone()
                        }
                    };
                    *key = Some(Key { mark, text, ignored });
                }
            },
        }
        Ok(())
    }
}

/// The tag `!`, which makes a plain scalar a string.
fn is_non_specific(tag: &Tag) -> bool {
    matches!(tag.parts(), ("", "!") | ("!", ""))
}

fn is_ignore(tag: &Tag) -> bool {
    tag.parts() == ("!", "ignore")
}

#[cfg(test)]
mod tests;
