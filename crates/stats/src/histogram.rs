//! Histograms with log-linear buckets: two significant digits per value, so 90 buckets to each power of ten.
//!
//! Recording is one relaxed atomic add on a bucket that belongs to one shard. What a reader sees is what the last
//! [`Registry::flush`](crate::Registry::flush) gathered from the shards, once over all time and once for the
//! interval between the last two flushes, as Envoy shows it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use metrics::HistogramFn;

/// The quantiles that are shown.
pub const QUANTILES: [f64; 10] = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0];

/// The upper bounds of the buckets that are shown, Envoy's default.
pub const BUCKETS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// Buckets to a power of ten.
const STEPS: usize = 90;
/// Powers of ten up to the largest `u64`.
const DECADES: usize = 20;
/// A percentage is recorded with six digits after the point.
const PERCENT_SCALE: f64 = 1_000_000.0;

/// What a histogram's values are; decides how they are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number, such as requests on a connection.
    Unspecified,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Bytes.
    Bytes,
    /// A share of one: 0.25 is 25 %. Kept with six digits after the point; all others keep whole numbers.
    Percent,
}

impl Unit {
    /// What a recorded whole number is multiplied by to be shown.
    pub(crate) fn scale(self) -> f64 {
        if self == Unit::Percent { 1.0 / PERCENT_SCALE } else { 1.0 }
    }
}

/// One shard's samples. Empty until the first sample, since most histograms of a large configuration never get one.
pub(crate) struct HistogramCell {
    unit: Unit,
    counts: OnceLock<Box<CachePadded<Counts>>>,
}

#[derive(Default)]
struct Counts {
    zero: AtomicU64,
    decades: [OnceLock<Box<CachePadded<Decade>>>; DECADES],
}

struct Decade([AtomicU64; STEPS]);

impl HistogramCell {
    pub(crate) fn new(unit: Unit) -> HistogramCell {
        HistogramCell { unit, counts: OnceLock::new() }
    }

    fn add(&self, value: u64, count: u64) {
        let counts = self.counts.get_or_init(Default::default);
        let Some(exponent) = value.checked_ilog10() else {
            counts.zero.fetch_add(count, Relaxed);
            return;
        };
        let digits = if exponent == 0 { value * 10 } else { value / 10_u64.pow(exponent - 1) };
        let decade = counts.decades.get(exponent as usize).map(|decade| {
            decade.get_or_init(|| Box::new(CachePadded::new(Decade([const { AtomicU64::new(0) }; STEPS]))))
        });
        let bucket = usize::try_from(digits).ok().and_then(|digits| digits.checked_sub(10));
        if let (Some(decade), Some(bucket)) = (decade, bucket)
            && let Some(bucket) = decade.0.get(bucket)
        {
            bucket.fetch_add(count, Relaxed);
        }
    }

    /// Adds this shard's samples to `bins`.
    pub(crate) fn add_to(&self, bins: &mut Bins) {
        let Some(counts) = self.counts.get() else { return };
        bins.add(Bin(0), counts.zero.load(Relaxed));
        for (exponent, decade) in counts.decades.iter().enumerate() {
            let Some(decade) = decade.get() else { continue };
            for (step, bucket) in decade.0.iter().enumerate() {
                let bin = u16::try_from(1 + exponent * STEPS + step).unwrap_or(u16::MAX);
                bins.add(Bin(bin), bucket.load(Relaxed));
            }
        }
    }
}

impl HistogramFn for HistogramCell {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, which is what is wanted"
    )]
    fn record_many(&self, value: f64, count: usize) {
        let value = if self.unit == Unit::Percent { value * PERCENT_SCALE } else { value };
        self.add(value as u64, count as u64);
    }
}

/// A bucket by its place in the order: 0 holds zeros, then 90 to each power of ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bin(u16);

impl Bin {
    /// The lower bound and the width, by the computation that Envoy's library makes: some bounds are off by the last
    /// digit of a double, and so are the quantiles that follow from them.
    pub(crate) fn bounds(self) -> (f64, f64) {
        let Some(place) = self.0.checked_sub(1) else { return (0.0, 0.0) };
        let power = 10_f64.powi(i32::from(place / 90));
        (f64::from(place % 90 + 10) / 10.0 * power, power / 10.0)
    }

    /// The value that stands for a sample of the bucket in a sum: the harmonic mean of the bounds.
    fn middle(self) -> f64 {
        let (low, width) = self.bounds();
        if low == 0.0 { 0.0 } else { low + width * (low / (low + (low + width))) }
    }
}

/// Samples by bucket, in order, without the empty ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bins(Vec<(Bin, u64)>);

impl Bins {
    fn add(&mut self, bin: Bin, count: u64) {
        if count == 0 {
            return;
        }
        match self.0.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(at) => {
                if let Some((_, present)) = self.0.get_mut(at) {
                    *present += count;
                }
            }
            Err(at) => self.0.insert(at, (bin, count)),
        }
    }

    /// What these bins hold more than `earlier`, which must be an earlier state of the same.
    pub(crate) fn since(&self, earlier: &Bins) -> Bins {
        let mut earlier = earlier.0.iter().peekable();
        let more = self.0.iter().filter_map(|&(bin, count)| {
            let before = earlier.next_if(|(other, _)| *other == bin).map_or(0, |(_, count)| *count);
            (count > before).then(|| (bin, count - before))
        });
        Bins(more.collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Bin, u64)> {
        self.0.iter().copied()
    }

    /// Samples in bins that begin at or below a bound.
    pub(crate) fn count_below(&self, bound: f64) -> u64 {
        self.iter().take_while(|(bin, _)| bin.bounds().0 <= bound).map(|(_, count)| count).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    pub(crate) fn sum(&self) -> f64 {
        self.iter().fold(0.0, |sum, (bin, count)| sum + bin.middle() * count as f64)
    }

    /// The value at a quantile: that of the sample with that rank, where the `n` samples of a bucket are
    /// taken to lie evenly in it. `None` without samples.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = (quantile * self.count() as f64).ceil().max(1.0);
        let mut below = 0.0;
        for &(bin, count) in &self.0 {
            let count = count as f64;
            if rank <= below + count {
                let (low, width) = bin.bounds();
                return Some(low + (rank - below) / (count + 1.0) * width);
            }
            below += count;
        }
        None
    }
}

#[cfg(test)]
mod tests;
