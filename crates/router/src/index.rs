//! The first route of a virtual host that matches, found without trying one after the other.

use std::collections::BTreeMap;

use crate::condition::Conditions;
use crate::path_match::CompiledPath;
use crate::patterns::Patterns;
use crate::regex::Pattern;
use crate::span::{Span, offset};
use crate::string_map::StringMap;
use crate::trie::{Exact, Lower, NONE, Trie, first_accepted};
use crate::{BuildErrorKind, PathMatch, RequestHead, Route};

/// Up to so many routes are tried one after the other, which is faster than any lookup.
const MOST_SCANNED: usize = 16;

#[derive(Clone, Debug)]
pub(crate) struct RouteIndex {
    search: Search,
    /// The conditions of the routes besides those on the path.
    conditions: Box<[Option<Box<Conditions>>]>,
}

#[derive(Clone, Debug)]
enum Search {
    /// The conditions on the paths, in order.
    Scan(Box<[CompiledPath]>),
    Tree(Box<Tree>),
}

/// All paths of the routes, by how they are compared.
#[derive(Clone, Debug)]
struct Tree {
    case_sensitive: Paths,
    ignore_case: Paths,
    patterns: Patterns,
    connect: Box<[u32]>,
}

#[derive(Clone, Debug)]
struct Paths {
    /// To a place in `same_path`.
    exact: StringMap,
    same_path: Vec<Span>,
    routes: Vec<u32>,
    prefixes: Trie,
    /// Prefixes that a slash or the end must follow.
    separated: Trie,
}

impl RouteIndex {
    /// An index of these routes. What is wrong with one is reported with its place; the index is then of no use.
    pub(crate) fn new(routes: &[Route], mut report: impl FnMut(usize, BuildErrorKind)) -> Self {
        let conditions = routes.iter().enumerate();
        let conditions =
            conditions.map(|(at, route)| Conditions::new(&route.matcher, |kind| report(at, kind))).collect();
        let search = if routes.len() <= MOST_SCANNED {
            let paths = routes.iter().enumerate();
            let paths = paths.map(|(at, route)| CompiledPath::new(&route.matcher, |kind| report(at, kind)));
            Search::Scan(paths.collect())
        } else {
            Search::Tree(Box::new(Tree::new(routes, &mut report)))
        };
        Self { search, conditions }
    }

    /// The first route that is for the request.
    pub(crate) fn first(&self, head: &RequestHead<'_>, random: u64) -> Option<usize> {
        let accept = |at: usize| match self.conditions.get(at) {
            Some(Some(conditions)) => conditions.hold(head, random),
            _ => true,
        };
        match &self.search {
            Search::Scan(paths) => {
                let path = head.bare_path();
                paths.iter().enumerate().position(|(at, matcher)| matcher.matches(head, path) && accept(at))
            }
            Search::Tree(tree) => match tree.first(head, |at| accept(at as usize)) {
                NONE => None,
                at => Some(at as usize),
            },
        }
    }
}

impl Tree {
    fn new(routes: &[Route], report: &mut impl FnMut(usize, BuildErrorKind)) -> Self {
        let (mut patterns, mut connect) = (Vec::new(), Vec::new());
        for (at, route) in routes.iter().enumerate() {
            match &route.matcher.path {
                PathMatch::Connect => connect.push(offset(at)),
                path => match Pattern::of_path(path) {
                    Ok(pattern) => patterns.extend(pattern.map(|pattern| (offset(at), pattern))),
                    Err(kind) => report(at, kind),
                },
            }
        }
        let patterns = Patterns::new(&patterns, |at, reason| {
            if let Some(route) = routes.get(at as usize) {
                report(at as usize, BuildErrorKind::bad_path(&route.matcher.path, reason));
            }
        });
        Self {
            case_sensitive: Paths::new(routes, true),
            ignore_case: Paths::new(routes, false),
            patterns,
            connect: connect.into_boxed_slice(),
        }
    }

    fn first(&self, head: &RequestHead<'_>, accept: impl Fn(u32) -> bool) -> u32 {
        let connect = if self.connect.is_empty() || !head.is_connect() { &[][..] } else { &self.connect };
        let best = first_accepted(connect, NONE, &accept);
        let path = head.bare_path().as_bytes();
        if head.path.is_empty() {
            return best;
        }
        let best = self.case_sensitive.first_exact(path, best, &accept);
        let best = self.ignore_case.first_exact(path, best, &accept);
        let best = self.case_sensitive.prefixes.least(&Exact(path), best, &accept);
        let best = self.ignore_case.prefixes.least(&Lower(path), best, &accept);
        let best = self.case_sensitive.separated.least_separated(&Exact(path), path, best, &accept);
        let best = self.ignore_case.separated.least_separated(&Lower(path), path, best, &accept);
        self.patterns.first(path, best, &accept)
    }
}

impl Paths {
    fn new(routes: &[Route], case_sensitive: bool) -> Self {
        let mut exact = BTreeMap::<_, Vec<u32>>::new();
        let (mut prefixes, mut separated) = (exact.clone(), exact.clone());
        for (at, route) in routes.iter().enumerate() {
            if route.matcher.case_sensitive != case_sensitive {
                continue;
            }
            let (keys, text) = match &route.matcher.path {
                PathMatch::Path(path) => (&mut exact, path),
                PathMatch::Prefix(prefix) => (&mut prefixes, prefix),
                PathMatch::PathSeparatedPrefix(prefix) => (&mut separated, prefix),
                PathMatch::SafeRegex(_) | PathMatch::UriTemplate(_) | PathMatch::Connect => continue,
            };
            let key = if case_sensitive { text.clone() } else { text.to_ascii_lowercase() };
            keys.entry(key.into_bytes()).or_default().push(offset(at));
        }
        let mut paths = Self {
            exact: StringMap::with_capacity(exact.len(), !case_sensitive),
            same_path: Vec::with_capacity(exact.len()),
            routes: Vec::new(),
            prefixes: Trie::new(&prefixes),
            separated: Trie::new(&separated),
        };
        for (path, routes) in &exact {
            let place = offset(paths.same_path.len());
            if paths.exact.insert(path, place).is_ok() {
                paths.same_path.push(Span::append(&mut paths.routes, routes));
            }
        }
        paths
    }

    /// The first route below `bound` with this very path that is accepted, otherwise `bound`.
    fn first_exact(&self, path: &[u8], bound: u32, accept: impl Fn(u32) -> bool) -> u32 {
        if self.exact.is_empty() {
            return bound;
        }
        let same_path = self.exact.get(path).and_then(|at| self.same_path.get(at as usize));
        let routes = same_path.map_or(&[][..], |span| span.of(&self.routes));
        first_accepted(routes, bound, accept)
    }
}
