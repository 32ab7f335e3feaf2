//! The functions that callgrind is told of by name: entering one turns counting on or off for its thread, and leaving
//! it turns it back.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Patterns for `--toggle-collect`. The names stand in the symbols whatever the mangling.
pub(super) const TOGGLES: [&str; 2] = ["*counted_by_callgrind*", "*left_out_by_callgrind*"];

/// Counts what `work` does on this thread.
///
/// The result passes `black_box` so that the call is no tail call: a jump out of the function would not leave it.
#[inline(never)]
pub(super) fn counted_by_callgrind<R>(work: &mut dyn FnMut() -> R) -> R {
    black_box(work())
}

/// Leaves a part out of what is counted.
#[inline(never)]
fn left_out_by_callgrind<T>(
    future: Pin<&mut (dyn Future<Output = T> + Send)>,
    cx: &mut Context<'_>,
) -> Poll<T> {
    black_box(future.poll(cx))
}

/// A future whose own work is not counted, wherever it is polled: the client's, where the proxy's is asked for.
pub(super) struct LeftOut<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T> LeftOut<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl<T> Future for LeftOut<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        left_out_by_callgrind(self.0.as_mut(), cx)
    }
}
