//! A request through the whole proxy on one thread: `HttpHandler::serve` with all of its layers, the cluster's pool,
//! and an origin behind it.
//!
//! The client speaks through a pipe in memory, and its work is left out of the count. The cluster opens its own TCP
//! connections, so the origin is behind the loopback, on a thread of its own where nothing is counted. What is left
//! is the proxy's: its codecs, layers, pool, and the runtime that wakes it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use nuncio_cluster::{ClusterManager, WorkerClusters};
use nuncio_config::{LoadOptions, Source, load};
use nuncio_proxy::stack;
use nuncio_service::{Connection, Drain};
use nuncio_stats::{Registry, Shard};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::{Builder, Runtime};

use super::counting::LeftOut;
use crate::compare::{Result, client, failure, origin};

/// As much as is under way in one direction between client and proxy.
const PIPE: usize = 64 * 1024;

/// Which protocols a request goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// HTTP/1.1 on both sides.
    Http1,
    /// HTTP/2 from the client, HTTP/1.1 to the origin.
    Http2Downstream,
    /// HTTP/1.1 from the client, HTTP/2 to the origin.
    Http2Upstream,
    /// HTTP/2 on both sides.
    Http2,
    /// HTTP/1.1, answered by the route without an origin.
    DirectResponse,
    /// HTTP/1.1 on both sides, with an access log whose lines are made and thrown away.
    AccessLog,
}

impl Exchange {
    pub(super) const ALL: [Self; 6] = [
        Self::Http1,
        Self::Http2Downstream,
        Self::Http2Upstream,
        Self::Http2,
        Self::DirectResponse,
        Self::AccessLog,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2Downstream => "http2-downstream",
            Self::Http2Upstream => "http2-upstream",
            Self::Http2 => "http2",
            Self::DirectResponse => "direct-response",
            Self::AccessLog => "access-log",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::DirectResponse => "/direct",
            _ => "/service/1/89",
        }
    }

    /// The structure of the front-proxy example, with one listener.
    fn configuration(self, origin: origin::Ports) -> String {
        let (port, protocol) = match self {
            Self::Http2Upstream | Self::Http2 => (origin.http2, "http2_protocol_options: {}"),
            _ => (origin.http1, ""),
        };
        let log = match self {
            Self::AccessLog => {
                "access_log: {name: a, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}}"
            }
            _ => "",
        };
        format!(
            "
static_resources:
  listeners:
  - name: ingress
    address: {{socket_address: {{address: 127.0.0.1, port_value: 10000}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          codec_type: auto
          stat_prefix: ingress_http
          {log}
          route_config:
            name: local_route
            virtual_hosts:
            - name: backend
              domains: [\"*\"]
              routes:
              - match: {{prefix: /service/1}}
                route: {{cluster: service}}
              - match: {{prefix: /service/2}}
                route: {{cluster: service}}
              - match: {{path: /direct}}
                direct_response: {{status: 200, body: {{inline_string: {}}}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: service
    connect_timeout: 1s
    type: static
    {protocol}
    load_assignment:
      cluster_name: service
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}
",
            "n".repeat(BODY)
        )
    }

    /// Starts origin, proxy and client.
    pub(super) fn prepare(self) -> Result<Proxied> {
        let origin = start_origin()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let source = Source::new("envoy.yaml", self.configuration(origin));
        let proxy = runtime.block_on(async { Proxy::start(&source) })?;
        let downstream = runtime.block_on(self.connect(&proxy))?;
        let client = Client { downstream: Some(downstream), path: self.path() };
        Ok(Proxied { client, runtime, _proxy: proxy })
    }

    /// A connection to the proxy in the protocol that the client speaks.
    async fn connect(self, proxy: &Proxy) -> Result<Downstream> {
        let stream = proxy.accept();
        if !matches!(self, Self::Http2Downstream | Self::Http2) {
            return Ok(Downstream::Http1(stream, Vec::new()));
        }
        let (requests, connection) = h2::client::handshake(stream).await?;
        tokio::spawn(LeftOut::new(async {
            // Its failure shows in the request that it fails.
            let _ = connection.await;
        }));
        Ok(Downstream::Http2(requests))
    }
}

/// The origin of the comparison, on a thread of its own.
fn start_origin() -> Result<origin::Ports> {
    let (announce, announced) = mpsc::channel();
    thread::spawn(move || {
        origin::serve(|ports| {
            // Nobody listens any more if the other thread has failed.
            let _ = announce.send(ports);
        })
    });
    announced.recv_timeout(Duration::from_secs(30)).map_err(|_| failure("the origin did not start"))
}

/// One worker's part of a proxy, without a listener.
struct Proxy {
    handler: Arc<stack::HttpHandler>,
    // Connections to the origin are looked after for as long as these live.
    _clusters: WorkerClusters,
    _manager: ClusterManager,
}

impl Proxy {
    /// To be called within the runtime that is to serve.
    fn start(source: &Source) -> Result<Self> {
        let loaded = load(std::slice::from_ref(source), &LoadOptions::default())?.bootstrap;
        let listener = loaded.listeners.first().ok_or_else(|| failure("no listener"))?;
        let chain = listener.filter_chains.first().ok_or_else(|| failure("no filter chain"))?;
        let (registry, shard) = (Registry::new(1), Shard::worker(0));
        let manager = ClusterManager::new(loaded.clusters.clone(), loaded.dns_resolver.clone(), &registry);
        manager.start(&tokio::runtime::Handle::current());
        let clusters = manager.worker(shard);
        let (_, drain) = Drain::new();
        let sink = |_: &_| Some(nuncio_service::LineSink::new(|line| _ = std::hint::black_box(line)));
        let handler = stack::handler(listener, chain, &clusters, &registry, shard, sink, drain)?;
        Ok(Self { handler: Arc::new(handler), _clusters: clusters, _manager: manager })
    }

    /// Has a connection served; gives the client's end of it.
    fn accept(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(PIPE);
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let connection = Arc::new(Connection {
            remote_address: address(40_000),
            local_address: address(10_000),
            tls: None,
        });
        let handler = Arc::clone(&self.handler);
        tokio::spawn(async move { handler.serve(server, connection).await });
        client
    }
}

/// A client, the proxy and its runtime.
pub(super) struct Proxied {
    client: Client,
    runtime: Runtime,
    _proxy: Proxy,
}

struct Client {
    /// Taken for as long as requests are made.
    downstream: Option<Downstream>,
    path: &'static str,
}

enum Downstream {
    /// The connection, and what was read of the response.
    Http1(DuplexStream, Vec<u8>),
    Http2(SendRequest<Bytes>),
}

/// The length of every response.
const BODY: usize = 89;

impl Proxied {
    /// Makes so many requests, one after the other. Fails unless each is answered as it should be.
    pub(super) fn repeat(&mut self, times: usize) -> Result<()> {
        let path = self.client.path;
        let mut downstream = self.client.downstream.take().ok_or_else(|| failure("the client has failed"))?;
        let requests = LeftOut::new(async move {
            for _ in 0..times {
                downstream.request(path).await?;
            }
            Result::Ok(downstream)
        });
        self.client.downstream = Some(self.runtime.block_on(requests)?);
        Ok(())
    }
}

impl Downstream {
    async fn request(&mut self, path: &str) -> Result<()> {
        let (status, length) = match self {
            Self::Http1(stream, buffer) => {
                stream.write_all(client::get(path, false).as_bytes()).await?;
                http1_response(stream, buffer).await?
            }
            Self::Http2(requests) => {
                let request = http::Request::get(format!("http://127.0.0.1{path}")).body(())?;
                let mut ready = requests.clone().ready().await?;
                let (response, _) = ready.send_request(request, true)?;
                let response = response.await?;
                let (status, mut body, mut length) = (response.status(), response.into_body(), 0);
                while let Some(data) = body.data().await {
                    let data = data?.len();
                    length += data;
                    body.flow_control().release_capacity(data)?;
                }
                (status.as_u16(), length)
            }
        };
        match (status, length) {
            (200, BODY) => Ok(()),
            _ => Err(failure(format!("status {status} with {length} bytes"))),
        }
    }
}

/// Status and body length of the next response.
async fn http1_response(stream: &mut DuplexStream, buffer: &mut Vec<u8>) -> Result<(u16, usize)> {
    buffer.clear();
    loop {
        if let Some(response) = client::Response::read(buffer)? {
            return Ok((response.status, response.body));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(failure("the proxy closed the connection"));
        }
    }
}
