//! The life of a server, from its first look-up to its end. Runs on the main runtime.

use std::{sync::Arc, time::Duration};

use nuncio_admin::{Limits, ServerState};
use nuncio_cluster::ClusterManager;
use nuncio_config::Loaded;
use nuncio_listener::{record_certificates, stat_name};
use nuncio_service::{Advice, Drain, DrainHandle};
use nuncio_stats::{Registry, Shard};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::AbortHandle,
    time::{Instant, timeout},
};

use super::{
    Command, Options, RunError, ServerHandle, admin,
    prepare::{Prepared, PreparedListener},
    stats::ServerStats,
};
use crate::{
    access_log::AccessLogs,
    worker::{Worker, WorkerListener, WorkerThread},
};

/// How long workers may take to end once they were told to, and the admin server for its last answers.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

/// `stats_flush_interval` where none is configured.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// Everything that lives as long as the server.
pub(super) struct Lifecycle {
    workers: Vec<Worker>,
    clusters: Arc<ClusterManager>,
    logs: Arc<AccessLogs>,
    stats: Arc<ServerStats>,
    state: watch::Sender<ServerState>,
    handle: ServerHandle,
    admin: DrainHandle,
    flushing: AbortHandle,
}

/// Why draining ended.
enum Drained {
    /// Nothing is left.
    Done,
    /// The time was over, or a second command came.
    Cut,
}

impl Lifecycle {
    /// Starts what runs before the workers do: the admin server, the clusters' discovery, the stats flush.
    pub(super) fn new(
        loaded: &Loaded,
        options: &Options,
        prepared: Prepared,
        registry: &Registry,
        handle: &ServerHandle,
        state: watch::Sender<ServerState>,
        runtime: &Handle,
    ) -> Self {
        let Prepared { listeners, admin, access_logs: logs } = prepared;
        let bootstrap = &loaded.bootstrap;
        let clusters = Arc::new(ClusterManager::new(
            bootstrap.clusters.clone(),
            bootstrap.dns_resolver.clone(),
            registry,
        ));
        clusters.start(runtime);
        let stats =
            Arc::new(ServerStats::new(registry, loaded, &listeners, options.workers, options.started));
        stats.entered(ServerState::PreInitializing);
        stats.flush();
        let interval = bootstrap.stats_flush_interval.unwrap_or(FLUSH_INTERVAL);
        let flushing = runtime.spawn(flush(Arc::clone(&stats), interval)).abort_handle();
        for PreparedListener { config, tls, local_address, .. } in &listeners {
            tracing::info!("listener {} listens on {local_address}", config.name);
            if let Some(tls) = tls {
                record_certificates(&registry.scope(Shard::MAIN, &stat_name(config)), tls);
            }
        }
        let (admin_drain, signal) = Drain::new();
        if let Some(admin) = admin {
            let handles = admin::handles(loaded, options, &listeners, registry, &clusters, handle, &stats);
            let sinks =
                admin.config.access_log.iter().filter_map(|log| logs.writer(log, Shard::MAIN)).collect();
            tracing::info!("admin address: {}", admin.local_address);
            runtime.spawn(async move {
                if let Err(error) =
                    nuncio_admin::serve(admin.socket, handles, sinks, Limits::default(), signal).await
                {
                    tracing::error!("the admin server cannot serve: {error}");
                }
            });
        }
        let workers = workers(listeners, options.workers, &clusters, registry, &logs, &handle.advice);
        Self { workers, clusters, logs, stats, state, handle: handle.clone(), admin: admin_drain, flushing }
    }

    /// Lives until a command ends it.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) -> Result<(), RunError> {
        let clusters = Arc::clone(&self.clusters);
        let initialized = tokio::select! {
            () = clusters.initialized() => true,
            _ = commands.recv() => false,
        };
        let outcome = if initialized { self.serve(&mut commands).await } else { Ok(()) };
        self.end().await;
        outcome
    }

    async fn serve(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) -> Result<(), RunError> {
        self.enter(ServerState::Initializing);
        tracing::info!("all clusters are initialized; starting workers: {}", self.workers.len());
        let mut threads = Vec::with_capacity(self.workers.len());
        for worker in self.workers.drain(..) {
            threads.push(worker.spawn()?);
        }
        for thread in &mut threads {
            thread.ready().await.map_err(RunError::new)?;
        }
        self.stats.workers_started(threads.len());
        self.stats.flush();
        self.enter(ServerState::Live);
        tracing::info!("LIVE");
        let outcome = tokio::select! {
            command = commands.recv() => {
                if let Some(Command::Drain(at_most)) = command {
                    // First, so that whoever sees the state can rely on it.
                    for thread in &threads {
                        thread.drain.start();
                    }
                    self.enter(ServerState::Draining);
                    self.stats.draining();
                    drain(&mut threads, commands, at_most).await;
                }
                Ok(())
            }
            name = first_to_end(&mut threads) => Err(RunError::new(format!("{name} has ended unexpectedly"))),
        };
        for thread in &mut threads {
            thread.stop();
        }
        // One that does not even end then is left behind; its sockets are closed when the process ends.
        let _ = timeout(LAST_MOMENTS, all_to_end(&mut threads)).await;
        outcome
    }

    fn enter(&self, state: ServerState) {
        // The stats first: whoever waits for the state may look at them.
        self.stats.entered(self.handle.shown(state));
        self.state.send_replace(state);
    }

    /// What is left when the workers are gone.
    async fn end(self) {
        self.enter(ServerState::Draining);
        self.flushing.abort();
        self.admin.start();
        if timeout(LAST_MOMENTS, self.admin.ended()).await.is_err() {
            self.admin.close();
        }
        self.clusters.shutdown();
        let logs = Arc::clone(&self.logs);
        // A panic of the writing thread has been reported; there is nothing left to do about it.
        let _ = tokio::task::spawn_blocking(move || logs.flush()).await;
        tracing::info!("exiting");
    }
}

/// Makes the workers, each with its sockets.
fn workers(
    mut listeners: Vec<PreparedListener>,
    count: usize,
    clusters: &Arc<ClusterManager>,
    registry: &Registry,
    logs: &Arc<AccessLogs>,
    advice: &Advice,
) -> Vec<Worker> {
    (0..count)
        .map(|index| {
            let listeners = listeners.iter_mut().filter_map(|listener| {
                Some(WorkerListener {
                    config: Arc::clone(&listener.config),
                    socket: listener.bound.take(index)?,
                    tls: listener.tls.clone(),
                    limit: listener.limit.clone(),
                })
            });
            Worker {
                index,
                listeners: listeners.collect(),
                clusters: Arc::clone(clusters),
                registry: registry.clone(),
                logs: Arc::clone(logs),
                advice: advice.clone(),
            }
        })
        .collect()
}

async fn flush(stats: Arc<ServerStats>, interval: Duration) {
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    loop {
        ticks.tick().await;
        stats.flush();
    }
}

/// Lets workers that drain finish their connections, for so long and until a further command comes; then cuts off the
/// rest.
async fn drain(
    threads: &mut [WorkerThread],
    commands: &mut mpsc::UnboundedReceiver<Command>,
    at_most: Duration,
) {
    let deadline = tokio::time::sleep(at_most);
    tokio::pin!(deadline);
    let drained = tokio::select! {
        () = all_to_end(threads) => Drained::Done,
        () = &mut deadline => Drained::Cut,
        _ = commands.recv() => Drained::Cut,
    };
    if let Drained::Cut = drained {
        let left: usize = threads.iter().map(|thread| thread.drain.guards()).sum();
        tracing::warn!("cutting off {left} connections");
        for thread in threads.iter() {
            thread.drain.close();
        }
        // They end by themselves then, in good order, unless one is stuck.
        let _ = timeout(LAST_MOMENTS, all_to_end(threads)).await;
    }
}

async fn all_to_end(threads: &mut [WorkerThread]) {
    for thread in threads {
        thread.ended().await;
    }
}

async fn first_to_end(threads: &mut [WorkerThread]) -> String {
    let ends = threads.iter_mut().map(|thread| {
        Box::pin(async {
            thread.ended().await;
            thread.name.clone()
        })
    });
    let (name, _, _) = futures_util::future::select_all(ends).await;
    name
}
