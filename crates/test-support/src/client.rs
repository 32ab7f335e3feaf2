//! A client that sends the bytes it is told to and shows the bytes that come back.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use crate::soon;

/// A connection of any kind.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// One connection.
pub struct Client {
    stream: Box<dyn Duplex>,
    /// Received and not yet taken.
    buffer: Vec<u8>,
}

/// One HTTP/1.1 response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status line and the headers, as they came, without the empty line.
    pub head: String,
    /// The body, without its chunks' frames.
    pub body: String,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// A header's value; the name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.unwrap()
    }

    /// Connects, or says why not.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = soon("a connection", TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// Speaks over a connection that there is already.
    pub fn over(stream: impl Duplex + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: Vec::new() }
    }

    /// Sends bytes. A server that has closed is no failure: what it said counts.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = soon("a peer that reads", self.stream.write_all(bytes.as_ref())).await;
    }

    /// Sends a GET request without more than a host.
    pub async fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
        self.response().await
    }

    /// Sends a request and reads its response.
    pub async fn request(&mut self, bytes: impl AsRef<[u8]>) -> Response {
        self.send(bytes).await;
        self.response().await
    }

    /// Closes this side of the connection and leaves the other open.
    pub async fn finish(&mut self) {
        let _ = soon("a shutdown", self.stream.shutdown()).await;
    }

    /// Reads a response's head and nothing of what follows.
    pub async fn head(&mut self) -> Response {
        let end = loop {
            match find(&self.buffer, b"\r\n\r\n") {
                Some(end) => break end,
                None => assert!(self.fill().await, "closed within a head: {:?}", self.received()),
            }
        };
        let head = String::from_utf8_lossy(&self.take(end)).into_owned();
        self.take(4);
        Response { head, body: String::new() }
    }

    /// Reads one response with its body.
    pub async fn response(&mut self) -> Response {
        let mut response = self.head().await;
        let length = response.header("content-length").and_then(|length| length.parse().ok());
        let body = if response.header("transfer-encoding") == Some("chunked") {
            self.chunks().await
        } else if let Some(length) = length {
            self.exactly(length).await
        } else if matches!(response.status(), 100..200 | 204 | 304) {
            Vec::new()
        } else {
            while self.fill().await {}
            std::mem::take(&mut self.buffer)
        };
        response.body = String::from_utf8_lossy(&body).into_owned();
        response
    }

    /// Reads until the server closes, or resets.
    pub async fn until_closed(&mut self) -> String {
        while self.fill().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned()
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16).unwrap();
            if size == 0 {
                while !self.line().await.is_empty() {}
                return body;
            }
            body.extend(self.exactly(size).await);
            assert_eq!(self.line().await, "", "a chunk ends with a line end");
        }
    }

    async fn line(&mut self) -> String {
        let end = loop {
            match find(&self.buffer, b"\r\n") {
                Some(end) => break end,
                None => assert!(self.fill().await, "closed within a line: {:?}", self.received()),
            }
        };
        let line = String::from_utf8_lossy(&self.take(end)).into_owned();
        self.take(2);
        line
    }

    /// Reads so many bytes.
    pub async fn exactly(&mut self, bytes: usize) -> Vec<u8> {
        while self.buffer.len() < bytes {
            assert!(self.fill().await, "closed within a body: {:?}", self.received());
        }
        self.take(bytes)
    }

    fn take(&mut self, bytes: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(bytes);
        std::mem::replace(&mut self.buffer, rest)
    }

    fn received(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.buffer)
    }

    /// Reads something; false at the end of the connection.
    async fn fill(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.buffer);
        matches!(soon("bytes", read).await, Ok(1..))
    }
}

/// Sends bytes on a connection of their own and reads until the server closes.
pub async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut client = Client::connect(address).await;
    client.send(bytes).await;
    client.until_closed().await
}

/// Gets a path on a connection of its own.
pub async fn get(address: SocketAddr, path: &str) -> Response {
    Client::connect(address).await.get(path).await
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}
