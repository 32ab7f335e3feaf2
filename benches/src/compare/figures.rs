//! Arithmetic over the rounds: median, minimum, spread, ratio.

/// The middle value; with an even number of values the mean of the middle two.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    match sorted.len() % 2 {
        0 => Some(f64::midpoint(*sorted.get(sorted.len() / 2 - 1)?, upper)),
        _ => Some(upper),
    }
}

pub(crate) fn minimum(values: &[f64]) -> Option<f64> {
    values.iter().copied().min_by(f64::total_cmp)
}

/// How far the values lie apart: (largest - smallest) / median.
pub(crate) fn spread(values: &[f64]) -> Option<f64> {
    let largest = values.iter().copied().max_by(f64::total_cmp)?;
    ratio(largest - minimum(values)?, median(values)?)
}

pub(crate) fn ratio(ours: f64, theirs: f64) -> Option<f64> {
    (theirs > 0.0).then(|| ours / theirs)
}

/// The value that `share` of the sorted values do not exceed (nearest rank).
pub(crate) fn percentile(sorted: &[u64], share: f64) -> Option<u64> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

/// `items` with the first `by` moved to the end, so that no proxy always runs in the same place.
pub(crate) fn rotated<T: Clone>(items: &[T], by: usize) -> Vec<T> {
    let skip = if items.is_empty() { 0 } else { by % items.len() };
    items.iter().cycle().skip(skip).take(items.len()).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let check = |values: &[f64], expected| assert_eq!(median(values), expected, "{values:?}");
        check(&[], None);
        check(&[3.0], Some(3.0));
        check(&[9.0, 1.0, 4.0], Some(4.0));
        check(&[9.0, 1.0, 4.0, 5.0], Some(4.5));
    }

    #[test]
    fn spreads_are_relative_to_the_median() {
        let check = |values: &[f64], expected| assert_eq!(spread(values), expected, "{values:?}");
        check(&[], None);
        check(&[20.0, 20.0], Some(0.0));
        check(&[19.0, 20.0, 22.0], Some(0.15));
        check(&[0.0, 0.0], None);
    }

    #[test]
    fn ratios_need_a_divisor() {
        assert_eq!(ratio(9.0, 18.0), Some(0.5));
        assert_eq!(ratio(9.0, 0.0), None);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<u64> = (1..=100).collect();
        let check =
            |values: &[u64], share, expected| assert_eq!(percentile(values, share), expected, "{share}");
        check(&hundred, 0.5, Some(50));
        check(&hundred, 0.99, Some(99));
        check(&hundred, 0.999, Some(100));
        check(&hundred, 0.0, Some(1));
        check(&[7], 0.99, Some(7));
        check(&[], 0.5, None);
    }

    #[test]
    fn rotation_keeps_everything() {
        assert_eq!(rotated(&[1, 2, 3], 0), [1, 2, 3]);
        assert_eq!(rotated(&[1, 2, 3], 4), [2, 3, 1]);
        assert!(rotated::<u8>(&[], 2).is_empty());
    }
}
