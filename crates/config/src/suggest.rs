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
    let allowed = (found.len() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .filter(|candidate| {
            candidate.len() <= LONGEST && candidate.len().abs_diff(found.len()) <= allowed * 4
        })
        .filter_map(|candidate| {
            let letters: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
            let distance = distance(&found, &letters);
            (distance <= allowed).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions and swaps of neighbours that lead from `a` to `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut best =
                (at(&last, j + 1) + 1).min(at(&row, j) + 1).min(at(&last, j) + usize::from(x != y));
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
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
}
