use http::StatusCode;

use super::*;
use crate::{
    CookieMatcher, DirectResponse, Forward, HeaderMatcher, MetadataMatcher, QueryParameterMatcher, Redirect,
    RouteMatch, StringMatcher, ValueMatcher,
};

fn host(name: &str, domains: &[&str]) -> VirtualHost {
    VirtualHost::new(name).with_domains(domains.iter().copied())
}

fn answers(response: DirectResponse) -> VirtualHost {
    routes(Route::new(RouteMatch::prefix("/"), response))
}

fn routes(route: Route) -> VirtualHost {
    host("v", &["*"]).route(route)
}

fn forwards(forward: Forward) -> VirtualHost {
    routes(Route::new(RouteMatch::prefix("/"), forward))
}

fn redirects(redirect: Redirect) -> VirtualHost {
    routes(Route::new(RouteMatch::prefix("/"), redirect))
}

fn build(hosts: &[VirtualHost]) -> Result<RouteTable, BuildErrors> {
    RouteTable::builder().with_virtual_hosts(hosts.iter().cloned()).build()
}

// What Envoy 1.40 refuses when it validates a configuration.
#[test]
fn refused() {
    fn check(hosts: &[VirtualHost], expected: &str) {
        let found = build(hosts).map(|_| ()).map_err(|errors| errors.to_string());
        assert_eq!(found, Err(expected.to_owned()), "{hosts:?}");
    }
    check(&[host("", &["*"])], "virtual_hosts[0]: a virtual host needs a name");
    check(&[host("a", &[])], "virtual_hosts[0]: a virtual host needs at least one domain");
    check(
        &[host("a", &["x.com"]), host("b", &["y.com", "X.com"])],
        r#"virtual_hosts[1].domains[1]: duplicate domain "X.com": virtual host "a" has it already"#,
    );
    check(
        &[host("a", &["*"]), host("b", &["*"])],
        r#"virtual_hosts[1].domains[0]: duplicate domain "*": virtual host "a" has it already"#,
    );
    check(
        &[host("a", &["*.x", "*.X"])],
        r#"virtual_hosts[0].domains[1]: duplicate domain "*.X": virtual host "a" has it already"#,
    );
    check(
        &[host("a", &["a\nb"])],
        "virtual_hosts[0].domains[0]: domains: a NUL, carriage return or line feed cannot stand in a header",
    );
    check(
        &[forwards(Forward::to_cluster(""))],
        "virtual_hosts[0].routes[0]: route.cluster: the name of a cluster cannot be empty",
    );
    let not_in_header = |field: &str| {
        format!(
            "virtual_hosts[0].routes[0]: {field}: a NUL, carriage return or line feed cannot stand in a header"
        )
    };
    let forward = Forward::to_cluster("c");
    check(&[forwards(forward.clone().prefix_rewrite("/\n"))], &not_in_header("route.prefix_rewrite"));
    let literal = HostRewrite::Literal("a\r".into());
    check(&[forwards(forward.host_rewrite(literal))], &not_in_header("route.host_rewrite_literal"));
    check(&[redirects(Redirect::new().scheme("a\0"))], &not_in_header("redirect.scheme_redirect"));
    check(&[redirects(Redirect::new().host("a\n"))], &not_in_header("redirect.host_redirect"));
    let path = PathRedirect::Full("/\n".into());
    check(&[redirects(Redirect::new().path(path))], &not_in_header("redirect.path_redirect"));
    let prefix = PathRedirect::Prefix("/\n".into());
    check(&[redirects(Redirect::new().path(prefix))], &not_in_header("redirect.prefix_rewrite"));
    let matches = |matcher: RouteMatch| [routes(Route::new(matcher, Forward::to_cluster("c")))];
    let at_route = |text: &str| format!("virtual_hosts[0].routes[0]: match.{text}");
    for prefix in ["", "/", "/a/", "/a?b", "/a#b"] {
        let expected = format!(
            "path_separated_prefix: {prefix:?} must have 2 characters or more, no ? or #, and no slash at the end"
        );
        check(&matches(RouteMatch::path_separated_prefix(prefix)), &at_route(&expected));
    }
    let missing = r#"safe_regex: "/a(": a ) is missing"#;
    check(&matches(RouteMatch::safe_regex("/a(")), &at_route(missing));
    let twice = r#"path_match_policy: "/{a}/{a}": variable "a" is there twice"#;
    check(&matches(RouteMatch::uri_template("/{a}/{a}")), &at_route(twice));
    let any = || RouteMatch::prefix("/");
    let header = HeaderMatcher::string("a", StringMatcher::safe_regex("a").ignore_case(true));
    check(
        &matches(any().header(HeaderMatcher::present("a")).header(header)),
        &at_route("headers[1]: ignore_case has no effect for safe_regex"),
    );
    let bad = || StringMatcher::safe_regex("*");
    let reason = r#"[0]: safe_regex "*": no argument for repetition operator: *"#;
    check(&matches(any().header(HeaderMatcher::string("a", bad()))), &at_route(&format!("headers{reason}")));
    check(
        &matches(any().query_parameter(QueryParameterMatcher::string("a", bad()))),
        &at_route(&format!("query_parameters{reason}")),
    );
    check(&matches(any().cookie(CookieMatcher::new("a", bad()))), &at_route(&format!("cookies{reason}")));
    let value = ValueMatcher::Or(vec![ValueMatcher::ListOneOf(Box::new(ValueMatcher::String(bad())))]);
    check(
        &matches(any().dynamic_metadata(MetadataMatcher::new("f", ["k"], value))),
        &at_route(&format!("dynamic_metadata{reason}")),
    );
    for status in [100, 199, 600] {
        check(
            &[answers(DirectResponse::new(StatusCode::from_u16(status).unwrap()))],
            &format!("virtual_hosts[0].routes[0]: direct_response.status: {status} is not one of 200 to 599"),
        );
    }
    check(
        &[answers(DirectResponse::new(StatusCode::OK).body([0; 4097]))],
        "virtual_hosts[0].routes[0]: direct_response.body: the response body size is 4097 bytes; maximum is 4096",
    );
}

// What Envoy 1.40 accepts, odd as some of it is.
#[test]
fn accepted() {
    fn check(hosts: &[VirtualHost]) {
        assert_eq!(build(hosts).map(|table| table.virtual_hosts().to_vec()), Ok(hosts.to_vec()));
    }
    check(&[]);
    check(&[host("a", &["*"])]);
    check(&[host("a", &[""])]);
    check(&[host("a", &["a*b", "**", "*x*", "a b"])]);
    check(&[host("a", &["a"]), host("a", &["b"])]);
    check(&[routes(Route::new(RouteMatch::path(""), Forward::to_cluster("c")))]);
    check(&[forwards(Forward::to_cluster("c").prefix_rewrite("relative"))]);
    check(&[redirects(Redirect::new())]);
    check(&[redirects(Redirect::new().port(70_000).scheme("ftp"))]);
    check(&[answers(DirectResponse::new(StatusCode::from_u16(599).unwrap()).body([0; 4096]))]);
}

// A table of many routes compiles its patterns otherwise than one of few.
#[test]
fn bad_patterns_among_many_routes() {
    let route = |matcher| Route::new(matcher, Forward::to_cluster("c"));
    let many = (0..20).map(|at| route(RouteMatch::safe_regex(format!("/{at}.*"))));
    let bad = [RouteMatch::safe_regex("/)"), RouteMatch::uri_template("//")].map(route);
    let errors = build(&[host("v", &["*"]).with_routes(many).with_routes(bad)]).unwrap_err();
    let places: Vec<_> = errors.iter().map(|error| error.place).collect();
    assert_eq!(places, [Place::Route(20), Place::Route(21)]);
}

#[test]
fn all_errors_at_once_in_order() {
    let long = DirectResponse::new(StatusCode::CONTINUE).body("too long");
    let broken = host("b", &["*", "x", "X"]).route(Route::new(RouteMatch::prefix("/"), long));
    let errors = RouteTable::builder()
        .virtual_host(host("", &["*"]))
        .virtual_host(broken)
        .max_direct_response_body_size(7)
        .build()
        .unwrap_err();
    let found: Vec<_> = errors.iter().map(|error| (error.virtual_host, error.place)).collect();
    let expected = [
        (0, Place::VirtualHost),
        (1, Place::Domain(0)),
        (1, Place::Domain(2)),
        (1, Place::Route(0)),
        (1, Place::Route(0)),
    ];
    assert_eq!(found, expected);
    assert_eq!(errors.to_string().lines().count(), 5);
    assert_eq!(errors.into_iter().count(), 5);
}
