//! The first route of a virtual host that matches, found without trying one after the other.

use std::collections::BTreeMap;

use crate::span::{Span, offset};
use crate::string_map::StringMap;
use crate::trie::{Exact, Lower, NONE, Trie};
use crate::{PathMatch, Route};

/// Up to so many routes are tried one after the other, which is faster than any lookup.
const MOST_SCANNED: usize = 16;

#[derive(Clone, Debug)]
pub(crate) enum RouteIndex {
    Scan,
    Tree(Box<Tree>),
}

/// All paths of the routes, by how they are compared.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    case_sensitive: Paths,
    ignore_case: Paths,
}

#[derive(Clone, Debug)]
struct Paths {
    /// To a place in `same_path`.
    exact: StringMap,
    same_path: Vec<Span>,
    routes: Vec<u32>,
    prefixes: Trie,
}

impl RouteIndex {
    pub(crate) fn new(routes: &[Route]) -> Self {
        if routes.len() <= MOST_SCANNED {
            return Self::Scan;
        }
        let tree = Tree { case_sensitive: Paths::new(routes, true), ignore_case: Paths::new(routes, false) };
        Self::Tree(Box::new(tree))
    }

    /// The first of `routes`, which the index was made of, that matches the path (without query) and is accepted.
    pub(crate) fn first<'r>(
        &self,
        routes: &'r [Route],
        path: &str,
        accept: impl Fn(&Route) -> bool,
    ) -> Option<(usize, &'r Route)> {
        match self {
            Self::Scan => {
                routes.iter().enumerate().find(|(_, route)| route.matcher.path_matches(path) && accept(route))
            }
            Self::Tree(tree) => {
                let at = tree.first(path, |at| routes.get(at as usize).is_some_and(&accept)) as usize;
                routes.get(at).map(|route| (at, route))
            }
        }
    }
}

impl Tree {
    fn first(&self, path: &str, accept: impl Fn(u32) -> bool) -> u32 {
        let path = path.as_bytes();
        let best = self.case_sensitive.first_exact(path, NONE, &accept);
        let best = self.ignore_case.first_exact(path, best, &accept);
        let best = self.case_sensitive.prefixes.least(&Exact(path), best, &accept);
        self.ignore_case.prefixes.least(&Lower(path), best, &accept)
    }
}

impl Paths {
    fn new(routes: &[Route], case_sensitive: bool) -> Self {
        let (mut exact, mut prefixes) = (BTreeMap::<_, Vec<u32>>::new(), BTreeMap::<_, Vec<u32>>::new());
        for (at, route) in routes.iter().enumerate() {
            if route.matcher.case_sensitive != case_sensitive {
                continue;
            }
            let (keys, text) = match &route.matcher.path {
                PathMatch::Path(path) => (&mut exact, path),
                PathMatch::Prefix(prefix) => (&mut prefixes, prefix),
            };
            let key = if case_sensitive { text.clone() } else { text.to_ascii_lowercase() };
            keys.entry(key.into_bytes()).or_default().push(offset(at));
        }
        let mut paths = Self {
            exact: StringMap::with_capacity(exact.len(), !case_sensitive),
            same_path: Vec::with_capacity(exact.len()),
            routes: Vec::new(),
            prefixes: Trie::new(&prefixes),
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
        routes
            .iter()
            .copied()
            .take_while(|route| *route < bound)
            .find(|route| accept(*route))
            .unwrap_or(bound)
    }
}
