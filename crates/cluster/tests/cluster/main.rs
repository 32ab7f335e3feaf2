//! Clusters against real sockets on loopback.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod balancing;
mod breakers;
mod discovery;
mod dns;
mod http1;
mod http1_failures;
mod http1_lifecycle;
mod http1_streaming;
mod http2;
mod http2_lifecycle;
mod interim;
mod support;
