//! The client: does what a case says, and tells what came back and what became of the connection.

mod http1;
mod http2;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    Result,
    case::Exchange,
    origin::Origins,
    seen::{Connection, Response},
    socket::{self, Ended},
    wire::{Received, Wire},
};

/// An end that comes later than this after the last byte is one after Envoy's delayed close (a second by default).
const DELAY: Duration = Duration::from_millis(700);
/// How long to wait for an end that has been announced, or that may follow a failure.
const EXPECTED_END: Duration = Duration::from_secs(3);
/// How long to wait for an end that nothing speaks for.
const UNEXPECTED_END: Duration = Duration::from_millis(50);

/// Runs the client's side of an exchange.
pub(crate) async fn run(
    exchange: &Exchange,
    address: SocketAddr,
    origins: &Origins,
) -> Result<(Vec<Response>, Connection)> {
    let (socket, alpn) = socket::connect(address, exchange.tls.as_ref()).await?;
    let wire = Arc::new(Wire::new(socket)?);
    let (responses, mut connection) = if exchange.http2 {
        http2::run(exchange, &wire, origins).await?
    } else {
        http1::run(exchange, &wire, origins).await?
    };
    connection.alpn = alpn;
    wire.close(false).await;
    Ok((responses, connection))
}

/// What became of the connection, if the client did not end it.
fn fate(received: &Received) -> String {
    let Some((ended, at)) = received.ended else {
        return "kept".to_owned();
    };
    let how = match ended {
        Ended::Closed => "closed",
        Ended::Reset => "reset",
    };
    let delay = if at.duration_since(received.last) >= DELAY { " after a delay" } else { "" };
    format!("{how}{delay}")
}

/// Waits for the proxy to end the connection, as long as there is reason to.
async fn wait_for_end(wire: &Wire, expected: bool) {
    let patience = if expected { EXPECTED_END } else { UNEXPECTED_END };
    wire.wait(patience, |received| received.ended.is_some()).await;
}
