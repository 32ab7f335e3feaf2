//! Where finished lines of an access log go. Whoever makes lines (the HTTP connection manager, the admin server)
//! knows neither files nor threads; the proxy makes the sink and does the writing.

use std::{fmt, sync::Arc};

/// Takes lines and never waits: a sink that cannot keep up drops lines and counts them.
#[derive(Clone)]
pub struct LineSink(Arc<Write>);

type Write = dyn Fn(&[u8]) + Send + Sync;

impl LineSink {
    /// A sink that hands each line to `write`, which must not block.
    pub fn new(write: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Hands over one line, its line end included.
    pub fn write(&self, line: &[u8]) {
        (self.0)(line);
    }
}

impl fmt::Debug for LineSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LineSink")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn clones_write_to_the_same_place() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = {
            let lines = Arc::clone(&lines);
            LineSink::new(move |line| lines.lock().unwrap().extend_from_slice(line))
        };
        let other = sink.clone();
        other.write(b"a\n");
        sink.write(b"b\n");
        assert_eq!(*lines.lock().unwrap(), b"a\nb\n");
    }
}
