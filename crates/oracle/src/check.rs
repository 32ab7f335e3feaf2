//! Checks the cases: Nuncio against the record, and the record against Envoy.

use std::{
    collections::BTreeSet,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Result,
    case::Case,
    compare::{Expected, Finding, Known, with_record},
    fixtures, pattern,
    proxy::Program,
    purpose::subjects,
    record,
    run::run,
};

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many exchanges were run.
    pub exchanges: usize,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// What differs from Envoy only because something is missing.
    pub missing: Vec<Finding>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        for missing in &self.missing {
            writeln!(f, "{missing}")?;
        }
        let (exchanges, findings, missing) = (self.exchanges, self.findings.len(), self.missing.len());
        let seconds = self.took.as_secs_f32();
        writeln!(f, "{exchanges} exchanges, {findings} differences, {missing} things missing, {seconds:.1} s")
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
    let subjects = Arc::new(subjects(&fixtures().join("../../docs/ENVOY_COMPAT.md"))?);
    let mut running = Vec::new();
    for case in record::cases(&fixtures(), wanted)? {
        let (nuncio, envoy, exchange) = (nuncio.clone(), envoy.cloned(), exchange.to_owned());
        let name = case.name.clone();
        let subjects = Arc::clone(&subjects);
        let case =
            tokio::spawn(async move { check(case, &exchange, &nuncio, envoy.as_ref(), &subjects).await });
        running.push((name, case));
    }
    let mut report = Report::default();
    for (name, case) in running {
        match case.await? {
            Ok(part) => {
                report.exchanges += part.exchanges;
                report.findings.extend(part.findings);
                report.missing.extend(part.missing);
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

/// Checks one case.
async fn check(
    case: Case,
    exchange: &str,
    nuncio: &Program,
    envoy: Option<&Program>,
    subjects: &BTreeSet<String>,
) -> Result<Report> {
    let folder = fixtures();
    let known = Arc::new(Known::load(&folder, case)?);
    let wanted = |name: &str| pattern::matches(exchange, name);
    let expected = Expected::Nuncios(Arc::clone(&known));
    let ours = run(&known.case, nuncio, &folder, wanted, Some(&expected));
    let recorded = Expected::Envoys(Arc::clone(&known));
    let envoys = async {
        let Some(envoy) = envoy else {
            return Ok(None);
        };
        run(&known.case, envoy, &folder, wanted, Some(&recorded)).await.map(Some)
    };
    let (ours, envoys) = tokio::try_join!(ours, envoys)?;
    let mut findings = known.left_over();
    findings.extend(known.wrongly_named(subjects));
    findings.extend(known.with_expected(&ours));
    findings.extend(known.wrongly_left_out(&ours));
    findings.extend(envoys.iter().flat_map(|now| with_record(&known.case, &known.envoy, now)));
    Ok(Report { exchanges: ours.exchanges.len(), findings, missing: known.missing(), took: Duration::ZERO })
}
