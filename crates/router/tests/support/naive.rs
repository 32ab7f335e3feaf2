//! What the table must answer, written as simply as possible: every domain and every route is looked at in turn.
//! The property tests and the fuzz target compare the table with this.

use nuncio_router::{Denominator, NoRoute, PathMatch, RequestHead, Route, VirtualHost};

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
    let route = routes.iter().position(|route| !head.path.is_empty() && matches(route, path, random));
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

fn matches(route: &Route, path: &str, random: u64) -> bool {
    let lower =
        |text: &str| if route.matcher.case_sensitive { text.to_owned() } else { text.to_ascii_lowercase() };
    let path_matches = match &route.matcher.path {
        PathMatch::Prefix(prefix) => lower(path).starts_with(&lower(prefix)),
        PathMatch::Path(exact) => lower(path) == lower(exact),
        other => panic!("the naive scan does not know {other:?}"),
    };
    let in_share = route.matcher.runtime_fraction.is_none_or(|share| {
        let parts = match share.denominator {
            Denominator::Hundred => 100,
            Denominator::TenThousand => 10_000,
            Denominator::Million => 1_000_000,
        };
        random % parts < u64::from(share.numerator)
    });
    path_matches && in_share
}
