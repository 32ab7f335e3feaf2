use proptest::prelude::*;

use super::*;

fn bins(unit: Unit, values: &[f64]) -> Bins {
    let cell = HistogramCell::new(unit);
    for value in values {
        cell.record(*value);
    }
    let mut bins = Bins::default();
    cell.add_to(&mut bins);
    bins
}

#[test]
fn values_fall_into_buckets_of_two_digits() {
    fn check(value: f64, low: f64, width: f64) {
        let bins = bins(Unit::Unspecified, &[value]);
        assert_eq!(
            bins.iter().map(|(bin, count)| (bin.bounds(), count)).collect::<Vec<_>>(),
            [((low, width), 1)]
        );
    }
    check(0.0, 0.0, 0.0);
    check(0.9, 0.0, 0.0);
    check(-5.0, 0.0, 0.0);
    check(f64::NAN, 0.0, 0.0);
    check(1.0, 1.0, 0.1);
    check(9.9, 9.0, 0.1);
    check(10.0, 10.0, 1.0);
    check(99.0, 99.0, 1.0);
    check(100.0, 100.0, 10.0);
    check(109.0, 100.0, 10.0);
    check(123_456.0, 120_000.0, 10_000.0);
    check(f64::INFINITY, 18e18, 1e18);
}

#[test]
fn shares_keep_six_digits() {
    let bins = bins(Unit::Percent, &[0.25, 1.0]);
    let shown: Vec<f64> = bins.iter().map(|(bin, _)| bin.bounds().0 * Unit::Percent.scale()).collect();
    assert_eq!(shown, [0.25, 1.0]);
}

#[test]
fn quantiles_take_the_samples_of_a_bucket_as_spread_evenly() {
    fn check(values: &[f64], expected: [Option<f64>; 3]) {
        let bins = bins(Unit::Unspecified, values);
        assert_eq!([0.0, 0.5, 1.0].map(|quantile| bins.quantile(quantile)), expected);
    }
    check(&[], [None, None, None]);
    check(&[0.0], [Some(0.0); 3]);
    check(&[3.0], [Some(3.05); 3]);
    check(&[3.0, 3.0], [Some(3.033333333333333), Some(3.033333333333333), Some(3.066666666666667)]);
    check(&[1.0, 20.0, 300.0], [Some(1.05), Some(20.5), Some(305.0)]);
}

#[test]
fn a_bound_counts_the_bucket_that_begins_with_it() {
    let bins = bins(Unit::Unspecified, &[0.0, 99.0, 100.0, 109.0, 120.0]);
    let check = |bound: f64, expected: u64| assert_eq!(bins.count_below(bound), expected, "{bound}");
    check(0.5, 1);
    check(98.9, 1);
    check(99.0, 2);
    check(100.0, 4);
    check(120.0, 5);
}

proptest! {
    #[test]
    fn every_value_lies_in_its_bucket(value in any::<u64>().prop_flat_map(|v| (0_u32..64).prop_map(move |s| v >> s))) {
        let cell = HistogramCell::new(Unit::Unspecified);
        cell.add(value, 1);
        let mut bins = Bins::default();
        cell.add_to(&mut bins);
        let found: Vec<_> = bins.iter().collect();
        prop_assert_eq!(found.len(), 1);
        let (low, width) = found[0].0.bounds();
        let value = value as f64;
        // Bounds are rounded as Envoy's are: 220 lies in the bucket that begins at 220.00000000000003.
        let rounding = 4.0 * f64::EPSILON * value;
        let inside = low <= value + rounding && (value < low + width + rounding || value == low);
        prop_assert!(inside, "{value} in {low}+{width}");
        prop_assert!(width <= low / 10.0 + rounding);
    }

    #[test]
    fn quantiles_rise_and_lie_within_the_samples(values in prop::collection::vec(0_u32..1_000_000, 1..100)) {
        let bins = bins(Unit::Bytes, &values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>());
        let quantiles: Vec<f64> = QUANTILES.iter().map(|quantile| bins.quantile(*quantile).unwrap()).collect();
        prop_assert!(quantiles.is_sorted());
        let (min, max) = (f64::from(*values.iter().min().unwrap()), f64::from(*values.iter().max().unwrap()));
        prop_assert!(quantiles[0] >= min * 0.9 && quantiles[9] <= max * 1.1 + 1.0);
        prop_assert_eq!(bins.count(), values.len() as u64);
        prop_assert_eq!(bins.count_below(1e9), values.len() as u64);
    }

    #[test]
    fn intervals_are_what_was_added(before in prop::collection::vec(0_u32..100_000, 0..50), after in prop::collection::vec(0_u32..100_000, 0..50)) {
        let cell = HistogramCell::new(Unit::Bytes);
        let gather = || {
            let mut bins = Bins::default();
            cell.add_to(&mut bins);
            bins
        };
        before.iter().for_each(|value| cell.record(f64::from(*value)));
        let first = gather();
        after.iter().for_each(|value| cell.record(f64::from(*value)));
        let values: Vec<f64> = after.iter().map(|value| f64::from(*value)).collect();
        prop_assert_eq!(gather().since(&first), bins(Unit::Bytes, &values));
    }
}
