//! Hostile files are refused before they cost anything.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod common;

use common::{check_loads, load_text, load_with};
use nuncio_config::{ErrorKind, Limits, LoadOptions};

#[track_caller]
fn check_limit(text: &str, expected: &str) {
    let errors = load_text(text).unwrap_err();
    let [error] = errors.errors() else { panic!("one error: {errors}") };
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Limit, expected));
}

/// Each list has the one before it nine times: nine to the power of nine values.
#[test]
fn billion_laughs() {
    let mut text = "node:\n  metadata:\n    a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..10 {
        let alias = format!("*a{}", level - 1);
        text.push_str(&format!("    a{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(",")));
    }
    check_limit(&text, "the aliases stand for more than 100000 values");
    // In a repeated field, where nested lists are flattened, and with nothing in the end.
    let mut text = "x: &a0 []\n".to_owned();
    for level in 1..40 {
        text.push_str(&format!("x{level}: &a{level} [*a{0}, *a{0}]\n", level - 1));
    }
    let text =
        format!("!ignore x: {{{}}}\nstatic_resources: {{clusters: *a39}}", text.trim().replace('\n', ", "));
    check_limit(&text, "the aliases stand for more than 100000 values");
}

/// Without a bound, dropping the last of these values would drop all others inside of it.
#[test]
fn a_chain_of_aliases_is_as_deep_as_nested_lists() {
    let mut text = "!ignore x:\n- &a0 [x]\n".to_owned();
    for level in 1..100_000 {
        text.push_str(&format!("- &a{level} [*a{}]\n", level - 1));
    }
    check_limit(&text, "nested more than 100 levels deep");
}

#[test]
fn depth() {
    let nested =
        |levels: usize| format!("node: {{metadata: {{a: {}{}}}}}", "[".repeat(levels), "]".repeat(levels));
    check_limit(&nested(200), "nested more than 100 levels deep");
    check_limit(&nested(200_000), "nested more than 100 levels deep");
    check_limit(&nested(97), "free-form data can be nested at most 25 levels deep");
    check_loads(&nested(20));
}

#[test]
fn size() {
    let options =
        LoadOptions { limits: Limits { bytes: 10, nodes: 3, ..Limits::default() }, ..LoadOptions::default() };
    let message = |text: &str| load_with(text, &options).unwrap_err().errors()[0].message.clone();
    assert_eq!(message("node: {id: abc}"), "the text has 15 bytes; at most 10 are read");
    assert_eq!(message("[1,2,3]"), "more than 3 values");
}
