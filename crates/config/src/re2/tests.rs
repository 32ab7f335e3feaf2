//! What Envoy says of the same expressions is in `fixtures/config/verdicts/regexes.yaml`.

use super::*;

#[track_caller]
fn check(expression: &str, expected: Result<u64, &str>) {
    let is = least_size(expression).map_err(|invalid| invalid.to_string());
    assert_eq!(is, expected.map_err(str::to_owned), "{expression:?}");
}

#[test]
fn sizes_are_those_of_envoy_or_less() {
    check("a", Ok(5));
    check("^a", Ok(3));
    check("a{1000}", Ok(1004));
    check("(a)", Ok(7));
    check("(?:a|bcd)", Ok(7));
    check("a*b+c?d{2,5}", Ok(4 + 1 + 1 + 1 + 5));
    check("[a-z0-9]{3}", Ok(7));
    check("ü", Ok(6));
    check("a{", Ok(6));
    check("", Ok(4));
}

#[test]
fn mistakes_are_named() {
    check("(a", Err("a bracket \"(\" is not closed"));
    check("a)", Err("a bracket \")\" was not opened"));
    check("x[a", Err("a bracket \"[\" is not closed: [a"));
    check("*a", Err("there is nothing to repeat: *"));
    check("a|*", Err("there is nothing to repeat: *"));
    check("a+?+", Err("a repetition operator cannot be repeated: +?+"));
    check("a{3,2}", Err("invalid repetition size: {3,2}"));
    check("(a{100}){11}", Err("things that are repeated more than 1000 times in all: {11}"));
    check("(?=a)", Err("RE2 does not know the operator: (?="));
    check("(?<=a)", Err("RE2 does not know the operator: (?<"));
    check("(?P<>a)", Err("a group has an invalid name: (?P<>"));
    check("\\1", Err("RE2 does not know the escape sequence: \\1"));
    check("a\\", Err("the expression ends in a backslash"));
    check("[z-a]", Err("a range of characters ends before it begins: z-a"));
    check("[[:x:]]", Err("there is no such class of characters: [:x:]"));
    check("\\p{x}", Err("there is no such class of Unicode: x"));
}

#[test]
fn nothing_makes_it_panic() {
    const LETTERS: [&str; 14] = ["a", "(", ")", "[", "]", "{", "}", "?", "*", "\\", "-", ":", "1", "^"];
    // Every text of up to five of these letters.
    for length in 0..=5_u32 {
        for mut number in 0..LETTERS.len().pow(length) {
            let mut text = String::new();
            for _ in 0..length {
                text.push_str(LETTERS[number % LETTERS.len()]);
                number /= LETTERS.len();
            }
            let _ = least_size(&text);
        }
    }
}
