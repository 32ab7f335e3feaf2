//! The order of the layers: the one place that says which comes before which.

use std::sync::Arc;

use nuncio_cluster::WorkerClusters;
use nuncio_config::model;
use nuncio_http::{
    Accepted, AccessLog, ConnectionManager, HttpStats, RouterFilter,
    access_log::{DEFAULT_FORMAT, Format, FormatError},
    layers::{
        headers::{HeadersLayer, HeadersService},
        route::{RouteLayer, RouteService, resolve},
    },
};
use nuncio_listener::{Handler, Stream, stat_name};
use nuncio_service::{Connection, Drain, LineSink};
use nuncio_stats::{Registry, Shard};
use tokio::io::{AsyncRead, AsyncWrite};
use tower::ServiceBuilder;

/// The HTTP filters of a connection manager, outermost first.
type Filters = HeadersService<RouteService<RouterFilter>>;

/// Serves the connections of one filter chain on one worker.
#[derive(Debug)]
pub struct HttpHandler {
    manager: ConnectionManager<Filters>,
    drain: Drain,
}

/// A filter chain cannot be served as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// An access log's format is not understood.
    #[error("access log: {0}")]
    AccessLog(#[from] FormatError),
}

/// Builds the stack of `listener`'s `chain` for the worker that `shard` names.
///
/// `sink` gives the place where the lines of an access log go, and `None` for one whose lines are thrown away.
pub fn handler(
    listener: &model::Listener,
    chain: &model::FilterChain,
    clusters: &WorkerClusters,
    registry: &Registry,
    shard: Shard,
    sink: impl Fn(&model::AccessLog) -> Option<LineSink>,
    drain: Drain,
) -> Result<HttpHandler, StackError> {
    let config = &chain.http_connection_manager;
    let stats = Arc::new(HttpStats::new(
        &registry.scope(shard, &format!("http.{}", config.stat_prefix)),
        &registry.scope(shard, &format!("{}.http.{}", stat_name(listener), config.stat_prefix)),
        &registry.scope(shard, "http2"),
    ));
    let filters = ServiceBuilder::new()
        // Outermost, because what it checks holds for every filter, and because local replies of all layers need
        // their headers as much as responses do.
        .layer(HeadersLayer::new(config, Arc::clone(&stats)))
        // Before the HTTP filters, because they may be configured per route.
        .layer(RouteLayer::new(resolve(&config.routes, clusters), Arc::clone(&stats)))
        // Last, because it ends the chain: nothing comes back from it but a response.
        .service(RouterFilter::new(config, Arc::clone(&stats)));
    let access_log = access_log(&config.access_log, sink)?;
    Ok(HttpHandler {
        manager: ConnectionManager::new(
            config,
            listener.per_connection_buffer_limit_bytes,
            stats,
            access_log,
            filters,
        ),
        drain,
    })
}

/// Gives what only building the stack would find out otherwise: formats of access logs that are not understood, with
/// where they are written.
pub fn check(chain: &model::FilterChain) -> impl Iterator<Item = (&model::Place, FormatError)> {
    let formats = chain.http_connection_manager.access_log.iter().filter_map(|log| log.format.as_ref());
    formats.filter_map(|format| Some((&format.place, Format::parse(&format.text).err()?)))
}

fn access_log(
    logs: &[model::AccessLog],
    sink: impl Fn(&model::AccessLog) -> Option<LineSink>,
) -> Result<AccessLog, FormatError> {
    let logs = logs
        .iter()
        .map(|log| {
            let text = log.format.as_ref().map_or(DEFAULT_FORMAT, |format| &format.text);
            Ok((Format::parse(text)?, sink(log)))
        })
        .collect::<Result<Vec<_>, FormatError>>()?;
    // Lines that nobody will read are not made.
    let read = logs.into_iter().filter_map(|(format, sink)| Some((format, sink?)));
    Ok(AccessLog::new(read))
}

impl HttpHandler {
    /// Serves a connection over any transport. Those that a listener accepted come through [`Handler`].
    pub async fn serve<I>(&self, io: I, connection: Arc<Connection>)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.manager.serve(io, connection, self.drain.clone()).await;
    }
}

impl Handler for HttpHandler {
    type Accepted = Accepted;

    fn accept(&self, tls: bool) -> Accepted {
        self.manager.accept(tls)
    }

    fn failed_by_client(&self, mut accepted: Accepted) {
        accepted.set_closed_by_client();
    }

    async fn handle(&self, accepted: Accepted, stream: Stream, connection: Arc<Connection>) {
        self.manager.serve_accepted(accepted, stream, connection, self.drain.clone()).await;
    }
}
