//! The signal that tells connections to finish, and the count of those that have not.
//!
//! One pair of [`DrainHandle`] and [`Drain`] belongs to one worker, so nothing here is contended: a connection asks
//! [`Drain::is_draining`] with a relaxed load of a flag that nobody writes until the end, and the lock is taken
//! only when a future registers, when it is dropped before its time, and when the last connection ends. There is
//! no runtime in it, because both the listener (which drains) and the HTTP connection manager (which is told to)
//! use it.
//!
//! Draining has two steps: [`DrainHandle::start`] asks connections to end at their next good moment, and
//! [`DrainHandle::close`], for those that have not after the drain time, ends them. [`Advice`] is weaker, can be taken
//! back, and is one for all workers.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

// The steps; zero stands for running.
const DRAINING: u8 = 1;
const CLOSING: u8 = 2;

/// Advises connections to end with their next response, as while the server fails its health checks. Clones are the
/// same.
#[derive(Clone, Debug, Default)]
pub struct Advice(Arc<AtomicBool>);

/// What a connection knows of draining.
#[derive(Clone, Debug)]
pub struct Drain(Arc<Shared>);

/// The owner's end: starts the draining and waits for its end.
#[derive(Clone, Debug)]
pub struct DrainHandle(Arc<Shared>);

/// Ends when draining starts, at once if it has started already.
#[derive(Debug)]
pub struct DrainWait(StepWait);

/// Ends when what is left after the drain time is to be closed.
#[derive(Debug)]
pub struct DrainClosed(StepWait);

/// Ends when no [`DrainGuard`] is left.
#[derive(Debug)]
pub struct DrainEnded(Arc<Shared>);

/// Held by whatever draining waits for.
#[derive(Debug)]
pub struct DrainGuard(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The last step that was reached; written with the lock held, read without.
    step: AtomicU8,
    guards: AtomicUsize,
    waiting: Mutex<Waiting>,
    advice: Advice,
}

#[derive(Debug, Default)]
struct Waiting {
    slots: Vec<Option<(u8, Waker)>>,
    free: Vec<usize>,
    ended: Vec<Waker>,
}

/// Waits for one step.
#[derive(Debug)]
struct StepWait {
    shared: Arc<Shared>,
    step: u8,
    /// The slot and a copy of what is in it, so that a poll by the same task needs no lock.
    registered: Option<(usize, Waker)>,
}

impl Advice {
    /// Gives the advice, or takes it back.
    pub fn set(&self, given: bool) {
        self.0.store(given, Ordering::Relaxed);
    }

    /// Whether it is given.
    #[inline]
    pub fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drain {
    /// A signal that has not been given, and its owner's end.
    pub fn new() -> (DrainHandle, Self) {
        Self::with_advice(Advice::default())
    }

    /// The same for connections that follow `advice`, too.
    pub fn with_advice(advice: Advice) -> (DrainHandle, Self) {
        let shared = Arc::new(Shared { advice, ..Shared::default() });
        (DrainHandle(Arc::clone(&shared)), Self(shared))
    }

    /// Whether connections are to end with their next response: draining has started, or it is advised. Costs two
    /// relaxed loads.
    #[inline]
    pub fn is_draining(&self) -> bool {
        self.0.step.load(Ordering::Relaxed) >= DRAINING || self.0.advice.is_given()
    }

    /// Ends when draining starts.
    pub fn wait(&self) -> DrainWait {
        DrainWait(StepWait::new(&self.0, DRAINING))
    }

    /// Ends when the drain time is over.
    pub fn closed(&self) -> DrainClosed {
        DrainClosed(StepWait::new(&self.0, CLOSING))
    }

    /// Makes draining wait for what holds the guard.
    pub fn guard(&self) -> DrainGuard {
        self.0.guards.fetch_add(1, Ordering::Relaxed);
        DrainGuard(Arc::clone(&self.0))
    }
}

impl DrainHandle {
    /// Another end for the connections of the same worker.
    pub fn drain(&self) -> Drain {
        Drain(Arc::clone(&self.0))
    }

    /// Asks all connections to finish. More calls change nothing.
    pub fn start(&self) {
        self.0.advance(DRAINING);
    }

    /// Ends what has not finished. Starts the draining too if that was left out.
    pub fn close(&self) {
        self.0.advance(CLOSING);
    }

    /// Ends as soon as no guard is left, whether draining has started or not: start it first.
    pub fn ended(&self) -> DrainEnded {
        DrainEnded(Arc::clone(&self.0))
    }

    /// How many guards there are.
    pub fn guards(&self) -> usize {
        self.0.guards.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A list of wakers is whole after every statement, so a panic elsewhere leaves it usable.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, step: u8) {
        let mut woken = Vec::new();
        {
            let mut waiting = self.lock();
            if self.step.load(Ordering::Relaxed) >= step {
                return;
            }
            self.step.store(step, Ordering::Release);
            let Waiting { slots, free, .. } = &mut *waiting;
            for (index, slot) in slots.iter_mut().enumerate() {
                if let Some((_, waker)) = slot.take_if(|(wanted, _)| *wanted <= step) {
                    free.push(index);
                    woken.push(waker);
                }
            }
        }
        // Woken without the lock: a waker may run the task at once, and that may register again.
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Waiting {
    fn insert(&mut self, step: u8, waker: Waker) -> usize {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index)
        {
            *slot = Some((step, waker));
            return index;
        }
        self.slots.push(Some((step, waker)));
        self.slots.len() - 1
    }

    fn remove(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = None;
            self.free.push(index);
        }
    }
}

impl StepWait {
    fn new(shared: &Arc<Shared>, step: u8) -> Self {
        Self { shared: Arc::clone(shared), step, registered: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.step.load(Ordering::Acquire) >= self.step {
            // The slot was emptied by `advance`.
            self.registered = None;
            return Poll::Ready(());
        }
        match &self.registered {
            Some((_, waker)) if waker.will_wake(cx.waker()) => Poll::Pending,
            _ => self.register(cx.waker()),
        }
    }

    fn register(&mut self, waker: &Waker) -> Poll<()> {
        let mut waiting = self.shared.lock();
        if self.shared.step.load(Ordering::Relaxed) >= self.step {
            self.registered = None;
            return Poll::Ready(());
        }
        if let Some((index, _)) = self.registered.take() {
            waiting.remove(index);
        }
        let index = waiting.insert(self.step, waker.clone());
        self.registered = Some((index, waker.clone()));
        Poll::Pending
    }
}

impl Drop for StepWait {
    fn drop(&mut self) {
        if let Some((index, _)) = self.registered.take() {
            let mut waiting = self.shared.lock();
            // Once the step is reached the slot is empty, or somebody else's.
            if self.shared.step.load(Ordering::Relaxed) < self.step {
                waiting.remove(index);
            }
        }
    }
}

impl Future for DrainWait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().0.poll(cx)
    }
}

impl Future for DrainClosed {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().0.poll(cx)
    }
}

impl Future for DrainEnded {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // The lock orders this with the last guard's drop: either the count is seen at zero here, or the waker is
        // seen there.
        let mut waiting = self.0.lock();
        if self.0.guards.load(Ordering::Acquire) == 0 {
            return Poll::Ready(());
        }
        if !waiting.ended.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.ended.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for DrainGuard {
    fn drop(&mut self) {
        if self.0.guards.fetch_sub(1, Ordering::AcqRel) == 1 {
            let ended = mem::take(&mut self.0.lock().ended);
            ended.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Wake, thread};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A task that counts how often it was woken.
    fn task() -> (Arc<Woken>, Waker) {
        let woken = Arc::new(Woken::default());
        (Arc::clone(&woken), Waker::from(woken))
    }

    fn poll(future: impl Future<Output = ()>, waker: &Waker) -> bool {
        pin!(future).poll(&mut Context::from_waker(waker)).is_ready()
    }

    fn taken(drain: &Drain) -> usize {
        drain.0.lock().slots.iter().flatten().count()
    }

    fn assert_send_unpin<T: Send + Sync + Unpin + 'static>(_: &T) {}

    #[test]
    fn start_wakes_each_waiter_once_and_close_the_rest() {
        let (handle, drain) = Drain::new();
        let (woken, waker) = task();
        let (mut start, mut closed) = (drain.wait(), drain.closed());
        assert_send_unpin(&start);
        assert!(!poll(&mut start, &waker) && !poll(&mut closed, &waker) && !drain.is_draining());

        handle.start();
        handle.start();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(drain.is_draining() && poll(&mut start, &waker) && !poll(&mut closed, &waker));
        assert!(poll(drain.wait(), &waker), "a late waiter need not wait");

        handle.close();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert!(poll(&mut closed, &waker));
    }

    #[test]
    fn advice_ends_connections_without_draining_and_can_be_taken_back() {
        let advice = Advice::default();
        let (_handle, drain) = Drain::with_advice(advice.clone());
        let (_, waker) = task();
        advice.set(true);
        assert!(drain.is_draining() && !poll(drain.wait(), &waker));
        advice.set(false);
        assert!(!drain.is_draining());
    }

    #[test]
    fn polling_again_registers_only_a_new_waker() {
        let (handle, drain) = Drain::new();
        let ((first, first_waker), (second, second_waker)) = (task(), task());
        let mut wait = drain.wait();
        for waker in [&first_waker, &first_waker, &second_waker] {
            assert!(!poll(&mut wait, waker));
            assert_eq!(taken(&drain), 1);
        }
        handle.start();
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1));
    }

    #[test]
    fn a_dropped_waiter_frees_its_slot_and_no_other() {
        let (handle, drain) = Drain::new();
        let (woken, waker) = task();
        let mut waits: Vec<_> = (0..3).map(|_| drain.wait()).collect();
        waits.iter_mut().for_each(|wait| assert!(!poll(wait, &waker)));
        drop(waits.remove(1));
        assert_eq!(taken(&drain), 2);
        let mut closed = drain.closed();
        assert!(!poll(&mut closed, &waker));
        assert_eq!(drain.0.lock().slots.len(), 3, "the freed slot is used again");

        handle.start();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        let mut late = drain.closed();
        assert!(!poll(&mut late, &waker));
        drop(waits);
        assert_eq!(taken(&drain), 2, "those that were woken do not empty the slot of a later waiter");
    }

    #[test]
    fn the_end_comes_with_the_last_guard() {
        let (handle, drain) = Drain::new();
        let (woken, waker) = task();
        assert!(poll(handle.ended(), &waker));
        let guards = [drain.guard(), drain.guard()];
        let mut ended = handle.ended();
        handle.start();
        assert!(!poll(&mut ended, &waker) && !poll(&mut ended, &waker));
        assert_eq!(handle.guards(), 2);
        let [first, second] = guards;
        drop(first);
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        drop(second);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(poll(&mut ended, &waker));
    }

    #[test]
    fn no_wake_up_is_lost_between_threads() {
        struct Unpark(thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        for _ in 0..200 {
            let (handle, drain) = Drain::new();
            let guard = drain.guard();
            let worker = thread::spawn(move || {
                let waker = Waker::from(Arc::new(Unpark(thread::current())));
                let mut wait = drain.wait();
                while !poll(&mut wait, &waker) {
                    thread::park();
                }
                drop(guard);
            });
            handle.start();
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            let mut ended = handle.ended();
            while !poll(&mut ended, &waker) {
                thread::park();
            }
            worker.join().expect("the worker does not panic");
        }
    }
}
