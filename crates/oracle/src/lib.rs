//! The oracle: the same exchanges in Nuncio and in Envoy, and whether anybody could tell them apart.
//!
//! A case under `fixtures/oracle` holds a configuration and exchanges: what a client does, byte by byte where the
//! wording matters, and what the origins do. What the client got, what became of its connection, what the origins
//! got, the access log and the change of every stat are compared with what Envoy showed, which is recorded beside
//! the case. Where Envoy is installed, the record is compared with it, too.
//!
//! Dates, durations, ids and ports are replaced by words before anything is compared.

mod admin;
pub mod case;
mod check;
mod client;
pub mod compare;
mod http1;
mod http2;
mod normal;
mod origin;
pub mod pattern;
mod ports;
pub mod progress;
pub mod proxy;
mod purpose;
pub mod record;
pub mod run;
mod script;
pub mod seen;
mod socket;
mod wire;

use std::path::PathBuf;

pub use self::check::{Report, check_all};

/// How many threads run the oracle. Many more than there are processors, so that what one of them calculates keeps no
/// clock of the others waiting.
pub const THREADS: usize = 16;

/// Anything that keeps a case from being run.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of running.
pub type Result<T> = std::result::Result<T, Error>;

/// The folder of the cases.
pub fn fixtures() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "oracle"].iter().collect()
}
