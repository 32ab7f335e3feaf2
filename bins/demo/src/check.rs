//! `demo check`: run the whole example and compare what is seen with what its document says.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::admin::Stats;
use crate::child::Event;
use crate::cli::Options;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::load::Load;
use crate::plan::Plan;
use crate::ports::Ports;
use crate::report::Report;
use crate::scale::ScaleRequest;
use crate::signals::StopSignals;
use crate::steps::Example;

/// Requests a second while instances come and go.
pub const RATE: u32 = 200;
/// How long requests run before and after a change.
pub const LOAD_MARGIN: Duration = Duration::from_secs(1);
/// The refresh interval of the front proxy's clusters, and what the change itself may take on top.
const REFRESH: Duration = Duration::from_millis(6_500);
/// How long a host that was found may take to get its first request.
pub const FIRST_REQUEST: Duration = Duration::from_secs(5);

/// Run every step; whether all passed.
pub async fn run(options: &Options) -> Result<bool, Failure> {
    let plan = Plan::new(options, free_ports(options)?)?;
    let mut signals = StopSignals::new()?;
    let certificate = plan.certificate.clone();
    let (events, mut occurred) = mpsc::unbounded_channel();
    let fleet = Arc::new(Fleet::prepare(plan, events).await?);
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let ports = *fleet.ports();
    let mut example = Example {
        http: local(ports.http),
        https: local(ports.https),
        admin: local(ports.admin),
        certificate,
        sent: [0; 2],
        unrouted: 0,
        base: Stats::new(),
    };
    let mut report = Report::default();

    let outcome = tokio::select! {
        outcome = steps(&fleet, &mut example, &mut report) => outcome,
        died = unexpected_end(&mut occurred) => Err(died),
        signal = signals.next() => Err(Failure::new(format!("stopped by {signal}"))),
    };
    if outcome.is_ok() {
        clean_stop(fleet, &mut report).await;
    } else {
        report.progress("stopping");
        tokio::select! {
            _ = fleet.stop() => {}
            _ = signals.next() => fleet.kill(),
        }
        report.aborted();
    }
    let passed = report.finish();
    outcome.map(|()| passed)
}

/// The ports that were asked for, or the standard ones if they are free, or else free ones.
fn free_ports(options: &Options) -> Result<Ports, Failure> {
    let asked = Ports::new(options.base_port);
    if options.base_port.is_some() || asked.in_use().is_empty() {
        return Ok(asked);
    }
    let base = Ports::free_base()?;
    eprintln!("standard ports are in use, so this runs with --base-port {base}");
    Ok(Ports::new(Some(base)))
}

async fn steps(fleet: &Arc<Fleet>, example: &mut Example, report: &mut Report) -> Result<(), Failure> {
    report.progress("starting the front proxy and two services");
    let started = Instant::now();
    fleet.start().await?;
    report.row(
        "start",
        "front proxy and both services ready",
        Ok(format!("after {}", seconds(started.elapsed()))),
    );

    example.routing(report).await;
    scale_under_load(fleet, example, report, 3).await?;
    example.round_robin(report, 3, true).await;
    // Each worker balances what it accepts, so that connections of several workers need not take turns.
    if fleet.concurrency() == 1 {
        example.round_robin(report, 3, false).await;
    }
    example.stats(report, 3, Some(2)).await;
    scale_under_load(fleet, example, report, 1).await?;
    example.stats_after_change(report, 1, 3).await;
    example.admin_page(report).await;
    Ok(())
}

/// Change the number of service1's instances while requests run through.
async fn scale_under_load(
    fleet: &Arc<Fleet>,
    example: &mut Example,
    report: &mut Report,
    count: u8,
) -> Result<(), Failure> {
    let request = ScaleRequest { service: 1, count };
    report.progress(&format!(
        "scaling to {request} with {RATE} requests/s; the front proxy looks into DNS every 5 s"
    ));
    let load = Load::start(example.http, "/service/1", RATE);
    tokio::time::sleep(LOAD_MARGIN).await;
    let (progress, _) = mpsc::unbounded_channel();
    let started = Instant::now();
    fleet.scale(request.service, request.count, &progress).await?;
    let elapsed = started.elapsed();
    let seen = format!("after {}", seconds(elapsed));
    let expected = format!("in effect within {}, found by DNS", seconds(REFRESH));
    report.row(&format!("scale {request}"), &expected, if elapsed <= REFRESH { Ok(seen) } else { Err(seen) });

    // Whether all have answered is in the row below.
    let _ = tokio::time::timeout(FIRST_REQUEST, load.wait_for_hosts(usize::from(count))).await;
    tokio::time::sleep(LOAD_MARGIN).await;
    let tally = load.stop().await;
    example.sent[0] += tally.sent;
    tally.report(report, &format!("load during {request}"), RATE, usize::from(count));
    Ok(())
}

/// Stop everything and look for what is left.
async fn clean_stop(fleet: Arc<Fleet>, report: &mut Report) {
    report.progress("stopping");
    let pids = fleet.pids();
    let ports = *fleet.ports();
    let directory = fleet.directory().to_owned();
    let mut complaints: Vec<_> = fleet.stop().await.iter().map(ToString::to_string).collect();
    drop(fleet);
    let alive = |pid: &u32| {
        let pid = rustix::process::Pid::from_raw(pid.cast_signed());
        pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
    };
    complaints.extend(pids.iter().filter(|pid| alive(pid)).map(|pid| format!("process {pid} is left")));
    complaints.extend(ports.in_use().into_iter().map(|(address, _)| format!("{address} is in use")));
    if directory.exists() {
        complaints.push(format!("{} is left", directory.display()));
    }
    let seen = if complaints.is_empty() {
        Ok(format!("{} processes ended", pids.len()))
    } else {
        Err(complaints.join("; "))
    };
    report.row("SIGTERM to each process", "all end, no process, port or file is left", seen);
}

async fn unexpected_end(occurred: &mut mpsc::UnboundedReceiver<Event>) -> Failure {
    while let Some(event) = occurred.recv().await {
        if let Event::Ended(failure) = event {
            return failure;
        }
    }
    std::future::pending().await
}

/// A time for the table.
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
