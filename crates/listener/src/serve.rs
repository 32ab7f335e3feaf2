//! The accept loop of one worker, and the life of a connection around its handler.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use nuncio_service::{Connection, Drain, DrainGuard, TlsConnection};
use nuncio_tls::{AcceptError, Handshake, ServerContext};
use tokio::net::{TcpListener, TcpStream};

use crate::{ConnectionLimit, ListenerStats, Stream, limit::ConnectionPermit};

/// How long a TLS handshake may take. Envoy sets no limit unless `transport_socket_connect_timeout` does; a silent
/// client could then hold a connection for as long as it likes.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the accept loop rests after an error, doubled with each error that follows.
const FIRST_REST: Duration = Duration::from_millis(5);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// How many connections that the kernel has completed are still served once draining has started.
const LAST_ACCEPTS: usize = 1024;

/// What is done with a connection.
pub trait Handler: Send + Sync + 'static {
    /// What goes with a connection from the moment at which it is accepted, for instance to count it. Dropped if
    /// nothing comes of the connection.
    type Accepted: Send;

    /// A connection was accepted; with `tls` its handshake is still to come.
    fn accept(&self, tls: bool) -> Self::Accepted;

    /// The client ended the connection before TLS was ready, or sent something that is no TLS.
    fn failed_by_client(&self, accepted: Self::Accepted) {
        drop(accepted);
    }

    /// Serves a connection to its end. Dropping the future, which happens when the drain time is over, closes it.
    fn handle(
        &self,
        accepted: Self::Accepted,
        stream: Stream,
        connection: Arc<Connection>,
    ) -> impl Future<Output = ()> + Send;
}

/// Accepts connections and has each served by a task on the current runtime, until draining starts.
///
/// It ends then; its connections go on, each holding a guard of `drain`. The handler should ask `drain` itself and
/// end its connections; those that are left when the drain is closed are cut off.
///
/// An error is returned only if the socket cannot be registered with the runtime. Errors of accepting, such as too
/// many open files, are logged and waited out.
pub async fn serve<H: Handler>(
    socket: std::net::TcpListener,
    tls: Option<Arc<ServerContext>>,
    handler: Arc<H>,
    limit: Option<ConnectionLimit>,
    stats: ListenerStats,
    drain: Drain,
) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket)?;
    let local_address = listener.local_addr()?;
    let worker = Worker { tls, handler, limit, stats: Arc::new(stats), drain, local_address };
    worker.accept_until_drained(&listener).await;
    worker.accept_rest(&listener.into_std()?);
    Ok(())
}

struct Worker<H> {
    tls: Option<Arc<ServerContext>>,
    handler: Arc<H>,
    limit: Option<ConnectionLimit>,
    stats: Arc<ListenerStats>,
    drain: Drain,
    /// That of the listening socket.
    local_address: SocketAddr,
}

/// Counts a connection while it is open.
struct OpenConnection {
    stats: Arc<ListenerStats>,
    since: Instant,
    _permit: Option<ConnectionPermit>,
    // The last field, so that whoever waits for the end of draining sees the count without it.
    _guard: DrainGuard,
}

impl<H: Handler> Worker<H> {
    async fn accept_until_drained(&self, listener: &TcpListener) {
        let mut drained = self.drain.wait();
        let mut rest = Duration::ZERO;
        loop {
            let accepted = poll_fn(|cx| match Pin::new(&mut drained).poll(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => listener.poll_accept(cx).map(Some),
            });
            match accepted.await {
                None => return,
                Some(Ok((stream, remote_address))) => {
                    rest = Duration::ZERO;
                    self.open(stream, remote_address);
                }
                Some(Err(error)) if is_of_one_connection(&error) => {}
                Some(Err(error)) => {
                    if rest.is_zero() {
                        tracing::warn!(address = %self.local_address, %error, "cannot accept connections; trying on");
                    }
                    rest = (rest * 2).clamp(FIRST_REST, LONGEST_REST);
                    tokio::select! {
                        () = tokio::time::sleep(rest) => {}
                        () = &mut drained => return,
                    }
                }
            }
        }
    }

    /// Accepts what the kernel has completed already: those clients would otherwise see a reset. Asks the socket
    /// itself, since the runtime may not have heard of them yet.
    fn accept_rest(&self, listener: &std::net::TcpListener) {
        for _ in 0..LAST_ACCEPTS {
            let Ok((stream, remote_address)) = listener.accept() else { return };
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                self.open(stream, remote_address);
            }
        }
    }

    fn open(&self, stream: TcpStream, remote_address: SocketAddr) {
        self.stats.accepted();
        let permit = match self.limit.as_ref().map(ConnectionLimit::acquire) {
            Some(None) => {
                self.stats.overflow.increment(1);
                return;
            }
            permit => permit.flatten(),
        };
        let Ok(local_address) = self.local_address_of(&stream) else {
            // The client has gone.
            return;
        };
        self.stats.opened();
        let open = OpenConnection {
            stats: Arc::clone(&self.stats),
            since: Instant::now(),
            _permit: permit,
            _guard: self.drain.guard(),
        };
        let connection = Connection { remote_address: canonical(remote_address), local_address, tls: None };
        let (handler, closed) = (Arc::clone(&self.handler), self.drain.closed());
        let accepted = handler.accept(self.tls.is_some());
        match &self.tls {
            None => {
                let served = plain(handler, accepted, stream, connection);
                tokio::spawn(until(open, closed, served));
            }
            Some(tls) => {
                let (tls, stats) = (Arc::clone(tls), Arc::clone(&self.stats));
                let served = secured(handler, accepted, tls, stream, connection, stats);
                tokio::spawn(until(open, closed, served));
            }
        }
    }

    fn local_address_of(&self, stream: &TcpStream) -> io::Result<SocketAddr> {
        if self.local_address.ip().is_unspecified() {
            stream.local_addr().map(canonical)
        } else {
            Ok(canonical(self.local_address))
        }
    }
}

/// Polls a connection's future to its end or to the end of the drain time.
async fn until(open: OpenConnection, closed: impl Future<Output = ()>, served: impl Future<Output = ()>) {
    // Declared after `open`, hence dropped before it: the socket is closed when the connection stops counting.
    let _open = open;
    let (mut closed, mut served) = (pin!(closed), pin!(served));
    poll_fn(|cx| match served.as_mut().poll(cx) {
        Poll::Pending => closed.as_mut().poll(cx),
        ready => ready,
    })
    .await;
}

async fn plain<H: Handler>(
    handler: Arc<H>,
    accepted: H::Accepted,
    stream: TcpStream,
    connection: Connection,
) {
    handler.handle(accepted, Stream::Plain(stream), Arc::new(connection)).await;
}

async fn secured<H: Handler>(
    handler: Arc<H>,
    accepted: H::Accepted,
    tls: Arc<ServerContext>,
    stream: TcpStream,
    connection: Connection,
    stats: Arc<ListenerStats>,
) {
    // Boxed, so that its kilobytes are given back before the connection's long life begins.
    let shaken = Box::pin(shake_hands(&tls, stream, connection, &stats)).await;
    drop((tls, stats));
    match shaken {
        Ok((stream, connection)) => handler.handle(accepted, stream, connection).await,
        Err(NoHandshake::ByClient) => handler.failed_by_client(accepted),
        Err(NoHandshake::TimedOut) => {}
    }
}

/// Why TLS never became ready.
enum NoHandshake {
    ByClient,
    TimedOut,
}

async fn shake_hands(
    tls: &ServerContext,
    stream: TcpStream,
    mut connection: Connection,
    stats: &ListenerStats,
) -> Result<(Stream, Arc<Connection>), NoHandshake> {
    let peer = connection.remote_address;
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "no TLS connection");
            if let AcceptError::Tls(_) = error {
                stats.connection_error();
            }
            return Err(NoHandshake::ByClient);
        }
        Err(_) => {
            tracing::debug!(%peer, "TLS handshake timed out");
            stats.handshake_timeout.increment(1);
            return Err(NoHandshake::TimedOut);
        }
    };
    let (_, session) = stream.get_ref();
    let handshake = Handshake::of(session);
    stats.handshake(&handshake);
    connection.tls = Some(TlsConnection {
        version: handshake.version,
        cipher: handshake.cipher,
        alpn: session.alpn_protocol().map(<[u8]>::to_vec),
    });
    Ok((Stream::Tls(Box::new(stream)), Arc::new(connection)))
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.stats.closed(self.since.elapsed());
    }
}

/// An error that says something of the connection and nothing of the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// An IPv4 address as such, where an IPv6 socket gives it in its own form.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

#[cfg(test)]
mod tests;
