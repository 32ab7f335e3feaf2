//! A table and a request out of any text, against a scan in order.
//!
//! Each line is a letter and the rest of the line: `v` starts a virtual host with a domain, `d` adds one; `p` and `e`
//! add a route by prefix and by exact path, `P` and `E` without regard to case; `h` sets the request's authority, and
//! `r` asks for a path.

#![no_main]

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/support/naive.rs"]
mod naive;

use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use nuncio_router::{Forward, RequestHead, Route, RouteMatch, RouteTable, VirtualHost};

fuzz_target!(|text: &str| {
    let mut hosts: Vec<VirtualHost> = Vec::new();
    let mut requests = Vec::new();
    let mut authority = "";
    for line in text.lines() {
        let mut rest = line.chars();
        let kind = rest.next();
        let rest = rest.as_str();
        let change = |hosts: &mut Vec<VirtualHost>, change: &dyn Fn(VirtualHost) -> VirtualHost| {
            if let Some(host) = hosts.pop() {
                hosts.push(change(host));
            }
        };
        let route = |matcher: RouteMatch| Route::new(matcher, Forward::to_cluster("c"));
        match kind {
            Some('v') => hosts.push(VirtualHost::new("v").domain(rest)),
            Some('d') => change(&mut hosts, &|host| host.domain(rest)),
            Some('p') => change(&mut hosts, &|host| host.route(route(RouteMatch::prefix(rest)))),
            Some('e') => change(&mut hosts, &|host| host.route(route(RouteMatch::path(rest)))),
            Some('P') => {
                change(&mut hosts, &|host| host.route(route(RouteMatch::prefix(rest).case_sensitive(false))));
            }
            Some('E') => {
                change(&mut hosts, &|host| host.route(route(RouteMatch::path(rest).case_sensitive(false))));
            }
            Some('h') => authority = rest,
            Some('r') => requests.push((authority, rest)),
            _ => {}
        }
    }
    for ignore_port in [false, true] {
        let table = RouteTable::builder()
            .with_virtual_hosts(hosts.clone())
            .ignore_port_in_host_matching(ignore_port)
            .build();
        let Ok(table) = table else { return };
        let (method, headers) = (Method::GET, HeaderMap::new());
        for (authority, path) in &requests {
            let head = RequestHead::new(&method, authority, path, &headers);
            let expected = naive::route(&hosts, ignore_port, &head, 0)
                .map(|(host, route)| std::ptr::from_ref(&table.virtual_hosts()[host].routes()[route]));
            let found = table.route(&head, 0).map(|found| std::ptr::from_ref(found.route));
            assert_eq!(found, expected, "{authority} {path}");
        }
    }
});
