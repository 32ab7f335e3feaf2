use http::{HeaderMap, Method};

use super::*;
use crate::{Metadata, StringMatcher, Value};

/// What filters were made to find out, by a letter.
fn metadata(found: &str) -> Metadata {
    let mut metadata = Metadata::new();
    let text = |text: &str| Value::String(text.to_owned());
    let inner = |value| Value::Struct([("j".to_owned(), value)].into());
    let value = match found {
        "string" => text("v"),
        "number" => Value::Number(1.5),
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        "list" => Value::List(vec![text("v"), text("w")]),
        "numbers" => Value::List(vec![Value::Number(1.0), Value::Number(2.0)]),
        "struct" => inner(text("v")),
        "nested" => inner(inner(text("v"))),
        _ => return metadata,
    };
    metadata.set("f", "k", value);
    metadata
}

// Expectations from Envoy 1.40, with metadata that a Lua filter set; null it could not.
#[test]
fn dynamic_metadata() {
    const ALL: [&str; 10] =
        ["none", "string", "number", "true", "false", "null", "list", "numbers", "struct", "nested"];
    fn check(matcher: &MetadataMatcher, expected: &[&str]) {
        let route = RouteMatch::prefix("/").dynamic_metadata(matcher.clone());
        let conditions = Conditions::new(&route, |kind| panic!("{kind}")).unwrap();
        let (method, headers) = (Method::GET, HeaderMap::new());
        let head = RequestHead::new(&method, "h", "/", &headers);
        let holds = |found: &str| conditions.hold(&head.dynamic_metadata(&metadata(found)), 0);
        let found: Vec<_> = ALL.into_iter().filter(|found| holds(found)).collect();
        assert_eq!(found, expected, "{matcher:?}");
        assert_eq!(conditions.hold(&head, 0), expected.contains(&"none"), "{matcher:?}");
    }
    fn at_key(value: ValueMatcher) -> MetadataMatcher {
        MetadataMatcher::new("f", ["k"], value)
    }
    let text = || ValueMatcher::String(StringMatcher::exact("v"));
    let [none, there @ ..] = ALL;
    check(&at_key(ValueMatcher::Present(true)), &there);
    check(&at_key(ValueMatcher::Present(true)).invert(true), &[none]);
    check(&at_key(ValueMatcher::Present(false)), &[]);
    check(&at_key(ValueMatcher::Present(false)).invert(true), &ALL);
    check(&at_key(ValueMatcher::Null), &["null"]);
    check(&at_key(text()), &["string"]);
    check(&at_key(text()).invert(true), &ALL.into_iter().filter(|at| *at != "string").collect::<Vec<_>>());
    check(&at_key(ValueMatcher::String(StringMatcher::exact(""))), &[]);
    check(&at_key(ValueMatcher::Double(DoubleMatcher::Exact(1.5))), &["number"]);
    check(&at_key(ValueMatcher::Double(DoubleMatcher::Range { start: 1.5, end: 2.0 })), &["number"]);
    check(&at_key(ValueMatcher::Double(DoubleMatcher::Range { start: 1.0, end: 1.5 })), &[]);
    check(&at_key(ValueMatcher::Bool(true)), &["true"]);
    check(&at_key(ValueMatcher::Bool(false)), &["false"]);
    let one_of = |value| ValueMatcher::ListOneOf(Box::new(value));
    check(&at_key(one_of(ValueMatcher::String(StringMatcher::exact("w")))), &["list"]);
    check(&at_key(one_of(ValueMatcher::Double(DoubleMatcher::Exact(2.0)))), &["numbers"]);
    check(&at_key(one_of(ValueMatcher::Present(true))), &["list", "numbers"]);
    check(&at_key(ValueMatcher::Or(vec![ValueMatcher::Bool(true), text()])), &["string", "true"]);
    check(&MetadataMatcher::new("f", ["k", "j"], text()), &["struct"]);
    check(&MetadataMatcher::new("f", ["k", "j"], ValueMatcher::Present(true)), &["struct", "nested"]);
    check(&MetadataMatcher::new("f", ["k", "j", "j"], text()), &["nested"]);
    check(&MetadataMatcher::new("g", ["k"], ValueMatcher::Present(true)), &[]);
}

#[test]
fn certificates() {
    fn check(tls: TlsContextMatch, expected: [bool; 3]) {
        let peers =
            [PeerCertificate::default(), PeerCertificate::presented(false), PeerCertificate::presented(true)];
        assert_eq!(peers.map(|peer| tls.matches(peer)), expected, "{tls:?}");
    }
    let tls = TlsContextMatch::new();
    check(tls, [true, true, true]);
    check(tls.presented(true), [false, true, true]);
    check(tls.presented(false), [true, false, false]);
    check(tls.validated(true), [false, false, true]);
    check(tls.presented(true).validated(false), [false, true, false]);
}
