//! The steps of the example that are the same wherever it runs: what a client sees of the front proxy.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_yaml::Value;

use crate::admin::{self, Stats};
use crate::client::{self, Answer, Connection};
use crate::failure::Failure;
use crate::report::Report;

/// The response headers of the example, in its order.
const HEADERS: [&str; 5] =
    ["content-type", "content-length", "server", "date", "x-envoy-upstream-service-time"];
/// Commands that the admin page must list.
const COMMANDS: [&str; 8] =
    ["/clusters", "/config_dump", "/help", "/listeners", "/quitquitquit", "/ready", "/server_info", "/stats"];
/// How long a counter may lag behind the response that it counts.
const COUNTER_LAG: Duration = Duration::from_secs(2);

/// A running example and what was sent to it.
pub struct Example {
    /// The front proxy's HTTP listener.
    pub http: SocketAddr,
    /// Its HTTPS listener.
    pub https: SocketAddr,
    /// Its admin interface.
    pub admin: SocketAddr,
    /// The certificate in its file.
    pub certificate: CertificateDer<'static>,
    /// How many requests have gone to each service, in the order of their numbers.
    pub sent: [u64; 2],
    /// How many requests had no route.
    pub unrouted: u64,
    /// What the request counters stood at before any of these.
    pub base: Stats,
}

/// The certificate that the front proxy's file holds.
pub fn certificate(front_config: &str) -> Result<CertificateDer<'static>, Failure> {
    let tree: Value = serde_yaml::from_str(front_config).map_err(|error| Failure::new(error.to_string()))?;
    let pem = find(&tree, "certificate_chain")
        .and_then(|source| source.get("inline_string"))
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::new("the front proxy's file has no certificate_chain.inline_string"))?;
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| Failure::new(format!("the front proxy's certificate cannot be read: {error}")))
}

fn find<'a>(tree: &'a Value, name: &str) -> Option<&'a Value> {
    match tree {
        Value::Mapping(mapping) => {
            mapping.get(name).or_else(|| mapping.values().find_map(|value| find(value, name)))
        }
        Value::Sequence(items) => items.iter().find_map(|item| find(item, name)),
        _ => None,
    }
}

impl Example {
    /// Both services by their prefixes, over HTTP and HTTPS, and a path that no route has.
    pub async fn routing(&mut self, report: &mut Report) {
        for service in [1, 2] {
            let path = format!("/service/{service}");
            let answer = client::get(self.http, &path).await;
            self.page(report, &format!("GET http :{}{path}", self.http.port()), service, answer);
        }
        for service in [1, 2] {
            let path = format!("/service/{service}");
            let answer = async {
                let mut connection = Connection::open_tls(self.https, self.certificate.clone()).await?;
                connection.get(&path).await
            };
            let answer = answer.await;
            self.page(
                report,
                &format!("GET https :{}{path}, its certificate", self.https.port()),
                service,
                answer,
            );
        }
        for path in ["/", "/service/3"] {
            let answer = client::get(self.http, path).await;
            self.unrouted += 1;
            let step = format!("GET http :{}{path}, no route", self.http.port());
            report.row(
                &step,
                "404, server: envoy, no body",
                match answer {
                    Err(failure) => Err(failure.to_string()),
                    Ok(answer) => {
                        let seen = format!(
                            "{}, server: {}, {:?}",
                            answer.status,
                            header(&answer, "server"),
                            answer.body
                        );
                        let good = answer.status == 404
                            && header(&answer, "server") == "envoy"
                            && answer.body.is_empty();
                        if good { Ok("404, server: envoy, no body".to_owned()) } else { Err(seen) }
                    }
                },
            );
        }
    }

    fn page(&mut self, report: &mut Report, step: &str, service: usize, answer: Result<Answer, Failure>) {
        if let (Some(sent), Ok(_)) = (self.sent.get_mut(service - 1), &answer) {
            *sent += 1;
        }
        let expected = format!("200, service {service}'s text and headers");
        report.row(
            step,
            &expected,
            answer.map_err(|failure| failure.to_string()).and_then(|answer| {
                check_page(&answer, service)?;
                let host = answer.body.split(" hostname: ").nth(1).unwrap_or_default().trim_end();
                Ok(format!("200, {host}"))
            }),
        );
    }

    /// Twice as many requests as service1 has hosts, on one connection or on one each: each host in turn.
    pub async fn round_robin(&mut self, report: &mut Report, count: usize, one_connection: bool) {
        let connections = if one_connection { "one connection" } else { "a connection each" };
        let step = format!("{} requests on {connections}", 2 * count);
        let expected = format!("{count} hosts in turn");
        let mut hosts = Vec::new();
        let requests = async {
            let mut connection = Connection::open(self.http).await?;
            for _ in 0..2 * count {
                if !one_connection {
                    connection = Connection::open(self.http).await?;
                }
                hosts.extend(connection.get("/service/1").await?.host().map(str::to_owned));
            }
            Ok::<_, Failure>(())
        };
        let failed = requests.await.err();
        self.sent[0] += hosts.len() as u64;
        if let Some(failure) = failed {
            return report.row(&step, &expected, Err(failure.to_string()));
        }
        let (first, second) = hosts.split_at(count.min(hosts.len()));
        let distinct: BTreeSet<_> = first.iter().collect();
        if distinct.len() == count && first == second {
            report.row(&step, &expected, Ok(format!("{}, and again", first.join(" "))));
        } else {
            report.row(&step, &expected, Err(hosts.join(" ")));
        }
    }

    /// The example's stats by name and value, while service1 has `members` hosts after `changes` changes, or after
    /// some.
    pub async fn stats(&self, report: &mut Report, members: u64, changes: Option<u64>) {
        let total: u64 = self.sent.iter().sum();
        let [service1, service2] = self.sent;
        let mut exact = vec![
            ("cluster.service1.membership_total", members),
            ("cluster.service1.upstream_rq_total", service1),
            ("cluster.service1.external.upstream_rq_200", service1),
            ("cluster.service2.membership_total", 1),
            ("cluster.service2.membership_change", 1),
            ("cluster.service2.upstream_rq_total", service2),
            ("cluster.service2.external.upstream_rq_200", service2),
            ("http.ingress_http.downstream_rq_total", total + self.unrouted),
            ("http.ingress_http.no_route", self.unrouted),
        ];
        let mut at_least = vec![
            ("cluster.service1.upstream_cx_http2_total", members),
            ("cluster.service2.upstream_cx_http2_total", 1),
        ];
        match changes {
            Some(changes) => exact.push(("cluster.service1.membership_change", changes)),
            None => at_least.push(("cluster.service1.membership_change", 2)),
        }
        let stats = self.exact_stats(report, &exact).await;
        for (name, least) in at_least {
            let seen = seen(&stats, name);
            let good = stats.get(name).is_some_and(|value| *value >= least);
            report.row(name, &format!("at least {least}"), if good { Ok(seen) } else { Err(seen) });
        }
    }

    /// The stats that a further change of service1's hosts moves.
    pub async fn stats_after_change(&self, report: &mut Report, members: u64, changes: u64) {
        let [service1, _] = self.sent;
        let exact = [
            ("cluster.service1.membership_total", members),
            ("cluster.service1.membership_change", changes),
            ("cluster.service1.upstream_rq_total", service1),
            ("cluster.service1.external.upstream_rq_200", service1),
        ];
        self.exact_stats(report, &exact).await;
    }

    /// A row for each of these; all stats.
    async fn exact_stats(&self, report: &mut Report, exact: &[(&str, u64)]) -> Stats {
        let exact: Vec<_> =
            exact.iter().map(|(name, value)| (*name, value + self.base.get(*name).unwrap_or(&0))).collect();
        let stats = match self.settled_stats(&exact).await {
            Ok(stats) => stats,
            Err(failure) => {
                report.row("admin /stats", "an answer", Err(failure.to_string()));
                Stats::new()
            }
        };
        for (name, value) in exact {
            report.equal(name, &value.to_string(), &seen(&stats, name));
        }
        stats
    }

    /// The stats once they have these values, or as they are when a response's counters must have been written.
    async fn settled_stats(&self, expected: &[(&str, u64)]) -> Result<Stats, Failure> {
        let deadline = tokio::time::Instant::now() + COUNTER_LAG;
        loop {
            let stats = admin::stats(self.admin, "").await?;
            let settled = expected.iter().all(|(name, value)| stats.get(*name) == Some(value));
            if settled || tokio::time::Instant::now() > deadline {
                return Ok(stats);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The admin page lists the commands.
    pub async fn admin_page(&self, report: &mut Report) {
        let expected = format!("200, lists {} commands", COMMANDS.len());
        let answer = client::get(self.admin, "/").await;
        report.row(
            "admin page /",
            &expected,
            answer.map_err(|failure| failure.to_string()).and_then(|answer| {
                let missing: Vec<_> = COMMANDS
                    .into_iter()
                    .filter(|command| !answer.body.contains(command.trim_start_matches('/')))
                    .collect();
                if answer.status == 200 && missing.is_empty() {
                    Ok(expected.clone())
                } else {
                    Err(format!("{}, without {}", answer.status, missing.join(" ")))
                }
            }),
        );
    }
}

fn check_page(answer: &Answer, service: usize) -> Result<(), String> {
    let text = format!("Hello from behind Envoy (service {service})! hostname: ");
    let names: Vec<_> = answer.headers.keys().map(|name| name.as_str()).collect();
    let values = [
        ("content-type", "text/html; charset=utf-8".to_owned()),
        ("content-length", answer.body.len().to_string()),
        ("server", "envoy".to_owned()),
    ];
    if answer.status != 200 {
        return Err(format!("{}, {:?}", answer.status, answer.body));
    }
    if !answer.body.starts_with(&text) || !answer.body.contains(" resolvedhostname: ") {
        return Err(format!("200, {:?}", answer.body));
    }
    if names != HEADERS {
        return Err(format!("200, with headers {}", names.join(" ")));
    }
    if let Some((name, _)) = values.into_iter().find(|(name, value)| header(answer, name) != value) {
        return Err(format!("200, {name}: {}", header(answer, name)));
    }
    if header(answer, "x-envoy-upstream-service-time").parse::<u64>().is_err() {
        return Err("200, x-envoy-upstream-service-time is no number".to_owned());
    }
    Ok(())
}

fn seen(stats: &Stats, name: &str) -> String {
    stats.get(name).map_or("missing".to_owned(), u64::to_string)
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
