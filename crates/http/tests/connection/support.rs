//! An upstream that answers by path, and a client with an in-memory socket.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use nuncio_config::model::HttpConnectionManager;
use nuncio_http::{
    AccessLog, ConnectionManager, HttpStats, LocalReply,
    access_log::{DEFAULT_FORMAT, Format},
    layers::headers::{HeadersLayer, HeadersService},
};
use nuncio_service::{Body, BoxError, Connection, Drain, DrainHandle, LineSink, Request, Response};
use nuncio_stats::{Registry, Shard};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower_layer::Layer;
use tower_service::Service;

/// Answers by path: `/early` before the request's body, `/later` without it but not at once, `/never` never, `/large`
/// with more than a client's socket holds, `/endless` and `/endless-300ms` with even more and a deadline, `/pieces` with
/// the request's body in the pieces that a `|` divides, `/announced-5` with the request's body as if it had five bytes,
/// `/status-204` with a status and no body, everything else with the method, the length of the body that it read, and the
/// path.
#[derive(Clone)]
pub(crate) struct Upstream;

impl Service<Request> for Upstream {
    type Response = Response;
    type Error = LocalReply;
    type Future = Pin<Box<dyn Future<Output = Result<Response, LocalReply>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LocalReply>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.http.into_parts();
            let text = match parts.uri.path() {
                "/never" => std::future::pending().await,
                "/early" => "early".to_owned(),
                "/later" => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    "later".to_owned()
                }
                "/announced-5" => {
                    let body = body.collect().await.unwrap().to_bytes();
                    let body = Body::stream(Pieces { pieces: VecDeque::from([body.to_vec()]), rest: false });
                    let response = http::Response::builder().header("content-length", "5").body(body);
                    return Ok(Response { http: response.unwrap(), info: request.info });
                }
                path if path.starts_with("/status-") => {
                    let status = path.strip_prefix("/status-").unwrap();
                    let response = http::Response::builder().status(status).body(Body::Empty).unwrap();
                    return Ok(Response { http: response, info: request.info });
                }
                path @ ("/endless" | "/endless-300ms") => {
                    let mut info = request.info;
                    let limit = if path == "/endless" { 300_000 } else { 300 };
                    info.response_deadline = info.start.checked_add(Duration::from_millis(limit));
                    let pieces = VecDeque::from(vec![vec![b'x'; 1 << 16]; 1000]);
                    let body = Body::stream(Pieces { pieces, rest: false });
                    return Ok(Response { http: http::Response::new(body), info });
                }
                "/large" => "x".repeat(3 << 20),
                "/pieces" => {
                    let body = body.collect().await.unwrap().to_bytes();
                    let pieces = body.split(|byte| *byte == b'|').map(<[u8]>::to_vec).collect();
                    let body = Body::stream(Pieces { pieces, rest: false });
                    return Ok(Response { http: http::Response::new(body), info: request.info });
                }
                path => {
                    let read = body.collect().await.map_or(usize::MAX, |body| body.to_bytes().len());
                    format!("{} {read} {path}", parts.method)
                }
            };
            Ok(Response { http: http::Response::new(Body::full(text)), info: request.info })
        })
    }
}

/// A body whose pieces come one by one, so that each is written for itself.
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    /// Whether to wait before the next one.
    rest: bool,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.rest = !self.rest;
        if self.rest {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(Bytes::from(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}

pub(crate) struct Client {
    pub(crate) io: DuplexStream,
    pub(crate) registry: Registry,
    pub(crate) drain: DrainHandle,
    pub(crate) log: Arc<Mutex<String>>,
}

pub(crate) fn connect(config: &HttpConnectionManager) -> Client {
    connect_over(1 << 20, config)
}

/// Over a socket that holds so many bytes.
pub(crate) fn connect_over(size: usize, config: &HttpConnectionManager) -> Client {
    let registry = Registry::new(1);
    let log = Arc::new(Mutex::new(String::new()));
    let sink = {
        let log = Arc::clone(&log);
        LineSink::new(move |line| log.lock().unwrap().push_str(std::str::from_utf8(line).unwrap()))
    };
    let access_log = AccessLog::new([(Format::parse(DEFAULT_FORMAT).unwrap(), sink)]);
    let manager = manager(&registry, access_log, config);
    let (handle, drain) = Drain::new();
    Client { io: serve(&manager, size, drain), registry, drain: handle, log }
}

pub(crate) type Manager = ConnectionManager<HeadersService<Upstream>>;

pub(crate) fn manager(registry: &Registry, log: AccessLog, config: &HttpConnectionManager) -> Manager {
    let shard = Shard::worker(0);
    let stats = Arc::new(HttpStats::new(
        &registry.scope(shard, "http.test"),
        &registry.scope(shard, "listener.test.http.test"),
        &registry.scope(shard, "http2"),
    ));
    let filters = HeadersLayer::new(config, Arc::clone(&stats)).layer(Upstream);
    ConnectionManager::new(config, 1 << 20, stats, log, filters)
}

/// The client's end of a new connection.
pub(crate) fn serve(manager: &Manager, size: usize, drain: Drain) -> DuplexStream {
    let (io, server) = tokio::io::duplex(size);
    let connection = Connection {
        remote_address: "127.0.0.1:5000".parse().unwrap(),
        local_address: "127.0.0.1:80".parse().unwrap(),
        tls: None,
    };
    let manager = manager.clone();
    tokio::spawn(async move { manager.serve(server, Arc::new(connection), drain).await });
    io
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.io.write_all(bytes.as_ref()).await.unwrap();
    }

    /// All bytes until the proxy closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _reset = self.io.read_to_end(&mut bytes).await;
        String::from_utf8(bytes).unwrap()
    }

    /// One response with a length, without its `date`.
    pub(crate) async fn response(&mut self) -> String {
        let mut text = String::new();
        while !text.contains("\r\n\r\n") {
            text.push(char::from(self.io.read_u8().await.unwrap()));
        }
        let length = text.split_once("content-length: ").unwrap().1.split_once("\r\n").unwrap().0;
        let mut body = vec![0; length.parse().unwrap()];
        self.io.read_exact(&mut body).await.unwrap();
        without_date(&text) + std::str::from_utf8(&body).unwrap()
    }

    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.registry.counter_value(&format!("http.test.{name}")).unwrap()
    }

    pub(crate) fn gauge(&self, name: &str) -> i64 {
        self.registry.gauge_value(&format!("http.test.{name}")).unwrap()
    }
}

pub(crate) fn without_date(text: &str) -> String {
    text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

pub(crate) fn refusal(status: &str) -> String {
    let reason = status.split_once(' ').unwrap().1;
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-type: text/plain\r\nserver: envoy\r\nconnection: close\r\n\r\n{reason}",
        reason.len(),
    )
}
