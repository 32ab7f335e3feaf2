//! An origin whose connections a test plays by hand, byte for byte.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use crate::soon;

/// A listening socket; each connection is handed to the test.
pub struct ManualOrigin {
    address: SocketAddr,
    connections: mpsc::UnboundedReceiver<TcpStream>,
    task: JoinHandle<()>,
}

/// An origin's side of a connection.
pub struct Peer {
    /// The socket.
    pub stream: TcpStream,
    rest: Vec<u8>,
}

impl ManualOrigin {
    /// Listens on a free port.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { address, connections, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection.
    pub async fn accept(&mut self) -> Peer {
        let stream = soon("a connection to the origin", self.connections.recv()).await.unwrap();
        Peer { stream, rest: Vec::new() }
    }

    /// Whether a connection waits that the test has not accepted.
    pub fn has_more(&self) -> bool {
        !self.connections.is_empty()
    }
}

impl Drop for ManualOrigin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    /// A request's head, without the empty line at its end.
    pub async fn head(&mut self) -> String {
        let end = loop {
            match self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end,
                None => assert!(self.fill().await, "closed within a head: {:?}", self.received()),
            }
        };
        let rest = self.rest.split_off(end + 4);
        let mut head = std::mem::replace(&mut self.rest, rest);
        head.truncate(end);
        String::from_utf8(head).unwrap()
    }

    /// So many bytes of a body, as they stand on the wire.
    pub async fn body(&mut self, length: usize) -> String {
        while self.rest.len() < length {
            assert!(self.fill().await, "closed within a body: {:?}", self.received());
        }
        let rest = self.rest.split_off(length);
        String::from_utf8(std::mem::replace(&mut self.rest, rest)).unwrap()
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = soon("a proxy that reads", self.stream.write_all(bytes.as_ref())).await;
    }

    /// Waits for the proxy to close, and gives what came before.
    pub async fn until_closed(&mut self) -> String {
        while self.fill().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()
    }

    /// Closes with a reset.
    pub fn reset(self) {
        #[expect(deprecated, reason = "without waiting, it blocks nothing")]
        self.stream.set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn received(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.rest)
    }

    async fn fill(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.rest);
        matches!(soon("bytes from the proxy", read).await, Ok(1..))
    }
}
