use super::*;

fn continued(path: &str) -> Outcome<'_> {
    Outcome::Continue(Cow::Borrowed(path))
}

// Expectations from Envoy 1.40.
#[test]
fn normalized() {
    fn check(path: &str, expected: &str) {
        let found = Normalization::new().normalize(true).apply(path);
        assert_eq!(found, continued(expected), "{path}");
        // A normal path stays as it is.
        assert_eq!(normalize(expected).as_deref(), Some(expected), "{path}");
    }
    check("/", "/");
    check("/a/./b", "/a/b");
    check("/a/../b", "/b");
    check("/a/..", "/");
    check("/a/.", "/a/");
    check("/../..", "/");
    check("/a/b/../../../c", "/c");
    check("/a//../b", "/a/b");
    check("//..//a", "//a");
    check("/a/..//b", "//b");
    check("/a//b", "/a//b");
    check("/...", "/...");
    check("/a/..b", "/a/..b");
    check("/a/%2e/b", "/a/b");
    check("/a/.%2E/b", "/b");
    check("/a\\..\\b", "/b");
    check("/a/../b?x/../y#", "/b?x/../y#");
    check("/a%", "/a%");
    check("/a%2", "/a%2");
    check("/a%zz", "/a%zz");
    check("/a%2fb", "/a%2fb");
    check("/a/%2e%2f", "/a/.%2f");
    check("/a%2E%2Eb", "/a..b");
    check("/A/%7Euser/%c3%a9", "/A/~user/%c3%a9");
    check("/%61%62%2d%5F", "/ab-_");
    check("/a%252fb", "/a%252fb");
    check("/\"<>^`{|}", "/%22%3C%3E%5E%60%7B%7C%7D");
    check("/!$&'()*+,:;=@[]~", "/!$&'()*+,:;=@[]~");
    // What is unescaped makes no escape of what was none.
    check("/%4%41", "/%254A");
    check("/%%341", "/%2541");
    check("/%%34x", "/%4x");
    // Path parameters of dots are dropped, but not of escaped dots.
    check("/a/b/..;/c", "/a/c");
    check("/a/.;x/b", "/a/b");
    check("/a/..;x=1", "/");
    check("/a/..;%00/b", "/b");
    check("/a/b/..;\\c", "/a/");
    check("/a/..\\;b", "/;b");
    check("/a/b..;/c", "/a/b..;/c");
    check("/a;/../b", "/b");
}

#[test]
fn dots_with_parameters_may_come_out_of_normalisation() {
    fn check(path: &str, expected: &str) {
        assert_eq!(normalize(path).as_deref(), Some(expected), "{path}");
    }
    check("/a/%2e%2e;x/b", "/a/..;x/b");
    check("/a/%2e;/b", "/a/.;/b");
    check("/a/..%3b/b", "/a/..%3b/b");
}

// Expectations from Envoy 1.40.
#[test]
fn rejected() {
    fn check(path: &str, expected: bool) {
        let found = Normalization::new().normalize(true).apply(path);
        assert_eq!(found == Outcome::Reject, expected, "{path}");
    }
    check("/a%00b", true);
    check("/a/..%00", true);
    check("/a?%00", false);
    check("/a/%00/../b", true);
}

// Expectations from Envoy 1.40.
#[test]
fn slashes_merged() {
    fn check(path: &str, expected: &str) {
        assert_eq!(Normalization::new().merge_slashes(true).apply(path), continued(expected), "{path}");
    }
    check("/a", "/a");
    check("//a", "/a");
    check("/a//b?c//d", "/a/b?c//d");
    check("/a//../b", "/a/../b");
    check("/a///b//", "/a/b/");
    check("//", "//");
    check("///", "//");
    check("//?a//b", "//?a//b");
}

// Expectations from Envoy 1.40.
#[test]
fn escaped_slashes() {
    fn check(path: &str, unescaped: Option<&str>) {
        let apply = |action| Normalization::new().escaped_slashes(action).apply(path);
        assert_eq!(apply(EscapedSlashes::Keep), continued(path));
        let expected = unescaped.unwrap_or(path);
        assert_eq!(apply(EscapedSlashes::Forward), continued(expected), "{path}");
        let redirected = unescaped.map_or(continued(path), |path| Outcome::Redirect(Cow::Borrowed(path)));
        assert_eq!(apply(EscapedSlashes::Redirect), redirected, "{path}");
        let refused = unescaped.map_or(continued(path), |_| Outcome::Reject);
        assert_eq!(apply(EscapedSlashes::Reject), refused, "{path}");
    }
    check("/a/b", None);
    check("/a?b%2fc", None);
    check("/a%2", None);
    check("/a%252f", None);
    check("/a%2fb%2F", Some("/a/b/"));
    check("/a%5C..%5cb", Some("/a\\..\\b"));
    check("/%%2F?%2F", Some("/%/?%2F"));
}

// Expectations from Envoy 1.40.
#[test]
fn all_steps() {
    fn check(path: &str, expected: &Outcome<'_>) {
        let all = Normalization::new().normalize(true).merge_slashes(true);
        let found = all.escaped_slashes(EscapedSlashes::Redirect).apply(path);
        assert_eq!(&found, expected, "{path}");
    }
    let redirected = |path| Outcome::Redirect(Cow::Borrowed(path));
    check("/a%2f..%2fb", &redirected("/b"));
    check("/a%5Cb", &redirected("/a/b"));
    check("/a%2F%2Fb", &redirected("/a/b"));
    check("/a%00%2f", &Outcome::Reject);
    check("/a/..//b", &continued("/b"));
    check("/a", &continued("/a"));
}

#[test]
fn what_is_clean_is_not_copied() {
    let all =
        Normalization::new().normalize(true).merge_slashes(true).escaped_slashes(EscapedSlashes::Forward);
    let found = all.apply("/api/v1/users.json?a=%2F//..");
    assert!(matches!(found, Outcome::Continue(Cow::Borrowed(_))), "{found:?}");
}

// Expectations from Envoy 1.40, which strips fragments unless it is told to refuse them.
#[test]
fn fragments() {
    fn check(path: &str, expected: &str) {
        assert_eq!(without_fragment(path), expected);
    }
    check("/a", "/a");
    check("/a#b?c", "/a");
    check("/a?b#c", "/a?b");
}
