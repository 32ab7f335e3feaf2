//! Panics on a proxy's threads. A task that panics takes nothing else along, so that no test would notice.

use std::sync::{Mutex, Once};

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Whether a thread is a proxy's, by its name. Tests run on threads with their own names.
fn is_proxys(thread: &str) -> bool {
    thread == "main" || thread.starts_with("worker_")
}

/// Notes panics from now on.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or_default();
            if is_proxys(name)
                && let Ok(mut panics) = PANICS.lock()
            {
                panics.push(format!("{name}: {info}"));
            }
            before(info);
        }));
    });
}

/// The panics so far.
pub(crate) fn seen() -> Vec<String> {
    PANICS.lock().unwrap().clone()
}
