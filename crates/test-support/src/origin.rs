//! Servers for the proxy to send requests to.

use std::{
    convert::Infallible,
    future::{Future, ready},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A server that runs until it is dropped.
pub struct Origin {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

/// A request as it came to an origin.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

type Answer = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;
type Handler = Arc<dyn Fn(Seen) -> Answer + Send + Sync>;

/// Which protocol an origin speaks.
#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

impl Origin {
    /// Speaks HTTP/1.1 and answers every request with 200 and this body.
    pub async fn answering(body: &'static str) -> Self {
        Self::serving(move |_| ready(Response::new(Full::from(body)))).await
    }

    /// Speaks HTTP/2 without TLS and answers every request with 200 and this body.
    pub async fn answering_http2(body: &'static str) -> Self {
        let handler: Handler = Arc::new(move |_| Box::pin(ready(Response::new(Full::from(body)))));
        Self::with(Protocol::Http2, handler).await
    }

    /// Speaks HTTP/1.1 and answers as the handler does.
    pub async fn serving<F, A>(handler: F) -> Self
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Self::with(Protocol::Http1, Arc::new(move |seen| Box::pin(handler(seen)))).await
    }

    /// Does with each connection what `script` does.
    pub async fn scripted<F, S>(script: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        Self::accepting(Arc::default(), move |stream, _| {
            tokio::spawn(script(stream));
        })
        .await
    }

    /// Speaks HTTP/2 without TLS and does with each stream what `script` does.
    pub async fn scripted_http2<F, S>(script: F) -> Self
    where
        F: Fn(Request<RecvStream>, SendResponse<Bytes>) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let script = Arc::new(script);
        Self::accepting(Arc::default(), move |stream, _| {
            let script = Arc::clone(&script);
            tokio::spawn(async move {
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(script(request, respond));
                }
            });
        })
        .await
    }

    /// So many HTTP/1.1 servers on one port of 127.0.0.1, 127.0.0.2 and so on, each of which answers with its address.
    pub async fn on_one_port(count: u8) -> Vec<Self> {
        let address = |host: u8, port: u16| SocketAddr::from(([127, 0, 0, host], port));
        loop {
            let first = TcpListener::bind(address(1, 0)).await.unwrap();
            let port = first.local_addr().unwrap().port();
            let mut listeners = vec![first];
            for host in 2..=count {
                // Somebody else's port: try another one.
                listeners.extend(TcpListener::bind(address(host, port)).await);
            }
            if listeners.len() == usize::from(count) {
                return listeners.into_iter().map(Self::telling_its_address).collect();
            }
        }
    }

    fn telling_its_address(listener: TcpListener) -> Self {
        let body = listener.local_addr().unwrap().ip().to_string();
        let handler: Handler = Arc::new(move |_| Box::pin(ready(Response::new(Full::from(body.clone())))));
        Self::on(listener, Arc::default(), move |stream, seen| {
            tokio::spawn(serve(Protocol::Http1, stream, Arc::clone(&handler), Arc::clone(seen)));
        })
    }

    async fn with(protocol: Protocol, handler: Handler) -> Self {
        Self::accepting(Arc::default(), move |stream, seen| {
            tokio::spawn(serve(protocol, stream, Arc::clone(&handler), Arc::clone(seen)));
        })
        .await
    }

    async fn accepting(
        seen: Arc<Mutex<Vec<Seen>>>,
        open: impl Fn(TcpStream, &Arc<Mutex<Vec<Seen>>>) + Send + 'static,
    ) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), seen, open)
    }

    fn on(
        listener: TcpListener,
        seen: Arc<Mutex<Vec<Seen>>>,
        open: impl Fn(TcpStream, &Arc<Mutex<Vec<Seen>>>) + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let task = {
            let (seen, connections) = (Arc::clone(&seen), Arc::clone(&connections));
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    connections.fetch_add(1, Ordering::Relaxed);
                    let _ = stream.set_nodelay(true);
                    open(stream, &seen);
                }
            })
        };
        Self { address, connections, seen, task }
    }

    /// How many connections have come.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests that came, in their order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(protocol: Protocol, stream: TcpStream, handler: Handler, seen: Arc<Mutex<Vec<Seen>>>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, seen) = (Arc::clone(&handler), Arc::clone(&seen));
        async move {
            let (head, body) = request.into_parts();
            // A proxy that goes away within a body leaves it as long as it is.
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let request = Seen { method: head.method, uri: head.uri, headers: head.headers, body };
            seen.lock().unwrap().push(request.clone());
            Ok::<_, Infallible>(handler(request).await)
        }
    });
    let stream = TokioIo::new(stream);
    // Connections end as the proxy likes; tests look at what it does, not at how it leaves.
    match protocol {
        Protocol::Http1 => drop(http1::Builder::new().serve_connection(stream, service).await),
        Protocol::Http2 => {
            drop(http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await);
        }
    }
}
