//! A byte trie over prefixes, in flat arrays.
//!
//! Each node knows the route indices whose key ends there and the least index below it, so that a walk for the
//! first matching route stops as soon as nothing earlier can follow. Suffixes are prefixes of the reversed text.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use crate::span::{Span, offset};

/// The text that a walk reads, from the side and in the case that the trie's keys were written in.
pub(crate) trait Text {
    /// The byte at a distance from the start.
    fn byte(&self, at: usize) -> Option<u8>;
    /// Whether the text from there on starts with `label`.
    fn continues(&self, at: usize, label: &[u8]) -> bool;
}

/// The text as it is.
pub(crate) struct Exact<'a>(pub(crate) &'a [u8]);
/// The text in lower case, for keys in lower case.
pub(crate) struct Lower<'a>(pub(crate) &'a [u8]);
/// The text in lower case from its end, for keys in lower case that were reversed.
pub(crate) struct LowerReversed<'a>(pub(crate) &'a [u8]);

impl Text for Exact<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn continues(&self, at: usize, label: &[u8]) -> bool {
        self.0.get(at..).is_some_and(|rest| rest.starts_with(label))
    }
}

impl Text for Lower<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.0.get(at).map(u8::to_ascii_lowercase)
    }

    fn continues(&self, at: usize, label: &[u8]) -> bool {
        self.0.get(at..at + label.len()).is_some_and(|text| text.eq_ignore_ascii_case(label))
    }
}

impl Text for LowerReversed<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        let from_start = self.0.len().checked_sub(at + 1)?;
        self.0.get(from_start).map(u8::to_ascii_lowercase)
    }

    fn continues(&self, at: usize, label: &[u8]) -> bool {
        let text =
            self.0.len().checked_sub(at).and_then(|end| self.0.get(end.checked_sub(label.len())?..end));
        text.is_some_and(|text| text.iter().rev().map(u8::to_ascii_lowercase).eq(label.iter().copied()))
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Trie {
    /// Breadth first: the children of a node lie side by side, and after it.
    nodes: Vec<Node>,
    /// The byte that leads to the node of the same number.
    firsts: Vec<u8>,
    labels: Vec<u8>,
    routes: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// What follows the first byte on the way to this node.
    label: Span,
    /// In `nodes` and `firsts`, sorted by first byte.
    children: Span,
    /// In `routes`: the indices whose key ends here, ascending.
    routes: Span,
    /// The least index here and below.
    least: u32,
}

/// The result of a walk that found nothing.
pub(crate) const NONE: u32 = u32::MAX;

impl Trie {
    /// A trie of these keys, each with its indices in ascending order.
    pub(crate) fn new(keys: &BTreeMap<Vec<u8>, Vec<u32>>) -> Self {
        let mut trie = Self::default();
        if keys.is_empty() {
            return trie;
        }
        let keys: Vec<(&[u8], &[u32])> =
            keys.iter().map(|(key, routes)| (key.as_slice(), routes.as_slice())).collect();
        let mut waiting = VecDeque::new();
        trie.push_node(0, &[], &mut waiting, 0..keys.len(), 0);
        // A queue and not a recursion: keys that are prefixes of one another would exhaust the stack.
        while let Some(Unfinished { node, keys: range, depth }) = waiting.pop_front() {
            trie.expand(&keys, node, range, depth, &mut waiting);
        }
        // Children come after their parents, so that going backwards has them ready.
        for at in (0..trie.nodes.len()).rev() {
            let Some(node) = trie.nodes.get(at) else { continue };
            let own = node.routes.of(&trie.routes).first().copied().unwrap_or(NONE);
            let below = node.children.of(&trie.nodes).iter().map(|child| child.least).min().unwrap_or(NONE);
            if let Some(node) = trie.nodes.get_mut(at) {
                node.least = own.min(below);
            }
        }
        trie
    }

    /// The least index below `bound` whose key `text` starts with and which is accepted, otherwise `bound`.
    pub(crate) fn least(&self, text: &impl Text, bound: u32, accept: impl Fn(u32) -> bool) -> u32 {
        self.least_by(text, bound, |candidates, _, best| first_accepted(candidates, best, &accept))
    }

    /// The same, but only with keys that end where `path`, of which `text` is a view, ends or has a slash.
    pub(crate) fn least_separated(
        &self,
        text: &impl Text,
        path: &[u8],
        bound: u32,
        accept: impl Fn(u32) -> bool,
    ) -> u32 {
        self.least_by(text, bound, |candidates, length, best| match path.get(length) {
            None | Some(b'/') => first_accepted(candidates, best, &accept),
            Some(_) => best,
        })
    }

    /// Walks along `text` from key to key, as long as an index below the best one may follow. `visit` gets the
    /// indices of a key, its length and the best index so far, which is `bound` to begin with, and returns the best
    /// one from there.
    pub(crate) fn least_by(
        &self,
        text: &impl Text,
        bound: u32,
        visit: impl Fn(&[u32], usize, u32) -> u32,
    ) -> u32 {
        let mut best = bound;
        let mut step = self.nodes.first().map(|root| (root, 0));
        while let Some((node, depth)) = step {
            if node.least >= best {
                break;
            }
            best = visit(node.routes.of(&self.routes), depth, best);
            step = self.child(node, text, depth);
        }
        best
    }

    /// The first index of the longest key that is shorter than `length` and that `text` starts with.
    pub(crate) fn longest(&self, text: &impl Text, length: usize) -> Option<u32> {
        let mut longest = None;
        let mut step = self.nodes.first().map(|root| (root, 0));
        while let Some((node, depth)) = step
            && depth < length
        {
            longest = node.routes.of(&self.routes).first().copied().or(longest);
            step = self.child(node, text, depth);
        }
        longest
    }

    /// The child of `node` that `text` goes on to, and how much of the text has been read there.
    fn child(&self, node: &Node, text: &impl Text, depth: usize) -> Option<(&Node, usize)> {
        let firsts = node.children.of(&self.firsts);
        let byte = text.byte(depth)?;
        let at = firsts.iter().position(|first| *first == byte)?;
        let child = self.nodes.get(node.children.start as usize + at)?;
        let label = child.label.of(&self.labels);
        text.continues(depth + 1, label).then_some((child, depth + 1 + label.len()))
    }

    /// Gives `node`, whose keys all share their first `depth` bytes, its routes and its children.
    fn expand(
        &mut self,
        keys: &[(&[u8], &[u32])],
        node: usize,
        range: Range<usize>,
        depth: usize,
        waiting: &mut VecDeque<Unfinished>,
    ) {
        let mut from = range.start;
        if let Some((_, routes)) = keys.get(from).filter(|(key, _)| key.len() == depth) {
            let routes = Span::append(&mut self.routes, routes);
            if let Some(node) = self.nodes.get_mut(node) {
                node.routes = routes;
            }
            from += 1;
        }
        let first_child = self.nodes.len();
        while let Some((key, _)) = keys.get(from).filter(|_| from < range.end) {
            let Some(first) = key.get(depth).copied() else { break };
            let group = keys.get(from..range.end).unwrap_or_default();
            let group = group.partition_point(|(key, _)| key.get(depth).copied() == Some(first));
            let last = keys.get(from + group - 1).map_or(*key, |(key, _)| *key);
            let shared = key.iter().zip(last).take_while(|(a, b)| a == b).count();
            let label = key.get(depth + 1..shared).unwrap_or_default();
            self.push_node(first, label, waiting, from..from + group, shared);
            from += group;
        }
        let children = Span { start: offset(first_child), len: offset(self.nodes.len() - first_child) };
        if let Some(node) = self.nodes.get_mut(node) {
            node.children = children;
        }
    }

    fn push_node(
        &mut self,
        first: u8,
        label: &[u8],
        waiting: &mut VecDeque<Unfinished>,
        keys: Range<usize>,
        depth: usize,
    ) {
        waiting.push_back(Unfinished { node: self.nodes.len(), keys, depth });
        let none = Span { start: 0, len: 0 };
        let label = Span::append(&mut self.labels, label);
        self.firsts.push(first);
        self.nodes.push(Node { label, children: none, routes: none, least: NONE });
    }
}

/// The first of ascending indices that is below `bound` and accepted, otherwise `bound`.
pub(crate) fn first_accepted(indices: &[u32], bound: u32, accept: impl Fn(u32) -> bool) -> u32 {
    let mut better = indices.iter().copied().take_while(|index| *index < bound);
    better.find(|index| accept(*index)).unwrap_or(bound)
}

/// A node whose routes and children are still to be found among `keys`.
struct Unfinished {
    node: usize,
    keys: Range<usize>,
    depth: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trie(keys: &[(&str, &[u32])]) -> Trie {
        Trie::new(&keys.iter().map(|(key, routes)| (key.as_bytes().to_vec(), routes.to_vec())).collect())
    }

    #[test]
    fn least_index() {
        let trie = trie(&[
            ("", &[9]),
            ("/a", &[3, 7]),
            ("/abc", &[2]),
            ("/abd", &[5]),
            ("/x", &[8]),
            ("/xyz", &[1]),
        ]);
        let check = |text: &str, bound: u32, refused: &[u32], expected: u32| {
            let found = trie.least(&Exact(text.as_bytes()), bound, |route| !refused.contains(&route));
            assert_eq!(found, expected, "{text} {bound} {refused:?}");
        };
        check("/abc", NONE, &[], 2);
        check("/abcd", NONE, &[2], 3);
        check("/abcd", NONE, &[2, 3], 7);
        check("/abcd", NONE, &[2, 3, 7], 9);
        check("/abd", NONE, &[], 3);
        check("/abd", 3, &[], 3);
        check("/abc", 3, &[], 2);
        check("/xyz", NONE, &[], 1);
        check("/xy", NONE, &[], 8);
        check("/", NONE, &[], 9);
        check("", NONE, &[], 9);
        check("", NONE, &[9], NONE);
        check("/A", NONE, &[], 9);
    }

    #[test]
    fn longest_key() {
        let trie = trie(&[(".c", &[1]), (".com", &[2]), (".com.foo", &[3])]);
        let check = |text: &str, length: usize, expected: Option<u32>| {
            assert_eq!(trie.longest(&Exact(text.as_bytes()), length), expected, "{text} {length}");
        };
        check(".com.foo.a", 10, Some(3));
        check(".com.foo", 8, Some(2));
        check(".com", 5, Some(2));
        check(".co", 3, Some(1));
        check("com", 3, None);
    }

    #[test]
    fn sides_and_cases() {
        let trie = trie(&[("moc.oof", &[1])]);
        let check = |text: &str, expected: Option<u32>| {
            assert_eq!(trie.longest(&LowerReversed(text.as_bytes()), usize::MAX), expected, "{text}");
        };
        check("a.Foo.COM", Some(1));
        check("foo.com", Some(1));
        check("oo.com", None);
        check("fooo.com", None);
        assert_eq!(trie.least(&Lower(b"MOC.OOF.x"), NONE, |_| true), 1);
        assert_eq!(trie.least(&Lower(b"MOC.OO"), NONE, |_| true), NONE);
        assert_eq!(trie.least(&Exact(b"MOC.OOF.x"), NONE, |_| true), NONE);
        assert_eq!(Trie::default().longest(&Exact(b"a"), 1), None);
    }

    #[test]
    fn long_chain_of_prefixes() {
        let keys = (0..5_000_u32).map(|n| (vec![b'a'; n as usize], vec![5_000 - n])).collect();
        let trie = Trie::new(&keys);
        assert_eq!(trie.least(&Exact(&[b'a'; 6_000]), NONE, |_| true), 1);
        assert_eq!(trie.least(&Exact(&[b'a'; 10]), NONE, |_| true), 4_990);
    }
}
