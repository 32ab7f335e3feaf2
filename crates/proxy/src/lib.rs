//! From a bootstrap to running workers, and the command line shared by both binaries.
//!
//! [`start`] is the way in for a program that embeds the proxy and for tests; [`main_front_proxy`] and
//! [`main_sidecar`] are all that the binaries call. The order of the layers that a request passes stands in
//! [`stack`] and nowhere else.

mod access_log;
mod child;
pub mod cli;
mod log;
mod memory;
mod run;
mod server;
mod show;
pub mod stack;
mod worker;

pub use nuncio_tls::Crypto;

pub use self::{
    access_log::FlushOptions,
    run::{main_front_proxy, main_sidecar},
    server::{Options, QUIT_DRAIN, RunError, Running, ServerHandle, check, start},
};
