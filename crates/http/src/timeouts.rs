//! The timeouts of one stream, on one timer.
//!
//! Three clocks run for a stream: the route's timeout, from the end of the request to the end of the response; the
//! stream's idle timeout, from the last byte of either body; and the request timeout, from the request's head to
//! its end. One timer is armed for whichever comes first, and only when something is waited for.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use nuncio_service::RequestProgress;
use tokio::time::Sleep;

/// Which clock ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// The route's `timeout`.
    Route,
    /// The connection manager's `stream_idle_timeout`.
    Idle,
    /// The connection manager's `request_timeout`.
    Request,
}

#[derive(Debug)]
pub(crate) struct Timeouts {
    start: Instant,
    route: Option<Duration>,
    idle: Option<Duration>,
    request: Option<Duration>,
    progress: Option<Arc<RequestProgress>>,
    /// When the request had been read to its end.
    request_end: Option<Instant>,
    last_activity: Instant,
    seen_bytes: u64,
    timer: Option<Timer>,
}

#[derive(Debug)]
struct Timer {
    deadline: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Timeouts {
    /// The clocks of a stream whose head was read at `start`; a request without `progress` has ended with it.
    pub(crate) fn new(
        start: Instant,
        route: Option<Duration>,
        idle: Option<Duration>,
        request: Option<Duration>,
        progress: Option<Arc<RequestProgress>>,
    ) -> Self {
        let request_end = progress.is_none().then_some(start);
        Self {
            start,
            route,
            idle,
            request,
            progress,
            request_end,
            last_activity: start,
            seen_bytes: 0,
            timer: None,
        }
    }

    /// When the request had been read to its end, if that is so.
    pub(crate) fn request_end(&mut self) -> Option<Instant> {
        if self.request_end.is_none() && self.progress.as_ref().is_some_and(|progress| progress.has_ended()) {
            self.request_end = Some(Instant::now());
        }
        self.request_end
    }

    /// When the route's timeout ends, once the request has been read to its end.
    pub(crate) fn route_deadline(&self) -> Option<Instant> {
        Some(self.request_end? + self.route?)
    }

    /// Notes that bytes of the response have passed.
    pub(crate) fn touch(&mut self) {
        self.last_activity = Instant::now();
    }

    /// Ready when a clock has run out. Polled where the stream waits.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Expired> {
        if let Some(progress) = &self.progress
            && self.request_end.is_none()
        {
            progress.wake_at_end(cx.waker());
            let bytes = progress.bytes();
            if bytes != self.seen_bytes {
                self.seen_bytes = bytes;
                self.last_activity = Instant::now();
            }
        }
        self.request_end();
        loop {
            let Some((deadline, expired)) = self.next() else { return Poll::Pending };
            let timer = match &mut self.timer {
                // A later deadline keeps the timer and looks again when it fires.
                Some(timer) if timer.deadline <= deadline => timer,
                Some(timer) => {
                    timer.sleep.as_mut().reset(deadline.into());
                    timer.deadline = deadline;
                    timer
                }
                none => none
                    .insert(Timer { deadline, sleep: Box::pin(tokio::time::sleep_until(deadline.into())) }),
            };
            if timer.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if deadline <= timer.deadline {
                return Poll::Ready(expired);
            }
            timer.sleep.as_mut().reset(deadline.into());
            timer.deadline = deadline;
        }
    }

    /// The next clock to run out.
    fn next(&self) -> Option<(Instant, Expired)> {
        let route = self.route_deadline().map(|deadline| (deadline, Expired::Route));
        let request = match (self.request_end, self.request) {
            (None, Some(request)) => Some((self.start + request, Expired::Request)),
            _ => None,
        };
        let idle = self.idle.map(|idle| (self.last_activity + idle, Expired::Idle));
        [route, request, idle].into_iter().flatten().min_by_key(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_clock_wins() {
        let start = now();
        let mut timeouts = Timeouts::new(start, Some(2 * SECOND), Some(3 * SECOND), Some(SECOND), None);
        assert_eq!(poll_fn(|cx| timeouts.poll(cx)).await, Expired::Route);
        assert_eq!(now() - start, 2 * SECOND);

        let start = now();
        let mut timeouts = Timeouts::new(start, None, Some(3 * SECOND), Some(SECOND), None);
        assert_eq!(poll_fn(|cx| timeouts.poll(cx)).await, Expired::Idle);
        assert_eq!(now() - start, 3 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn the_request_clock_runs_while_the_body_comes() {
        let start = now();
        let progress = Arc::new(RequestProgress::default());
        let mut timeouts =
            Timeouts::new(start, Some(SECOND / 2), None, Some(SECOND), Some(Arc::clone(&progress)));
        assert_eq!(poll_fn(|cx| timeouts.poll(cx)).await, Expired::Request);
        assert_eq!(now() - start, SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn no_clock_never_expires() {
        let mut timeouts = Timeouts::new(now(), None, None, None, None);
        let waited = tokio::time::timeout(1000 * SECOND, poll_fn(|cx| timeouts.poll(cx))).await;
        assert!(waited.is_err());
    }
}
