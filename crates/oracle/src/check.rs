//! Checks the cases: Nuncio against the record, and the record against Envoy.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::{
    Result,
    case::Case,
    compare::{Finding, with_envoy, with_record},
    fixtures, pattern,
    proxy::Program,
    record::{self, Record},
    run::run,
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
        let case = tokio::spawn(async move { check(&case, &exchange, &nuncio, envoy.as_ref()).await });
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
    case: &Case,
    exchange: &str,
    nuncio: &Program,
    envoy: Option<&Program>,
) -> Result<(usize, Vec<Finding>)> {
    let folder = fixtures();
    let record = Record::load(&folder, &case.name)?;
    let own = record::load_own(&folder, &case.name)?;
    let left_out = record::left_out_stats(&folder)?;
    let wanted = |name: &str| pattern::matches(exchange, name);
    let lines = |name: &str| record.exchanges.get(name).map(|seen| seen.log.len());
    let ours = run(case, nuncio, &folder, wanted, lines).await?;
    let mut findings = with_envoy(case, &record.exchanges, &ours, &own, &left_out);
    if let Some(envoy) = envoy {
        let now = run(case, envoy, &folder, wanted, lines).await?;
        findings.extend(with_record(case, &record.exchanges, &now));
    }
    Ok((ours.exchanges.len(), findings))
}
