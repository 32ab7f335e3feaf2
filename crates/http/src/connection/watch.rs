//! What ends a connection besides its peer: draining and time.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use nuncio_service::{Drain, DrainClosed, DrainWait};
use tokio::time::Sleep;

use super::{
    Shared,
    refusal::{self, Refusal},
    state::ConnectionState,
};

/// How long an idle HTTP/1 connection is kept once draining has started: a request may be on its way, and an answer
/// with `connection: close` loses nothing, while a close that crosses it does.
pub(super) const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// How long a connection that was asked to end, and has nothing to do, may take for it besides the time of its delayed
/// close. Only a client that does not read, or does not acknowledge a GOAWAY, needs as long.
const END_GRACE: Duration = Duration::from_secs(5);

/// How a connection is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// After the requests that are being answered.
    Gently,
    /// With an answer to the head that does not become complete.
    HeadOverdue(Refusal),
    /// Now.
    AtOnce,
}

/// Looks after one connection; polled whenever the connection has been.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    shared: &'a Shared,
    state: &'a ConnectionState,
    http2: bool,
    draining: Option<DrainWait>,
    draining_since: Option<Instant>,
    closed: DrainClosed,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    /// When it was asked to end.
    asked: Option<Instant>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(shared: &'a Shared, state: &'a ConnectionState, drain: &Drain, http2: bool) -> Self {
        Self {
            shared,
            state,
            http2,
            draining: Some(drain.wait()),
            draining_since: None,
            closed: drain.closed(),
            timer: None,
            asked: None,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if Pin::new(&mut self.closed).poll(cx).is_ready() {
            return Poll::Ready(End::AtOnce);
        }
        if self.state.has_many_resets() {
            self.state.stats().downstream_rq_too_many_premature_resets.increment(1);
            return Poll::Ready(End::AtOnce);
        }
        if let Some(draining) = &mut self.draining
            && Pin::new(draining).poll(cx).is_ready()
        {
            self.draining = None;
            if self.http2 {
                // GOAWAY says which streams were taken, so nothing is lost by sending it now.
                self.state.stats().downstream_cx_drain_close.increment(1);
                return self.ask();
            }
            self.draining_since = Some(Instant::now());
            self.timer = None;
        }
        if self.http2 && self.asked.is_none() {
            // HTTP/1 responses say both in a header.
            if self.state.is_advised_to_end() {
                self.state.stats().downstream_cx_drain_close.increment(1);
                return self.ask();
            }
            if self.has_had_its_requests() {
                return self.ask();
            }
        }
        loop {
            let urgent = self.urgent_deadline();
            let Some((armed, sleep)) = &mut self.timer else {
                let Some(deadline) = self.deadline() else { return Poll::Pending };
                self.timer = Some((deadline, Box::pin(tokio::time::sleep_until(deadline.into()))));
                continue;
            };
            // Only what has just begun to wait for the client can bring the deadline forward; all others are looked
            // at when it comes.
            if let Some(urgent) = urgent
                && urgent < *armed
            {
                sleep.as_mut().reset(urgent.into());
                *armed = urgent;
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
            if let Poll::Ready(end) = self.expire() {
                return Poll::Ready(end);
            }
        }
    }

    /// How long a client may take nothing of the rest of a response whose stream has ended.
    pub(super) fn tail_timeout(&self) -> Option<Duration> {
        self.shared.stream_idle_timeout.or(self.shared.idle_timeout)
    }

    fn has_had_its_requests(&self) -> bool {
        self.shared.max_requests_per_connection.is_some_and(|limit| self.state.total_streams() >= limit)
    }

    fn head_deadline(&self) -> Option<Instant> {
        let timeout = self.shared.headers_timeout?;
        Some(self.state.head_started()? + timeout)
    }

    fn urgent_deadline(&self) -> Option<Instant> {
        [self.head_deadline(), self.state.write_due()].into_iter().flatten().min()
    }

    /// When something runs out, as things stand.
    fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        let gentle = if self.asked.is_some() {
            Some(self.end_deadline(now).unwrap_or(now + END_GRACE))
        } else {
            // While a request runs there is no deadline to meet, but one to look at again.
            let idle = match (self.state.idle_for(now), self.draining_since) {
                (None, Some(_)) => Some(now + DRAIN_GRACE),
                (so_far, _) => {
                    self.idle_timeout().map(|idle| now + idle.saturating_sub(so_far.unwrap_or_default()))
                }
            };
            let lifetime = self.shared.max_connection_duration.map(|max| self.state.created() + max);
            [idle, lifetime].into_iter().flatten().min()
        };
        [gentle, self.urgent_deadline()].into_iter().flatten().min()
    }

    /// When a connection that was asked to end and has nothing to do must have ended.
    fn end_deadline(&self, now: Instant) -> Option<Instant> {
        let asked = self.asked?;
        self.state.idle_for(now)?;
        Some(asked.max(self.state.idle_since()) + END_GRACE + self.shared.delayed_close_timeout)
    }

    fn expire(&mut self) -> Poll<End> {
        let now = Instant::now();
        let stats = self.state.stats();
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| now >= deadline);
        if is_over(self.head_deadline()) {
            self.state.forget_head();
            return Poll::Ready(End::HeadOverdue(if self.shared.head_idles {
                stats.downstream_rq_idle_timeout.increment(1);
                refusal::HEAD_IDLE
            } else {
                stats.downstream_rq_header_timeout.increment(1);
                refusal::HEAD_TIMEOUT
            }));
        }
        if is_over(self.state.write_due()) {
            if self.state.active_streams() == 0 {
                stats.downstream_cx_idle_timeout.increment(1);
            }
            return Poll::Ready(End::AtOnce);
        }
        if self.asked.is_some() {
            return if is_over(self.end_deadline(now)) { Poll::Ready(End::AtOnce) } else { Poll::Pending };
        }
        if self.shared.max_connection_duration.is_some_and(|max| now >= self.state.created() + max) {
            stats.downstream_cx_max_duration_reached.increment(1);
            return self.ask();
        }
        match (self.state.idle_for(now), self.idle_timeout()) {
            (Some(idle), Some(timeout)) if idle >= timeout => {
                let counter = match self.draining_since {
                    Some(_) => &stats.downstream_cx_drain_close,
                    None => &stats.downstream_cx_idle_timeout,
                };
                counter.increment(1);
                self.ask()
            }
            _ => Poll::Pending,
        }
    }

    /// How long the connection may be idle, which is not long while draining.
    fn idle_timeout(&self) -> Option<Duration> {
        let grace = self.draining_since.map(|since| {
            // A connection that was idle before is kept as long as one that has just become so.
            since.saturating_duration_since(self.state.idle_since()) + DRAIN_GRACE
        });
        [self.shared.idle_timeout, grace].into_iter().flatten().min()
    }

    fn ask(&mut self) -> Poll<End> {
        if self.asked.is_some() {
            return Poll::Pending;
        }
        self.asked = Some(Instant::now());
        // From now on another deadline counts.
        self.timer = None;
        Poll::Ready(End::Gently)
    }
}
