//! The HTTP connection manager: it takes the connections that a listener accepted and serves their requests.
//!
//! [`ConnectionManager::serve`] runs one connection: it chooses the codec, hands each request to a stack of tower
//! services, and counts and logs what becomes of it. The stack is built by whoever owns the order of the layers (in
//! the proxy, `stack.rs`): [`layers::headers`] outermost, then [`layers::route`], then the filters, and
//! [`RouterFilter`] at the end, which sends the request to its cluster.
//!
//! Nothing here opens a socket, and nothing is looked up by name while a request passes.

pub mod access_log;
pub mod layers;

mod accepted;
mod connection;
mod date;
mod headers;
mod local_reply;
mod request_id;
mod router_filter;
mod stats;
mod timeouts;

pub use self::{
    accepted::Accepted,
    access_log::AccessLog,
    connection::ConnectionManager,
    local_reply::LocalReply,
    router_filter::{RouterFilter, RouterFuture},
    stats::HttpStats,
};
