//! Numbers out of a random number.

/// A number below `bound` (0 if that is 0) from the upper bits of `random`.
pub(crate) fn below(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// As many random numbers as are wanted out of one (SplitMix64). The first is the one given.
pub(crate) fn sequence(random: u64) -> impl Iterator<Item = u64> {
    let mut state = random;
    let rest = std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    });
    std::iter::once(random).chain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_covers_the_range() {
        fn check(random: u64, bound: u64, expected: u64) {
            assert_eq!(below(random, bound), expected);
        }
        check(0, 3, 0);
        check(u64::MAX / 3 + 1, 3, 1);
        check(u64::MAX, 3, 2);
        check(u64::MAX, 1, 0);
    }

    #[test]
    fn numbers_of_a_sequence_spread() {
        let mut counts = [0_u32; 4];
        for random in sequence(7).take(4_000) {
            counts[below(random, 4) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
        assert_eq!(sequence(7).next(), Some(7));
    }
}
