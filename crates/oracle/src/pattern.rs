//! Names with `*` for any text, as the case files use them.

/// Whether `name` is `pattern`, each of whose `*` stands for any text.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(start) else {
        return false;
    };
    if rest.is_empty() {
        return true;
    }
    name.char_indices()
        .map(|(at, _)| at)
        .chain([name.len()])
        .any(|at| name.get(at..).is_some_and(|tail| matches(rest, tail)))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_any_text() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        };
        check("a.b", "a.b", true);
        check("a.b", "a.bc", false);
        check("a.*", "a.bc", true);
        check("a.*.c", "a.b.c", true);
        check("a.*.c", "a.b.d", false);
        check("*.c", "a.b.c", true);
        check("*b*", "abc", true);
        check("*b*", "ac", false);
    }
}
