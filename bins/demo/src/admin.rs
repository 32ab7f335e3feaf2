//! What the proxies say about themselves on their admin interfaces.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::client;
use crate::failure::Failure;

/// How often a condition is asked for again.
const POLL: Duration = Duration::from_millis(50);

/// Counters and gauges by name.
pub type Stats = BTreeMap<String, u64>;

/// The filter that leaves only how many requests came in and went to each cluster.
pub const REQUESTS: &str = "?filter=stream_rq_total$";

/// The counters and gauges of the proxy whose admin interface is at `address`: all, or those that `query` asks for.
pub async fn stats(address: SocketAddr, query: &str) -> Result<Stats, Failure> {
    let answer = client::get(address, &format!("/stats{query}")).await?;
    Ok(answer.body.lines().filter_map(parse_stat).collect())
}

fn parse_stat(line: &str) -> Option<(String, u64)> {
    // Histograms and text readouts have other values and are left out.
    let (name, value) = line.split_once(": ")?;
    Some((name.to_owned(), value.parse().ok()?))
}

/// The addresses of a cluster's hosts.
pub async fn hosts(address: SocketAddr, cluster: &str) -> Result<Vec<String>, Failure> {
    let answer = client::get(address, "/clusters").await?;
    Ok(parse_hosts(&answer.body, cluster))
}

fn parse_hosts(text: &str, cluster: &str) -> Vec<String> {
    let host = |line: &str| {
        let mut parts = line.split("::");
        let of_cluster = parts.next() == Some(cluster);
        let (host, key) = (parts.next()?, parts.next()?);
        (of_cluster && key == "rq_total").then(|| host.to_owned())
    };
    text.lines().filter_map(host).collect()
}

/// Wait until the proxy serves.
pub async fn wait_ready(address: SocketAddr) {
    // Nobody listens there at first; whoever waits also watches the process and the clock.
    while !client::get(address, "/ready").await.is_ok_and(|answer| answer.status.is_success()) {
        tokio::time::sleep(POLL).await;
    }
}

/// Wait until a cluster has exactly these hosts, in any order.
pub async fn wait_hosts(address: SocketAddr, cluster: &str, expected: &[String]) {
    let mut expected = expected.to_vec();
    expected.sort();
    loop {
        if let Ok(mut hosts) = hosts(address, cluster).await {
            hosts.sort();
            if hosts == expected {
                return;
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_counters_and_leaves_other_values_out() {
        let lines = [
            "cluster.service1.upstream_rq_total: 7",
            "cluster.service1.upstream_cx_length_ms: P0(nan,1) P25(nan,1.0)",
            "server.version: \"1\"",
            "",
        ];
        let stats: Stats = lines.into_iter().filter_map(parse_stat).collect();
        assert_eq!(stats, Stats::from([("cluster.service1.upstream_rq_total".to_owned(), 7)]));
    }

    #[test]
    fn reads_the_hosts_of_one_cluster() {
        let text = "service1::default_priority::max_connections::1024\n\
                    service1::added_via_api::false\n\
                    service1::127.0.1.1:8000::cx_active::1\n\
                    service1::127.0.1.1:8000::rq_total::3\n\
                    service1::127.0.1.2:8000::rq_total::3\n\
                    service2::127.0.2.1:8000::rq_total::1\n";
        assert_eq!(parse_hosts(text, "service1"), ["127.0.1.1:8000", "127.0.1.2:8000"]);
        assert_eq!(parse_hosts(text, "service3"), Vec::<String>::new());
    }
}
