//! Access log files: one thread writes them all.
//!
//! Each worker gets buffers of its own, so that a line costs a copy under a lock that nobody else wants; only the
//! writing thread takes it too, for the moment in which it exchanges a full buffer for an empty one. Buffers are
//! bounded: when the disk cannot keep up, lines are dropped and counted (`filesystem.write_dropped`), because a
//! worker never waits for a disk.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use metrics::{Counter, Gauge};
use nuncio_config::{
    ConfigError, ErrorKind,
    model::{AccessLog, AccessLogSink, Place},
};
use nuncio_service::LineSink;
use nuncio_stats::{Registry, Shard};

/// Bytes that one worker may hold back for one file.
const BUFFER_LIMIT: usize = 4 << 20;

/// When lines are written.
#[derive(Clone, Copy, Debug)]
pub struct FlushOptions {
    /// At the latest after this time: `--file-flush-interval-msec`.
    pub interval: Duration,
    /// At once when this many bytes are held back: `--file-flush-min-size-kb`.
    pub bytes: usize,
}

/// The access logs of the whole process.
pub(crate) struct AccessLogs {
    shared: Arc<Shared>,
    registry: Registry,
    thread: Option<JoinHandle<()>>,
}

/// What the writing thread and the writers share.
struct Shared {
    outputs: Vec<Output>,
    flush: FlushOptions,
    /// Wakes the writing thread before its time.
    wake: mpsc::SyncSender<Wake>,
}

/// Why the writing thread is woken.
enum Wake {
    BufferFull,
    Reopen,
    Flush(mpsc::SyncSender<()>),
    Stop,
}

/// One place that lines go to, with the buffers of all workers.
struct Output {
    sink: AccessLogSink,
    target: Mutex<Target>,
    buffers: Mutex<Vec<Arc<Buffer>>>,
}

enum Target {
    File(File),
    Stdout,
    Stderr,
}

/// What one writer holds back.
struct Buffer {
    bytes: Mutex<Vec<u8>>,
    /// Whether the writing thread has been told that the buffer is full.
    told: AtomicBool,
}

/// Stats of the writing thread, under Envoy's names.
struct FileStats {
    completed: Counter,
    failed: Counter,
    flushed_by_timer: Counter,
    reopen_failed: Counter,
    buffered: Gauge,
}

impl AccessLogs {
    /// Opens every file that the logs name, once each, and starts the writing thread.
    ///
    /// # Errors
    /// Every file that cannot be opened.
    pub(crate) fn open<'a>(
        logs: impl IntoIterator<Item = (&'a AccessLog, &'a Place)>,
        flush: FlushOptions,
        registry: &Registry,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut outputs: Vec<Output> = Vec::new();
        let mut errors = Vec::new();
        for (log, place) in logs {
            if is_discarded(&log.sink) || outputs.iter().any(|output| output.sink == log.sink) {
                continue;
            }
            match Target::open(&log.sink) {
                Ok(target) => outputs.push(Output {
                    sink: log.sink.clone(),
                    target: Mutex::new(target),
                    buffers: Mutex::default(),
                }),
                Err((path, error)) => errors.push(cannot_open(place, &path, &error)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let (wake, woken) = mpsc::sync_channel(64);
        let shared = Arc::new(Shared { outputs, flush, wake });
        let stats = FileStats::new(registry);
        let thread = if shared.outputs.is_empty() {
            None
        } else {
            let shared = Arc::clone(&shared);
            let spawned = thread::Builder::new()
                .name("access_log".to_owned())
                .spawn(move || write_until_stopped(&shared, &woken, &stats));
            match spawned {
                Ok(thread) => Some(thread),
                Err(error) => {
                    return Err(vec![cannot_open(&Place::default(), "(the writing thread)", &error)]);
                }
            }
        };
        Ok(Self { shared, registry: registry.clone(), thread })
    }

    /// A sink for the lines that a worker writes to a log that was opened; `None` where lines are to be thrown away,
    /// so that they need not even be made.
    pub(crate) fn writer(&self, log: &AccessLog, shard: Shard) -> Option<LineSink> {
        let output = self.shared.outputs.iter().find(|output| output.sink == log.sink)?;
        let buffer = Arc::new(Buffer { bytes: Mutex::default(), told: AtomicBool::new(false) });
        lock(&output.buffers).push(Arc::clone(&buffer));
        let scope = self.registry.scope(shard, "filesystem");
        let (buffered, dropped) = (scope.counter("write_buffered"), scope.counter("write_dropped"));
        let full = self.shared.flush.bytes;
        let wake = self.shared.wake.clone();
        Some(LineSink::new(move |line| {
            let held_back = {
                let mut bytes = lock(&buffer.bytes);
                if bytes.len() + line.len() > BUFFER_LIMIT {
                    dropped.increment(1);
                    return;
                }
                bytes.extend_from_slice(line);
                bytes.len()
            };
            buffered.increment(1);
            if held_back >= full && !buffer.told.swap(true, Ordering::Relaxed) {
                // A full channel means that the thread will look at all buffers soon anyway.
                let _ = wake.try_send(Wake::BufferFull);
            }
        }))
    }

    /// Opens all files anew: after they were moved away, lines go to new ones. Returns at once.
    pub(crate) fn reopen(&self) {
        let _ = self.shared.wake.try_send(Wake::Reopen);
    }

    /// Writes everything that is held back, and returns when that is done.
    pub(crate) fn flush(&self) {
        let (done, waiting) = mpsc::sync_channel(1);
        if self.thread.is_some() && self.shared.wake.send(Wake::Flush(done)).is_ok() {
            let _ = waiting.recv();
        }
    }
}

impl Drop for AccessLogs {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = self.shared.wake.send(Wake::Stop);
            // A panic there has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

fn cannot_open(place: &Place, path: &str, error: &io::Error) -> ConfigError {
    let message = format!("cannot open the access log {path}: {error}");
    ConfigError { place: place.clone(), kind: ErrorKind::Machine, message }
}

fn is_discarded(sink: &AccessLogSink) -> bool {
    matches!(sink, AccessLogSink::File(path) if path == "/dev/null")
}

fn write_until_stopped(shared: &Shared, woken: &mpsc::Receiver<Wake>, stats: &FileStats) {
    let mut next = Instant::now() + shared.flush.interval;
    loop {
        let wait = next.saturating_duration_since(Instant::now());
        match woken.recv_timeout(wait) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                shared.write_all(stats, true);
                next = Instant::now() + shared.flush.interval;
            }
            Ok(Wake::BufferFull) => shared.write_all(stats, false),
            Ok(Wake::Reopen) => {
                shared.write_all(stats, false);
                shared.reopen(stats);
            }
            Ok(Wake::Flush(done)) => {
                shared.write_all(stats, false);
                let _ = done.send(());
            }
            Ok(Wake::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                shared.write_all(stats, false);
                return;
            }
        }
    }
}

impl Shared {
    fn write_all(&self, stats: &FileStats, by_timer: bool) {
        for output in &self.outputs {
            let buffers = lock(&output.buffers).clone();
            for buffer in buffers {
                let bytes = std::mem::take(&mut *lock(&buffer.bytes));
                buffer.told.store(false, Ordering::Relaxed);
                if bytes.is_empty() {
                    continue;
                }
                stats.buffered.set(bytes.len() as f64);
                if by_timer {
                    stats.flushed_by_timer.increment(1);
                }
                match lock(&output.target).write_all(&bytes) {
                    Ok(()) => stats.completed.increment(1),
                    Err(error) => {
                        stats.failed.increment(1);
                        tracing::warn!("cannot write the access log {:?}: {error}", output.sink);
                    }
                }
            }
            // Those of a worker that has ended, once they are empty.
            lock(&output.buffers)
                .retain(|buffer| Arc::strong_count(buffer) > 1 || !lock(&buffer.bytes).is_empty());
        }
        stats.buffered.set(0.0);
    }

    fn reopen(&self, stats: &FileStats) {
        for output in &self.outputs {
            match Target::open(&output.sink) {
                Ok(target) => *lock(&output.target) = target,
                Err((path, error)) => {
                    stats.reopen_failed.increment(1);
                    tracing::warn!("cannot open the access log {path} anew: {error}");
                }
            }
        }
    }
}

impl Target {
    fn open(sink: &AccessLogSink) -> Result<Self, (String, io::Error)> {
        match sink {
            AccessLogSink::Stdout => Ok(Self::Stdout),
            AccessLogSink::Stderr => Ok(Self::Stderr),
            AccessLogSink::File(path) => OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map(Self::File)
                .map_err(|error| (path.clone(), error)),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(bytes),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            Self::Stderr => io::stderr().lock().write_all(bytes),
        }
    }
}

impl FileStats {
    fn new(registry: &Registry) -> Self {
        let scope = registry.scope(Shard::MAIN, "filesystem");
        // Each writer counts on its own shard; the name is there from the start.
        let _ = scope.counter("write_buffered");
        Self {
            completed: scope.counter("write_completed"),
            failed: scope.counter("write_failed"),
            flushed_by_timer: scope.counter("flushed_by_timer"),
            reopen_failed: scope.counter("reopen_failed"),
            buffered: scope.gauge("write_total_buffered"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
