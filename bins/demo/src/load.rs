//! A steady stream of requests, to show that none fails while instances come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::client::Connection;
use crate::failure::Failure;
use crate::report::Report;

/// What has happened so far.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Requests that were sent and have ended.
    pub sent: u64,
    /// How often each host has answered.
    pub hosts: BTreeMap<String, u64>,
    /// How many requests failed.
    pub failed: u64,
    /// The different ways in which requests failed.
    pub reasons: BTreeSet<String>,
}

/// A stream that runs until it is stopped.
pub struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Load {
    /// Send `rate` requests a second for `path`, whether or not earlier ones were answered.
    pub fn start(address: SocketAddr, path: &'static str, rate: u32) -> Self {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(send(Arc::clone(&tally), address, path, rate, stopped));
        Self { tally, stop, task }
    }

    /// What has happened so far.
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Wait until so many hosts have answered.
    pub async fn wait_for_hosts(&self, count: usize) {
        while self.tally().hosts.len() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Send no more, wait for the answers that are due, and tell what happened.
    pub async fn stop(self) -> Tally {
        self.stop.send_replace(true);
        let _ = self.task.await;
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn send(
    tally: Arc<Mutex<Tally>>,
    address: SocketAddr,
    path: &'static str,
    rate: u32,
    mut stopped: watch::Receiver<bool>,
) {
    let idle = Arc::new(Mutex::new(Vec::new()));
    let mut due = tokio::time::interval(Duration::from_secs(1) / rate);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            _ = due.tick() => {
                let (tally, idle) = (Arc::clone(&tally), Arc::clone(&idle));
                requests.spawn(async move {
                    let end = request(&idle, address, path).await;
                    tally.lock().unwrap_or_else(PoisonError::into_inner).add(end);
                });
            }
            Some(_) = requests.join_next() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
    }
    while requests.join_next().await.is_some() {}
}

/// One request, on a kept connection if one is idle; the host that answered it.
async fn request(idle: &Mutex<Vec<Connection>>, address: SocketAddr, path: &str) -> Result<String, Failure> {
    let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut connection = match kept {
        Some(connection) => connection,
        None => Connection::open(address).await?,
    };
    let answer = connection.get(path).await?;
    idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    if !answer.status.is_success() {
        return Err(Failure::new(format!("{}: {}", answer.status, answer.body.trim_end())));
    }
    answer.host().map(str::to_owned).ok_or_else(|| Failure::new(format!("unexpected body {:?}", answer.body)))
}

impl Tally {
    /// A row that passes if no request failed and `hosts` answered.
    pub fn report(&self, report: &mut Report, step: &str, rate: u32, hosts: usize) {
        let Self { sent, failed, reasons, .. } = self;
        let reasons: Vec<_> = reasons.iter().map(String::as_str).collect();
        let seen = format!("{failed} of {sent} failed, {} hosts {}", self.hosts.len(), reasons.join("; "));
        let good = *failed == 0 && self.hosts.len() >= hosts;
        let seen = seen.trim_end().to_owned();
        report.row(
            step,
            &format!("{rate} requests/s meanwhile, none fails"),
            if good { Ok(seen) } else { Err(seen) },
        );
    }

    fn add(&mut self, end: Result<String, Failure>) {
        self.sent += 1;
        match end {
            Ok(host) => *self.hosts.entry(host).or_default() += 1,
            Err(failure) => {
                self.failed += 1;
                self.reasons.insert(failure.to_string());
            }
        }
    }
}
