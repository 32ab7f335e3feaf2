//! A lookup allocates nothing, whatever the size of the table and the outcome.

use http::{HeaderMap, Method};
use nuncio_router::{
    CookieMatcher, Forward, HeaderMatcher, Metadata, MetadataMatcher, NoRoute, PeerCertificate,
    QueryParameterMatcher, RequestHead, Route, RouteMatch, RouteTable, StringMatcher, TlsContextMatch, Value,
    ValueMatcher, VirtualHost,
};

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

/// A route of each kind in turn, each of which needs its number in the path or in a condition.
fn every_kind(at: usize) -> RouteMatch {
    let number = || StringMatcher::safe_regex(format!("(?i)x{at}y*"));
    let any = || RouteMatch::prefix("/any");
    match at % 8 {
        0 => RouteMatch::safe_regex(format!("/service-{at}/[^/]+")),
        1 => RouteMatch::safe_regex(format!(".*/end-{at}")),
        2 => RouteMatch::uri_template(format!("/template-{at}/*/{{rest=**}}")),
        3 => RouteMatch::path_separated_prefix(format!("/separated-{at}")).case_sensitive(false),
        4 => any().header(HeaderMatcher::string("x-number", number())),
        5 => any().header(HeaderMatcher::string("accept", number()).invert_match(at != 5)),
        6 => any().query_parameter(QueryParameterMatcher::string("n", number())),
        _ => any()
            .cookie(CookieMatcher::new("n", number()))
            .grpc(true)
            .tls_context(TlsContextMatch::new().validated(true))
            .dynamic_metadata(MetadataMatcher::new("f", ["k"], ValueMatcher::String(number()))),
    }
}

#[test]
fn no_condition_allocates() {
    let mut metadata = Metadata::new();
    metadata.set("f", "k", Value::String("X7yy".into()));
    for routes in [16, 800] {
        let matchers = (0..routes).filter(|at| *at == 5 || at % 8 != 5).map(every_kind);
        let routes = matchers.map(|matcher| Route::new(matcher, Forward::to_cluster("c")));
        let host = VirtualHost::new("v").domain("*").with_routes(routes);
        let table = RouteTable::builder().virtual_host(host).build().expect("the table is sound");
        let check =
            |path: &str, headers: &[(&'static str, &'static str)], expected: Result<&str, NoRoute>| {
                let method = Method::GET;
                let mut map = HeaderMap::new();
                for (name, value) in headers {
                    map.append(*name, value.parse().expect("a value"));
                }
                let head = RequestHead::new(&method, "h", path, &map).dynamic_metadata(&metadata);
                let head = head.peer_certificate(PeerCertificate::presented(true));
                let mut found = None;
                let counted = allocation_counter::measure(|| found = Some(table.route(&head, 7)));
                assert_eq!(counted.count_total, 0, "{path} {headers:?}");
                let found = found.expect("it was measured").map(|found| format!("{:?}", found.route.matcher));
                match expected {
                    Ok(part) => {
                        assert!(found.as_ref().is_ok_and(|found| found.contains(part)), "{path} {found:?}")
                    }
                    Err(none) => assert_eq!(found, Err(none), "{path} {headers:?}"),
                }
            };
        check("/service-8/x?q", &[], Ok("/service-8/"));
        check("/a/b/c/end-9", &[], Ok("end-9"));
        check("/template-10/x/y/z", &[], Ok("/template-10/"));
        check("/SEPARATED-11/x", &[], Ok("/separated-11"));
        check("/any", &[("x-number", "1"), ("x-number", "X12yy")], Ok("x12"));
        check("/any", &[("accept", "x"), ("accept", "y")], Err(NoRoute::Route));
        check("/any", &[("accept", "x5")], Ok("x5"));
        check("/any?a=1&n=x6", &[], Ok("x6"));
        check("/any", &[("cookie", "a=b; n=x7"), ("content-type", "application/grpc")], Ok("x7"));
        check("/nothing", &[("x-number", "x4"), ("cookie", "n=x7")], Err(NoRoute::Route));
    }
}
