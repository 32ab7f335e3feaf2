//! Finds where the value at a path was written, after the texts have become messages.
//!
//! A path is resolved by walking the trees once more with the leniencies of the reader. That costs nothing until an
//! error asks for it.

use std::sync::Arc;

use crate::{
    model::Place,
    path::{Path, Step},
    tree::{Entry, Mark, Node, Scalar},
};

mod indices;

use indices::Indices;

/// The trees of all sources, in the order in which they were merged.
pub(crate) struct Places<'t> {
    sources: Vec<(Arc<str>, Node<'t>)>,
    indices: Indices,
}

#[derive(Clone, Copy)]
struct Candidate<'n, 't> {
    source: usize,
    mark: Mark,
    node: &'n Node<'t>,
}

impl<'t> Places<'t> {
    pub(crate) fn new(sources: Vec<(Arc<str>, Node<'t>)>) -> Self {
        Self { sources, indices: Indices::default() }
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
                Step::Key(key) => {
                    self.each_entry(&candidates, &[key]).into_iter().next_back().into_iter().collect()
                }
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
        let inner: Vec<_> = candidates.iter().map(|candidate| self.inside_typed_struct(*candidate)).collect();
        let mut found = self.each_entry(&inner, &[name, &camel_case(name)]);
        // A payload with a type takes the place of the one before, it does not merge with it.
        let is_typed = |candidate: &Candidate<'_, 't>| self.entry(candidate.node, &["@type"]).is_some();
        if let Some(typed) = found.iter().rposition(is_typed) {
            found.drain(..typed);
        }
        found
    }

    fn index<'n>(&self, candidates: &[Candidate<'n, 't>], mut index: usize) -> Vec<Candidate<'n, 't>> {
        for candidate in candidates {
            match self.indices.element(candidate.node, index) {
                Ok(node) => return vec![Candidate { source: candidate.source, mark: node.mark, node }],
                Err(count) => index -= count,
            }
        }
        Vec::new()
    }

    /// What each of the maps has under one of the names.
    fn each_entry<'n>(&self, candidates: &[Candidate<'n, 't>], names: &[&str]) -> Vec<Candidate<'n, 't>> {
        let in_map = |candidate: &Candidate<'n, 't>| {
            let entry = self.entry(candidate.node, names)?;
            Some(Candidate { source: candidate.source, mark: entry.value.mark, node: &entry.value })
        };
        candidates.iter().filter_map(in_map).collect()
    }

    fn entry<'n>(&self, node: &'n Node<'t>, names: &[&str]) -> Option<&'n Entry<'t>> {
        self.indices.entry(node.entries()?, names)
    }

    /// The fields of a `TypedStruct` stand one level deeper than those of the message that it stands for.
    fn inside_typed_struct<'n>(&self, candidate: Candidate<'n, 't>) -> Candidate<'n, 't> {
        let type_url = self.entry(candidate.node, &["@type"]).and_then(|entry| entry.value.scalar());
        let is_typed_struct = |scalar: &Scalar<'_>| scalar.text.ends_with(".TypedStruct");
        if !type_url.is_some_and(is_typed_struct) {
            return candidate;
        }
        match self.entry(candidate.node, &["value"]) {
            Some(entry) => Candidate { mark: entry.value.mark, node: &entry.value, ..candidate },
            None => candidate,
        }
    }
}

fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
        } else {
            camel.push(if upper { letter.to_ascii_uppercase() } else { letter });
            upper = false;
        }
    }
    camel
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
        assert_eq!(Places::new(sources).locate(path).to_string(), expected);
    }

    #[test]
    fn values_are_found_where_they_were_written() {
        let root = Path::ROOT;
        let clusters = root.field("some_clusters");
        let (first, second) = (clusters.index(0), clusters.index(1));
        let text = "someClusters:\n- name: x\n- - name: y\n- null\n";
        check(&[text], &first.field("name"), "a:2:9: some_clusters[0].name");
        check(&[text], &second.field("name"), "a:3:11: some_clusters[1].name");
        check(&[text], &second.field("missing"), "a:3:5: some_clusters[1].missing");
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
