//! Tables and requests made of few letters, so that they often match.

use std::collections::HashSet;

use http::Method;
use nuncio_router::{
    CookieMatcher, Denominator, Forward, FractionalPercent, HeaderMatchSpecifier, HeaderMatcher,
    MetadataMatcher, PathMatch, QueryParameterMatchSpecifier, QueryParameterMatcher, Route, RouteMatch,
    StringMatcher, StringPattern, TlsContextMatch, ValueMatcher, VirtualHost,
};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

use super::naive::{REGEXES, TEMPLATES};
use super::request::Request;

fn domain() -> impl Strategy<Value = String> {
    ("[*]?", "[aAb.]{0,4}(:[12])?", "[*]?").prop_map(|(start, middle, end)| format!("{start}{middle}{end}"))
}

fn path() -> impl Strategy<Value = String> {
    "(/[aAb]{0,2}){0,4}"
}

fn path_match() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        3 => path().prop_map(PathMatch::Prefix),
        3 => path().prop_map(PathMatch::Path),
        2 => "(/[aAb]{1,2}){1,3}".prop_map(PathMatch::PathSeparatedPrefix),
        3 => select(REGEXES).prop_map(|regex| PathMatch::SafeRegex(regex.to_owned())),
        2 => select(TEMPLATES).prop_map(|(template, _)| PathMatch::UriTemplate(template.to_owned())),
        1 => Just(PathMatch::Connect),
    ]
}

fn string() -> impl Strategy<Value = StringMatcher> {
    let pattern = prop_oneof![
        "[aAb,]{0,2}".prop_map(StringPattern::Exact),
        "[aAb]{1,2}".prop_map(StringPattern::Prefix),
        "[aAb]{1,2}".prop_map(StringPattern::Suffix),
        "[aAb,]".prop_map(StringPattern::Contains),
        select(&["a.*", ".*b", "[ab]*", "(?i)a+", ".*,.*"][..])
            .prop_map(|regex| StringPattern::SafeRegex(regex.to_owned())),
    ];
    (pattern, any::<bool>()).prop_map(|(pattern, ignore_case)| {
        let is_regex = matches!(pattern, StringPattern::SafeRegex(_));
        StringMatcher::new(pattern).ignore_case(ignore_case && !is_regex)
    })
}

fn header() -> impl Strategy<Value = HeaderMatcher> {
    let name = select(&["x-a", "X-B", "accept", ":method", ":path"][..]);
    let specifier = prop_oneof![
        3 => string().prop_map(HeaderMatchSpecifier::String),
        1 => any::<bool>().prop_map(HeaderMatchSpecifier::Present),
        1 => (0..3_i64, 0..3_i64).prop_map(|(start, end)| HeaderMatchSpecifier::Range { start, end }),
        1 => Just(HeaderMatchSpecifier::AnyValue),
    ];
    (name, specifier, any::<bool>(), any::<bool>()).prop_map(|(name, specifier, invert, as_empty)| {
        HeaderMatcher::new(name, specifier).invert_match(invert).treat_missing_header_as_empty(as_empty)
    })
}

fn query_parameter() -> impl Strategy<Value = QueryParameterMatcher> {
    let specifier = prop_oneof![
        string().prop_map(QueryParameterMatchSpecifier::String),
        any::<bool>().prop_map(QueryParameterMatchSpecifier::Present),
    ];
    ("[aAb]", specifier).prop_map(|(name, specifier)| QueryParameterMatcher::new(name, specifier))
}

fn cookie() -> impl Strategy<Value = CookieMatcher> {
    ("[aAb]", string(), any::<bool>())
        .prop_map(|(name, string, invert)| CookieMatcher::new(name, string).invert_match(invert))
}

/// A match with the conditions that Envoy can be asked about, too.
fn route_match() -> impl Strategy<Value = RouteMatch> {
    let rare = |chance| prop::bool::weighted(chance);
    let tls = weighted(0.1, (weighted(0.5, any::<bool>()), weighted(0.5, any::<bool>())));
    let conditions = (
        vec(header(), 0..=2),
        vec(query_parameter(), 0..=1),
        vec(cookie(), 0..=1),
        rare(0.1),
        tls,
        rare(0.5),
    );
    (path_match(), rare(0.7), conditions).prop_map(|(path, case_sensitive, conditions)| {
        let (headers, query_parameters, cookies, grpc, tls, plain) = conditions;
        let mut matcher = RouteMatch::new(path).case_sensitive(case_sensitive);
        if !plain {
            (matcher.headers, matcher.query_parameters) = (headers, query_parameters);
            (matcher.cookies, matcher.grpc) = (cookies, grpc);
            matcher.tls_context = tls.map(|(presented, validated)| {
                let mut tls = TlsContextMatch::new();
                (tls.presented, tls.validated) = (presented, validated);
                tls
            });
        }
        matcher
    })
}

/// A match with any conditions.
fn any_match() -> impl Strategy<Value = RouteMatch> {
    let share =
        weighted(0.25, (0..3_u32).prop_map(|share| FractionalPercent::new(share, Denominator::Hundred)));
    let metadata = (string(), any::<bool>()).prop_map(|(string, invert)| {
        MetadataMatcher::new("f", ["k"], ValueMatcher::String(string)).invert(invert)
    });
    (route_match(), share, weighted(0.1, metadata)).prop_map(|(mut matcher, share, metadata)| {
        matcher.runtime_fraction = share;
        matcher.dynamic_metadata = metadata.into_iter().collect();
        matcher
    })
}

fn route(matcher: RouteMatch) -> Route {
    Route::new(matcher, Forward::to_cluster("c"))
}

/// Few routes, for the scan, as well as many, for the tree.
fn routes(matcher: BoxedStrategy<RouteMatch>) -> impl Strategy<Value = Vec<Route>> {
    let route = matcher.prop_map(route).boxed();
    prop_oneof![vec(route.clone(), 0..=16), vec(route, 17..60)]
}

/// Virtual hosts that have no domain in common, each with at least one.
fn hosts(matcher: BoxedStrategy<RouteMatch>) -> impl Strategy<Value = Vec<VirtualHost>> {
    vec((vec(domain(), 1..6), routes(matcher)), 0..4).prop_map(|hosts| {
        let mut seen = HashSet::new();
        let hosts = hosts.into_iter().enumerate().map(|(at, (mut domains, routes))| {
            domains.retain(|domain| !domain.is_empty() && seen.insert(domain.to_ascii_lowercase()));
            domains.extend([format!("host-{at}"), format!("host-{at}:80")]);
            VirtualHost::new(format!("{at}")).with_domains(domains).with_routes(routes)
        });
        hosts.collect()
    })
}

/// Tables with every kind of condition.
pub(crate) fn virtual_hosts() -> impl Strategy<Value = Vec<VirtualHost>> {
    hosts(any_match().boxed())
}

/// Tables that Envoy can be asked about.
pub(crate) fn virtual_hosts_for_envoy() -> impl Strategy<Value = Vec<VirtualHost>> {
    hosts(route_match().boxed())
}

fn headers() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let values = prop_oneof!["[aAb,]{0,3}", "[0-2]"];
    let header = (select(&["x-a", "x-b", "accept"][..]), values);
    let cookie = (Just("cookie"), "[aAb]=[aAb]{0,2}(; [aAb]=[aAb]{0,2})?");
    let grpc = (Just("content-type"), "application/grpc([+]a|a)?");
    (vec(header, 0..=3), vec(cookie, 0..=2), vec(grpc, 0..=1))
        .prop_map(|(headers, cookies, grpc)| headers.into_iter().chain(cookies).chain(grpc).collect())
}

fn requests(
    authority: impl Strategy<Value = String>,
    path: impl Strategy<Value = String>,
) -> impl Strategy<Value = Request> {
    let authority = prop_oneof![4 => authority, 6 => "host-[0-3]"];
    let is_connect = prop::bool::weighted(0.1);
    (authority, path, headers(), is_connect).prop_map(|(authority, path, headers, is_connect)| {
        let mut request = Request::get(&path);
        request.authority = authority;
        if is_connect {
            // Envoy wants a port there.
            if !request.authority.contains(':') {
                request.authority.push_str(":80");
            }
            request = Request { path: String::new(), method: Method::CONNECT, ..request };
        }
        headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    })
}

/// Requests with paths and authorities of any form.
pub(crate) fn request() -> impl Strategy<Value = Request> {
    let path = (path(), "([?#][/aAb=&?#]{0,5})?").prop_map(|(path, query)| path + &query);
    requests("(\\[:a\\])?[aAb.*]{0,5}(:[12]?)?", path)
}

/// Requests that Envoy's connection manager lets through to the routes.
pub(crate) fn request_for_envoy() -> impl Strategy<Value = Request> {
    let path = ("(/[aAb]{0,2}){1,4}", "([?][/aAb=&?]{0,5})?").prop_map(|(path, query)| path + &query);
    requests("[aAb][aAb.]{0,4}(:[12])?", path)
}
