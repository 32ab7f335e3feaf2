//! What the table must answer, written as simply as possible: every domain and every route is looked at in turn.
//! The property tests and the fuzz target compare the table with this.

use std::cell::RefCell;
use std::collections::HashMap;

use http::Method;
use nuncio_router::{
    Denominator, HeaderMatchSpecifier, NoRoute, PathMatch, QueryParameterMatchSpecifier, RequestHead,
    RouteMatch, StringMatcher, StringPattern, Value, ValueMatcher, VirtualHost,
};
use regex_automata::meta::Regex;

/// Expressions that mean the same to RE2 and to the regex crates, for paths of few letters.
pub(crate) const REGEXES: &[&str] = &[
    ".*",
    "/a",
    "/a.*",
    ".*b",
    "/(a|b)+/?.*",
    "/[ab]*/a",
    "/a/b?",
    "(?i)/a.*",
    "/[^/]+",
    "/[^/]*/[^/]*",
    "/a[^/]*/.*",
    "/b+",
    ".*a.*b.*",
    "(/a*)*b",
    "/|/a|/a/",
    "/[aA]{1,2}/?",
    "/a/.*",
    "/b/.*",
    "/a/[^/]*",
];

/// URI templates with the expressions that they stand for. `[]` matches nothing.
pub(crate) const TEMPLATES: &[(&str, &str)] = &[
    ("/", "/"),
    ("/*", "/[^/]+"),
    ("/**", "/.*"),
    ("/a/*", "/a/[^/]+"),
    ("/a/**", "/a/.*"),
    ("/*/b", "/[^/]+/b"),
    ("/**/b", "/.*/b"),
    ("/{x}/{y}", "/[^/]+/[^/]+"),
    ("/{x=a/*}/b", "/a/[^/]+/b"),
    ("/a{x}", "/a[^/]+"),
    ("/*b", "/[^/]+b"),
    ("/{x}a/b", "/[^/]+a/b"),
    ("/a/", "/a/"),
    ("/a*b", "/a*b"),
    ("/a**", "[^\\s\\S]"),
];

/// The places of the virtual host and of its route that the request takes.
pub(crate) fn route(
    virtual_hosts: &[VirtualHost],
    ignore_port: bool,
    head: &RequestHead<'_>,
    random: u64,
) -> Result<(usize, usize), NoRoute> {
    let authority = head.authority.to_ascii_lowercase();
    let authority = if ignore_port { without_port(&authority) } else { &authority };
    let host = (0..virtual_hosts.len())
        .filter_map(|at| {
            let ranks = virtual_hosts[at].domains().iter().filter_map(|domain| rank(domain, authority));
            Some((ranks.max()?, at))
        })
        .max_by_key(|(rank, _)| *rank)
        .map(|(_, at)| at)
        .ok_or(NoRoute::VirtualHost)?;
    let path = head.path.split(['?', '#']).next().unwrap();
    let routes = virtual_hosts[host].routes();
    let route = routes.iter().position(|route| matches(&route.matcher, head, path, random));
    Ok((host, route.ok_or(NoRoute::Route)?))
}

/// How well a domain matches: by kind, then by length. No two different domains rank the same for one authority.
fn rank(domain: &str, authority: &str) -> Option<(u8, usize)> {
    let domain = domain.to_ascii_lowercase();
    let kind = if domain == "*" {
        0
    } else if let Some(suffix) = domain.strip_prefix('*') {
        (authority.len() > suffix.len() && authority.ends_with(suffix)).then_some(2)?
    } else if let Some(prefix) = domain.strip_suffix('*') {
        (authority.len() > prefix.len() && authority.starts_with(prefix)).then_some(1)?
    } else {
        (authority == domain).then_some(3)?
    };
    Some((kind, domain.len()))
}

fn without_port(authority: &str) -> &str {
    match (authority.rfind(':'), authority.rfind(']')) {
        (Some(colon), Some(bracket)) if bracket > colon => authority,
        (Some(colon), _) => &authority[..colon],
        (None, _) => authority,
    }
}

fn matches(matcher: &RouteMatch, head: &RequestHead<'_>, path: &str, random: u64) -> bool {
    let in_share = matcher.runtime_fraction.is_none_or(|share| {
        let parts = match share.denominator {
            Denominator::Hundred => 100,
            Denominator::TenThousand => 10_000,
            Denominator::Million => 1_000_000,
        };
        random % parts < u64::from(share.numerator)
    });
    let tls = matcher.tls_context.is_none_or(|tls| {
        tls.presented.is_none_or(|presented| presented == head.peer_certificate.presented)
            && tls.validated.is_none_or(|validated| validated == head.peer_certificate.validated)
    });
    path_matches(matcher, head, path)
        && in_share
        && tls
        && (!matcher.grpc || is_grpc(head))
        && headers_match(matcher, head)
        && query_matches(matcher, head)
        && cookies_match(matcher, head)
        && metadata_matches(matcher, head)
}

fn path_matches(matcher: &RouteMatch, head: &RequestHead<'_>, path: &str) -> bool {
    let lower = |text: &str| if matcher.case_sensitive { text.to_owned() } else { text.to_ascii_lowercase() };
    let path_is_there = !head.path.is_empty();
    match &matcher.path {
        PathMatch::Connect => head.method == Method::CONNECT,
        PathMatch::Prefix(prefix) => path_is_there && lower(path).starts_with(&lower(prefix)),
        PathMatch::Path(exact) => path_is_there && lower(path) == lower(exact),
        PathMatch::PathSeparatedPrefix(prefix) => {
            format!("{}/", lower(path)).starts_with(&format!("{}/", lower(prefix)))
        }
        PathMatch::SafeRegex(regex) => path_is_there && whole_matches(regex, path),
        PathMatch::UriTemplate(template) => {
            let (_, regex) = TEMPLATES.iter().find(|(known, _)| known == template).unwrap();
            path_is_there && whole_matches(regex, path)
        }
        other => panic!("the naive scan does not know {other:?}"),
    }
}

fn whole_matches(regex: &str, text: &str) -> bool {
    thread_local! {
        static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::default();
    }
    COMPILED.with_borrow_mut(|compiled| {
        let new = || Regex::new(&format!("^(?s:{regex})$")).unwrap();
        compiled.entry(regex.to_owned()).or_insert_with(new).is_match(text)
    })
}

fn string_matches(matcher: &StringMatcher, text: &str) -> bool {
    let lower = |text: &str| if matcher.ignore_case { text.to_ascii_lowercase() } else { text.to_owned() };
    match &matcher.pattern {
        StringPattern::Exact(exact) => lower(text) == lower(exact),
        StringPattern::Prefix(prefix) => lower(text).starts_with(&lower(prefix)),
        StringPattern::Suffix(suffix) => lower(text).ends_with(&lower(suffix)),
        StringPattern::Contains(part) => lower(text).contains(&lower(part)),
        StringPattern::SafeRegex(regex) => whole_matches(regex, text),
        other => panic!("the naive scan does not know {other:?}"),
    }
}

fn header_values(head: &RequestHead<'_>, name: &str) -> Vec<String> {
    match name.to_ascii_lowercase().as_str() {
        ":method" => vec![head.method.to_string()],
        ":path" if head.path.is_empty() => Vec::new(),
        ":path" => vec![head.path.to_owned()],
        name => {
            let values = head.headers.get_all(name).iter();
            let values: Vec<_> = values.map(|value| value.to_str().unwrap().to_owned()).collect();
            let is_joined = matches!(name, "accept" | "content-type") && !values.is_empty();
            if is_joined { vec![values.join(",")] } else { values }
        }
    }
}

fn headers_match(matcher: &RouteMatch, head: &RequestHead<'_>) -> bool {
    matcher.headers.iter().all(|header| {
        let mut values = header_values(head, &header.name);
        if values.is_empty() && header.treat_missing_header_as_empty {
            values.push(String::new());
        }
        let met = match &header.specifier {
            HeaderMatchSpecifier::Present(present) => {
                return (values.is_empty() != *present) != header.invert_match;
            }
            _ if values.is_empty() => return false,
            HeaderMatchSpecifier::String(string) => values.iter().any(|value| string_matches(string, value)),
            HeaderMatchSpecifier::Range { start, end } => {
                let numbers = values.iter().filter_map(|value| value.trim().parse::<i64>().ok());
                { numbers }.any(|number| number >= *start && number < *end)
            }
            HeaderMatchSpecifier::AnyValue => true,
            other => panic!("the naive scan does not know {other:?}"),
        };
        met != header.invert_match
    })
}

fn is_grpc(head: &RequestHead<'_>) -> bool {
    let values = header_values(head, "content-type");
    let value = values.first().map_or("", String::as_str);
    value == "application/grpc" || value.starts_with("application/grpc+")
}

fn query_matches(matcher: &RouteMatch, head: &RequestHead<'_>) -> bool {
    let query = head.path.split_once('?').map(|(_, query)| query);
    let pairs: Vec<_> = (query.iter().flat_map(|query| query.split('&')))
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    matcher.query_parameters.iter().all(|parameter| {
        let value = pairs.iter().find(|(name, _)| *name == parameter.name).map(|(_, value)| *value);
        match &parameter.specifier {
            QueryParameterMatchSpecifier::Present(present) => value.is_some() == *present,
            QueryParameterMatchSpecifier::String(string) => {
                value.is_some_and(|value| string_matches(string, value))
            }
            other => panic!("the naive scan does not know {other:?}"),
        }
    })
}

fn cookies_match(matcher: &RouteMatch, head: &RequestHead<'_>) -> bool {
    let headers = header_values(head, "cookie");
    let pairs: Vec<_> = headers
        .iter()
        .flat_map(|header| header.split(';'))
        .filter_map(|cookie| cookie.trim_start_matches(' ').split_once('='))
        .collect();
    matcher.cookies.iter().all(|cookie| {
        let value = pairs.iter().find(|(name, _)| *name == cookie.name);
        value.is_some_and(|(_, value)| string_matches(&cookie.string_match, value)) != cookie.invert_match
    })
}

fn metadata_matches(matcher: &RouteMatch, head: &RequestHead<'_>) -> bool {
    matcher.dynamic_metadata.iter().all(|condition| {
        let value =
            head.dynamic_metadata.and_then(|metadata| metadata.get(&condition.filter, &condition.path));
        let met = match (&condition.value, value) {
            (ValueMatcher::String(string), Some(Value::String(text))) => string_matches(string, text),
            (ValueMatcher::String(_), _) => false,
            (other, _) => panic!("the naive scan does not know {other:?}"),
        };
        met != condition.invert
    })
}
