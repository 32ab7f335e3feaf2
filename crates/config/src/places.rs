//! Finds where the value at a path was written, after the texts have become messages.
//!
//! A path is resolved by walking the trees once more with the leniencies of the reader. That costs nothing until an
//! error asks for it.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use crate::{
    model::Place,
    path::{Path, Step},
    tree::{Mark, Node, Scalar, Value},
};

/// The trees of all sources, in the order in which they were merged.
pub(crate) struct Places<'t> {
    sources: Vec<(Arc<str>, Node<'t>)>,
    /// More elements of one list are not looked at.
    limit: usize,
    /// Whether the elements of a list are just its items, by the list's address. Places are asked for one element of a
    /// long list after the other.
    plain_lists: RefCell<HashMap<usize, bool>>,
}

#[derive(Clone, Copy)]
struct Candidate<'n, 't> {
    source: usize,
    mark: Mark,
    node: &'n Node<'t>,
}

impl<'t> Places<'t> {
    pub(crate) fn new(sources: Vec<(Arc<str>, Node<'t>)>, limit: usize) -> Self {
        Self { sources, limit, plain_lists: RefCell::default() }
    }

    /// The place of the value at `path`, or of the innermost value on the way to it that was written.
    pub(crate) fn locate(&self, path: &Path<'_>) -> Place {
        let mut candidates: Vec<Candidate<'_, 't>> = self
            .sources
            .iter()
            .enumerate()
            .map(|(source, (_, node))| Candidate { source, mark: node.mark, node })
            .collect();
        for step in path.steps() {
            let next = match step {
                Step::Root => continue,
                Step::Field(name) => self.field(&candidates, name),
                Step::Index(index) => self.index(&candidates, index),
                Step::Key(key) => each_entry(&candidates, |written| written == key)
                    .into_iter()
                    .next_back()
                    .into_iter()
                    .collect(),
            };
            if next.is_empty() {
                break;
            }
            candidates = next;
        }
        let path = Arc::from(path.to_string());
        match candidates.last().and_then(|found| Some((found, self.sources.get(found.source)?))) {
            Some((found, (source, _))) => Place::at(source, found.mark, path),
            None => Place { path, ..Place::generated("") },
        }
    }

    fn field<'n>(&self, candidates: &[Candidate<'n, 't>], name: &str) -> Vec<Candidate<'n, 't>> {
        let inner: Vec<_> = candidates.iter().map(|candidate| inside_typed_struct(*candidate)).collect();
        let mut found = each_entry(&inner, |written| is_name_of(written, name));
        // A payload with a type takes the place of the one before, it does not merge with it.
        if let Some(typed) = found.iter().rposition(|candidate| candidate.node.get("@type").is_some()) {
            found.drain(..typed);
        }
        found
    }

    fn index<'n>(&self, candidates: &[Candidate<'n, 't>], mut index: usize) -> Vec<Candidate<'n, 't>> {
        for candidate in candidates {
            let (node, count) = match candidate.node.resolved() {
                Value::List(items) if self.is_plain(items) => (items.get(index), items.len()),
                _ => {
                    let mut elements = Vec::new();
                    candidate.node.elements(&mut elements, self.limit);
                    (elements.get(index).copied(), elements.len())
                }
            };
            match node {
                Some(node) => return vec![Candidate { source: candidate.source, mark: node.mark, node }],
                None => index -= count,
            }
        }
        Vec::new()
    }

    /// Whether a list has no lists or nulls in it, so that its items are its elements.
    fn is_plain(&self, items: &[Node<'t>]) -> bool {
        let is_element = |item: &Node<'t>| !item.is_null() && !matches!(item.resolved(), Value::List(_));
        let mut known = self.plain_lists.borrow_mut();
        *known.entry(items.as_ptr().addr()).or_insert_with(|| items.iter().all(is_element))
    }
}

fn each_entry<'n, 't>(
    candidates: &[Candidate<'n, 't>],
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<Candidate<'n, 't>> {
    let mut found = Vec::new();
    for candidate in candidates {
        let Value::Map(entries) = candidate.node.resolved() else { continue };
        if let Some(entry) = entries.iter().find(|entry| is_wanted(&entry.key) && !entry.value.is_null()) {
            found.push(Candidate { source: candidate.source, mark: entry.value.mark, node: &entry.value });
        }
    }
    found
}

/// The fields of a `TypedStruct` stand one level deeper than those of the message that it stands for.
fn inside_typed_struct<'n, 't>(candidate: Candidate<'n, 't>) -> Candidate<'n, 't> {
    let type_url = candidate.node.get("@type").and_then(|entry| entry.value.scalar());
    let is_typed_struct = |scalar: &Scalar<'_>| scalar.text.ends_with(".TypedStruct");
    match candidate.node.get("value") {
        Some(entry) if type_url.is_some_and(is_typed_struct) => {
            Candidate { mark: entry.value.mark, node: &entry.value, ..candidate }
        }
        _ => candidate,
    }
}

/// Whether `written` is the field `name` in snake case or in camel case.
fn is_name_of(written: &str, name: &str) -> bool {
    if written == name {
        return true;
    }
    let mut written = written.chars();
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
            continue;
        }
        let expected = if upper { letter.to_ascii_uppercase() } else { letter };
        upper = false;
        if written.next() != Some(expected) {
            return false;
        }
    }
    written.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parse::parse, source::Limits};

    #[track_caller]
    fn check(texts: &[&str], path: &Path<'_>, expected: &str) {
        let limits = Limits::default();
        let sources = texts
            .iter()
            .zip(["a", "b"])
            .map(|(text, name)| (Arc::from(name), parse(text, &limits).unwrap()))
            .collect();
        assert_eq!(Places::new(sources, 100).locate(path).to_string(), expected);
    }

    #[test]
    fn values_are_found_where_they_were_written() {
        let root = Path::ROOT;
        let clusters = root.field("some_clusters");
        let (first, second) = (clusters.index(0), clusters.index(1));
        let text = "someClusters:\n- name: x\n- - null\n  - name: y\n";
        check(&[text], &first.field("name"), "a:2:9: some_clusters[0].name");
        check(&[text], &second.field("name"), "a:4:11: some_clusters[1].name");
        check(&[text], &second.field("missing"), "a:4:5: some_clusters[1].missing");
        check(&["some_clusters: {name: z}"], &first.field("name"), "a:1:23: some_clusters[0].name");
        check(&["some_clusters: {name: z}", text], &second.field("name"), "b:2:9: some_clusters[1].name");
        check(&["x: {y: 1}", "x: {y: 2}"], &root.field("x").field("y"), "b:1:8: x.y");
        check(&["x: {y: 1}", "x: {z: 2}"], &root.field("x").field("y"), "a:1:8: x.y");
        check(&["x: {'a.b': 1}"], &root.field("x").key("a.b"), "a:1:12: x[\"a.b\"]");
    }

    #[test]
    fn a_typed_payload_hides_the_one_before() {
        let any = Path::ROOT.field("any");
        let base = "any: {'@type': t, y: 1}";
        check(&[base, "any: {'@type': t, z: 1}"], &any.field("y"), "b:1:6: any.y");
        let inner = "any: {'@type': xds.type.v3.TypedStruct, value: {y: 1}}";
        check(&[inner], &any.field("y"), "a:1:52: any.y");
    }
}
