//! Routes with patterns (regular expressions and templates), found without running one pattern after the other.
//!
//! A pattern is kept under the literal text that everything it matches starts with, in the same kind of trie as
//! prefixes. So a path meets only the patterns that may match it. Those that start alike, or with no literal at all,
//! share an automaton, which a path goes through once.

use std::collections::BTreeMap;

use crate::regex::{Pattern, Regex, RegexSet};
use crate::trie::{Exact, Trie};

/// So many patterns that start alike are rather tried one by one.
const MOST_SINGLE: usize = 3;
/// So many share an automaton, or so many if that becomes too large.
const CHUNKS: [usize; 2] = [256, 16];

#[derive(Clone, Debug)]
pub(crate) struct Patterns {
    /// To the first route of a group.
    trie: Trie,
    /// By the first route.
    groups: Box<[Group]>,
}

/// The patterns that start with the same literal text.
#[derive(Clone, Debug)]
struct Group {
    first: u32,
    chunks: Box<[Chunk]>,
}

/// Some patterns and their routes, ascending and after those of the chunk before.
#[derive(Clone, Debug)]
enum Chunk {
    Single { route: u32, regex: Regex },
    Many { routes: Box<[u32]>, set: RegexSet },
}

impl Patterns {
    /// An index of these patterns by their routes, which ascend. What is wrong with one is reported.
    pub(crate) fn new(patterns: &[(u32, Pattern)], mut report: impl FnMut(u32, String)) -> Self {
        let mut by_prefix = BTreeMap::<&[u8], Vec<&(u32, Pattern)>>::new();
        for pattern in patterns {
            by_prefix.entry(pattern.1.prefix()).or_default().push(pattern);
        }
        let mut keys = BTreeMap::new();
        let mut groups = Vec::with_capacity(by_prefix.len());
        for (prefix, patterns) in by_prefix {
            let Some((first, _)) = patterns.first() else { continue };
            let mut chunks = Vec::new();
            chunk(&patterns, &CHUNKS, &mut chunks, &mut report);
            groups.push(Group { first: *first, chunks: chunks.into_boxed_slice() });
            keys.insert(prefix.to_vec(), vec![*first]);
        }
        groups.sort_by_key(|group| group.first);
        Self { trie: Trie::new(&keys), groups: groups.into_boxed_slice() }
    }

    /// The first route below `bound` whose pattern matches the path and which is accepted, otherwise `bound`.
    pub(crate) fn first(&self, path: &[u8], bound: u32, accept: impl Fn(u32) -> bool) -> u32 {
        self.trie.least_by(&Exact(path), bound, |firsts, length, best| {
            let group = firsts.first().and_then(|first| {
                let at = self.groups.binary_search_by_key(first, |group| group.first).ok()?;
                self.groups.get(at)
            });
            group.map_or(best, |group| group.first(path, length, best, &accept))
        })
    }
}

/// Puts the patterns into chunks of the sizes that are tried.
fn chunk(
    patterns: &[&(u32, Pattern)],
    sizes: &[usize],
    chunks: &mut Vec<Chunk>,
    report: &mut impl FnMut(u32, String),
) {
    if let Some((size, smaller)) = sizes.split_first()
        && patterns.len() > MOST_SINGLE
    {
        for part in patterns.chunks(*size) {
            let regexes: Vec<_> = part.iter().map(|(_, pattern)| pattern).collect();
            match RegexSet::new(&regexes) {
                Some(set) => {
                    let routes = part.iter().map(|(route, _)| *route).collect();
                    chunks.push(Chunk::Many { routes, set });
                }
                None => chunk(part, smaller, chunks, report),
            }
        }
        return;
    }
    for (route, pattern) in patterns {
        match pattern.compile() {
            Ok(regex) => chunks.push(Chunk::Single { route: *route, regex }),
            Err(reason) => report(*route, reason),
        }
    }
}

impl Group {
    /// The path starts with what the patterns start with, which has the length `prefix`.
    fn first(&self, path: &[u8], prefix: usize, bound: u32, accept: impl Fn(u32) -> bool) -> u32 {
        // Chunks ascend, so that the first one with a match has the first match.
        for chunk in &self.chunks {
            let found = match chunk {
                _ if chunk.least() >= bound => break,
                Chunk::Single { route, regex } => (regex.is_match(path) && accept(*route)).then_some(*route),
                Chunk::Many { routes, set } => {
                    let matches = set.matches(path, prefix).filter_map(|at| routes.get(at).copied());
                    matches.fold(None, |best: Option<u32>, route| {
                        let better = route < best.unwrap_or(bound) && accept(route);
                        if better { Some(route) } else { best }
                    })
                }
            };
            if let Some(route) = found {
                return route;
            }
        }
        bound
    }
}

impl Chunk {
    fn least(&self) -> u32 {
        match self {
            Self::Single { route, .. } => *route,
            Self::Many { routes, .. } => routes.first().copied().unwrap_or(u32::MAX),
        }
    }
}
