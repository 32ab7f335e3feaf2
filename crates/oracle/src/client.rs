//! The client: does what a case says, and tells what came back and what became of the connection.

mod http1;
mod http2;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    Result,
    case::{Event, Exchange},
    origin::Origins,
    seen::{Connection, Response},
    socket::{self, Ended},
    wire::{Received, Wire},
};

/// An end that comes later than this after the last byte is one after Envoy's delayed close (a second by default).
const DELAY: Duration = Duration::from_millis(700);
/// How long to wait for what is known to come, on a machine that does ten other things.
const KNOWN: Duration = Duration::from_secs(30);
/// How long to wait for an end that has been announced, or that may follow a failure.
const EXPECTED_END: Duration = Duration::from_secs(3);
/// The same where it is known that none will come, to see whether one comes all the same.
const UNWANTED_END: Duration = Duration::from_millis(1_500);
/// How long to wait for an end that nothing speaks for.
const UNEXPECTED_END: Duration = Duration::from_millis(50);

/// What the client's side of an exchange has to know.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    pub(crate) exchange: &'a Exchange,
    /// Whether the proxy is known to close the connection, or known not to.
    pub(crate) closes: Option<bool>,
    /// Whether every response is known to be complete.
    pub(crate) answers: bool,
}

impl Client<'_> {
    /// Runs the exchange.
    pub(crate) async fn run(
        &self,
        address: SocketAddr,
        origins: &Origins,
    ) -> Result<(Vec<Response>, Connection)> {
        let (socket, alpn) = socket::connect(address, self.exchange.tls.as_ref()).await?;
        let wire = Arc::new(Wire::new(socket)?);
        let (responses, mut connection) = if self.exchange.http2 {
            http2::run(self, &wire, origins).await?
        } else {
            http1::run(self, &wire, origins).await?
        };
        connection.alpn = alpn;
        wire.close(false).await;
        Ok((responses, connection))
    }

    /// How long to wait for something.
    fn patience(&self, event: Event) -> Duration {
        let is_known = match event {
            Event::End => self.closes == Some(true),
            Event::Response | Event::Bytes | Event::Origin => self.answers,
            Event::Interim | Event::Body | Event::Gone => false,
        };
        if is_known { KNOWN } else { Duration::from_millis(self.exchange.patience) }
    }

    /// Waits for the proxy to end the connection, as long as there is reason to.
    async fn wait_for_end(&self, wire: &Wire, announced: bool) {
        let patience = match (announced, self.closes) {
            (_, Some(true)) => KNOWN,
            (true, Some(false)) => UNWANTED_END,
            (true, None) => EXPECTED_END,
            (false, _) => UNEXPECTED_END,
        };
        wire.wait(patience, |received| received.ended.is_some()).await;
    }
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
