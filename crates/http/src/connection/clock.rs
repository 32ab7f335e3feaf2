//! Responses that their client does not take.
//!
//! The clocks of a stream run inside its response's body, and are looked at when the codec asks the body for more. A
//! codec that cannot write does not ask. Over HTTP/2, where only one stream may be held up, the task of the stream looks
//! after it then.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use super::{state::ConnectionState, stream::Overdue};

/// No such moment.
const NEVER: u64 = u64::MAX;

/// How long a response has waited for its client, and until when it must have ended. In milliseconds of the
/// connection's life.
#[derive(Debug)]
pub(crate) struct ResponseClock {
    waiting_since: AtomicU64,
    deadline: AtomicU64,
}

impl Default for ResponseClock {
    fn default() -> Self {
        Self { waiting_since: AtomicU64::new(NEVER), deadline: AtomicU64::new(NEVER) }
    }
}

impl ResponseClock {
    /// The response is to end by `deadline`.
    pub(crate) fn end_by(&self, deadline: Option<u64>) {
        self.deadline.store(deadline.unwrap_or(NEVER), Ordering::Relaxed);
    }

    /// The codec has been given a part of the response at `now`, and has not asked for more.
    pub(crate) fn offer(&self, now: u64) {
        self.waiting_since.store(now, Ordering::Relaxed);
    }

    /// The codec asks for more, so that the body looks at its own clocks; or the response has ended.
    pub(crate) fn ask(&self) {
        self.waiting_since.store(NEVER, Ordering::Relaxed);
    }

    /// When the response will be given up, as things stand, and why.
    pub(crate) fn due(&self, idle: Option<Duration>) -> Option<(u64, Overdue)> {
        let since = self.waiting_since.load(Ordering::Relaxed);
        if since == NEVER {
            return None;
        }
        let deadline = self.deadline.load(Ordering::Relaxed);
        let idle = idle
            .map(|idle| since.saturating_add(u64::try_from(idle.as_millis()).unwrap_or(NEVER)))
            .unwrap_or(NEVER);
        match deadline.min(idle) {
            NEVER => None,
            due if due == deadline => Some((due, Overdue::Route)),
            due => Some((due, Overdue::Idle)),
        }
    }

    /// Why the response is to be given up at `now`, if it is.
    pub(crate) fn overdue(&self, idle: Option<Duration>, now: u64) -> Option<Overdue> {
        self.due(idle).filter(|(due, _)| *due <= now).map(|(_, overdue)| overdue)
    }
}

/// Runs the streams of one HTTP/2 connection, each as a task.
#[derive(Clone, Debug)]
pub(crate) struct StreamExecutor {
    pub(crate) state: Arc<ConnectionState>,
    pub(crate) idle_timeout: Option<Duration>,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        // The codec makes this future of the one that the service has just returned.
        let clock = self.state.take_clock();
        let (state, idle_timeout) = (Arc::clone(&self.state), self.idle_timeout);
        tokio::spawn(TimedStream { future: Some(future), clock, state, idle_timeout, timer: None });
    }
}

pin_project! {
    /// A stream that is dropped, and so reset, when its client has not taken the response in time.
    struct TimedStream<F> {
        #[pin]
        future: Option<F>,
        clock: Option<Arc<ResponseClock>>,
        state: Arc<ConnectionState>,
        idle_timeout: Option<Duration>,
        timer: Option<(Instant, Pin<Box<Sleep>>)>,
    }
}

impl<F: Future<Output = ()>> Future for TimedStream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Ready(()) };
        if future.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let due = this.clock.as_ref().and_then(|clock| clock.due(*this.idle_timeout));
            let Some((due, _)) = due else { return Poll::Pending };
            let due = this.state.moment(due);
            let (armed, sleep) =
                this.timer.get_or_insert_with(|| (due, Box::pin(tokio::time::sleep_until(due.into()))));
            if due < *armed {
                sleep.as_mut().reset(due.into());
                *armed = due;
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if due <= *armed {
                this.future.set(None);
                return Poll::Ready(());
            }
            *this.timer = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_due_only_while_its_client_is_waited_for() {
        const IDLE: Option<Duration> = Some(Duration::from_millis(100));
        let clock = ResponseClock::default();
        assert_eq!(clock.due(IDLE), None);
        clock.end_by(Some(150));
        assert_eq!(clock.due(IDLE), None);
        clock.offer(20);
        assert_eq!(clock.due(IDLE), Some((120, Overdue::Idle)));
        clock.offer(60);
        assert_eq!(clock.due(IDLE), Some((150, Overdue::Route)));
        assert_eq!(clock.due(None), Some((150, Overdue::Route)));
        assert_eq!((clock.overdue(IDLE, 149), clock.overdue(IDLE, 150)), (None, Some(Overdue::Route)));
        clock.end_by(None);
        assert_eq!((clock.due(None), clock.due(IDLE)), (None, Some((160, Overdue::Idle))));
        clock.ask();
        assert_eq!(clock.due(IDLE), None);
    }
}
