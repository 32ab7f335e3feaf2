//! One measurement: start a proxy, warm it up, load it, read what it used, stop it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde::Serialize;

use super::client::{self, Connection, address};
use super::generators::{IDLE_READY, Report};
use super::origin;
use super::peers::{self, Peer, Ports, Routes, Setup, Upstream};
use super::process::{Invocation, Running, Scratch, pause};
use super::procfs::Tree;
use super::tools::{self, Load};
use super::workload::{Generator, Request, Workload};
use super::{Result, failure};

const WARM_UP: Duration = Duration::from_millis(500);
/// For a proxy to start; Envoy needs some seconds for 10,000 routes.
const START: Duration = Duration::from_secs(30);
/// For a generator to end after its time is over.
const SLACK: Duration = Duration::from_secs(15);
/// More failed requests than this share make a measurement worthless.
const TOLERATED_FAILURES: f64 = 0.001;
const HANDSHAKING_CONNECTIONS: usize = 16;

/// The figures of one measurement.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Sample {
    /// In the workload's unit.
    pub(crate) cost: f64,
    pub(crate) per_second: Option<f64>,
    pub(crate) resident_kib: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    /// p50, p99 and p99.9 in µs.
    pub(crate) latency_us: Option<[u64; 3]>,
    /// The share of TLS handshakes that were resumed.
    pub(crate) resumed: Option<f64>,
}

/// Programs that are not proxies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tools {
    pub(crate) wrk: Option<PathBuf>,
    pub(crate) h2load: Option<PathBuf>,
    pub(crate) strace: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) proxy: usize,
    pub(crate) load: usize,
}

/// The fixed parts of every measurement.
pub(crate) struct Stand {
    pub(crate) tools: Tools,
    pub(crate) cores: Cores,
    pub(crate) seconds: u32,
    origin_ports: origin::Ports,
    // Fields are dropped in this order: the origin is stopped before its files go.
    _origin: Running,
    scratch: Scratch,
}

/// A proxy that answers.
struct Proxy {
    _running: Running,
    tree: Tree,
    ports: Ports,
}

impl Stand {
    /// Starts the origin and makes what all proxies share.
    pub(crate) fn set_up(scratch: Scratch, tools: Tools, cores: Cores, seconds: u32) -> Result<Stand> {
        let folder = scratch.path();
        let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = rcgen::CertificateParams::new(names)?.self_signed(&key)?.pem();
        let key = key.serialize_pem();
        fs::write(folder.join(peers::CERTIFICATE), &certificate)?;
        fs::write(folder.join(peers::KEY), &key)?;
        fs::write(folder.join(peers::CHAIN), certificate + &key)?;
        fs::write(folder.join("openssl.cnf"), tools::OPENSSL_SETTINGS)?;

        let output = folder.join("origin");
        let mut origin = Running::start(&Invocation::role("origin")?, cores.load, &output)?;
        let origin_ports = origin.wait_for(Duration::from_secs(5), origin::parse_announcement)?;
        Ok(Stand { tools, cores, seconds, origin_ports, _origin: origin, scratch })
    }

    /// Why a workload cannot be run here, if it cannot.
    pub(crate) fn lacks(&self, workload: &Workload) -> Option<&'static str> {
        match workload.load {
            Generator::Wrk { .. } | Generator::FixedRate { .. } if self.tools.wrk.is_none() => {
                Some("wrk is not on PATH")
            }
            Generator::H2load { .. } if self.tools.h2load.is_none() => Some("h2load is not on PATH"),
            _ => None,
        }
    }

    /// Loads one proxy with one workload. `rate` is for the workloads with a fixed one.
    pub(crate) fn measure(
        &self,
        workload: &Workload,
        peer: Peer,
        program: &Path,
        rate: f64,
    ) -> Result<Sample> {
        let proxy = self.start(workload, peer, program)?;
        let sample = match workload.load {
            Generator::Idle { connections } => self.hold_idle(workload, &proxy, connections)?,
            Generator::Handshakes { resume } => {
                let call = |seconds| self.handshakes(workload, proxy.ports.tls, resume, seconds);
                self.run(&call(WARM_UP.as_secs_f64())?)?;
                self.counted_by_us(&proxy, &call(f64::from(self.seconds))?)?
            }
            Generator::FixedRate { connections } => {
                let call = Invocation::role("fixed-rate")?
                    .option("--port", proxy.ports.plain)
                    .option("--path", &workload.path())
                    .option("--rate", rate)
                    .option("--connections", connections)
                    .option("--seconds", self.seconds);
                self.counted_by_us(&proxy, &call)?
            }
            Generator::Wrk { .. } | Generator::H2load { .. } => {
                self.warm_up(workload, &proxy)?;
                let before = proxy.tree.cpu()?;
                let load = self.load(workload, &proxy, self.seconds)?;
                let sample = Sample {
                    completed: load.completed,
                    failed: load.failed,
                    per_second: Some(load.per_second),
                    ..Sample::default()
                };
                with_cost(sample, &proxy, before)?
            }
        };
        judged(sample, workload)
    }

    /// Requests per second when the proxy is loaded as much as it will bear.
    pub(crate) fn peak(&self, workload: &Workload, peer: Peer, program: &Path) -> Result<f64> {
        let Generator::FixedRate { connections } = workload.load else {
            return Err(failure("only a workload with a fixed rate needs the peak"));
        };
        let request = Request::Get(Workload::small());
        let unbounded = Workload { load: Generator::Wrk { connections, tls: false, request }, ..*workload };
        let proxy = self.start(&unbounded, peer, program)?;
        self.warm_up(&unbounded, &proxy)?;
        Ok(self.load(&unbounded, &proxy, 2)?.per_second)
    }

    /// System calls per request, counted by strace, which slows the proxy: no time is measured here.
    pub(crate) fn system_calls(&self, workload: &Workload, peer: Peer, program: &Path) -> Result<f64> {
        let strace = self.tools.strace.as_ref().ok_or_else(|| failure("strace is not on PATH"))?;
        let proxy = self.start(workload, peer, program)?;
        self.warm_up(workload, &proxy)?;
        let mut call = Invocation::new(strace).arg("-c").arg("-f");
        for pid in proxy.tree.members() {
            call = call.option("-p", pid);
        }
        let mut counter = Running::start(&call, self.cores.load, &self.scratch.path().join("strace"))?;
        counter.wait_for(SLACK, |output| output.contains("attached").then_some(()))?;
        let load = self.load(workload, &proxy, 2)?;
        counter.signal(Signal::INT);
        let (_, output) = counter.finish(SLACK)?;
        let calls = tools::parse_strace(&output).ok_or_else(|| failure("strace printed no summary"))?;
        let sample = Sample { completed: load.completed, failed: load.failed, ..Sample::default() };
        Ok(calls as f64 / judged(sample, workload)?.completed as f64)
    }

    fn start(&self, workload: &Workload, peer: Peer, program: &Path) -> Result<Proxy> {
        let dir = self.scratch.path().join("run");
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir(&dir)?;
        let [plain, tls, admin] = free_ports()?;
        let origin = match workload.upstream {
            Upstream::Http1 => self.origin_ports.http1,
            Upstream::Http2 => self.origin_ports.http2,
        };
        let ports = Ports { plain, tls, admin, origin };
        let setup = Setup { upstream: workload.upstream, routes: workload.routes, ports, dir: &dir };
        peers::write_map(peer, &setup)?;
        let call = peers::configure(peer, program, &setup)?;
        let mut running = Running::start(&call, self.cores.proxy, &dir.join("output"))?;
        let path = workload.path();
        let probe = client::get(&path, false);
        running.wait_for(START, |_| {
            let response = Connection::open(plain).and_then(|mut client| client.exchange(probe.as_bytes()));
            response.is_ok_and(|response| response.answers(&path)).then_some(())
        })?;
        let tree = Tree::of(running.pid())?;
        Ok(Proxy { _running: running, tree, ports })
    }

    /// The same load as will be measured, for a moment.
    fn warm_up(&self, workload: &Workload, proxy: &Proxy) -> Result<()> {
        let call = self.call(workload, proxy, 60)?;
        let running = Running::start(&call, self.cores.load, &self.scratch.path().join("generator"))?;
        pause(WARM_UP)?;
        drop(running);
        pause(Duration::from_millis(50))
    }

    fn load(&self, workload: &Workload, proxy: &Proxy, seconds: u32) -> Result<Load> {
        let output = self.run(&self.call(workload, proxy, seconds)?)?;
        let load = match workload.load {
            Generator::H2load { .. } => tools::parse_h2load(&output),
            _ => tools::parse_wrk(&output),
        };
        load.ok_or_else(|| failure(format!("the generator printed no report: {}", output.trim())))
    }

    /// The call of wrk or h2load.
    fn call(&self, workload: &Workload, proxy: &Proxy, seconds: u32) -> Result<Invocation> {
        let path = workload.path();
        let lacking = || failure("the generator is missing");
        let settings = self.scratch.path().join("openssl.cnf");
        match workload.load {
            Generator::H2load { connections, streams } => {
                let h2load = self.tools.h2load.as_ref().ok_or_else(lacking)?;
                Ok(Invocation::new(h2load)
                    .env("OPENSSL_CONF", settings)
                    .option("-t", 1)
                    .option("-c", connections)
                    .option("-m", streams)
                    .option("-D", seconds)
                    .arg(format!("https://127.0.0.1:{}{path}", proxy.ports.tls)))
            }
            Generator::Wrk { connections, tls, request } => {
                let wrk = self.tools.wrk.as_ref().ok_or_else(lacking)?;
                let mut call = Invocation::new(wrk)
                    .env("OPENSSL_CONF", settings)
                    .option("-t", 1)
                    .option("-c", connections)
                    .arg(format!("-d{seconds}s"));
                if request == Request::GetAndClose {
                    call = call.option("-H", "Connection: close");
                }
                if let Some(script) = script(request, workload.routes) {
                    let file = self.scratch.path().join("requests.lua");
                    fs::write(&file, script)?;
                    call = call.arg("-s").arg(file);
                }
                let (scheme, port) =
                    if tls { ("https", proxy.ports.tls) } else { ("http", proxy.ports.plain) };
                Ok(call.arg(format!("{scheme}://127.0.0.1:{port}{path}")))
            }
            _ => Err(failure("this workload has a generator of its own")),
        }
    }

    fn handshakes(&self, workload: &Workload, port: u16, resume: bool, seconds: f64) -> Result<Invocation> {
        let call = Invocation::role("handshakes")?
            .option("--port", port)
            .option("--path", &workload.path())
            .option("--connections", HANDSHAKING_CONNECTIONS)
            .option("--seconds", seconds)
            .arg("--certificate")
            .arg(self.scratch.path().join(peers::CERTIFICATE));
        Ok(if resume { call.arg("--resume") } else { call })
    }

    /// Runs a generator to its end and gives what it printed.
    fn run(&self, call: &Invocation) -> Result<String> {
        let limit = Duration::from_secs(u64::from(self.seconds)) + SLACK;
        let output = self.scratch.path().join("generator");
        let (status, output) = Running::start(call, self.cores.load, &output)?.finish(limit)?;
        match status.success() {
            true => Ok(output),
            false => Err(failure(format!("the generator ended with {status}: {}", output.trim()))),
        }
    }

    fn counted_by_us(&self, proxy: &Proxy, call: &Invocation) -> Result<Sample> {
        let before = proxy.tree.cpu()?;
        let output = self.run(call)?;
        let report = Report::parse(&output)
            .ok_or_else(|| failure(format!("the generator printed no report: {}", output.trim())))?;
        let sample = Sample {
            completed: report.completed,
            failed: report.failed,
            per_second: Some(report.completed as f64 / report.seconds),
            latency_us: report.latency,
            resumed: Some(report.resumed as f64 / report.completed.max(1) as f64),
            ..Sample::default()
        };
        with_cost(sample, proxy, before)
    }

    /// What each connection adds to the resident size, after some other traffic has filled the proxy's own pools.
    fn hold_idle(&self, workload: &Workload, proxy: &Proxy, connections: usize) -> Result<Sample> {
        let mut client = Connection::open(proxy.ports.plain)?;
        let request = client::get(&workload.path(), false);
        for _ in 0..1000 {
            client.exchange(request.as_bytes())?;
        }
        let before = proxy.tree.resident()?;
        let call = Invocation::role("idle")?
            .option("--port", proxy.ports.plain)
            .option("--path", &workload.path())
            .option("--connections", connections);
        let output = self.scratch.path().join("generator");
        let mut holder = Running::start(&call, self.cores.load, &output)?;
        holder.wait_for(START, |output| output.contains(IDLE_READY).then_some(()))?;
        pause(Duration::from_secs(1))?;
        let after = proxy.tree.resident()?;
        Ok(Sample {
            cost: after.saturating_sub(before) as f64 / connections as f64,
            resident_kib: after,
            completed: connections as u64,
            ..Sample::default()
        })
    }
}

fn script(request: Request, routes: Routes) -> Option<String> {
    match (request, routes) {
        (Request::Post(bytes), _) => Some(tools::upload_script(bytes)),
        (Request::EveryRoute, Routes::Numbered(count)) => {
            Some(tools::routes_script(count, Workload::small()))
        }
        _ => None,
    }
}

/// Adds processor time for each request, and memory.
fn with_cost(sample: Sample, proxy: &Proxy, before: Duration) -> Result<Sample> {
    let used = proxy.tree.cpu()?.saturating_sub(before);
    let cost = used.as_secs_f64() * 1e6 / sample.completed.max(1) as f64;
    Ok(Sample { cost, resident_kib: proxy.tree.resident()?, ..sample })
}

/// Refuses a measurement in which the proxy did not do what was measured.
fn judged(sample: Sample, workload: &Workload) -> Result<Sample> {
    let Sample { completed, failed, .. } = sample;
    if completed == 0 || failed as f64 > completed as f64 * TOLERATED_FAILURES {
        return Err(failure(format!("{failed} of {} requests failed", completed + failed)));
    }
    if let (Generator::Handshakes { resume }, Some(resumed)) = (workload.load, sample.resumed)
        && resume != (resumed > 0.9)
    {
        return Err(failure(format!("{:.0} % of the handshakes were resumed", resumed * 100.0)));
    }
    Ok(sample)
}

/// Three ports that were free a moment ago.
fn free_ports() -> Result<[u16; 3]> {
    let listeners =
        [TcpListener::bind(address(0))?, TcpListener::bind(address(0))?, TcpListener::bind(address(0))?];
    let [first, second, third] = &listeners;
    Ok([first.local_addr()?.port(), second.local_addr()?.port(), third.local_addr()?.port()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_with_failures_are_refused() {
        let handshakes = Workload::find("handshakes-resumed").expect("known");
        let small = Workload::find("get-64").expect("known");
        let check = |workload: &Workload, completed, failed, resumed, expected: bool| {
            let sample = Sample { completed, failed, resumed, ..Sample::default() };
            assert_eq!(judged(sample, workload).is_ok(), expected, "{completed} {failed} {resumed:?}");
        };
        check(&small, 10_000, 0, None, true);
        check(&small, 10_000, 10, None, true);
        check(&small, 10_000, 11, None, false);
        check(&small, 0, 0, None, false);
        check(&handshakes, 100, 0, Some(0.97), true);
        check(&handshakes, 100, 0, Some(0.5), false);
    }

    #[test]
    fn ports_differ() {
        let [a, b, c] = free_ports().expect("ports");
        assert!(a != b && b != c && a != c);
    }
}
