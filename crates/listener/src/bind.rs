//! Binding: all sockets of a listener before any worker starts, so that an address that cannot be had is known while
//! nothing runs yet.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use nuncio_config::model::{self, Place};
use socket2::{Domain, Protocol, Socket, Type};

/// The kernel lowers it to `net.core.somaxconn`, which is Envoy's default.
const LARGEST_BACKLOG: i32 = i32::MAX;

/// A listener's sockets, one for each worker, already listening.
#[derive(Debug)]
pub struct BoundListener {
    local_address: SocketAddr,
    sockets: Vec<Option<TcpListener>>,
}

/// Why a listener's address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {}", self.message())]
pub struct BindError {
    /// Where the address is written.
    pub place: Place,
    /// The address.
    pub address: SocketAddr,
    /// What the operating system says.
    #[source]
    pub error: io::Error,
}

/// How a socket is made.
#[derive(Clone, Copy)]
struct Options {
    address: SocketAddr,
    ipv4_compat: bool,
    reuse_port: bool,
    backlog: i32,
}

impl BoundListener {
    /// Binds one socket for each worker, or one that all share where the listener does not reuse its port.
    pub fn bind(config: &model::Listener, workers: usize) -> Result<Self, BindError> {
        let backlog = config.tcp_backlog.map(|backlog| i32::try_from(backlog).unwrap_or(LARGEST_BACKLOG));
        let options = Options {
            address: config.address,
            ipv4_compat: config.ipv4_compat,
            reuse_port: config.reuse_port,
            backlog: backlog.unwrap_or(LARGEST_BACKLOG),
        };
        options.bind_all(workers).map_err(|error| BindError::new(&config.place, config.address, error))
    }

    /// Binds the one socket of the admin server.
    pub fn bind_admin(config: &model::Admin) -> Result<Self, BindError> {
        let options = Options {
            address: config.address,
            ipv4_compat: false,
            reuse_port: false,
            backlog: LARGEST_BACKLOG,
        };
        options.bind_all(1).map_err(|error| BindError::new(&config.place, config.address, error))
    }

    /// Whether nobody listens at the listener's address yet. [`BoundListener::bind`] does not tell: a port that may
    /// be reused can be bound beside another process of the same user, and the kernel then shares the connections
    /// out between the two, which is what Envoy does and seldom what a user wants who started a program twice.
    pub fn probe(config: &model::Listener) -> Result<(), BindError> {
        let options = Options {
            address: config.address,
            ipv4_compat: config.ipv4_compat,
            reuse_port: false,
            backlog: LARGEST_BACKLOG,
        };
        options.bind().map(drop).map_err(|error| BindError::new(&config.place, config.address, error))
    }

    /// The address, with the port that the kernel chose where the configured one is zero.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// The socket of a worker; the first worker is 0. `None` if it was taken before or there is no such worker.
    pub fn take(&mut self, worker: usize) -> Option<TcpListener> {
        self.sockets.get_mut(worker)?.take()
    }
}

impl Options {
    fn bind_all(mut self, workers: usize) -> io::Result<BoundListener> {
        let first = self.listen()?;
        let local_address = first.local_addr()?;
        // So that the other sockets get the port that the kernel chose for the first.
        self.address = local_address;
        let mut sockets = Vec::with_capacity(workers.max(1));
        for _ in 1..workers {
            sockets.push(Some(if self.reuse_port { self.listen()? } else { first.try_clone()? }));
        }
        sockets.insert(0, Some(first));
        Ok(BoundListener { local_address, sockets })
    }

    fn listen(&self) -> io::Result<TcpListener> {
        let socket = self.bind()?;
        socket.set_nonblocking(true)?;
        // Accepted connections inherit it.
        socket.set_tcp_nodelay(true)?;
        socket.listen(self.backlog)?;
        Ok(socket.into())
    }

    fn bind(&self) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, Some(Protocol::TCP))?;
        if self.address.is_ipv6() {
            socket.set_only_v6(!self.ipv4_compat)?;
        }
        socket.set_reuse_address(true)?;
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&self.address.into())?;
        Ok(socket)
    }
}

impl BindError {
    /// What was refused and what to do about it, without the place.
    pub fn message(&self) -> String {
        let Self { address, error, .. } = self;
        format!("cannot bind '{address}': {error}{}", hint(*address, error))
    }

    fn new(place: &Place, address: SocketAddr, error: io::Error) -> Self {
        Self { place: place.clone(), address, error }
    }
}

/// What to do about it.
fn hint(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "; another process listens on port {port}: stop it (\"ss -ltnp sport = :{port}\" names it) or choose \
             another port"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("; no network interface of this machine has the address {}", address.ip())
        }
        io::ErrorKind::PermissionDenied if port < 1024 => {
            String::from("; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str) -> model::Listener {
        model::Listener {
            name: String::from("test"),
            address: address.parse().expect("an address"),
            ipv4_compat: false,
            stat_prefix: None,
            reuse_port: true,
            per_connection_buffer_limit_bytes: 1 << 20,
            tcp_backlog: None,
            filter_chains: Vec::new(),
            place: Place::generated("listeners[0].address"),
        }
    }

    #[test]
    fn each_worker_gets_a_socket_of_the_same_port() {
        for reuse_port in [true, false] {
            let config = model::Listener { reuse_port, ..listener("127.0.0.1:0") };
            let mut bound = BoundListener::bind(&config, 3).expect("free");
            for worker in 0..3 {
                let socket = bound.take(worker).expect("not taken yet");
                assert_eq!(socket.local_addr().expect("bound"), bound.local_address());
                assert!(bound.take(worker).is_none());
            }
            assert!(bound.take(3).is_none());
        }
    }

    fn check(config: &model::Listener, kind: io::ErrorKind, text: &str) {
        let error = BoundListener::bind(config, 2).expect_err("it cannot be bound");
        assert_eq!(error.error.kind(), kind);
        let message = error.to_string();
        assert!(message.starts_with("(generated): listeners[0].address: cannot bind '"), "{message}");
        assert!(message.contains(text), "{message}");
    }

    #[test]
    fn an_address_that_cannot_be_had_is_told_with_its_place() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("free");
        let address = taken.local_addr().expect("bound").to_string();
        check(&listener(&address), io::ErrorKind::AddrInUse, "another process listens on port");
        check(
            &model::Listener { reuse_port: false, ..listener(&address) },
            io::ErrorKind::AddrInUse,
            &format!("cannot bind '{address}': Address already in use"),
        );
        // A block of addresses for documentation, which no machine has.
        check(&listener("192.0.2.1:0"), io::ErrorKind::AddrNotAvailable, "no network interface");
    }

    #[test]
    fn a_shared_port_is_found_only_by_the_probe() {
        let bound = BoundListener::bind(&listener("127.0.0.1:0"), 1).expect("free");
        let same = listener(&bound.local_address().to_string());
        assert!(BoundListener::bind(&same, 1).is_ok());
        assert_eq!(BoundListener::probe(&same).expect_err("taken").error.kind(), io::ErrorKind::AddrInUse);
        drop(bound);
        BoundListener::probe(&same).expect("free again");
    }

    #[test]
    fn an_ipv6_listener_takes_ipv4_only_where_it_is_told_to() {
        for ipv4_compat in [true, false] {
            let config = model::Listener { ipv4_compat, ..listener("[::]:0") };
            let bound = match BoundListener::bind(&config, 1) {
                Ok(bound) => bound,
                Err(error) => {
                    assert_ne!(error.error.kind(), io::ErrorKind::AddrInUse);
                    println!("skipped: this machine has no IPv6");
                    return;
                }
            };
            let port = bound.local_address().port();
            assert_eq!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(), ipv4_compat);
            assert!(std::net::TcpStream::connect(("::1", port)).is_ok());
        }
    }
}
