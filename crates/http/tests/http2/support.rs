//! An upstream that answers by path, a client that keeps the rules, and one that does not.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{Method, StatusCode, Version};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use nuncio_config::model::HttpConnectionManager;
use nuncio_http::{
    AccessLog, ConnectionManager, HttpStats, LocalReply, access_log::Format, layers::headers::HeadersLayer,
};
use nuncio_service::{Advice, Body, BoxError, Connection, Drain, DrainHandle, LineSink, Request, Response};
use nuncio_stats::{Registry, Shard};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower_layer::Layer;
use tower_service::Service;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Answers by path: `/never` never, `/early` before the request's body, `/unread` keeps the body and never reads it,
/// `/te` with a header that may not be, `/first` with the length of the first part of the body, which it drops then,
/// `/empty` without a body, `/broken` with a body that breaks off, `/large` with 300,000 bytes, `/trailers` with the
/// request's own, everything else with the length of the body that it read.
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
            let info = request.info;
            let (parts, body) = request.http.into_parts();
            let answer = match parts.uri.path() {
                "/never" => std::future::pending().await,
                "/unread" => {
                    let _body = body;
                    std::future::pending().await
                }
                "/early" => Body::full("early"),
                "/empty" => Body::Empty,
                "/te" => {
                    let response = http::Response::builder().header("te", "gzip").body(Body::full("te"));
                    return Ok(Response { http: response.unwrap(), info });
                }
                "/first" => {
                    let mut body = body;
                    let first = match body.is_end_stream() || body.size_hint().exact() == Some(0) {
                        true => 0,
                        false => body.frame().await.unwrap().unwrap().into_data().unwrap().len(),
                    };
                    Body::full(first.to_string())
                }
                "/broken" => {
                    Body::stream(Pieces(vec![Err("broken".into()), Ok(Frame::data("begun".into()))]))
                }
                "/large" => Body::full(vec![b'x'; 300_000]),
                "/trailers" => {
                    let body = body.collect().await.unwrap();
                    let trailers = body.trailers().cloned().unwrap_or_default();
                    Body::stream(Pieces(vec![
                        Ok(Frame::trailers(trailers)),
                        Ok(Frame::data(body.to_bytes())),
                    ]))
                }
                _ => match body.collect().await {
                    Ok(body) => Body::full(body.to_bytes().len().to_string()),
                    Err(_) => std::future::pending().await,
                },
            };
            Ok(Response { http: http::Response::new(answer), info })
        })
    }
}

/// A body of these frames, the last first, each after a pause.
pub(crate) struct Pieces(Vec<Result<Frame<Bytes>, BoxError>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.pop())
    }
}

pub(crate) struct Server {
    pub(crate) registry: Registry,
    pub(crate) drain: DrainHandle,
    pub(crate) advice: Advice,
    log: Arc<Mutex<String>>,
}

/// A connection, and what there is to know of it.
pub(crate) fn connect(config: &HttpConnectionManager, buffer: usize) -> (DuplexStream, Server) {
    let registry = Registry::new(1);
    let scope = |name| registry.scope(Shard::worker(0), name);
    let stats =
        Arc::new(HttpStats::new(&scope("http.test"), &scope("listener.test.http.test"), &scope("http2")));
    let log = Arc::new(Mutex::new(String::new()));
    let sink = {
        let log = Arc::clone(&log);
        LineSink::new(move |line| log.lock().unwrap().push_str(std::str::from_utf8(line).unwrap()))
    };
    let format = "%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n";
    let access_log = AccessLog::new([(Format::parse(format).unwrap(), sink)]);
    let filters = HeadersLayer::new(config, Arc::clone(&stats)).layer(Upstream);
    let manager = ConnectionManager::new(config, 1 << 16, stats, access_log, filters);
    let (io, server) = tokio::io::duplex(buffer);
    let advice = Advice::default();
    let (handle, drain) = Drain::with_advice(advice.clone());
    let connection = Connection {
        remote_address: "127.0.0.1:5000".parse().unwrap(),
        local_address: "127.0.0.1:80".parse().unwrap(),
        tls: None,
    };
    tokio::spawn(async move { manager.serve(server, Arc::new(connection), drain).await });
    (io, Server { registry, drain: handle, advice, log })
}

impl Server {
    #[track_caller]
    pub(crate) fn check_counters(&self, expected: &[(&str, u64)]) {
        for (name, value) in expected {
            let full =
                if name.starts_with("http2.") { (*name).to_owned() } else { format!("http.test.{name}") };
            assert_eq!(self.registry.counter_value(&full), Some(*value), "{full}");
        }
    }

    pub(crate) fn gauge(&self, name: &str) -> i64 {
        self.registry.gauge_value(name).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until this has come about.
    pub(crate) async fn until(&self, what: impl Fn(&Self) -> bool) {
        let come = async {
            while !what(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let come = tokio::time::timeout(Duration::from_secs(10), come).await;
        assert!(come.is_ok(), "log: {}", self.log());
    }

    pub(crate) async fn until_streams_end(&self) {
        self.until(|server| server.gauge("http2.streams_active") == 0).await;
        assert_eq!(self.gauge("http.test.downstream_rq_active"), 0);
    }
}

/// A client that keeps the rules.
pub(crate) async fn polite(config: &HttpConnectionManager) -> (SendRequest<Bytes>, Server) {
    polite_with(config, &mut h2::client::Builder::new()).await
}

pub(crate) async fn polite_with(
    config: &HttpConnectionManager,
    builder: &mut h2::client::Builder,
) -> (SendRequest<Bytes>, Server) {
    let (io, server) = connect(config, 1 << 20);
    let (client, connection) = builder.handshake(io).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    (client.ready().await.unwrap(), server)
}

pub(crate) fn request(method: Method, path: &str) -> http::Request<()> {
    let uri = format!("http://a{path}");
    http::Request::builder().method(method).uri(uri).version(Version::HTTP_2).body(()).unwrap()
}

pub(crate) async fn get(
    client: &mut SendRequest<Bytes>,
    path: &str,
) -> Result<(StatusCode, Bytes), h2::Error> {
    collect(client.send_request(request(Method::GET, path), true).unwrap().0).await
}

/// What does not come soon does not come.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future).await.unwrap()
}

pub(crate) async fn collect(response: ResponseFuture) -> Result<(StatusCode, Bytes), h2::Error> {
    soon(collect_all(response)).await
}

pub(crate) async fn collect_all(response: ResponseFuture) -> Result<(StatusCode, Bytes), h2::Error> {
    let (head, mut body) = response.await?.into_parts();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    Ok((head.status, bytes.into()))
}

/// A client that sends what it likes.
pub(crate) struct Rude {
    pub(crate) io: DuplexStream,
    pub(crate) server: Server,
}

impl Rude {
    pub(crate) async fn connect(config: &HttpConnectionManager) -> Self {
        let (io, server) = connect(config, 1 << 20);
        let mut rude = Self { io, server };
        rude.io.write_all(PREFACE).await.unwrap();
        rude.send(4, 0, 0, b"").await;
        rude
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.io.write_all(&frame(kind, flags, stream, payload)).await.unwrap();
    }

    /// The next frame that is about a stream, or the connection's end: kind, flags, stream, payload.
    pub(crate) async fn frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        soon(self.next_frame()).await
    }

    async fn next_frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        loop {
            let mut head = [0; 9];
            self.io.read_exact(&mut head).await.ok()?;
            let [a, b, c, kind, flags, stream @ ..] = head;
            let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
            self.io.read_exact(&mut payload).await.unwrap();
            // Not SETTINGS, PING, WINDOW_UPDATE.
            if !matches!(kind, 4 | 6 | 8) {
                return Some((kind, flags, u32::from_be_bytes(stream), payload));
            }
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A head as literals that are not entered in the table.
pub(crate) fn head(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            let length = text.len();
            if length < 127 {
                block.push(u8::try_from(length).unwrap());
            } else {
                // RFC 7541, 5.1.
                block.push(127);
                let mut rest = length - 127;
                while rest >= 128 {
                    block.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                block.push(u8::try_from(rest).unwrap());
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

pub(crate) fn post(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    head(&[&[(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "a")], more].concat())
}
