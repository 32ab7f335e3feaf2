//! A lookup allocates nothing, whatever the size of the table and the outcome.

use http::{HeaderMap, Method};
use nuncio_router::{Forward, NoRoute, RequestHead, Route, RouteMatch, RouteTable, VirtualHost};

fn table(routes: usize) -> RouteTable {
    let route = |at: usize| {
        let matcher = match at % 3 {
            0 => RouteMatch::prefix(format!("/Service/{at}/")),
            1 => RouteMatch::path(format!("/service/{at}/item")),
            _ => RouteMatch::path(format!("/service/{at}/item")).case_sensitive(false),
        };
        Route::new(matcher, Forward::to_cluster("c"))
    };
    let domains = ["www.example.com", "*.example.com", "example.*"];
    let host = VirtualHost::new("v").with_domains(domains).with_routes((0..routes).map(route));
    RouteTable::builder().virtual_host(host).build().expect("the table is sound")
}

#[test]
fn a_lookup_allocates_nothing() {
    fn check(routes: usize, authority: &str, path: &str, expected: Result<(), NoRoute>) {
        let table = table(routes);
        let (method, headers) = (Method::GET, HeaderMap::new());
        let head = RequestHead::new(&method, authority, path, &headers);
        let mut found = None;
        let counted = allocation_counter::measure(|| found = Some(table.route(&head, 7).map(|_| ())));
        assert_eq!(found, Some(expected), "{routes} {authority} {path}");
        assert_eq!(counted.count_total, 0, "{routes} {authority} {path}");
    }
    for routes in [16, 3_000] {
        check(routes, "WWW.example.com", "/Service/3/x?q", Ok(()));
        check(routes, "a.Example.com", "/service/4/item", Ok(()));
        check(routes, "example.org", "/SERVICE/5/item?q", Ok(()));
        check(routes, "www.example.com", "/service/5000/item", Err(NoRoute::Route));
        check(routes, &"long.".repeat(1_000), "/", Err(NoRoute::VirtualHost));
    }
}
