//! The load generators of our own, for what the others cannot do: a fixed rate with latencies counted from when a
//! request was due, TLS handshakes with and without resumption, and idle connections.
//!
//! Each runs as a role of this program in a process of its own, and prints one line of JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::client::{self, Connection, Response, address};
use super::figures::percentile;
use super::{Result, failure};

/// What a generator of our own prints.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct Report {
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) seconds: f64,
    /// Of the TLS handshakes, how many were resumed.
    #[serde(default)]
    pub(crate) resumed: u64,
    /// Latencies in µs: p50, p99, p99.9.
    #[serde(default)]
    pub(crate) latency: Option<[u64; 3]>,
}

impl Report {
    pub(crate) fn parse(output: &str) -> Option<Report> {
        output.lines().find_map(|line| serde_json::from_str(line).ok())
    }

    fn print(&self) -> Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}

/// Printed when all idle connections stand.
pub(crate) const IDLE_READY: &str = "idle connections stand\n";

/// Opens the connections, makes one request on each, and holds them until it is stopped.
pub(crate) fn idle(port: u16, path: &str, connections: usize) -> Result<()> {
    let request = client::get(path, false);
    let mut held = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut connection = Connection::open(port)?;
        match connection.exchange(request.as_bytes())? {
            response if response.answers(path) => held.push(connection),
            other => return Err(failure(format!("{other:?} on an idle connection"))),
        }
    }
    print!("{IDLE_READY}");
    std::io::Write::flush(&mut std::io::stdout())?;
    loop {
        thread::park();
    }
}

/// What to send at a fixed rate.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) port: u16,
    pub(crate) path: String,
    /// Requests per second over all connections.
    pub(crate) rate: f64,
    pub(crate) connections: usize,
    pub(crate) seconds: f64,
}

/// What became of the requests of one connection, or of all.
#[derive(Debug, Default)]
struct Exchanges {
    completed: u64,
    failed: u64,
    /// In µs, without those of the warm-up.
    latencies: Vec<u64>,
}

/// The latencies of requests before this time do not count.
const WARM_UP: Duration = Duration::from_millis(500);

/// Sends requests at times that were fixed beforehand, one thread for each connection.
///
/// A request that is due while its connection still waits for the last answer is sent late, and its latency counts
/// from when it was due: a proxy that stalls cannot hide the requests it kept from being sent. A request that is
/// sent on time counts from the sending, so that a late wake-up of the generator is not held against the proxy.
pub(crate) fn fixed_rate(schedule: &Schedule) -> Result<()> {
    let interval = Duration::from_secs_f64(schedule.connections as f64 / schedule.rate);
    // Everybody has connected before the first request is due.
    let start = Instant::now() + Duration::from_millis(200);
    let threads: Vec<_> = (0..schedule.connections)
        .map(|at| {
            let schedule = schedule.clone();
            let first = start + interval.mul_f64(at as f64 / schedule.connections as f64);
            thread::spawn(move || one_connection(&schedule, start, first, interval))
        })
        .collect();
    let mut all = Exchanges::default();
    for thread in threads {
        let own = thread.join().map_err(|_| failure("a generator thread failed"))?;
        all.latencies.extend(own.latencies);
        all.completed += own.completed;
        all.failed += own.failed;
    }
    all.latencies.sort_unstable();
    let quantile = |share| percentile(&all.latencies, share).unwrap_or_default();
    Report {
        completed: all.completed,
        failed: all.failed,
        seconds: schedule.seconds + WARM_UP.as_secs_f64(),
        latency: Some([quantile(0.5), quantile(0.99), quantile(0.999)]),
        ..Report::default()
    }
    .print()
}

fn one_connection(schedule: &Schedule, start: Instant, first: Instant, step: Duration) -> Exchanges {
    let request = client::get(&schedule.path, false);
    let counted = start + WARM_UP;
    let end = counted + Duration::from_secs_f64(schedule.seconds);
    let mut done = Exchanges::default();
    let mut connection = Connection::open(schedule.port).ok();
    let mut due = first;
    while due < end && Instant::now() < end + Duration::from_secs(1) {
        let wait = due.saturating_duration_since(Instant::now());
        let from = if wait.is_zero() {
            due
        } else {
            thread::sleep(wait);
            Instant::now()
        };
        let response = connection.as_mut().map(|connection| connection.exchange(request.as_bytes()));
        if matches!(response, Some(Ok(response)) if response.answers(&schedule.path)) {
            done.completed += 1;
            if due >= counted {
                done.latencies.push(from.elapsed().as_micros() as u64);
            }
        } else {
            done.failed += 1;
            connection = Connection::open(schedule.port).ok();
        }
        due += step;
    }
    done.failed += never_sent(due, end, step);
    done
}

/// The requests that a proxy kept from being sent until their time was over are its failures.
fn never_sent(due: Instant, end: Instant, step: Duration) -> u64 {
    let left = end.saturating_duration_since(due);
    (left.as_secs_f64() / step.as_secs_f64()).ceil() as u64
}

/// Which handshakes to make.
#[derive(Clone, Debug)]
pub(crate) struct Handshakes {
    pub(crate) port: u16,
    pub(crate) path: String,
    /// The proxy's certificate, which is also what it is checked against.
    pub(crate) certificate: PathBuf,
    pub(crate) resume: bool,
    pub(crate) connections: usize,
    pub(crate) seconds: f64,
}

/// Makes TLS connections with one request each, so many at a time. The request is there because a client has the
/// tickets for its next handshake only after reading something.
pub(crate) fn handshakes(plan: &Handshakes) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(plan.seconds);
    let mut report = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..plan.connections {
            tasks.spawn(connect_until(end, plan.port, plan.path.clone(), connector(plan)?));
        }
        let mut sum = Report::default();
        while let Some(one) = tasks.join_next().await {
            let one = one?;
            sum.completed += one.completed;
            sum.failed += one.failed;
            sum.resumed += one.resumed;
        }
        Result::Ok(sum)
    })?;
    report.seconds = start.elapsed().as_secs_f64();
    report.print()
}

/// A client of its own for every task, so that each has the tickets of its own last connection.
fn connector(plan: &Handshakes) -> Result<TlsConnector> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites = vec![rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read(&plan.certificate)?) {
        roots.add(certificate?)?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = if plan.resume { Resumption::in_memory_sessions(4) } else { Resumption::disabled() };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|error| failure(format!("{}: {error}", file.display())))
}

async fn connect_until(end: Instant, port: u16, path: String, connector: TlsConnector) -> Report {
    let mut report = Report::default();
    while Instant::now() < end {
        let patience = Duration::from_secs(5);
        match tokio::time::timeout(patience, connect_once(port, &path, &connector)).await {
            Ok(Ok(resumed)) => {
                report.completed += 1;
                report.resumed += u64::from(resumed);
            }
            _ => report.failed += 1,
        }
    }
    report
}

/// Gives whether the handshake was a resumed one.
async fn connect_once(port: u16, path: &str, connector: &TlsConnector) -> Result<bool> {
    let stream = TcpStream::connect(address(port)).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost")?;
    let mut stream = connector.connect(name, stream).await?;
    let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
    stream.write_all(client::get(path, true).as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        if let Some(response) = Response::read(&answer)? {
            return if response.answers(path) { Ok(resumed) } else { Err(failure(format!("{response:?}"))) };
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(failure("the connection ended before the answer"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_were_never_sent_have_failed() {
        let now = Instant::now();
        let check = |left, expected| {
            let step = Duration::from_millis(10);
            assert_eq!(never_sent(now, now + Duration::from_millis(left), step), expected, "{left} ms");
        };
        check(0, 0);
        check(1, 1);
        check(20, 2);
        assert_eq!(never_sent(now + Duration::from_millis(5), now, Duration::from_millis(10)), 0);
    }

    #[test]
    fn a_stalled_proxy_has_failures() {
        let listener = std::net::TcpListener::bind(address(0)).expect("bind");
        let schedule = Schedule {
            port: listener.local_addr().expect("address").port(),
            path: "/0".to_owned(),
            rate: 100.0,
            connections: 1,
            seconds: 0.5,
        };
        // It accepts, and reads, and answers the first request late and the others never.
        let proxy = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            thread::sleep(Duration::from_millis(2500));
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        });
        let start = Instant::now();
        let done = one_connection(&schedule, start, start, Duration::from_millis(10));
        assert_eq!((done.completed, done.failed), (1, 99));
        proxy.join().expect("the proxy ends");
    }

    #[test]
    fn reports_are_found_among_other_lines() {
        let report = Report { completed: 3, failed: 1, seconds: 2.0, resumed: 2, latency: Some([1, 2, 3]) };
        let line = serde_json::to_string(&report).expect("JSON");
        assert_eq!(Report::parse(&format!("a warning\n{line}\n")), Some(report));
        assert_eq!(Report::parse("a warning\n"), None);
    }
}
