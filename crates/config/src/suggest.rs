//! "Did you mean": the known word that a mistyped one is closest to.

/// The text to append to an error, empty if nothing is close.
pub(crate) fn did_you_mean<'c>(found: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    in_words(closest(found, candidates))
}

pub(crate) fn in_words(closest: Option<&str>) -> String {
    closest.map(|word| format!(" (did you mean {word:?}?)")).unwrap_or_default()
}

/// The candidate that is closest to what was found, if it is close at all.
pub(crate) fn closest<'c>(found: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    /// Longer words are not compared, because the comparison takes the product of the lengths.
    const LONGEST: usize = 200;
    if found.len() > LONGEST {
        return None;
    }
    let found: Vec<char> = found.chars().flat_map(char::to_lowercase).collect();
    let mut allowed = (found.len() / 3).clamp(1, 4);
    let mut closest = None;
    let mut letters: Vec<char> = Vec::new();
    let mut rows = Rows::default();
    for candidate in candidates.into_iter().filter(|candidate| candidate.len() <= LONGEST) {
        letters.clear();
        letters.extend(candidate.chars().flat_map(char::to_lowercase));
        let Some(distance) = distance(&found, &letters, allowed, &mut rows) else { continue };
        closest = Some(candidate);
        // Of words that are equally close the first is taken.
        match distance.checked_sub(1) {
            Some(closer) => allowed = closer,
            None => break,
        }
    }
    closest
}

/// What [`distance`] works on, kept because it is called for many candidates.
#[derive(Default)]
struct Rows {
    before_last: Vec<usize>,
    last: Vec<usize>,
    current: Vec<usize>,
}

/// Insertions, deletions, substitutions and swaps of neighbours that lead from `a` to `b`; `None` if they are more than
/// `most`.
fn distance(mut a: &[char], mut b: &[char], most: usize, rows: &mut Rows) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    // Names in one file start alike, and what they share costs nothing.
    while let ([x, rest_of_a @ ..], [y, rest_of_b @ ..]) = (a, b)
        && x == y
    {
        (a, b) = (rest_of_a, rest_of_b);
    }
    while let ([rest_of_a @ .., x], [rest_of_b @ .., y]) = (a, b)
        && x == y
    {
        (a, b) = (rest_of_a, rest_of_b);
    }
    let Rows { before_last, last, current } = rows;
    before_last.clear();
    last.clear();
    last.extend(0..=b.len());
    for (i, x) in a.iter().enumerate() {
        current.clear();
        current.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut best =
                (at(last, j + 1) + 1).min(at(current, j) + 1).min(at(last, j) + usize::from(x != y));
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(before_last, j - 1) + 1);
            }
            current.push(best);
        }
        // Whatever follows costs at least what the cheapest way has cost here or one line before.
        if current.iter().chain(&*last).min().is_some_and(|least| *least > most) {
            return None;
        }
        std::mem::swap(before_last, last);
        std::mem::swap(last, current);
    }
    last.last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &str, expected: Option<&str>) {
        let known = ["connect_timeout", "name", "service2", "lb_policy", "ROUND_ROBIN"];
        assert_eq!(closest(found, known), expected, "{found:?}");
    }

    #[test]
    fn the_closest_word_is_found() {
        check("connect_timeot", Some("connect_timeout"));
        check("connect_tiemout", Some("connect_timeout"));
        check("servce2", Some("service2"));
        check("nmae", Some("name"));
        check("round_robn", Some("ROUND_ROBIN"));
        check("something_else", None);
        check("", None);
    }

    #[test]
    fn of_the_close_words_the_closest_and_then_the_first_is_taken() {
        let known = ["cluster-17x", "cluster-1", "cluster-2", "cluster-9"];
        assert_eq!(closest("cluster-17", known), Some("cluster-17x"));
        assert_eq!(closest("cluster-", known), Some("cluster-1"));
        assert_eq!(closest("cluster-9", known), Some("cluster-9"));
        assert_eq!(closest("clutser-2", known), Some("cluster-2"));
    }

    #[test]
    fn distances() {
        #[track_caller]
        fn check(a: &str, b: &str, expected: usize) {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            for most in 0..6 {
                let found = distance(&a, &b, most, &mut Rows::default());
                assert_eq!(found, (expected <= most).then_some(expected), "{a:?} {b:?} {most}");
            }
        }
        check("", "", 0);
        check("abc", "abc", 0);
        check("", "abc", 3);
        check("abc", "", 3);
        check("abc", "acb", 1);
        check("abcd", "badc", 2);
        check("aab", "ab", 1);
        check("kitten", "sitting", 3);
        check("xaby", "xbay", 1);
        check("abab", "ba", 2);
        check("timeout", "tmeoutt", 2);
    }
}
