//! The waker under which a pooled connection is polled.
//!
//! The connection is driven by whoever uses it. A waker of its own does three things that the task's waker cannot:
//! what the connection's parts wake while they are being polled costs the task no second poll, an idle connection
//! keeps no finished task alive, and it remembers that something happened on the socket, so that checking an idle
//! connection for a hang-up is one load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// The connection's owner is polling it and will look for [`WOKEN`] before it goes to sleep.
const POLLING: u8 = 1;
/// Something happened since the owner last looked.
const WOKEN: u8 = 2;

#[derive(Default)]
pub(crate) struct Signal {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Signal {
    /// The owner begins to poll, on behalf of `task`.
    pub(crate) fn enter(&self, task: &Waker) {
        self.task.register(task);
        self.state.store(POLLING, Ordering::Release);
    }

    /// Whether something happened since the owner last asked, which means that polling again may bring more.
    pub(crate) fn take_woken(&self) -> bool {
        self.state.swap(POLLING, Ordering::AcqRel) & WOKEN != 0
    }

    /// The owner goes to sleep; from now on the task is woken. What happened since the last look is returned, and
    /// the owner must act on it.
    pub(crate) fn leave(&self) -> bool {
        self.state.swap(0, Ordering::AcqRel) & WOKEN != 0
    }

    /// The connection becomes idle: no task is woken any more.
    pub(crate) fn detach(&self) {
        self.task.take();
    }

    /// Whether something happened while the connection lay idle.
    pub(crate) fn was_woken(&self) -> bool {
        self.state.load(Ordering::Acquire) & WOKEN != 0
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.fetch_or(WOKEN, Ordering::AcqRel) & POLLING == 0 {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn wakes_reach_the_task_only_while_nobody_polls() {
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let woken = || count.0.load(Ordering::Relaxed);
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(Arc::clone(&signal));

        signal.enter(&task);
        waker.wake_by_ref();
        assert_eq!(woken(), 0, "while it is polled");
        assert!(signal.take_woken());
        assert!(!signal.take_woken());
        assert!(!signal.leave());
        waker.wake_by_ref();
        assert_eq!(woken(), 1, "while the owner sleeps");

        signal.enter(&task);
        assert!(!signal.leave(), "what came before polling began has been polled for");
        signal.detach();
        waker.wake_by_ref();
        assert_eq!(woken(), 1, "while it is idle");
        assert!(signal.was_woken());
    }
}
