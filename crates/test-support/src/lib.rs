//! What whole-proxy tests are made of: origins, clients, and a proxy in this process whose making reads as a
//! sentence.
//!
//! ```no_run
//! # async fn test() {
//! use nuncio_test_support::{Origin, Proxy, get};
//!
//! let origin = Origin::answering("hello").await;
//! let proxy = Proxy::in_front_of(&origin).with_workers(2).start().await;
//! assert_eq!(get(proxy.listener(0), "/").await.body, "hello");
//! proxy.wait_for_stat("http.test.downstream_rq_2xx", 1).await;
//! # }
//! ```
//!
//! Everything listens on ports of the kernel's choice. Nothing here sleeps where a condition can be awaited, and what
//! waits gives up after [`PATIENCE`].

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it stands")]

mod client;
mod http2;
mod manual;
mod mask;
mod name_server;
mod origin;
mod panics;
mod process;
mod proxy;
mod tls;

use std::{future::Future, time::Duration};

pub use rustix::process::Signal;

pub use self::{
    client::{Client, Duplex, Response, exchange, get},
    http2::{Http2Client, Http2Response, Reading, send_all},
    manual::{ManualOrigin, Peer},
    mask::mask,
    name_server::{NameServer, Says},
    origin::{Origin, Seen},
    process::{Directory, Ended, Process, run, run_on_terminal},
    proxy::{Proxy, RunningProxy, crypto},
    tls::{TlsClient, TlsConnection},
};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `future`, and fails the test with `what` if it does not end.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain: {what}"),
    }
}

/// Waits until `condition` holds, and fails the test with what `describe` says if it never does.
pub async fn until(mut condition: impl FnMut() -> bool, describe: impl Fn() -> String) {
    let polling = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, polling).await.is_err() {
        panic!("waited in vain: {}", describe());
    }
}
