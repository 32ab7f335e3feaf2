//! What the routes of a v1 TCP proxy ask of a connection, and whether filter chains can say the same.
//!
//! v1 took the first route that fits. Envoy looks for a filter chain by destination port, destination address, source
//! address and source port, in this order; at each step it takes the most specific that fits, and never goes back.

use super::address::Range;

/// The conditions of a route. Where a list is empty everything fits.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) ports: Vec<u16>,
    pub(super) ranges: Vec<Range>,
    pub(super) source_ranges: Vec<Range>,
    pub(super) source_ports: Vec<u16>,
}

/// Where Envoy looks, in its order.
#[derive(Clone, Copy)]
enum Step {
    Port,
    Range,
    SourceRange,
    SourcePort,
}

/// How a condition of an earlier route stands to one of a later route.
#[derive(Clone, Copy)]
enum Order {
    Apart,
    Same,
    /// The earlier one is more specific.
    Earlier,
    /// The later one is more specific.
    Later,
    /// One is a range of all addresses and the other no range at all.
    Unclear,
}

impl Conditions {
    pub(super) fn take_everything(&self) -> bool {
        self.ports.is_empty()
            && self.ranges.is_empty()
            && self.source_ranges.is_empty()
            && self.source_ports.is_empty()
    }

    /// How many combinations of one value from each list there are.
    pub(super) fn combinations(&self) -> usize {
        let lists = [self.ports.len(), self.ranges.len(), self.source_ranges.len(), self.source_ports.len()];
        lists.iter().fold(1, |all, len| all.saturating_mul((*len).max(1)))
    }

    /// Whether Envoy could take another cluster than v1 did, which took that of `self` before that of `later`.
    pub(super) fn clash(&self, later: &Self, same_cluster: bool) -> bool {
        self.clash_from(later, same_cluster, Step::Port)
    }

    fn clash_from(&self, later: &Self, same_cluster: bool, step: Step) -> bool {
        let mut same = false;
        let mut clash = |order| match order {
            Order::Apart => false,
            Order::Same => {
                same = true;
                false
            }
            // Envoy goes with the more specific one, and must not fail there where the other fits.
            Order::Earlier => !self.covers_after(later, step),
            Order::Later => !same_cluster || !later.covers_after(self, step),
            Order::Unclear => true,
        };
        let clashes = match step {
            Step::Port => clash(ports(&self.ports, &later.ports)),
            Step::Range => ranges(&self.ranges, &later.ranges, clash),
            Step::SourceRange => ranges(&self.source_ranges, &later.source_ranges, clash),
            Step::SourcePort => clash(ports(&self.source_ports, &later.source_ports)),
        };
        let next = match step {
            Step::Port => Some(Step::Range),
            Step::Range => Some(Step::SourceRange),
            Step::SourceRange => Some(Step::SourcePort),
            Step::SourcePort => None,
        };
        clashes || same && next.is_some_and(|next| self.clash_from(later, same_cluster, next))
    }

    /// Whether everything that `other` takes after `step` fits here, too.
    fn covers_after(&self, other: &Self, step: Step) -> bool {
        let range = || cover(&self.ranges, &other.ranges, Range::contains);
        let source_range = || cover(&self.source_ranges, &other.source_ranges, Range::contains);
        let source_port = || cover(&self.source_ports, &other.source_ports, PartialEq::eq);
        match step {
            Step::Port => range() && source_range() && source_port(),
            Step::Range => source_range() && source_port(),
            Step::SourceRange => source_port(),
            Step::SourcePort => true,
        }
    }
}

/// Both are sorted.
fn ports(earlier: &[u16], later: &[u16]) -> Order {
    match (earlier.is_empty(), later.is_empty()) {
        (true, true) => Order::Same,
        (false, true) => Order::Earlier,
        (true, false) => Order::Later,
        _ if earlier.iter().any(|port| later.binary_search(port).is_ok()) => Order::Same,
        _ => Order::Apart,
    }
}

fn ranges(earlier: &[Range], later: &[Range], mut clash: impl FnMut(Order) -> bool) -> bool {
    let alone = |ranges: &[Range], order| {
        if ranges.iter().any(Range::is_everything) { Order::Unclear } else { order }
    };
    match (earlier.is_empty(), later.is_empty()) {
        (true, true) => clash(Order::Same),
        (false, true) => clash(alone(earlier, Order::Earlier)),
        (true, false) => clash(alone(later, Order::Later)),
        (false, false) => earlier.iter().any(|one| {
            later.iter().any(|other| {
                clash(match (other.contains(one), one.contains(other)) {
                    (true, true) => Order::Same,
                    (true, false) => Order::Earlier,
                    (false, true) => Order::Later,
                    (false, false) => Order::Apart,
                })
            })
        }),
    }
}

fn cover<T>(all: &[T], some: &[T], contains: impl Fn(&T, &T) -> bool) -> bool {
    all.is_empty() || !some.is_empty() && some.iter().all(|one| all.iter().any(|other| contains(other, one)))
}
