//! The table from outside, rule by rule.

use http::{HeaderMap, Method};
use nuncio_router::{
    Denominator, Forward, FractionalPercent, NoRoute, RequestHead, Route, RouteMatch, RouteTable, VirtualHost,
};

fn route(name: &str, matcher: RouteMatch) -> Route {
    Route::new(matcher, Forward::to_cluster("c")).name(name)
}

fn table(hosts: impl IntoIterator<Item = VirtualHost>) -> RouteTable {
    RouteTable::builder().with_virtual_hosts(hosts).build().expect("the table is sound")
}

fn answer(table: &RouteTable, authority: &str, path: &str, random: u64) -> Result<String, NoRoute> {
    let headers = HeaderMap::new();
    let head = RequestHead::new(&Method::GET, authority, path, &headers);
    table.route(&head, random).map(|found| found.route.name.clone())
}

// Expectations from Envoy 1.40.
#[test]
fn first_match_wins() {
    let routes = [
        route("prefix?", RouteMatch::prefix("/a?x")),
        route("path?", RouteMatch::path("/b?x")),
        route("exact", RouteMatch::path("/exact")),
        route("ci", RouteMatch::prefix("/CI").case_sensitive(false)),
        route("cx", RouteMatch::path("/Cx").case_sensitive(false)),
        route("cs", RouteMatch::prefix("/CS")),
        route("a", RouteMatch::prefix("/a")),
        route("b", RouteMatch::prefix("/b")),
        route("root", RouteMatch::prefix("/")),
    ];
    let unused = (0..20).map(|at| route("unused", RouteMatch::path(format!("/unused/{at}"))));
    let few = table([VirtualHost::new("v").domain("*").with_routes(routes.clone())]);
    let many = table([VirtualHost::new("v").domain("*").with_routes(unused).with_routes(routes)]);
    let check = |path: &str, expected: Result<&str, NoRoute>| {
        for table in [&few, &many] {
            assert_eq!(answer(table, "h", path, 0).as_deref(), expected.as_ref().copied(), "{path}");
        }
    };
    check("/a", Ok("a"));
    check("/a?x", Ok("a"));
    check("/b?x", Ok("b"));
    check("/exact", Ok("exact"));
    check("/exact?q", Ok("exact"));
    check("/exact/", Ok("root"));
    check("/EXACT", Ok("root"));
    check("/ci", Ok("ci"));
    check("/CIx", Ok("ci"));
    check("/cs", Ok("root"));
    check("/CS?", Ok("cs"));
    check("/cX", Ok("cx"));
    check("/CX?1", Ok("cx"));
    check("/cxx", Ok("root"));
    check("*", Err(NoRoute::Route));
    check("//", Ok("root"));
    check("/;a", Ok("root"));
    check("", Err(NoRoute::Route));
}

#[test]
fn empty_prefix_matches_all_but_a_missing_path() {
    let table = table([VirtualHost::new("v").domain("*").route(route("any", RouteMatch::prefix("")))]);
    assert_eq!(answer(&table, "h", "*", 0).as_deref(), Ok("any"));
    assert_eq!(answer(&table, "h", "", 0), Err(NoRoute::Route));
}

#[test]
fn a_share_takes_the_route_and_the_rest_goes_on() {
    let share = |matcher: RouteMatch, percent| {
        matcher.runtime_fraction(FractionalPercent::new(percent, Denominator::Hundred))
    };
    let routes = [
        route("thirty", share(RouteMatch::prefix("/a"), 30)),
        route("fifty", share(RouteMatch::path("/a"), 50)),
        route("rest", RouteMatch::prefix("/")),
    ];
    let unused = (0..20).map(|at| route("unused", RouteMatch::prefix(format!("/unused/{at}"))));
    let few = table([VirtualHost::new("v").domain("*").with_routes(routes.clone())]);
    let many = table([VirtualHost::new("v").domain("*").with_routes(routes).with_routes(unused)]);
    let check = |random: u64, expected: &str| {
        for table in [&few, &many] {
            assert_eq!(answer(table, "h", "/a", random).as_deref(), Ok(expected), "{random}");
        }
    };
    check(0, "thirty");
    check(29, "thirty");
    check(30, "fifty");
    check(49, "fifty");
    check(50, "rest");
    check(129, "thirty");
}

#[test]
fn a_virtual_host_without_a_route_is_not_left() {
    let table = table([
        VirtualHost::new("a").domain("a.example").route(route("a", RouteMatch::prefix("/a"))),
        VirtualHost::new("any").domain("*.example").route(route("any", RouteMatch::prefix("/"))),
    ]);
    assert_eq!(answer(&table, "b.example", "/b", 0).as_deref(), Ok("any"));
    assert_eq!(answer(&table, "a.example", "/b", 0), Err(NoRoute::Route));
    assert_eq!(answer(&table, "example", "/", 0), Err(NoRoute::VirtualHost));
}

#[test]
fn payloads_follow_their_routes() {
    let named = table([
        VirtualHost::new("a")
            .domain("a")
            .with_routes([route("one", RouteMatch::path("/1")), route("two", RouteMatch::prefix("/2"))]),
        VirtualHost::new("b").domain("b"),
        VirtualHost::new("c").domain("c").route(route("three", RouteMatch::prefix("/"))),
    ]);
    let labelled =
        named.map(|host, route, ()| Ok::<_, ()>(format!("{}-{}", host.name(), route.name))).unwrap();
    let lengths = labelled.map(|_, _, label| Ok::<_, ()>(label.len())).unwrap();
    let check = |authority: &str, path: &str, label: &str| {
        let headers = HeaderMap::new();
        let head = RequestHead::new(&Method::GET, authority, path, &headers);
        assert_eq!(labelled.route(&head, 0).map(|found| found.payload.as_str()), Ok(label));
        assert_eq!(lengths.route(&head, 0).map(|found| *found.payload), Ok(label.len()));
    };
    check("a", "/1", "a-one");
    check("a", "/22", "a-two");
    check("c", "/1", "c-three");
    let failed = named.map(|_, route, ()| if route.name == "two" { Err("no such cluster") } else { Ok(()) });
    assert_eq!(failed.map(|_| ()), Err("no such cluster"));
}

#[test]
fn an_empty_table_has_no_route() {
    assert_eq!(answer(&RouteTable::default(), "h", "/", 0), Err(NoRoute::VirtualHost));
}

#[test]
fn tables_cross_threads() {
    fn check<T: Send + Sync>(_: &T) {}
    check(&table([]));
}
