//! What comes out: tables in Markdown, and the same figures and every single measurement as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::figures::{median, minimum, ratio, spread};
use super::machine::Machine;
use super::measure::Sample;
use super::peers::Peer;
use super::workload::{Unit, Workload};

/// A control that spreads by more than this over the rounds says that the machine was not quiet.
pub(crate) const TOLERATED_SPREAD: f64 = 0.10;

#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) machine: Machine,
    /// Program and version.
    pub(crate) versions: BTreeMap<String, String>,
    /// Program and why it is missing.
    pub(crate) missing: BTreeMap<String, String>,
    pub(crate) rounds: usize,
    pub(crate) seconds: u32,
    pub(crate) workloads: Vec<Outcome>,
    /// False when a control spread too far in any workload; nothing where no control ran twice and nobody knows.
    pub(crate) valid: Option<bool>,
}

/// All rounds of one workload.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) workload: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    /// Those with at least one measurement that counts.
    pub(crate) peers: BTreeMap<&'static str, PeerFigures>,
    /// Those that took part without one.
    pub(crate) failed: Vec<&'static str>,
    /// Nuncio's median divided by the other's, for the primary figure.
    pub(crate) ratios: BTreeMap<&'static str, f64>,
    pub(crate) control: Option<Control>,
    pub(crate) notes: Vec<String>,
    /// What could not be measured, and why.
    pub(crate) failures: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct PeerFigures {
    pub(crate) median: f64,
    pub(crate) minimum: f64,
    pub(crate) per_second: Option<f64>,
    pub(crate) resident_kib: f64,
    /// Medians of p50, p99 and p99.9 in µs.
    pub(crate) latency_us: Option<[f64; 3]>,
    pub(crate) system_calls: Option<f64>,
    pub(crate) rounds: Vec<Sample>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Control {
    pub(crate) peer: &'static str,
    pub(crate) spread: f64,
}

impl PeerFigures {
    fn new(rounds: Vec<Sample>, system_calls: Option<f64>) -> Option<PeerFigures> {
        let of = |value: fn(&Sample) -> f64| rounds.iter().map(value).collect::<Vec<f64>>();
        let rates: Vec<f64> = rounds.iter().filter_map(|sample| sample.per_second).collect();
        let latency = |at: usize| {
            let values = rounds.iter().filter_map(|sample| Some(*sample.latency_us?.get(at)? as f64));
            median(&values.collect::<Vec<f64>>())
        };
        Some(PeerFigures {
            median: median(&of(|sample| sample.cost))?,
            minimum: minimum(&of(|sample| sample.cost))?,
            per_second: median(&rates),
            resident_kib: median(&of(|sample| sample.resident_kib as f64))?,
            latency_us: latency(0).zip(latency(1)).zip(latency(2)).map(|((a, b), c)| [a, b, c]),
            system_calls,
            rounds,
        })
    }
}

impl Outcome {
    pub(crate) fn new(
        workload: &Workload,
        samples: Vec<(Peer, Vec<Sample>)>,
        system_calls: &[(Peer, f64)],
    ) -> Outcome {
        let calls = |peer| system_calls.iter().find(|(of, _)| *of == peer).map(|(_, calls)| *calls);
        let (mut peers, mut failed) = (BTreeMap::new(), Vec::new());
        for (peer, rounds) in samples {
            match PeerFigures::new(rounds, calls(peer)) {
                Some(figures) => _ = peers.insert(peer.name(), figures),
                None => failed.push(peer.name()),
            }
        }
        let ours = peers.get(Peer::Nuncio.name()).map(|figures| figures.median);
        let ratios = peers
            .iter()
            .filter(|(name, _)| **name != Peer::Nuncio.name())
            .filter_map(|(name, theirs)| Some((*name, ratio(ours?, theirs.median)?)))
            .collect();
        let control = match workload.unit() {
            // Memory does not depend on what else the machine does.
            Unit::MemoryPerConnection => None,
            _ => control(&peers),
        };
        let unit = workload.unit().text();
        let (notes, failures) = (Vec::new(), Vec::new());
        Outcome {
            workload: workload.name,
            what: workload.what,
            unit,
            peers,
            failed,
            ratios,
            control,
            notes,
            failures,
        }
    }

    /// Whether the control says that the machine was quiet; nothing where there is none.
    pub(crate) fn valid(&self) -> Option<bool> {
        self.control.as_ref().map(|control| control.spread <= TOLERATED_SPREAD)
    }

    /// Whether everything was measured.
    pub(crate) fn is_whole(&self) -> bool {
        self.failures.is_empty()
    }

    /// A figure that comes from fewer measurements than others says so.
    fn cell(&self, peer: Peer, rounds: usize, figure: Option<String>) -> Option<String> {
        match self.peers.get(peer.name()).map(|figures| figures.rounds.len()) {
            Some(measured) if measured < rounds => Some(format!("{} [{measured} of {rounds}]", figure?)),
            Some(_) => figure,
            None => self.failed.contains(&peer.name()).then(|| "failed".to_owned()),
        }
    }
}

/// Whether all workloads with a control are valid; nothing where none has one.
pub(crate) fn all_valid(outcomes: &[Outcome]) -> Option<bool> {
    outcomes.iter().filter_map(Outcome::valid).reduce(|all, valid| all && valid)
}

/// nginx, or where it takes no part the next of the others.
fn control(peers: &BTreeMap<&'static str, PeerFigures>) -> Option<Control> {
    [Peer::Nginx, Peer::Haproxy, Peer::Envoy].into_iter().find_map(|peer| {
        let costs: Vec<f64> = peers.get(peer.name())?.rounds.iter().map(|sample| sample.cost).collect();
        let spread = spread(&costs).filter(|_| costs.len() > 1)?;
        Some(Control { peer: peer.name(), spread })
    })
}

/// Everything for a reader.
pub(crate) fn print(comparison: &Comparison) -> String {
    let outcomes = &comparison.workloads;
    let mut text = format!("\nMachine: {}\n", comparison.machine.sentence());
    for (name, version) in &comparison.versions {
        let _ = writeln!(text, "{name}: {version}");
    }
    for (name, reason) in &comparison.missing {
        let _ = writeln!(text, "Missing: {name}: {reason}");
    }
    let _ = writeln!(
        text,
        "Method: {} rounds of {} s, order rotated; each proxy has one worker on a core of its own.",
        comparison.rounds, comparison.seconds
    );

    let others: Vec<Peer> = Peer::ALL.into_iter().filter(|peer| *peer != Peer::Nuncio).collect();
    text += &table("Cost of Nuncio divided by the cost of", true, outcomes, &others, |outcome, peer| {
        let ratio = outcome.ratios.get(peer.name()).map(|ratio| format!("{ratio:.2}"));
        outcome.cell(peer, comparison.rounds, ratio)
    });
    text += &table("Cost, median (minimum)", true, outcomes, &Peer::ALL, |outcome, peer| {
        let figures = outcome.peers.get(peer.name());
        let cost = figures.map(|figures| format!("{:.1} ({:.1})", figures.median, figures.minimum));
        outcome.cell(peer, comparison.rounds, cost)
    });
    let title = "Completed per second, median (share of its core that the proxy took)";
    text += &table(title, false, outcomes, &Peer::ALL, |outcome, peer| {
        let figures = outcome.peers.get(peer.name())?;
        let rate = figures.per_second?;
        Some(format!("{rate:.0} ({:.0} %)", rate * figures.median / 1e4))
    });
    text += &table("Resident memory after the load, MiB", false, outcomes, &Peer::ALL, |outcome, peer| {
        Some(format!("{:.1}", outcome.peers.get(peer.name())?.resident_kib / 1024.0))
    });
    text += &table("Latency in µs: p50 / p99 / p99.9", false, outcomes, &Peer::ALL, |outcome, peer| {
        let [p50, p99, p999] = outcome.peers.get(peer.name())?.latency_us?;
        Some(format!("{p50:.0} / {p99:.0} / {p999:.0}"))
    });
    text += &table("System calls per request", false, outcomes, &Peer::ALL, |outcome, peer| {
        outcome.peers.get(peer.name())?.system_calls.map(|calls| format!("{calls:.2}"))
    });

    text.push('\n');
    for outcome in outcomes {
        for note in &outcome.notes {
            let _ = writeln!(text, "{}: {note}", outcome.workload);
        }
        for failure in &outcome.failures {
            let _ = writeln!(text, "{}: FAILED: {failure}", outcome.workload);
        }
        if let Some(Control { peer, spread }) = &outcome.control {
            let percent = spread * 100.0;
            let judgement =
                if outcome.valid() == Some(true) { "" } else { ": INVALID, the machine was not quiet" };
            let _ = writeln!(text, "{}: {peer} spread by {percent:.1} %{judgement}", outcome.workload);
        }
    }
    text + &judgement(outcomes)
}

/// What the reader may think of the run.
fn judgement(outcomes: &[Outcome]) -> String {
    let invalid = outcomes.iter().filter(|outcome| outcome.valid() == Some(false));
    let invalid: Vec<&str> = invalid.map(|outcome| outcome.workload).collect();
    match all_valid(outcomes) {
        None => "\nNo control ran twice, so nothing says whether the machine was quiet.\n".to_owned(),
        Some(true) => String::new(),
        Some(false) => format!(
            "\nThis run is INVALID: a control spread by more than 10 %. Do not quote its figures. Repeat with \
             --workload {}\n",
            invalid.join(",")
        ),
    }
}

/// A Markdown table with a row for each workload that has such a figure, or nothing when none has.
fn table(
    title: &str,
    with_unit: bool,
    outcomes: &[Outcome],
    peers: &[Peer],
    cell: impl Fn(&Outcome, Peer) -> Option<String>,
) -> String {
    let mut rows = Vec::new();
    for outcome in outcomes {
        let cells: Vec<Option<String>> = peers.iter().map(|peer| cell(outcome, *peer)).collect();
        if cells.iter().any(Option::is_some) {
            let what = match with_unit {
                true => format!("{}, {}", outcome.what, outcome.unit),
                false => outcome.what.to_owned(),
            };
            let first = [outcome.workload.to_owned(), what];
            rows.push(
                first
                    .into_iter()
                    .chain(cells.into_iter().map(|cell| cell.unwrap_or("-".to_owned())))
                    .collect(),
            );
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let names = peers.iter().map(|peer| peer.name().to_owned());
    let heading: Vec<String> = ["workload".to_owned(), "what".to_owned()].into_iter().chain(names).collect();
    rows.insert(0, heading);
    format!("\n{title}:\n\n{}", markdown(&rows))
}

/// The first row is the heading; the first two columns hold words, the others figures.
fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column < 2 {
                true => write!(text, "| {cell:<width$} "),
                false => write!(text, "| {cell:>width$} "),
            };
        }
        text.push_str("|\n");
        if at == 0 {
            for (column, &width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width);
                text.push_str(&if column < 2 { format!("| {dashes} ") } else { format!("| {dashes}:") });
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(costs: &[(Peer, &[f64])]) -> Outcome {
        let workload = Workload::find("get-64").expect("known");
        let sample = |cost: &f64| Sample { cost: *cost, completed: 1, ..Sample::default() };
        let samples = costs.iter().map(|(peer, costs)| (*peer, costs.iter().map(sample).collect()));
        Outcome::new(&workload, samples.collect(), &[(Peer::Nginx, 4.0)])
    }

    #[test]
    fn ratios_are_ours_over_theirs() {
        let outcome =
            outcome(&[(Peer::Nuncio, &[20.0, 30.0, 10.0]), (Peer::Envoy, &[40.0]), (Peer::Nginx, &[])]);
        assert_eq!(outcome.ratios, BTreeMap::from([("envoy", 0.5)]));
        assert_eq!(outcome.peers.get("nuncio").map(|figures| figures.minimum), Some(10.0));
    }

    #[test]
    fn a_control_that_spreads_makes_a_workload_invalid() {
        let check = |costs: &[(Peer, &[f64])], control: Option<&str>, valid: Option<bool>| {
            let outcome = outcome(costs);
            assert_eq!(outcome.control.as_ref().map(|control| control.peer), control);
            assert_eq!(outcome.valid(), valid, "{:?}", outcome.control);
        };
        check(&[(Peer::Nginx, &[20.0, 21.0]), (Peer::Haproxy, &[20.0, 60.0])], Some("nginx"), Some(true));
        check(&[(Peer::Nginx, &[20.0, 23.0])], Some("nginx"), Some(false));
        check(&[(Peer::Haproxy, &[20.0, 60.0])], Some("haproxy"), Some(false));
        check(&[(Peer::Nginx, &[20.0])], None, None);
        check(&[(Peer::Nuncio, &[20.0, 60.0])], None, None);
    }

    #[test]
    fn one_invalid_workload_makes_the_run_invalid() {
        let quiet = || outcome(&[(Peer::Nginx, &[20.0, 20.5])]);
        let busy = || outcome(&[(Peer::Nginx, &[20.0, 40.0])]);
        let unknown = || outcome(&[(Peer::Nuncio, &[20.0])]);
        assert_eq!(all_valid(&[quiet(), unknown()]), Some(true));
        assert_eq!(all_valid(&[quiet(), busy()]), Some(false));
        assert_eq!(all_valid(&[unknown()]), None);
        assert!(judgement(&[quiet(), busy(), unknown()]).ends_with("Repeat with --workload get-64\n"));
        assert_eq!(judgement(&[quiet()]), "");
    }

    #[test]
    fn failures_show_in_the_tables() {
        let outcome = outcome(&[(Peer::Nuncio, &[20.0, 20.0]), (Peer::Envoy, &[40.0]), (Peer::Nginx, &[])]);
        let cell = |peer| outcome.cell(peer, 2, Some("1.0".to_owned()));
        assert_eq!(cell(Peer::Nuncio).as_deref(), Some("1.0"));
        assert_eq!(cell(Peer::Envoy).as_deref(), Some("1.0 [1 of 2]"));
        assert_eq!(cell(Peer::Nginx).as_deref(), Some("failed"));
        assert_eq!(cell(Peer::Haproxy), None);
    }

    #[test]
    fn tables_name_absent_figures() {
        let outcomes = [outcome(&[(Peer::Nuncio, &[20.0]), (Peer::Nginx, &[19.0])])];
        let text = table("Calls", false, &outcomes, &[Peer::Nuncio, Peer::Nginx], |outcome, peer| {
            outcome.peers.get(peer.name())?.system_calls.map(|calls| format!("{calls:.2}"))
        });
        let row = text.lines().last().expect("a row");
        assert!(row.starts_with("| get-64") && row.ends_with("|      - |  4.00 |"), "{text}");
        assert_eq!(table("None", false, &outcomes, &[Peer::Nginx], |_, _| None), "");
    }
}
