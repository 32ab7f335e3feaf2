//! Earliest deadline first: every member is picked in proportion to its weight, as evenly as can be.
//!
//! A member of weight `w` is due every `1/w` units of an imagined time. The one that is due first is picked, and is due
//! again after its `1/w`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::draw;

#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    due: BinaryHeap<Reverse<Due>>,
}

/// When a member is due. Of members that are due at once, the first one goes first.
///
/// In the upper half the time, as the bits of a number that is not negative, which are in the order of the numbers;
/// in the lower half the member. One number compares without a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due(u128);

impl Due {
    fn new(at: f64, member: usize) -> Self {
        Self(u128::from(at.to_bits()) << 64 | member as u128)
    }

    fn at(self) -> f64 {
        f64::from_bits((self.0 >> 64) as u64)
    }

    fn member(self) -> usize {
        self.0 as usize
    }
}

impl Schedule {
    /// A schedule of so many members, somewhere in its course: the seed chooses among the first picks, as many as the
    /// weights add up to. Balancers that start at the same time would otherwise all begin with the heaviest host.
    pub(crate) fn new(members: usize, weight: impl Fn(usize) -> f64, seed: u64) -> Self {
        let total: f64 = (0..members).map(&weight).sum();
        let picks = draw::below(seed, total as u64);
        let mut left = picks;
        let due = (0..members).map(|member| {
            let own = weight(member);
            // So often it was picked until the time `picks / total`.
            let picked = (own * picks as f64 / total).floor();
            left = left.saturating_sub(picked as u64);
            Reverse(Due::new((picked + 1.0) / own, member))
        });
        let mut schedule = Self { due: due.collect() };
        for _ in 0..left.min(members as u64) {
            schedule.pick(&weight);
        }
        schedule
    }

    /// The member that is due, which is put back by the weight that it has now.
    pub(crate) fn pick(&mut self, weight: impl Fn(usize) -> f64) -> Option<usize> {
        let mut first = self.due.peek_mut()?;
        let Reverse(due) = *first;
        let member = due.member();
        *first = Reverse(Due::new(due.at() + weight(member).recip(), member));
        Some(member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_come_in_the_order_of_their_times() {
        for members in [1, 2, 5, 6, 21, 22, 300] {
            let weight = |member: usize| (member * 7 % 13 + 1) as f64;
            let mut schedule = Schedule::new(members, weight, u64::MAX / 3);
            let mut now = 0.0;
            for _ in 0..members * 10 {
                let Reverse(due) = *schedule.due.iter().max().unwrap();
                assert_eq!(schedule.pick(weight), Some(due.member()));
                assert!(now <= due.at());
                now = due.at();
            }
        }
    }

    #[test]
    fn no_members() {
        assert_eq!(Schedule::new(0, |_| 1.0, 7).pick(|_| 1.0), None);
    }
}
