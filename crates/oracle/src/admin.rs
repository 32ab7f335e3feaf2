//! The proxy's admin server, asked.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    Result,
    http1::{Kind, parse},
    seen::text,
};

/// Counters and gauges by name.
pub(crate) type Stats = BTreeMap<String, i64>;

/// The longest that an answer may take, on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a stat is compared. Not those of the process and of the admin server itself, which asking changes; nor how
/// often reading was paused, which is a matter of microseconds.
fn is_compared(name: &str) -> bool {
    const OWNERS: [&str; 8] = [
        "http.admin.",
        "listener.admin.",
        "server.",
        "filesystem.",
        "main_thread.",
        "workers.",
        "dns.",
        "runtime.",
    ];
    !(OWNERS.iter().any(|owner| name.starts_with(owner)) || name.contains("_flow_control_"))
}

/// An answer of the admin server: its status code and its body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let exchange = async {
        let mut tcp = TcpStream::connect(address).await?;
        let head = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        tcp.write_all(head.as_bytes()).await?;
        let mut bytes = Vec::new();
        tcp.read_to_end(&mut bytes).await?;
        Result::Ok(bytes)
    };
    let bytes = timeout(PATIENCE, exchange).await.map_err(|_| "the admin server is silent")??;
    let message = parse(&bytes, Kind::Response, true).ok_or("the admin server's answer is cut")?;
    let status =
        message.head.first().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    Ok((status.ok_or("the admin server's answer has no status")?, text(&message.body)))
}

/// The names of all counters and gauges of the data path.
pub(crate) async fn names(address: SocketAddr) -> Result<Vec<String>> {
    Ok(numbers(address, "/stats").await?.into_keys().collect())
}

/// All counters and gauges of the data path, and how many values each histogram has; one that was never written is
/// missing, and 0. The values are durations, which differ in every run.
pub(crate) async fn stats(address: SocketAddr) -> Result<Stats> {
    let mut stats = numbers(address, "/stats?usedonly").await?;
    let (_, body) = get(address, "/stats/prometheus?usedonly&filter=(_ms%7C_time%7C_per_cx)$").await?;
    for line in body.lines() {
        let Some((name, count)) = line.split_once("_count{").and_then(|(name, rest)| {
            let (labels, count) = rest.rsplit_once("} ")?;
            Some((format!("{name}{{{labels}}}"), count.parse().ok()?))
        }) else {
            continue;
        };
        if !(name.starts_with("envoy_server_") || name.contains("admin")) {
            stats.insert(name, count);
        }
    }
    Ok(stats)
}

/// Whether all workers are there.
pub(crate) async fn has_workers(address: SocketAddr) -> bool {
    let started = get(address, "/stats?filter=^listener_manager.workers_started$").await;
    started.is_ok_and(|(_, body)| body.trim() == "listener_manager.workers_started: 1")
}

async fn numbers(address: SocketAddr, path: &str) -> Result<Stats> {
    let (_, body) = get(address, path).await?;
    let number = |line: &str| {
        let (name, value) = line.split_once(": ").filter(|(name, _)| is_compared(name))?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    Ok(body.lines().filter_map(number).collect())
}

/// Waits until no connection and no request is open any more, but for those to the origins where these are kept.
pub(crate) async fn idle(address: SocketAddr, keep_upstream: bool) -> Result<()> {
    let busy = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        value != "0" && !name.contains(".admin.") && !(keep_upstream && name.ends_with(".upstream_cx_active"))
    };
    // A proxy may notice only now and then that an idle connection was closed, so this can take a second or two.
    for pause in [5, 5, 10, 10, 20, 50].into_iter().chain([100; 24]) {
        let (_, gauges) = get(address, "/stats?filter=stream_(cx%7Crq)_active$").await?;
        if !gauges.lines().any(busy) {
            break;
        }
        sleep(Duration::from_millis(pause)).await;
    }
    Ok(())
}
