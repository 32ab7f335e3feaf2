//! An HTTP/2 client, and what both ends of a stream are read and written with.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request};
use tokio::{net::TcpStream, task::JoinHandle};

use crate::{Duplex, soon};

/// One connection.
pub struct Http2Client {
    sender: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

/// One response, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http2Response {
    /// The status code.
    pub status: u16,
    /// The headers, in their order.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The trailers.
    pub trailers: Option<HeaderMap>,
}

/// What a stream brought before it was read to its end or reset.
#[derive(Debug)]
pub struct Reading {
    /// The body.
    pub body: Vec<u8>,
    /// The trailers, or why the stream did not end well.
    pub end: Result<Option<HeaderMap>, h2::Error>,
}

impl Http2Response {
    /// The status and the headers as HTTP/1 would write them, to be compared to the letter.
    pub fn head(&self) -> String {
        let mut head = format!(":status: {}", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("\r\n{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
        head
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Http2Client {
    /// Connects with prior knowledge.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &Builder::new()).await
    }

    /// Connects with these settings.
    pub async fn connect_with(address: SocketAddr, settings: &Builder) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, settings).await
    }

    /// Speaks over a connection that there is already.
    pub async fn over(stream: impl Duplex + 'static, settings: &Builder) -> Self {
        let (sender, connection) = soon("settings", settings.handshake(stream)).await.unwrap();
        Self { sender, driver: tokio::spawn(connection) }
    }

    /// Gets a path.
    pub async fn get(&self, path: &str) -> Http2Response {
        let request = Request::get(format!("http://test{path}")).body(()).unwrap();
        self.request(request).await
    }

    /// Sends a request without a body.
    pub async fn request(&self, request: Request<()>) -> Http2Response {
        let (response, _) = self.begin(request, true).await;
        read(response).await
    }

    /// Sends a request with a body.
    pub async fn post(&self, request: Request<()>, body: Bytes) -> Http2Response {
        let (response, mut upload) = self.begin(request, false).await;
        let (response, ()) = tokio::join!(read(response), async {
            send_all(&mut upload, body, true).await.unwrap();
        });
        response
    }

    /// Sends a request's head.
    pub async fn begin(&self, request: Request<()>, ended: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut sender = soon("a stream", self.sender.clone().ready()).await.unwrap();
        sender.send_request(request, ended).unwrap()
    }

    /// Waits for the server to end the connection.
    pub async fn ended(self) -> Result<(), h2::Error> {
        let ended = soon("the end of the connection", self.driver).await.unwrap();
        // Without it the client would have ended the connection by itself.
        drop(self.sender);
        ended
    }

    /// Whether the server has asked to use another connection, or this one has ended.
    pub async fn is_going_away(&self) -> bool {
        let ready = self.sender.clone().ready();
        matches!(tokio::time::timeout(std::time::Duration::from_millis(10), ready).await, Ok(Err(_)))
    }

    /// Goes away without a word.
    pub fn abandon(self) {
        self.driver.abort();
    }
}

/// Reads a response to its end.
async fn read(response: ResponseFuture) -> Http2Response {
    let response = soon("a response's head", response).await.unwrap();
    let (head, body) = response.into_parts();
    let Reading { body, end } = Reading::of(body).await;
    let trailers = end.unwrap();
    Http2Response { status: head.status.as_u16(), headers: head.headers, body: body.into(), trailers }
}

impl Reading {
    /// Reads a stream as far as it goes.
    pub async fn of(mut stream: RecvStream) -> Self {
        let mut body = Vec::new();
        loop {
            match soon("data", stream.data()).await {
                Some(Ok(data)) => {
                    let _ = stream.flow_control().release_capacity(data.len());
                    body.extend(data);
                }
                Some(Err(error)) => return Self { body, end: Err(error) },
                None => return Self { body, end: soon("trailers", stream.trailers()).await },
            }
        }
    }
}

/// Sends bytes as the other side's window allows.
///
/// # Errors
/// The stream was reset.
pub async fn send_all(stream: &mut SendStream<Bytes>, mut bytes: Bytes, end: bool) -> Result<(), h2::Error> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let capacity = match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
            Some(capacity) => capacity?,
            None => return Ok(()),
        };
        let part = bytes.split_to(capacity.min(bytes.len()));
        let last = end && bytes.is_empty();
        stream.send_data(part, last)?;
        if last {
            return Ok(());
        }
    }
    if end { stream.send_data(Bytes::new(), true) } else { Ok(()) }
}
