//! Route tables of any size and kind with requests for them, for the criterion benches and for the instruction counts.
//!
//! The kinds are those that the router tells apart: how it finds them, and what it must look at besides.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use nuncio_router::{
    Denominator, Forward, FractionalPercent, HeaderMatcher, RequestHead, Route, RouteMatch, RouteTable,
    RouteTableBuilder, StringMatcher, VirtualHost,
};

/// So many routes a table has. Up to 16 are compared one by one.
pub const ROUTES: [usize; 7] = [1, 4, 16, 100, 1_000, 10_000, 100_000];

/// So many virtual hosts a table has.
pub const VIRTUAL_HOSTS: [usize; 3] = [1, 100, 10_000];

/// So many different requests are made of each kind.
const REQUESTS: usize = 4096;

/// What the routes of a table are like. The last route of each takes what the others leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// Whole paths.
    Exact,
    /// Prefixes.
    Prefix,
    /// Prefixes and whole paths in turn.
    Mixed,
    /// The same, without regard to case.
    IgnoreCase,
    /// The same, each for half of the requests.
    Fraction,
    /// The same, for requests that only the last route takes.
    Last,
    /// The same, each with a condition on a header.
    Header,
    /// Regular expressions that start with literals of their own.
    Regex,
    /// Regular expressions that start alike.
    RegexAlike,
}

impl RouteKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Exact,
        Self::Prefix,
        Self::Mixed,
        Self::IgnoreCase,
        Self::Fraction,
        Self::Last,
        Self::Header,
        Self::Regex,
        Self::RegexAlike,
    ];

    /// A word for the names of benches.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Mixed => "mixed",
            Self::IgnoreCase => "ignore-case",
            Self::Fraction => "fraction",
            Self::Last => "last",
            Self::Header => "header",
            Self::Regex => "regex",
            Self::RegexAlike => "regex-alike",
        }
    }

    /// A table of so many routes, yet to be built.
    #[must_use]
    pub fn builder(self, routes: usize) -> RouteTableBuilder {
        let route = |at: usize| {
            let matcher = match self.is_prefix(at) {
                _ if self == Self::Regex => RouteMatch::safe_regex(format!("/api/v1/service-{at}/.*")),
                _ if self == Self::RegexAlike => {
                    RouteMatch::safe_regex(format!("/[a-z]+/v1/service-{at}/.*"))
                }
                true => RouteMatch::prefix(format!("/api/v1/service-{at}/")),
                false => RouteMatch::path(format!("/api/v1/service-{at}/items")),
            };
            let matcher = match self {
                Self::Header => {
                    matcher.header(HeaderMatcher::string("x-version", StringMatcher::exact("v2")))
                }
                Self::IgnoreCase => matcher.case_sensitive(false),
                Self::Fraction => matcher.runtime_fraction(FractionalPercent::new(50, Denominator::Hundred)),
                _ => matcher,
            };
            Route::new(matcher, Forward::to_cluster("service"))
        };
        let rest = Route::new(RouteMatch::prefix("/"), Forward::to_cluster("rest"));
        let host = VirtualHost::new("all").domain("*").with_routes((1..routes).map(route)).route(rest);
        RouteTable::builder().virtual_host(host)
    }

    fn is_prefix(self, at: usize) -> bool {
        match self {
            Self::Exact => false,
            Self::Prefix => true,
            _ => at.is_multiple_of(2),
        }
    }

    /// The numbers of routes to measure. Tables of 100,000 regular expressions take too long to build.
    #[must_use]
    pub fn sizes(self) -> &'static [usize] {
        let most = if matches!(self, Self::Regex | Self::RegexAlike) { 10_000 } else { 100_000 };
        let end = ROUTES.partition_point(|routes| *routes <= most);
        ROUTES.get(..end).unwrap_or(&ROUTES)
    }

    /// A table of so many routes, with requests for all of them.
    #[must_use]
    pub fn lookups(self, routes: usize) -> Lookups {
        let path = |step: usize| match (self, scattered(step, routes)) {
            (Self::Last, _) => "/about/us".to_owned(),
            (_, at) if self.is_prefix(at) => format!("/api/v1/service-{at}/items/77?page=1"),
            (_, at) => format!("/api/v1/service-{at}/items"),
        };
        Lookups::new(self.builder(routes), |step| ("www.example.com".to_owned(), path(step)))
    }
}

/// What the domains are like that requests find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainKind {
    /// `host-7.example.com`.
    Exact,
    /// `*.sub-7.example.com`.
    Suffix,
    /// `host-7.*`.
    Prefix,
    /// `*`.
    Any,
}

impl DomainKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Suffix, Self::Prefix, Self::Any];

    /// A word for the names of benches.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Suffix => "suffix",
            Self::Prefix => "prefix",
            Self::Any => "any",
        }
    }

    /// A table of so many virtual hosts, each with a domain of every kind, of which `*` is the last one's, with
    /// requests for domains of this kind.
    #[must_use]
    pub fn lookups(self, hosts: usize) -> Lookups {
        let host = |at: usize| {
            VirtualHost::new(format!("host-{at}"))
                .domain(format!("host-{at}.example.com"))
                .domain(format!("*.sub-{at}.example.com"))
                .domain(format!("host-{at}.*"))
                .with_domains((at + 1 == hosts).then_some("*"))
                .route(Route::new(RouteMatch::prefix("/"), Forward::to_cluster("service")))
        };
        let authority = |step: usize| match (self, scattered(step, hosts)) {
            (Self::Exact, at) => format!("host-{at}.example.com"),
            (Self::Suffix, at) => format!("www.sub-{at}.example.com"),
            (Self::Prefix, at) => format!("host-{at}.example.org"),
            (Self::Any, at) => format!("elsewhere-{at}.example.net"),
        };
        let builder = RouteTable::builder().with_virtual_hosts((0..hosts).map(host));
        Lookups::new(builder, |step| (authority(step), "/about/us".to_owned()))
    }
}

/// Goes through `count` things in an order that no processor foresees.
fn scattered(step: usize, count: usize) -> usize {
    (step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % count.max(1)
}

/// A table and requests for it.
#[derive(Debug)]
pub struct Lookups {
    table: RouteTable,
    headers: HeaderMap,
    /// Authority and path.
    requests: Vec<(String, String)>,
    next: usize,
}

impl Lookups {
    fn new(builder: RouteTableBuilder, request: impl Fn(usize) -> (String, String)) -> Self {
        Self {
            table: builder.build().expect("a table of plain paths and domains is sound"),
            headers: HeaderMap::from_iter([(
                HeaderName::from_static("x-version"),
                HeaderValue::from_static("v2"),
            )]),
            requests: (0..REQUESTS).map(request).collect(),
            next: 0,
        }
    }

    /// Looks up the route of the next request; says whether there is one.
    #[inline]
    pub fn step(&mut self) -> bool {
        self.next = (self.next + 1) % REQUESTS;
        let Some((authority, path)) = self.requests.get(self.next) else { return false };
        let head = RequestHead::new(&Method::GET, authority, path, &self.headers);
        // Half of the numbers are below 50 in a hundred.
        self.table.route(std::hint::black_box(&head), self.next as u64 * 51).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The virtual hosts and the routes that the requests found.
    fn found(mut lookups: Lookups) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut hosts, mut routes) = (BTreeSet::new(), BTreeSet::new());
        for at in 0..REQUESTS {
            let (authority, path) = &lookups.requests[at];
            let head = RequestHead::new(&Method::GET, authority, path, &lookups.headers);
            let found = lookups.table.route(&head, at as u64 * 51).expect("every request has a route");
            hosts.insert(found.virtual_host.name().to_owned());
            routes.insert(format!("{:?}", found.route.matcher));
        }
        assert!((0..REQUESTS).all(|_| lookups.step()));
        (hosts, routes)
    }

    #[test]
    fn requests_are_for_all_routes() {
        for kind in RouteKind::ALL {
            for routes in [1, 16, 100] {
                let expected = if kind == RouteKind::Last { 1 } else { routes };
                assert_eq!(found(kind.lookups(routes)).1.len(), expected, "{kind:?} {routes}");
            }
        }
    }

    #[test]
    fn requests_are_for_all_virtual_hosts() {
        for kind in DomainKind::ALL {
            for hosts in [1, 100] {
                let expected = if kind == DomainKind::Any { 1 } else { hosts };
                assert_eq!(found(kind.lookups(hosts)).0.len(), expected, "{kind:?} {hosts}");
            }
        }
    }
}
