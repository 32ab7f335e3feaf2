//! What is counted: the list, and how each is run.

use super::counting::counted_by_callgrind;
use super::request::Exchange;
use crate::compare::{Result, failure};
use crate::routes::{DomainKind, Lookups, RouteKind, VIRTUAL_HOSTS};

/// Every route of the smaller tables comes several times; the larger are looked at from many sides.
const LOOKUPS: usize = 8192;
/// The first requests open the connection to the origin and fill caches.
const FIRST_REQUESTS: usize = 100;
const REQUESTS: usize = 1000;

/// One thing whose instructions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The lookup of a route in a table of so many.
    Route(RouteKind, usize),
    /// The lookup of a virtual host among so many.
    Domain(DomainKind, usize),
    /// One proxied request.
    Request(Exchange),
}

impl Subject {
    pub(super) fn all() -> Vec<Self> {
        let routes = RouteKind::ALL
            .into_iter()
            .flat_map(|kind| kind.sizes().iter().map(move |count| Self::Route(kind, *count)));
        let domains =
            DomainKind::ALL.into_iter().flat_map(|kind| VIRTUAL_HOSTS.map(|count| Self::Domain(kind, count)));
        let requests = Exchange::ALL.into_iter().map(Self::Request);
        routes.chain(domains).chain(requests).collect()
    }

    pub(super) fn find(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|subject| subject.name() == name)
    }

    /// Group, row and, for tables, column.
    pub(super) fn place(&self) -> (&'static str, &'static str, Option<usize>) {
        match self {
            Self::Route(kind, count) => ("routing", kind.name(), Some(*count)),
            Self::Domain(kind, count) => ("domains", kind.name(), Some(*count)),
            Self::Request(exchange) => ("request", exchange.name(), None),
        }
    }

    pub(super) fn name(&self) -> String {
        match self.place() {
            (group, row, Some(column)) => format!("{group}/{row}/{column}"),
            (group, row, None) => format!("{group}/{row}"),
        }
    }

    /// How many times it is done while callgrind counts.
    pub(super) fn repetitions(&self) -> usize {
        match self {
            Self::Route(..) | Self::Domain(..) => LOOKUPS,
            Self::Request(_) => REQUESTS,
        }
    }

    /// Prepares it and does it, for callgrind to count.
    pub(super) fn run(&self) -> Result<()> {
        match *self {
            Self::Route(kind, count) => look_up(kind.lookups(count)),
            Self::Domain(kind, count) => look_up(kind.lookups(count)),
            Self::Request(exchange) => {
                let mut proxied = exchange.prepare()?;
                proxied.repeat(FIRST_REQUESTS)?;
                counted_by_callgrind(&mut || proxied.repeat(REQUESTS))
            }
        }
    }
}

fn look_up(mut lookups: Lookups) -> Result<()> {
    let mut repeat = || (0..LOOKUPS).filter(|_| lookups.step()).count();
    repeat();
    match counted_by_callgrind(&mut repeat) {
        LOOKUPS => Ok(()),
        found => Err(failure(format!("{found} of {LOOKUPS} lookups found a route"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for subject in Subject::all() {
            assert_eq!(Subject::find(&subject.name()), Some(subject));
        }
        assert_eq!(Subject::find("request"), None);
    }

    #[test]
    fn subjects_run() {
        for name in ["routing/mixed/100", "domains/suffix/100"] {
            Subject::find(name).expect("known").run().expect("it runs");
        }
        for exchange in Exchange::ALL {
            Subject::Request(exchange).run().unwrap_or_else(|error| panic!("{}: {error}", exchange.name()));
        }
    }
}
