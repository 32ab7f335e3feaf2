//! Every expectation here was seen in Envoy 1.40.

use http::{HeaderMap, HeaderValue, Method};

use super::*;

/// The location for a request of `scheme` for `authority` and `path`, on a route that matches `/a`.
fn location(redirect: &Redirect, scheme: &'static str, authority: &str, path: &str) -> String {
    location_on(&RouteMatch::prefix("/a"), redirect, scheme, authority, path)
}

fn location_on(
    matched: &RouteMatch,
    redirect: &Redirect,
    scheme: &'static str,
    authority: &str,
    path: &str,
) -> String {
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-proto", HeaderValue::from_static(scheme));
    redirect.location(&RequestHead::new(&Method::GET, authority, path, &headers).scheme(scheme), matched)
}

#[test]
fn scheme_host_and_port() {
    fn check(redirect: &Redirect, scheme: &'static str, authority: &str, expected: &str) {
        assert_eq!(location(redirect, scheme, authority, "/a/b?q=1"), expected, "{redirect:?}");
    }
    let same = Redirect::new();
    check(&same, "http", "h.com", "http://h.com/a/b?q=1");
    check(&same, "http", "h.com:80", "http://h.com:80/a/b?q=1");
    check(&same, "https", "h.com:443", "https://h.com:443/a/b?q=1");
    check(&same, "http", "[::1]", "http://[::1]/a/b?q=1");
    let https = Redirect::new().https();
    check(&https, "http", "h.com", "https://h.com/a/b?q=1");
    check(&https, "http", "h.com:80", "https://h.com/a/b?q=1");
    check(&https, "https", "h.com:443", "https://h.com:443/a/b?q=1");
    check(&https, "http", "h.com:8080", "https://h.com:8080/a/b?q=1");
    check(&https, "http", "[::1]:80", "https://[::1]/a/b?q=1");
    check(&https, "http", "[::1]", "https://[::1]/a/b?q=1");
    let ftp = Redirect::new().scheme("ftp");
    check(&ftp, "http", "h.com:80", "ftp://h.com/a/b?q=1");
    check(&ftp, "https", "h.com:443", "ftp://h.com/a/b?q=1");
    check(&ftp, "http", "h.com:443", "ftp://h.com:443/a/b?q=1");
    let upper = Redirect::new().scheme("HTTPS");
    check(&upper, "https", "h.com:443", "HTTPS://h.com/a/b?q=1");
    check(&Redirect::new().scheme(""), "http", "h.com:80", "http://h.com:80/a/b?q=1");
    let port = Redirect::new().port(8443);
    check(&port, "http", "h.com", "http://h.com:8443/a/b?q=1");
    check(&port, "http", "h.com:8080", "http://h.com:8443/a/b?q=1");
    check(&port, "http", "[::1]:80", "http://[::1]:8443/a/b?q=1");
    check(&port, "http", "[::1]", "http://[::1]:8443/a/b?q=1");
    check(&Redirect::new().port(0), "http", "h.com:80", "http://h.com:80/a/b?q=1");
    check(&Redirect::new().https().port(443), "http", "h.com", "https://h.com:443/a/b?q=1");
    check(&Redirect::new().host("new.org"), "http", "h.com:80", "http://new.org/a/b?q=1");
    check(&Redirect::new().host("new.org:99").port(1), "http", "h.com", "http://new.org:99:1/a/b?q=1");
    check(&Redirect::new().host("").https(), "http", "h.com", "https://h.com/a/b?q=1");
}

#[test]
fn paths() {
    fn check(redirect: &Redirect, path: &str, expected: &str) {
        let location = location(redirect, "http", "h", path);
        assert_eq!(location.strip_prefix("http://h"), Some(expected), "{redirect:?} {path}");
    }
    let full = |path: &str| Redirect::new().path(PathRedirect::Full(path.into()));
    check(&full("/p"), "/a/b?q=1", "/p?q=1");
    check(&full("/p"), "/a", "/p");
    check(&full("/p?z=1"), "/a/b?q=1", "/p?z=1");
    check(&full("/p?z=1").strip_query(true), "/a/b?q=1", "/p?z=1");
    check(&full("/p").strip_query(true), "/a/b?q=1", "/p");
    check(&full("p"), "/a/b?q=1", "/p?q=1");
    check(&full(""), "/a/b?q=1", "/a/b?q=1");
    check(&full("?x=1"), "/a/b?q", "/?x=1");
    check(&full("http://x/y"), "/a/b?q", "/http://x/y?q");
    check(&full("/z#f"), "/a/b?q", "/z#f?q");
    let prefix = |prefix: &str| Redirect::new().path(PathRedirect::Prefix(prefix.into()));
    check(&prefix("/"), "/a/b?q=1", "//b?q=1");
    check(&prefix("/"), "/a", "/");
    check(&prefix("/"), "/a?x", "/?x");
    check(&prefix("/"), "/ab", "/b");
    check(&prefix("/new/"), "/a/b?q=1", "/new//b?q=1");
    check(&prefix("/new?k=v"), "/a/b?q=1", "/new?k=v/b?q=1");
    check(&prefix("/new?k=v").strip_query(true), "/a/b?q=1", "/new");
    check(&prefix("rel"), "/a/b?q", "/rel/b?q");
    check(&prefix(""), "/a/b?q=1", "/a/b?q=1");
    check(&Redirect::new().strip_query(true), "/a?b?c", "/a");
}

#[test]
fn prefix_of_other_matches() {
    fn check(matched: &RouteMatch, path: &str, expected: &str) {
        let redirect = Redirect::new().path(PathRedirect::Prefix("/n".into()));
        assert_eq!(location_on(matched, &redirect, "http", "h", path), expected);
    }
    check(&RouteMatch::path("/a/b"), "/a/b?q=1", "http://h/n?q=1");
    check(&RouteMatch::prefix("/A").case_sensitive(false), "/a/b?q=1", "http://h/n/b?q=1");
}

#[test]
fn status_codes() {
    fn check(code: RedirectCode, expected: u16) {
        assert_eq!(code.status().as_u16(), expected);
    }
    check(Redirect::new().response_code, 301);
    check(RedirectCode::Found, 302);
    check(RedirectCode::SeeOther, 303);
    check(RedirectCode::TemporaryRedirect, 307);
    check(RedirectCode::PermanentRedirect, 308);
}
