use super::regex;

// What Envoy 1.40 refuses.
#[test]
fn refused() {
    fn check(template: &str, expected: &str) {
        let reason = regex(template).expect_err(template);
        assert!(reason.contains(expected), "{template}: {reason}");
    }
    check("", "1 to 256 characters");
    check(&format!("/{}", "a".repeat(256)), "1 to 256 characters");
    for template in ["a", "/a b", "/é", "*"] {
        check(template, "must start with a slash");
    }
    for template in
        ["//", "/a//b", "/a}", "/{a={b}}", "/{a=/b}", "/{a=b//c}", "/{a}{b}", "/{a}.{b}", "/{a=b}c}"]
    {
        check(template, "invalid literal");
    }
    for template in
        ["/*{a}", "/a?b", "/a#b", "/a|b", "/[a]", "/a\"b", "/a\\b", "/a^b", "/a`b", "/a<b", "/|{a}"]
    {
        check(template, "invalid literal");
    }
    for template in ["/{}", "/{1a}", "/{_a}", "/{a-b}", "/{a.b}"] {
        check(template, "cannot be the name of a variable");
    }
    check("/{a", "a } is missing");
    check("/{a/b", "a } is missing");
    check("/{a=}", "matches nothing");
    for template in ["/{a=b/}", "/{a=*b}", "/{a=*=b}"] {
        check(template, "cannot match");
    }
    for template in ["/{a=**}/*", "/**/*", "/**/{a}", "/**/**", "/{x=**/*}"] {
        check(template, "nothing but literals may follow");
    }
    check("/{a}/{a}", "is there twice");
    check("/{a}/{b}/{c}/{d}/{e}/{f}", "more than 5 variables");
    check("/{abcdefghijklmnopq}", "more than 16 characters");
    for template in ["/*b/c", "/**b/c", "/a/**:v/b"] {
        check(template, "nothing may follow a * with a suffix");
    }
}

// What Envoy 1.40 accepts.
#[test]
fn accepted() {
    for template in [
        "/",
        "/{a_1}",
        "/{a=**}/b",
        "/*/**",
        "/**/{x=b}",
        "/{x=**/b}",
        "/{a}/{b}/{c}/{d}/{e}",
        "/{abcdefghijklmnop}",
        "/{a}b/c",
        "/***",
        "/****",
        "/**/",
        "/*/",
        "/{a}/",
        "/{a=b*}",
        "/a*b",
        "/a**b",
        "/a=b",
        "/{a=b=c}",
        "/%zz",
        "/a'b",
        "/x{a}",
        "/x*",
        "/{a=**}x/y",
        "/{a=b/*/c/**}",
        "/a:b",
        "/a@b",
        "/a~b",
        "/*:v",
        "/{a}:v",
        "/{a=*/b}:v",
        "/**:v",
        "/{a=**}:v",
        "/{a=x/**}/y/{b=z}",
        "/{a}=b",
        "/{a}*",
        "/*x*",
    ] {
        assert!(regex(template).is_ok(), "{template}: {:?}", regex(template));
    }
    assert!(regex(&format!("/{}", "a".repeat(255))).is_ok());
}
