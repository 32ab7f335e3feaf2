//! Origins that say what a test tells them to, and clusters that point at them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use nuncio_cluster::{Cluster, ClusterManager, UpstreamError, WorkerClusters};
use nuncio_config::model::{self, Endpoint, EndpointAddress, LocalityEndpoints, Place};
use nuncio_service::{Body, BoxError};
use nuncio_stats::{Registry, Shard};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// Longer than anything here takes, shorter than anyone wants to wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Waits for something that must happen.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("never happened: {what}"))
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A listening origin; each test plays its connections by hand.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    connections: mpsc::UnboundedReceiver<Peer>,
    accepted: Arc<AtomicUsize>,
}

impl Origin {
    pub(crate) async fn new() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = mpsc::unbounded_channel();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                if sender.send(Peer { stream, rest: Vec::new() }).is_err() {
                    return;
                }
            }
        });
        Self { address, connections, accepted }
    }

    /// The next connection.
    pub(crate) async fn accept(&mut self) -> Peer {
        within("a connection", self.connections.recv()).await.unwrap()
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Answers every request on every connection from now on, as a task.
    pub(crate) fn answer(mut self, answer: &'static str) -> Answering {
        let (address, accepted) = (self.address, Arc::clone(&self.accepted));
        tokio::spawn(async move {
            while let Some(mut peer) = self.connections.recv().await {
                tokio::spawn(async move {
                    while peer.try_head().await.is_some() {
                        peer.send(answer).await;
                    }
                });
            }
        });
        Answering { address, accepted }
    }
}

/// An origin that answers by itself.
pub(crate) struct Answering {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Answering {
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// An origin's side of a connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    rest: Vec<u8>,
}

impl Peer {
    /// A request's head, to the empty line.
    pub(crate) async fn head(&mut self) -> String {
        within("a request", self.try_head()).await.expect("the connection was closed")
    }

    async fn try_head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = self.rest.split_off(end + 4);
                let head = std::mem::replace(&mut self.rest, rest);
                return Some(String::from_utf8(head).unwrap());
            }
            if self.stream.read_buf(&mut self.rest).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// So many bytes of a body.
    pub(crate) async fn body(&mut self, length: usize) -> String {
        within("a body", async {
            while self.rest.len() < length {
                assert_ne!(
                    self.stream.read_buf(&mut self.rest).await.unwrap(),
                    0,
                    "the connection was closed"
                );
            }
        })
        .await;
        let rest = self.rest.split_off(length);
        String::from_utf8(std::mem::replace(&mut self.rest, rest)).unwrap()
    }

    pub(crate) async fn send(&mut self, bytes: &str) {
        let _ = self.stream.write_all(bytes.as_bytes()).await;
    }

    /// Waits for the other side to close.
    pub(crate) async fn closed(&mut self) {
        within("the end of the connection", async {
            while !matches!(self.stream.read_buf(&mut self.rest).await, Ok(0) | Err(_)) {}
        })
        .await;
    }

    /// Closes with RST.
    pub(crate) fn reset(self) {
        #[expect(deprecated, reason = "without waiting, it blocks nothing")]
        self.stream.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// A `STATIC` cluster named `c`.
pub(crate) fn cluster(hosts: &[SocketAddr]) -> model::Cluster {
    let endpoints = hosts.iter().map(|host| endpoint(EndpointAddress::Socket(*host))).collect();
    model::Cluster {
        name: "c".to_owned(),
        endpoints: vec![LocalityEndpoints { endpoints, ..LocalityEndpoints::default() }],
        ..model::Cluster::default()
    }
}

pub(crate) fn endpoint(address: EndpointAddress) -> Endpoint {
    Endpoint { address, weight: 1, hostname: String::new(), place: Place::generated("test") }
}

/// A running manager with one worker.
pub(crate) struct Fixture {
    pub(crate) manager: ClusterManager,
    pub(crate) clusters: WorkerClusters,
    pub(crate) cluster: Cluster,
    pub(crate) registry: Registry,
}

pub(crate) async fn start(cluster: model::Cluster) -> Fixture {
    let registry = Registry::new(1);
    let manager = ClusterManager::new(vec![cluster], model::DnsResolver::default(), &registry);
    manager.start(&tokio::runtime::Handle::current());
    within("the first hosts", manager.initialized()).await;
    let clusters = manager.worker(Shard::worker(0));
    let cluster = clusters.get("c").unwrap();
    Fixture { manager, clusters, cluster, registry }
}

impl Fixture {
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.registry
            .counter_value(&format!("cluster.c.{name}"))
            .unwrap_or_else(|| panic!("no counter {name}"))
    }

    pub(crate) fn gauge(&self, name: &str) -> i64 {
        self.registry.gauge_value(&format!("cluster.c.{name}")).unwrap_or_else(|| panic!("no gauge {name}"))
    }

    /// Asserts the values of stats, counters or gauges; those that are not named are not looked at.
    #[track_caller]
    pub(crate) fn assert_stats(&self, expected: &[(&str, i64)]) {
        for (name, expected) in expected {
            let full = format!("cluster.c.{name}");
            let counter = self.registry.counter_value(&full).map(|value| i64::try_from(value).unwrap());
            let value = counter.or_else(|| self.registry.gauge_value(&full));
            assert_eq!(value, Some(*expected), "{name}");
        }
    }
}

/// A response that has been read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) host: SocketAddr,
}

pub(crate) fn request(method: &str, body: Body) -> Request<Body> {
    let uri = "http://example.com/path?q=1";
    Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(uri).body(body).unwrap()
}

pub(crate) fn get() -> Request<Body> {
    request("GET", Body::Empty)
}

/// Sends a request and reads the whole response.
pub(crate) async fn exchange(cluster: &Cluster, request: Request<Body>) -> Result<Answer, UpstreamError> {
    let response = within("a response", cluster.request(request)).await?;
    let (head, body) = response.response.into_parts();
    let body = within("the response's end", body.collect()).await.unwrap();
    let trailers = body.trailers().cloned();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: body.to_bytes(),
        trailers,
        host: response.host,
    })
}

/// A body whose frames a test sends one by one.
pub(crate) fn channel_body() -> (mpsc::UnboundedSender<Result<Frame, BoxError>>, Body) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Body::stream(ChannelBody { receiver, pulled: Arc::default() }))
}

pub(crate) type Frame = http_body::Frame<Bytes>;

pub(crate) fn data(bytes: impl Into<Bytes>) -> Result<Frame, BoxError> {
    Ok(Frame::data(bytes.into()))
}

struct ChannelBody {
    receiver: mpsc::UnboundedReceiver<Result<Frame, BoxError>>,
    pulled: Arc<AtomicUsize>,
}

impl http_body::Body for ChannelBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame, BoxError>>> {
        let frame = std::task::ready!(self.receiver.poll_recv(cx));
        self.pulled.fetch_add(1, Ordering::Relaxed);
        std::task::Poll::Ready(frame)
    }
}

/// An endless body, and the number of chunks that have been pulled from it.
pub(crate) fn endless_body(chunk: usize) -> (Arc<AtomicUsize>, Body) {
    struct Endless(Bytes, Arc<AtomicUsize>);
    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame, BoxError>>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            std::task::Poll::Ready(Some(Ok(Frame::data(self.0.clone()))))
        }
    }
    let pulled = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&pulled), Body::stream(Endless(Bytes::from(vec![b'x'; chunk]), pulled)))
}
