//! Every kind of condition, one by one, with the answers of Envoy 1.40: where `ENVOY_BIN` names an Envoy, the same
//! table is asked there, too.

#[allow(dead_code, reason = "each test uses a part of it")]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]
#[path = "support"]
mod support {
    pub(crate) mod envoy;
    pub(crate) mod request;
}

use http::Method;
use nuncio_router::{
    CookieMatcher, Forward, HeaderMatchSpecifier, HeaderMatcher, QueryParameterMatchSpecifier,
    QueryParameterMatcher, Route, RouteMatch, RouteTable, StringMatcher, TlsContextMatch, VirtualHost,
};
use support::envoy::Envoy;
use support::request::Request;

struct Case {
    matcher: RouteMatch,
    request: Request,
    expected: bool,
}

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn check(&mut self, matcher: &RouteMatch, request: Request, expected: bool) {
        self.0.push(Case { matcher: matcher.clone(), request, expected });
    }

    /// Paths that match, and paths that do not.
    fn paths(&mut self, matcher: &RouteMatch, yes: &[&str], no: &[&str]) {
        yes.iter().for_each(|path| self.check(matcher, Request::get(path), true));
        no.iter().for_each(|path| self.check(matcher, Request::get(path), false));
    }

    /// Values of the header `x-a` that match, and values that do not. A header for each value.
    fn headers(&mut self, matcher: HeaderMatcher, yes: &[&[&str]], no: &[&[&str]]) {
        self.headers_named("x-a", &RouteMatch::prefix("/").header(matcher), yes, no);
    }

    fn headers_named(&mut self, name: &str, matcher: &RouteMatch, yes: &[&[&str]], no: &[&[&str]]) {
        for (cases, expected) in [(yes, true), (no, false)] {
            for values in cases {
                let request = Request::get("/");
                let request = values.iter().fold(request, |request, value| request.header(name, value));
                self.check(matcher, request, expected);
            }
        }
    }

    /// Asks our table and, if there is one, Envoy. Each case has a virtual host of its own.
    fn run(mut self, name: &str) {
        let hosts: Vec<_> = (self.0.iter_mut().enumerate())
            .map(|(at, case)| {
                case.request.authority = format!("h{at}:80");
                let route = Route::new(case.matcher.clone(), Forward::to_cluster("c"));
                VirtualHost::new("v").domain(format!("h{at}:80")).route(route)
            })
            .collect();
        let table =
            RouteTable::builder().with_virtual_hosts(hosts.clone()).build().expect("the table is sound");
        for Case { matcher, request, expected } in &self.0 {
            assert_eq!(table.route(&request.head(), 0).is_ok(), *expected, "{matcher:?} {request:?}");
        }
        let Some(mut envoy) = Envoy::start(name, &[hosts]) else { return };
        for Case { matcher, request, expected } in &self.0 {
            let answer = envoy.answer(0, request).map_err(|status| assert_eq!(status, 404, "{request:?}"));
            assert_eq!(answer.is_ok(), *expected, "Envoy: {matcher:?} {request:?}");
        }
    }
}

#[test]
fn paths() {
    let mut cases = Cases::default();
    let separated = RouteMatch::path_separated_prefix("/a/b");
    let yes = ["/a/b", "/a/b/", "/a/b/c", "/a/b?q", "/a/b/?q"];
    cases.paths(&separated, &yes, &["/a/bc", "/A/B", "/a", "/a/bc?/"]);
    cases.paths(&separated.clone().case_sensitive(false), &yes, &["/a/bc", "/a"]);
    cases.paths(&separated.case_sensitive(false), &["/A/b", "/A/B/c"], &["/A/Bc"]);
    // The whole path without its query; the case counts whatever `case_sensitive` says.
    cases.paths(
        &RouteMatch::safe_regex("/a/b"),
        &["/a/b", "/a/b?q"],
        &["/a/b/", "/a/bc", "/A/B", "/a", "//a/b"],
    );
    cases.paths(&RouteMatch::safe_regex("/a/b").case_sensitive(false), &["/a/b"], &["/A/B"]);
    cases.paths(&RouteMatch::safe_regex("(?i)/a/b"), &["/a/b", "/A/b"], &["/a/bc"]);
    cases.paths(&RouteMatch::safe_regex("/a/b|/a"), &["/a/b", "/a"], &["/a/", "/a/b/a"]);
    cases.paths(&RouteMatch::safe_regex(".*q"), &["/q", "/aq?b"], &["/a?q"]);
    let connect = || Request::get("").method(Method::CONNECT);
    cases.check(&RouteMatch::connect(), connect(), true);
    cases.check(&RouteMatch::connect(), Request::get("/"), false);
    cases.check(&RouteMatch::prefix(""), connect(), false);
    cases.check(&RouteMatch::safe_regex(".*"), connect(), false);
    cases.check(&RouteMatch::path(""), connect(), false);
    let no_parameter = QueryParameterMatcher::new("a", QueryParameterMatchSpecifier::Present(false));
    cases.check(&RouteMatch::connect().query_parameter(no_parameter), connect(), true);
    cases.check(&RouteMatch::connect().header(HeaderMatcher::present(":path")), connect(), false);
    let port = HeaderMatcher::string(":authority", StringMatcher::suffix(":80"));
    cases.check(&RouteMatch::connect().header(port), connect(), true);
    cases.run("paths");
}

#[test]
fn templates() {
    let mut cases = Cases::default();
    let mut check = |template: &str, yes: &[&str], no: &[&str]| {
        cases.paths(&RouteMatch::uri_template(template), yes, no);
    };
    check("/", &["/", "/?q"], &["//", "/a"]);
    check("/a/b", &["/a/b", "/a/b?x"], &["/a/b/", "/a/b/c", "/A/B", "/a"]);
    check("/a/b/", &["/a/b/"], &["/a/b", "/a/b/c"]);
    let segment = ["/a/b", "/a/b?x", "/a/b.c", "/a/b%2Fc", "/a/b=c", "/a/b*", "/a/b;c", "/a/b'c"];
    let not_segment = ["/a/", "/a", "/a/b/", "/a/b/c", "/a//b", "/a/b|c", "/a/[b]", "/A/b"];
    for template in ["/a/*", "/a/{x}", "/a/{x=*}"] {
        check(template, &segment, &not_segment);
    }
    for template in ["/a/**", "/a/{x=**}", "/{x=a/**}"] {
        check(template, &["/a/", "/a/b", "/a/b/c/", "/a//b", "/a/b*"], &["/a", "/a/b|c", "/A/b"]);
    }
    check("/a/{x=b/*}", &["/a/b/c"], &["/a/b", "/a/b/c/d"]);
    check("/a/{x}.c", &["/a/b.c"], &["/a/.c", "/a/b", "/a/b.c/d"]);
    check("/x{y}z/w", &["/xyz/w"], &["/xz/w", "/xyz"]);
    check("/{x}/b", &["/a/b"], &["//b", "/a/b/", "/a//b"]);
    check("/*/**", &["/a/", "/a/b/c"], &["/a", "//"]);
    check("/**/b", &["/a/b", "/a//b", "//b"], &["/b", "/a/b/"]);
    check("/**b", &["/b", "/a/b", "/ab"], &["/a", "/b/"]);
    check("/a/*c", &["/a/b.c", "/a/bc"], &["/a/c", "/a/b"]);
    check("/*:v", &["/a:v"], &["/:v", "/a"]);
    check("/a.b+c$(d)", &["/a.b+c$(d)"], &["/axb+c$(d)"]);
    check("/%41", &["/%41"], &["/A"]);
    // A star in a literal is a star of the expression that Envoy makes of the template.
    check("/x*", &["/x", "/xx", "/"], &["/x*", "/xa"]);
    check("/a*b", &["/b", "/ab", "/aab"], &["/a*b"]);
    check("/{a=b*}", &["/", "/bb"], &["/b*"]);
    check("/a**", &[], &["/a", "/aa", "/a**", "/"]);
    check("/***", &[], &["/a", "/***", "/"]);
    let upper = RouteMatch::uri_template("/a/b").case_sensitive(false);
    cases.paths(&upper, &["/a/b"], &["/A/B"]);
    cases.run("templates");
}

#[test]
fn header_presence() {
    let mut cases = Cases::default();
    let there: [&[&str]; 3] = [&[""], &["1"], &["1", "2"]];
    let absent: [&[&str]; 1] = [&[]];
    let every: [&[&str]; 4] = [&[], &[""], &["1"], &["1", "2"]];
    let present = |present| HeaderMatcher::new("X-A", HeaderMatchSpecifier::Present(present));
    cases.headers(present(true), &there, &absent);
    cases.headers(present(false), &absent, &there);
    cases.headers(present(true).invert_match(true), &absent, &there);
    cases.headers(present(false).invert_match(true), &there, &absent);
    cases.headers(present(true).treat_missing_header_as_empty(true), &every, &[]);
    cases.headers(present(false).treat_missing_header_as_empty(true), &[], &every);
    cases.headers(present(true).invert_match(true).treat_missing_header_as_empty(true), &[], &every);
    let any = || HeaderMatcher::new("x-a", HeaderMatchSpecifier::AnyValue);
    cases.headers(any(), &there, &absent);
    cases.headers(any().invert_match(true), &[], &every);
    cases.headers(any().treat_missing_header_as_empty(true), &every, &[]);
    cases.headers(any().treat_missing_header_as_empty(true).invert_match(true), &[], &every);
    // A name that no header can have.
    cases.headers(HeaderMatcher::present("a b"), &[], &every);
    cases.headers(HeaderMatcher::new("a b", HeaderMatchSpecifier::Present(false)), &every, &[]);
    cases.run("presence");
}

#[test]
fn header_values() {
    let mut cases = Cases::default();
    let string = |matcher: StringMatcher| HeaderMatcher::string("x-a", matcher);
    let one = || string(StringMatcher::exact("1"));
    // Of several values one is enough.
    cases.headers(one(), &[&["1"], &["1", "2"], &["2", "1"]], &[&[], &[""], &["12"], &["2", "3"]]);
    cases.headers(one().invert_match(true), &[&[""], &["2"], &["2", "3"]], &[&[], &["1"], &["2", "1"]]);
    let inverted_or_missing = one().invert_match(true).treat_missing_header_as_empty(true);
    cases.headers(inverted_or_missing, &[&[], &[""], &["2"]], &[&["1"], &["1", "2"]]);
    let empty = || string(StringMatcher::exact(""));
    cases.headers(empty(), &[&[""], &["1", ""]], &[&[], &["1"]]);
    cases.headers(empty().treat_missing_header_as_empty(true), &[&[], &[""]], &[&["1"]]);
    cases.headers(empty().treat_missing_header_as_empty(true).invert_match(true), &[&["1"]], &[&[], &[""]]);
    cases.headers(string(StringMatcher::exact("1,2")), &[&["1,2"]], &[&["1", "2"]]);
    let foo: &[&[&str]] = &[&["foo"], &["Foo"]];
    cases.headers(string(StringMatcher::exact("fOO").ignore_case(true)), foo, &[&["fo"], &["fooo"]]);
    cases.headers(string(StringMatcher::prefix("fO").ignore_case(true)), foo, &[&["f"], &["xfo"]]);
    cases.headers(string(StringMatcher::suffix("oO").ignore_case(true)), foo, &[&["o"], &["oof"]]);
    cases.headers(string(StringMatcher::contains("O").ignore_case(true)), foo, &[&["f"], &["f", "x"]]);
    cases.headers(string(StringMatcher::prefix("ab")), &[&["ab"], &["abc"]], &[&["AB"], &["a"]]);
    cases.headers(string(StringMatcher::suffix("bc")), &[&["bc"], &["abc"]], &[&["BC"], &["c"]]);
    cases.headers(string(StringMatcher::contains("b")), &[&["b"], &["abc"]], &[&["B"], &["a"]]);
    cases.headers(string(StringMatcher::contains(",")), &[&["a,b"]], &[&["a", "b"]]);
    cases.headers(string(StringMatcher::exact("é").ignore_case(true)), &[&["é"]], &[&["É"]]);
    cases.headers(string(StringMatcher::safe_regex("1.2")), &[&["1,2"]], &[&["1", "2"], &["1.23"]]);
    cases.headers(string(StringMatcher::safe_regex(".*")), &[&[""], &["1"]], &[&[]]);
    cases.run("values");
}

#[test]
fn header_ranges() {
    let mut cases = Cases::default();
    let range = |from, to| HeaderMatcher::range("x-a", from..to);
    let no: &[&[&str]] = &[
        &[],
        &["2"],
        &["-1"],
        &["1a"],
        &["0x1"],
        &[""],
        &["99999999999999999999"],
        &["1.0"],
        &["1 1"],
        &["2", "3"],
    ];
    cases.headers(range(1, 2), &[&["1"], &["+1"], &["01"], &["1", "1"], &["3", "1"]], no);
    cases.headers(range(-2, 0), &[&["-2"], &["-1"]], &[&["0"], &["-3"]]);
    cases.headers(range(2, 1), &[], &[&["1"], &["2"]]);
    cases.headers(range(0, 1).treat_missing_header_as_empty(true), &[&["0"]], &[&[]]);
    cases.headers(range(0, 1).invert_match(true), &[&["z"], &["1"]], &[&[], &["0"], &["1", "0"]]);
    cases.headers(range(i64::MIN, i64::MAX), &[&["-9223372036854775808"]], &[&["9223372036854775807"]]);
    cases.run("ranges");
}

#[test]
fn special_headers() {
    let mut cases = Cases::default();
    let with = |name: &str, value: &str| {
        RouteMatch::prefix("/").header(HeaderMatcher::string(name, StringMatcher::exact(value)))
    };
    cases.check(
        &with(":method", "POST"),
        Request::get("/").method(Method::POST).header("content-length", "0"),
        true,
    );
    cases.check(&with(":method", "POST"), Request::get("/"), false);
    cases.paths(&with(":path", "/a?b"), &["/a?b"], &["/a", "/a?b&c"]);
    cases.paths(&with(":scheme", "http"), &["/"], &[]);
    cases.paths(&with(":scheme", "https"), &[], &["/"]);
    for name in [":authority", "host", "Host"] {
        let place = cases.0.len();
        cases.paths(&with(name, &format!("h{place}:80")), &["/"], &[]);
        cases.paths(&with(name, "other"), &[], &["/"]);
    }
    cases.paths(&RouteMatch::prefix("/").header(HeaderMatcher::present(":protocol")), &[], &["/"]);
    // Envoy joins the headers that it knows by name, but not cookies.
    let twice: &[&[&str]] = &[&["a", "b"], &["a,b"]];
    for name in ["accept", "user-agent", "x-forwarded-for", "cdn-loop", "authorization"] {
        cases.headers_named(name, &with(name, "a,b"), twice, &[&["a, b"]]);
        cases.headers_named(name, &with(name, "a"), &[&["a"]], twice);
    }
    for name in ["cookie", "accept-language", "forwarded", "x-forwarded-prefix"] {
        cases.headers_named(name, &with(name, "a"), &[&["a", "b"]], &[&["a,b"]]);
    }
    let long = ["x".repeat(300), "y".repeat(300)];
    let joined = with("accept", &long.join(","));
    cases.headers_named("accept", &joined, &[&[long[0].as_str(), long[1].as_str()]], &[&["x"]]);
    cases.run("special");
}

#[test]
fn query_parameters() {
    let mut cases = Cases::default();
    let with = |parameter| RouteMatch::prefix("/").query_parameter(parameter);
    let present = |present| QueryParameterMatcher::new("a", QueryParameterMatchSpecifier::Present(present));
    let there = ["/?a", "/?a=", "/?a=1", "/?b=2&a=1", "/?&a=1", "/?a=1?b", "/?a=%31", "/?a=1;b=1", "/??b&a"];
    let missing = ["/", "/?", "/?A=1", "/?%61=1", "/?xa=1", "/?ab=1", "/?b?a=1", "/?b=a", "/?b;a"];
    cases.paths(&with(present(true)), &there, &missing);
    cases.paths(&with(present(false)), &missing, &there);
    let string = |matcher| with(QueryParameterMatcher::string("a", matcher));
    let exact = string(StringMatcher::exact("1"));
    // Only the first of one name counts, and nothing is decoded.
    cases.paths(&exact, &["/?a=1", "/?a=1&a=2", "/?b&a=1"], &["/", "/?a", "/?a=2&a=1", "/?a=%31", "/?a=1=2"]);
    cases.paths(&string(StringMatcher::exact("")), &["/?a", "/?a=", "/?a&a=1"], &["/", "/?a=1"]);
    cases.paths(&string(StringMatcher::safe_regex("1.*")), &["/?a=1", "/?a=1=2&b", "/?a=1?b"], &["/?a=21"]);
    cases.paths(&exact.query_parameter(QueryParameterMatcher::present("b")), &["/?b&a=1"], &["/?a=1"]);
    cases.run("query");
}

#[test]
fn cookies() {
    let mut cases = Cases::default();
    let with =
        |string, invert| RouteMatch::prefix("/").cookie(CookieMatcher::new("a", string).invert_match(invert));
    let yes: &[&[&str]] = &[
        &["a=1"],
        &["a=1; b=2"],
        &["b=2; a=1"],
        &["b=2;a=1"],
        &["a=1; a=2"],
        &["b=2", "a=1"],
        &["a=1", "a=2"],
        &["a=\"1\""],
        &[";;a=1"],
        &["b=2 ;  a=1"],
        &["a; a=1"],
    ];
    let no: &[&[&str]] = &[
        &[],
        &["a=2; a=1"],
        &["a=2", "a=1"],
        &["a =1"],
        &["a= 1"],
        &["a=1 ;b"],
        &["A=1"],
        &["a"],
        &["a="],
        &["a=1=2"],
        &["b=a=1"],
        &["a=1,b=2"],
        &["a=\"1"],
        &["b=2;\ta=1"],
        &["a=\"\""],
        &["aa=1"],
    ];
    cases.headers_named("cookie", &with(StringMatcher::exact("1"), false), yes, no);
    cases.headers_named("cookie", &with(StringMatcher::exact("1"), true), no, yes);
    let empty: &[&[&str]] = &[&["a="], &["a=\"\""]];
    cases.headers_named("cookie", &with(StringMatcher::exact(""), false), empty, &[&["a"], &["a=\""]]);
    cases.headers_named(
        "cookie",
        &with(StringMatcher::safe_regex(".*"), false),
        &[&["a=1 ;b"]],
        &[&["a =1"]],
    );
    cases.run("cookies");
}

#[test]
fn grpc_and_tls() {
    let mut cases = Cases::default();
    let grpc = RouteMatch::prefix("/").grpc(true);
    let yes: &[&[&str]] = &[
        &["application/grpc"],
        &["application/grpc+proto"],
        &["application/grpc+"],
        &["application/grpc+a", "b"],
    ];
    let no: &[&[&str]] = &[
        &[],
        &["application/grpc-web"],
        &["application/grpc; x"],
        &["APPLICATION/GRPC"],
        &["application/grp"],
        &["application/grpc", "x"],
        &["x", "application/grpc"],
    ];
    cases.headers_named("content-type", &grpc, yes, no);
    let tls = |tls| RouteMatch::prefix("/").tls_context(tls);
    cases.paths(&tls(TlsContextMatch::new()), &["/"], &[]);
    cases.paths(&tls(TlsContextMatch::new().presented(false).validated(false)), &["/"], &[]);
    cases.paths(&tls(TlsContextMatch::new().presented(true)), &[], &["/"]);
    cases.paths(&tls(TlsContextMatch::new().validated(true)), &[], &["/"]);
    cases.run("grpc");
}
