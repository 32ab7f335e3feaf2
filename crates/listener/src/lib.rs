//! From an address to connections: bind, accept, shake hands, count, limit, drain.
//!
//! A listener knows no routes. It hands each connection to a [`Handler`] and learns nothing of what happens there but
//! its end. One [`BoundListener`] holds a socket for each worker; each worker runs [`serve`] on its own, and a
//! connection stays on the worker that accepted it.
//!
//! An accepted connection costs one system call for the socket and one to register it: `TCP_NODELAY` is inherited
//! from the listening socket, and the local address is asked of the kernel only where the listener has none of its
//! own, because it listens on all of them.

mod bind;
mod limit;
mod serve;
mod stats;
mod stream;

pub use self::{
    bind::{BindError, BoundListener},
    limit::ConnectionLimit,
    serve::{HANDSHAKE_TIMEOUT, Handler, serve},
    stats::{ListenerStats, record_certificates, stat_name},
    stream::Stream,
};
