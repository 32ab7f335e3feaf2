//! Ports for the proxies to listen on, held so that nobody else gets them.

use std::{io, net::SocketAddr};

use socket2::{Domain, Socket, Type};

/// A port of the loopback interface. The proxy binds it, too: both allow that (SO_REUSEPORT). As nobody listens on
/// this socket, a port that no proxy binds refuses connections.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// The port.
    pub(crate) port: u16,
    sockets: Vec<Socket>,
}

impl Reserved {
    /// Reserves any port.
    pub(crate) fn new() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_port(true)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        let port = socket.local_addr()?.as_socket().map(|address| address.port());
        Ok(Self { port: port.unwrap_or_default(), sockets: vec![socket] })
    }

    /// Reserves a port to which nobody can connect in any time: its queue is full, so attempts are not answered.
    pub(crate) fn silent() -> io::Result<Self> {
        let mut reserved = Self::new()?;
        let address = SocketAddr::from(([127, 0, 0, 1], reserved.port));
        if let Some(socket) = reserved.sockets.first() {
            socket.listen(0)?;
        }
        for _ in 0..4 {
            let visitor = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            visitor.set_nonblocking(true)?;
            // It either is in progress or waits in the queue.
            let _in_progress = visitor.connect(&address.into());
            reserved.sockets.push(visitor);
        }
        Ok(reserved)
    }
}
