//! Clusters: where requests go.
//!
//! A [`ClusterManager`] finds the hosts of each cluster, and keeps finding them. Each worker asks it once for its
//! [`WorkerClusters`], and sends requests through the [`Cluster`]s in it, which are tower services. What a worker
//! gets belongs to it: connection pools, balancers and stat cells. A changed set of hosts comes to it as a message,
//! so that a request takes no lock and writes no value that other workers use.
//!
//! ```
//! use http_body_util::BodyExt as _;
//! use nuncio_cluster::ClusterManager;
//! use nuncio_config::model::{self, Endpoint, EndpointAddress, LocalityEndpoints};
//! use nuncio_service::Body;
//! use nuncio_stats::{Registry, Shard};
//! # use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # tokio::spawn(async move {
//! #     let (mut stream, _) = listener.accept().await?;
//! #     let _ = stream.read(&mut [0; 1024]).await?;
//! #     stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await?;
//! #     stream.read(&mut [0; 1]).await
//! # });
//! let endpoint = Endpoint {
//!     address: EndpointAddress::Socket(address),
//!     weight: 1,
//!     hostname: String::new(),
//!     place: model::Place::generated("example"),
//! };
//! let cluster = model::Cluster {
//!     name: "hello".to_owned(),
//!     endpoints: vec![LocalityEndpoints { endpoints: vec![endpoint], ..Default::default() }],
//!     ..Default::default()
//! };
//! let registry = Registry::new(1);
//! let manager = ClusterManager::new(vec![cluster], model::DnsResolver::default(), &registry);
//! manager.start(&tokio::runtime::Handle::current());
//! manager.initialized().await;
//!
//! let clusters = manager.worker(Shard::worker(0));
//! let cluster = clusters.get("hello").ok_or("no such cluster")?;
//! let request = http::Request::get("http://example.com/").body(Body::Empty)?;
//! let response = cluster.request(request).await?.response;
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "hello");
//! # Ok(())
//! # }
//! ```
//!
//! # What is counted
//!
//! All stats stand under `cluster.<name>.`, with Envoy's names. A name of Envoy's that is missing belongs to
//! something that this crate does not do; a name that is there is counted.

#![warn(missing_docs)]

mod breaker;
mod cluster;
mod discovery;
mod error;
mod host;
mod manager;
mod pool;
mod request;
mod resolver;
mod stats;
mod status;

pub use self::{
    cluster::Cluster,
    error::UpstreamError,
    manager::{ClusterManager, WorkerClusters},
    request::{ResponseFuture, UpstreamResponse},
    status::{ClusterStatus, HostStatus, Locality},
};
