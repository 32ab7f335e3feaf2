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
    pattern,
    seen::text,
};

/// Counters and gauges by name.
pub(crate) type Stats = BTreeMap<String, i64>;

/// Stats of the process and of the admin server itself, which asking changes; and how often reading was paused, which
/// is a matter of microseconds.
const NOT_COMPARED: [&str; 10] = [
    "http.admin.*",
    "listener.admin.*",
    "server.*",
    "filesystem.*",
    "main_thread.*",
    "workers.*",
    "*watchdog*",
    "dns.*",
    "runtime.*",
    "*_flow_control_*",
];

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
    let bytes =
        timeout(Duration::from_secs(5), exchange).await.map_err(|_| "the admin server is silent")??;
    let message = parse(&bytes, Kind::Response, true).ok_or("the admin server's answer is cut")?;
    let status =
        message.head.first().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    Ok((status.ok_or("the admin server's answer has no status")?, text(&message.body)))
}

/// All counters and gauges of the data path.
pub(crate) async fn stats(address: SocketAddr) -> Result<Stats> {
    let (_, body) = get(address, "/stats").await?;
    let number = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    let ours = |(name, _): &(String, i64)| !NOT_COMPARED.iter().any(|noise| pattern::matches(noise, name));
    Ok(body.lines().filter_map(number).filter(ours).collect())
}

/// The stats once nothing is running any more.
pub(crate) async fn settled(address: SocketAddr, keep_upstream: bool) -> Result<Stats> {
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
    let mut before = Stats::new();
    for _ in 0..20 {
        let now = stats(address).await?;
        if now == before {
            break;
        }
        before = now;
        sleep(Duration::from_millis(10)).await;
    }
    Ok(before)
}
