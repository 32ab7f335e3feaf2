//! Checks the cases: Nuncio against the record, and the record against Envoy.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Result,
    case::Case,
    compare::{Finding, Known, with_record},
    fixtures, pattern,
    proxy::Program,
    record,
    run::{IsExpected, run},
};

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// How many exchanges were run.
    pub exchanges: usize,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let (exchanges, findings) = (self.exchanges, self.findings.len());
        writeln!(f, "{exchanges} exchanges, {findings} differences, {:.1} s", self.took.as_secs_f32())
    }
}

/// Checks the cases that `wanted` picks, and in them the exchanges whose names match `exchange`.
///
/// # Errors
/// Where the cases cannot be read. That one cannot be run is a finding.
pub async fn check_all(
    wanted: impl Fn(&str) -> bool,
    exchange: &str,
    nuncio: &Program,
    envoy: Option<&Program>,
) -> Result<Report> {
    let started = Instant::now();
    let mut running = Vec::new();
    for case in record::cases(&fixtures(), wanted)? {
        let (nuncio, envoy, exchange) = (nuncio.clone(), envoy.cloned(), exchange.to_owned());
        let name = case.name.clone();
        let case = tokio::spawn(async move { check(case, &exchange, &nuncio, envoy.as_ref()).await });
        running.push((name, case));
    }
    let mut report = Report { exchanges: 0, findings: Vec::new(), took: Duration::ZERO };
    for (name, case) in running {
        match case.await? {
            Ok((exchanges, findings)) => {
                report.exchanges += exchanges;
                report.findings.extend(findings);
            }
            Err(error) => report.findings.push(Finding {
                case: name,
                exchange: "all".to_owned(),
                text: error.to_string(),
            }),
        }
    }
    report.took = started.elapsed();
    Ok(report)
}

/// Checks one case; the number of exchanges, and what is not as it should be.
async fn check(
    case: Case,
    exchange: &str,
    nuncio: &Program,
    envoy: Option<&Program>,
) -> Result<(usize, Vec<Finding>)> {
    let folder = fixtures();
    let known = Arc::new(Known::load(&folder, case)?);
    let wanted = |name: &str| pattern::matches(exchange, name);
    let expected = Arc::clone(&known);
    let is_expected: IsExpected = Arc::new(move |name, seen, names| expected.is_nuncios(name, seen, names));
    let recorded = Arc::clone(&known);
    let is_recorded: IsExpected = Arc::new(move |name, seen, _| recorded.is_envoys(name, seen));
    let envoys = async {
        let Some(envoy) = envoy else {
            return Ok(None);
        };
        run(&known.case, envoy, &folder, wanted, Some(is_recorded)).await.map(Some)
    };
    let (ours, envoys) =
        tokio::try_join!(run(&known.case, nuncio, &folder, wanted, Some(is_expected)), envoys)?;
    let mut findings = known.left_over();
    findings.extend(known.with_expected(&ours));
    findings.extend(envoys.iter().flat_map(|now| with_record(&known.case, &known.envoy, now)));
    Ok((ours.exchanges.len(), findings))
}
