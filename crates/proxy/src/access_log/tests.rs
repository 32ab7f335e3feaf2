use super::*;

const SOON: FlushOptions = FlushOptions { interval: Duration::from_millis(5), bytes: 1 << 16 };
const NEVER: FlushOptions = FlushOptions { interval: Duration::from_secs(3600), bytes: 1 << 16 };

/// A directory of the test's own, removed when the test ends.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nuncio-access-log-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn log(&self, name: &str) -> AccessLog {
        AccessLog { sink: AccessLogSink::File(self.path(name)), format: None }
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(
    logs: &[&AccessLog],
    flush: FlushOptions,
    registry: &Registry,
) -> Result<AccessLogs, Vec<ConfigError>> {
    let place = Place::generated("listeners[0]");
    AccessLogs::open(logs.iter().map(|log| (*log, &place)), flush, registry)
}

fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "the condition never came true");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn lines_of_all_workers_reach_the_file_whole() {
    let directory = Directory::new("whole");
    let log = directory.log("a");
    let registry = Registry::new(4);
    let logs = open(&[&log], SOON, &registry).unwrap();
    thread::scope(|scope| {
        for worker in 0..4 {
            let sink = logs.writer(&log, Shard::worker(worker)).unwrap();
            scope.spawn(move || {
                for line in 0..1000 {
                    sink.write(format!("{worker} {line}\n").as_bytes());
                }
            });
        }
    });
    logs.flush();
    let text = directory.read("a");
    for worker in 0..4 {
        let lines: Vec<String> =
            text.lines().filter(|line| line.starts_with(&format!("{worker} "))).map(str::to_owned).collect();
        let expected: Vec<String> = (0..1000).map(|line| format!("{worker} {line}")).collect();
        assert!(lines == expected, "the lines of worker {worker} are in order and complete");
    }
    assert_eq!(registry.counter_value("filesystem.write_buffered"), Some(4000));
}

#[test]
fn lines_are_written_after_the_interval() {
    let directory = Directory::new("interval");
    let log = directory.log("a");
    let registry = Registry::new(1);
    let logs = open(&[&log], SOON, &registry).unwrap();
    logs.writer(&log, Shard::MAIN).unwrap().write(b"x\n");
    until(|| registry.counter_value("filesystem.write_completed") == Some(1));
    assert_eq!(directory.read("a"), "x\n", "even though the sink is gone");
    assert_eq!(registry.counter_value("filesystem.flushed_by_timer"), Some(1));
}

#[test]
fn a_full_buffer_is_written_at_once() {
    let directory = Directory::new("full");
    let log = directory.log("a");
    let registry = Registry::new(1);
    let logs = open(&[&log], FlushOptions { bytes: 10, ..NEVER }, &registry).unwrap();
    let sink = logs.writer(&log, Shard::MAIN).unwrap();
    sink.write(b"short\n");
    sink.write(b"enough\n");
    until(|| registry.counter_value("filesystem.write_completed") == Some(1));
    assert_eq!(directory.read("a"), "short\nenough\n");
    assert_eq!(registry.counter_value("filesystem.flushed_by_timer"), Some(0));
}

#[test]
fn what_is_held_back_is_written_at_the_end() {
    let directory = Directory::new("end");
    let log = directory.log("a");
    let logs = open(&[&log], NEVER, &Registry::new(1)).unwrap();
    let sink = logs.writer(&log, Shard::MAIN).unwrap();
    sink.write(b"x\n");
    drop(logs);
    assert_eq!(directory.read("a"), "x\n");
}

#[test]
fn lines_are_dropped_and_counted_when_nobody_writes_them() {
    let directory = Directory::new("dropped");
    let log = directory.log("a");
    let registry = Registry::new(1);
    let logs = open(&[&log], FlushOptions { bytes: usize::MAX, ..NEVER }, &registry).unwrap();
    let sink = logs.writer(&log, Shard::MAIN).unwrap();
    let line = vec![b'x'; 1 << 20];
    for _ in 0..6 {
        sink.write(&line);
    }
    assert_eq!(registry.counter_value("filesystem.write_dropped"), Some(2));
    logs.flush();
    assert_eq!(directory.read("a").len(), 4 << 20);
}

#[test]
fn a_moved_file_is_opened_anew() {
    let directory = Directory::new("reopen");
    let log = directory.log("a");
    let logs = open(&[&log], NEVER, &Registry::new(1)).unwrap();
    let sink = logs.writer(&log, Shard::MAIN).unwrap();
    sink.write(b"before\n");
    logs.flush();
    std::fs::rename(directory.path("a"), directory.path("b")).unwrap();
    logs.reopen();
    logs.flush();
    sink.write(b"after\n");
    logs.flush();
    assert_eq!((directory.read("b"), directory.read("a")), ("before\n".to_owned(), "after\n".to_owned()));
}

#[test]
fn dev_null_is_not_opened_and_its_lines_are_not_made() {
    let log = AccessLog { sink: AccessLogSink::File("/dev/null".to_owned()), format: None };
    let logs = open(&[&log], NEVER, &Registry::new(1)).unwrap();
    assert!(logs.writer(&log, Shard::MAIN).is_none());
    assert!(logs.thread.is_none());
    logs.flush();
}

#[test]
fn every_file_that_cannot_be_opened_is_named_with_its_place() {
    let directory = Directory::new("errors");
    let (one, two) = (directory.log("missing/one"), directory.log("missing/two"));
    let errors = open(&[&one, &two], NEVER, &Registry::new(1)).err().unwrap();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2);
    assert!(errors[0].starts_with("(generated): listeners[0]: cannot open the access log "), "{}", errors[0]);
    assert!(errors[1].contains("missing/two: No such file or directory"), "{}", errors[1]);
}
