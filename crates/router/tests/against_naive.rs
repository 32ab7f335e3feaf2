//! Tables and requests made of few letters, so that they often match, against a scan in order.

#[path = "support/naive.rs"]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]
mod naive;

use std::collections::HashSet;

use http::{HeaderMap, Method};
use nuncio_router::{
    Denominator, Forward, FractionalPercent, PathMatch, RequestHead, Route, RouteMatch, RouteTable,
    VirtualHost,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn domain() -> impl Strategy<Value = String> {
    ("[*]?", "[aAb.]{0,4}(:[12])?", "[*]?").prop_map(|(start, middle, end)| format!("{start}{middle}{end}"))
}

fn authority() -> impl Strategy<Value = String> {
    "(\\[:a\\])?[aAb.*]{0,5}(:[12]?)?"
}

fn path() -> impl Strategy<Value = String> {
    "(/[aAb]{0,2}){0,4}"
}

fn route() -> impl Strategy<Value = Route> {
    let share = prop_oneof![3 => Just(None), 1 => (0..3_u32).prop_map(Some)];
    (any::<bool>(), path(), prop::bool::weighted(0.7), share).prop_map(
        |(exact, path, case_sensitive, share)| {
            let path = if exact { PathMatch::Path(path) } else { PathMatch::Prefix(path) };
            let mut matcher = RouteMatch::new(path).case_sensitive(case_sensitive);
            matcher.runtime_fraction = share.map(|share| FractionalPercent::new(share, Denominator::Hundred));
            Route::new(matcher, Forward::to_cluster("c"))
        },
    )
}

/// Few routes, for the scan, as well as many, for the tree.
fn routes() -> impl Strategy<Value = Vec<Route>> {
    prop_oneof![vec(route(), 0..=16), vec(route(), 17..60)]
}

/// Virtual hosts that have no domain in common, each with at least one.
fn virtual_hosts() -> impl Strategy<Value = Vec<VirtualHost>> {
    vec((vec(domain(), 1..6), routes()), 0..6).prop_map(|hosts| {
        let mut seen = HashSet::new();
        let hosts = hosts.into_iter().enumerate().map(|(at, (mut domains, routes))| {
            domains.retain(|domain| seen.insert(domain.to_ascii_lowercase()));
            domains.push(format!("host-{at}"));
            VirtualHost::new(format!("{at}")).with_domains(domains).with_routes(routes)
        });
        hosts.collect()
    })
}

fn request() -> impl Strategy<Value = (String, String, u64)> {
    let authority = prop_oneof![9 => authority(), 1 => "host-[0-6]"];
    (authority, path(), "([?#][/aA?#]{0,2})?", 0..4_u64)
        .prop_map(|(authority, path, query, random)| (authority, path + &query, random))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_table_answers_as_a_scan_in_order(
        hosts in virtual_hosts(),
        requests in vec(request(), 1..40),
        ignore_port in any::<bool>(),
    ) {
        let table = RouteTable::builder()
            .with_virtual_hosts(hosts.clone())
            .ignore_port_in_host_matching(ignore_port)
            .build()
            .expect("the generated table is sound");
        let mut numbers = 0..;
        let table = table.map(|_, _, ()| numbers.next().ok_or(())).expect("numbers do not end");
        let (method, headers) = (Method::GET, HeaderMap::new());
        for (authority, path, random) in &requests {
            let head = RequestHead::new(&method, authority, path, &headers);
            let expected = naive::route(&hosts, ignore_port, &head, *random).map(|(host, route)| {
                let before: usize = hosts.iter().take(host).map(|host| host.routes().len()).sum();
                (hosts.get(host), hosts.get(host).and_then(|host| host.routes().get(route)), before + route)
            });
            let found = table.route(&head, *random);
            let found = found.map(|found| (Some(found.virtual_host), Some(found.route), *found.payload));
            prop_assert_eq!(found, expected, "{} {} {}", authority, path, random);
        }
    }
}
