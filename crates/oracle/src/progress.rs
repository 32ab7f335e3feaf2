//! How far the running has got, told to who waits for it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::interval};

static PLANNED: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicUsize = AtomicUsize::new(0);

/// So many exchanges will be run.
pub(crate) fn planned(exchanges: usize) {
    PLANNED.fetch_add(exchanges, Ordering::Relaxed);
}

/// One exchange has been run.
pub(crate) fn done() {
    DONE.fetch_add(1, Ordering::Relaxed);
}

/// Prints on the standard error output, every two seconds until it is aborted, how many exchanges have been run.
pub fn tell() -> JoinHandle<()> {
    let started = Instant::now();
    tokio::spawn(async move {
        let mut ticks = interval(Duration::from_secs(2));
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let (done, planned) = (DONE.load(Ordering::Relaxed), PLANNED.load(Ordering::Relaxed));
            eprintln!("{:3} s: {done} of {planned} exchanges", started.elapsed().as_secs());
        }
    })
}
