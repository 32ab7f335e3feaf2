use super::*;

/// What RE2 refuses in Envoy 1.40, and the one thing that only we do.
#[test]
fn refused() {
    fn check(pattern: &str, expected: &str) {
        let reason = Pattern::new(pattern).map(|_| ()).expect_err(pattern);
        assert!(reason.contains(expected), "{pattern}: {reason}");
    }
    check("", "it is empty");
    for pattern in ["*", "a|*", "(?i)*", "(+)", r"\Q\E+", "|+"] {
        check(pattern, "no argument for repetition operator");
    }
    for pattern in ["a**", "a*+", "a{2}{3}", "a{1}*", "a*{1}", "a+??"] {
        check(pattern, "bad repetition operator");
    }
    for pattern in ["a{1001}", "a{1001,}", "a{2,1}", "([a-z]{100}){11}", "(((a{100}){100}){100})"] {
        check(pattern, "invalid repetition size");
    }
    for pattern in [
        r"\1",
        r"\8",
        r"\777",
        r"\q",
        r"\é",
        r"\x{100}",
        r"\x{110000}",
        r"\x4",
        r"\x{4",
        r"\x{}",
        r"\xg",
        r"\u0041",
        r"\Z",
        r"\G",
        r"\E",
        r"\h",
        r"\R",
        r"\X",
        r"\K",
        r"\k<x>",
        r"\e",
        r"\cA",
        r"\N{U+41}",
        r"[a\b]",
        r"[\Q]",
        r"[\C]",
        r"[a-\d]",
        r"[z-\d]",
        r"[\h]",
    ] {
        check(pattern, "invalid escape sequence");
    }
    for pattern in ["[b-a]", "[[:foo:]]", "[a-[:alpha:]]", r"\p{", r"\p{Han"] {
        check(pattern, "invalid character class");
    }
    for pattern in [r"\p{greek}", r"\p{Letter}", r"\pz", r"\p{Script=Greek}", r"\p{Cn}", r"\p{Emoji}"] {
        check(pattern, "only general categories");
    }
    check(r"\p{Greek}", "only general categories");
    check("[]", "a ] is missing");
    check("[a", "a ] is missing");
    for pattern in
        ["(?x) a", "(?u)a", "(?i-)a", "(?-)a", "(?=a)", "(?!a)", "(?>a)", "(?#c)a", "(?P=x)", "(?P>x)", "(?i"]
    {
        check(pattern, "invalid perl operator");
    }
    for pattern in ["(?P<é>a)", "(?P<>a)", "(?<=a)", "(?<!a)"] {
        check(pattern, "invalid named capture group");
    }
    check("(", "a ) is missing");
    check("a)", "unexpected )");
    check(")(", "unexpected )");
    check(r"a\", "a backslash at the end");
    check(&"(".repeat(300), "nested deeper");
    check(&"[a-z]{1000}".repeat(100), "compiled it exceeds");
}

// Expectations from Envoy 1.40, whose RE2 reads Latin-1.
#[test]
fn whole_texts() {
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let regex = Regex::new(pattern).unwrap_or_else(|reason| panic!("{pattern}: {reason}"));
        for (texts, expected) in [(yes, true), (no, false)] {
            for text in texts {
                assert_eq!(regex.is_match(text.as_bytes()), expected, "{pattern} {text:?}");
            }
        }
    }
    check("a|ab", &["a", "ab"], &["abc", "b", ""]);
    check("a||b", &["a", "", "b"], &["ab"]);
    check("()", &[""], &["a"]);
    check("a.b", &["a.b", "a\tb"], &["a\nb", "aéb"]);
    check("(?s)a.b", &["a\nb"], &["ab"]);
    check("a.{2}b", &["aéb"], &["axb"]);
    check("é|[é]{2}", &["é"], &["e"]);
    check("a{,5}", &["a{,5}"], &["a", "aa"]);
    check("a{|{|a{x}|a{01}", &["a{", "{", "a{x}", "a{01}"], &["a"]);
    check("a{2}b{1,}c{0,1}", &["aab", "aabbc"], &["ab", "aabcc"]);
    check("x{0}", &[""], &["x"]);
    check("(?:a*)*(?:b*)+", &["", "aabb"], &["ba"]);
    check(r"\Qa+b\E+", &["a+b", "a+bb"], &["aab"]);
    check(r"\Qa.", &["a."], &["ab"]);
    check(r"\12|\60|\08|\0", &["\n", "0", "\08", "\0"], &["8"]);
    check(r"\x41\x{42}\a\f\t\n\r\v", &["AB\x07\x0c\t\n\r\x0b"], &["AB"]);
    check(r"\<\>\_\-\ \/", &["<>_- /"], &["/"]);
    check(r"\d\w\s", &["1_ ", "2b\x0c"], &["1b\x0b", "٣b "]);
    check(r"[\d-z]+", &["1-z"], &["a"]);
    check("[a[b]", &["a", "[", "b"], &["]"]);
    check("[]a]+|[^]a]", &["]a", "b"], &["b]"]);
    check("[a-b-c][-x][x-]", &["a-x", "-x-", "cxx"], &["axy"]);
    check("[a&&b]+", &["a&b"], &["-"]);
    check("[[:alpha:]-]+[[:^alpha:]]", &["a-b1"], &["a-b"]);
    check("(?i)[[:^upper:]]", &["1"], &["a", "A"]);
    check("(?i)aB(?-i)c(?i:D)e", &["abcde", "ABcDe"], &["abCde", "abcdE"]);
    check("(?i)a|b", &["A", "B"], &[]);
    check("((?i)a)b", &["Ab"], &["AB"]);
    check("(?im-sU)a.*?", &["Abc"], &["A\n"]);
    check("^a$", &["a"], &["a\n"]);
    check("(?m)a$\n^b", &["a\nb"], &["ab"]);
    check("a$b|^*c|x^y", &["c"], &["ab", "xy"]);
    check("x^y", &[], &["xy"]);
    check("xy^*z", &["xyz"], &["xz"]);
    check("^xy*", &["x", "xyy"], &["", "y"]);
    check("^*x", &["x"], &["xx"]);
    check("/*x", &["x", "//x"], &["/"]);
    check(r"a\bb|c", &["c"], &["ab"]);
    check(r"a\b.", &["a-"], &["ab"]);
    check("(?m)a\n^b", &["a\nb"], &["ab"]);
    check("abc", &["abc"], &["ab", "abcd", ""]);
    check(r"\Aa\z", &["a"], &["aa"]);
    check(r"a\b.\bb|\Bx", &["a b", "a-b"], &["axb"]);
    check("(?P<x>a)(?<x>b)(?P<1>c)(?)", &["abc"], &["ab"]);
    check(r"\C\C", &["é", "ab"], &["a"]);
    check("[^x]*", &["", "é", "a\n"], &["x"]);
    check("(a|b|)c", &["ac", "c"], &["abc"]);
    check("a??b*?c+?", &["c", "abbcc"], &["ab"]);
}

// Expectations from Envoy 1.40: the bytes that match alone.
#[test]
fn bytes() {
    fn check(pattern: &str, expected: &[(u8, u8)]) {
        let regex = Regex::new(pattern).unwrap_or_else(|reason| panic!("{pattern}: {reason}"));
        let mut found: Vec<(u8, u8)> = Vec::new();
        for byte in (0x21..=0xff_u8).filter(|byte| *byte != 0x7f && regex.is_match(&[*byte])) {
            match found.last_mut() {
                Some((_, to)) if *to + 1 == byte => *to = byte,
                _ => found.push((byte, byte)),
            }
        }
        assert_eq!(found, expected, "{pattern}");
    }
    let no_word = [(0x21, 0x2f), (0x3a, 0x40), (0x5b, 0x5e), (0x60, 0x60), (0x7b, 0x7e), (0x80, 0xff)];
    check(r"(?i)\xe9", &[(0xe9, 0xe9)]);
    check(r"(?i)[\xe0-\xfe]", &[(0xe0, 0xfe)]);
    check("(?i)k", &[(0x4b, 0x4b), (0x6b, 0x6b)]);
    check(r"(?i)\W", &no_word);
    check(r"\B.\B", &no_word);
    check("(?i)[^k]", &[(0x21, 0x4a), (0x4c, 0x6a), (0x6c, 0x7e), (0x80, 0xff)]);
    check(
        r"\pL",
        &[
            (0x41, 0x5a),
            (0x61, 0x7a),
            (0xaa, 0xaa),
            (0xb5, 0xb5),
            (0xba, 0xba),
            (0xc0, 0xd6),
            (0xd8, 0xf6),
            (0xf8, 0xff),
        ],
    );
    check(r"(?i)\p{Lu}", &[(0x41, 0x5a), (0x61, 0x7a), (0xc0, 0xd6), (0xd8, 0xde)]);
    check(
        r"(?i)\P{Lu}",
        &[(0x21, 0x40), (0x5b, 0x60), (0x7b, 0x7e), (0x80, 0xbf), (0xd7, 0xd7), (0xdf, 0xff)],
    );
    check(
        r"\p{Common}",
        &[
            (0x21, 0x40),
            (0x5b, 0x60),
            (0x7b, 0x7e),
            (0x80, 0xa9),
            (0xab, 0xb9),
            (0xbb, 0xbf),
            (0xd7, 0xd7),
            (0xf7, 0xf7),
        ],
    );
    check(r"\pN", &[(0x30, 0x39), (0xb2, 0xb3), (0xb9, 0xb9), (0xbc, 0xbe)]);
    check(
        r"\pP",
        &[
            (0x21, 0x23),
            (0x25, 0x2a),
            (0x2c, 0x2f),
            (0x3a, 0x3b),
            (0x3f, 0x40),
            (0x5b, 0x5d),
            (0x5f, 0x5f),
            (0x7b, 0x7b),
            (0x7d, 0x7d),
            (0xa1, 0xa1),
            (0xa7, 0xa7),
            (0xab, 0xab),
            (0xb6, 0xb7),
            (0xbb, 0xbb),
            (0xbf, 0xbf),
        ],
    );
    check(
        r"\p{S}",
        &[
            (0x24, 0x24),
            (0x2b, 0x2b),
            (0x3c, 0x3e),
            (0x5e, 0x5e),
            (0x60, 0x60),
            (0x7c, 0x7c),
            (0x7e, 0x7e),
            (0xa2, 0xa6),
            (0xa8, 0xa9),
            (0xac, 0xac),
            (0xae, 0xb1),
            (0xb4, 0xb4),
            (0xb8, 0xb8),
            (0xd7, 0xd7),
            (0xf7, 0xf7),
        ],
    );
    check(r"\p{^C}", &[(0x21, 0x7e), (0xa0, 0xac), (0xae, 0xff)]);
    check(r"\p{Z}", &[(0xa0, 0xa0)]);
    check(r"\p{Any}", &[(0x21, 0x7e), (0x80, 0xff)]);
    check(r"\p{Mn}", &[]);
    check("[[:print:]]", &[(0x21, 0x7e)]);
}

#[test]
fn literal_prefixes() {
    fn check(pattern: &str, expected: &str) {
        let prefix = Pattern::new(pattern).map(|pattern| pattern.prefix().to_vec());
        assert_eq!(prefix.as_deref(), Ok(expected.as_bytes()), "{pattern}");
    }
    check("/a/b", "/a/b");
    check("^/a/b$", "/a/b");
    check(r"/a\.b/\d+", "/a.b/");
    check("/ab*c", "/a");
    check("/ab{1,2}c", "/a");
    check("/a?", "/");
    check("/a(b|c)/d", "/a");
    check("/a|/b", "");
    check("/a/(?:b|c)|x", "");
    check("/a/(?i)b", "/a/");
    check("(?i)/a", "");
    check("/[a]b", "/");
    check("a^b", "a");
    check("/a{b", "/a{b");
    check(r"\Q/a+\Eb", "/a+b");
    check("/é.", "/é");
}

#[test]
fn many_at_once() {
    let texts = ["/[a]", "/[a].*", "/.*b", "/[ab]+", "/(b)"];
    let patterns: Vec<Pattern> = texts.iter().map(|text| Pattern::new(text).unwrap()).collect();
    let set = RegexSet::new(&patterns.iter().collect::<Vec<_>>()).unwrap();
    let check = |text: &str, expected: &[usize]| {
        let mut found: Vec<usize> = set.matches(text.as_bytes(), 1).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{text}");
    };
    check("/a", &[0, 1, 3]);
    check("/ab", &[1, 2, 3]);
    check("/b", &[2, 3, 4]);
    check("/c", &[]);
    check("/", &[]);
}

#[test]
fn expressions_too_large_for_a_table_are_searched() {
    let pattern = Pattern::new("/.*a.{18}").unwrap();
    assert!(RegexSet::new(&[&pattern, &pattern]).is_none());
    let regex = pattern.compile().unwrap();
    assert!(matches!(regex.engine, Engine::Search(_)));
    assert!(regex.is_match(b"/xxa012345678901234567"));
    assert!(!regex.is_match(b"/xxb012345678901234567"));
    assert!(!regex.is_match(b"/xxa012345678901234567\n"));
}
