//! A worker: one thread, one runtime, and everything that its connections need, shared with no other worker.

use std::{io, net::TcpListener, sync::Arc, thread};

use nuncio_cluster::{ClusterManager, WorkerClusters};
use nuncio_config::model::Listener;
use nuncio_listener::{ConnectionLimit, ListenerStats, serve, stat_name};
use nuncio_service::{Advice, Drain, DrainHandle};
use nuncio_stats::{Registry, Shard};
use nuncio_tls::ServerContext;
use tokio::{runtime::Builder, sync::oneshot, task::JoinSet};

use crate::{access_log::AccessLogs, stack};

/// What a worker is made from.
pub(crate) struct Worker {
    /// The first worker is 0.
    pub(crate) index: usize,
    pub(crate) listeners: Vec<WorkerListener>,
    pub(crate) clusters: Arc<ClusterManager>,
    pub(crate) registry: Registry,
    pub(crate) logs: Arc<AccessLogs>,
    /// Given while the server fails its health checks.
    pub(crate) advice: Advice,
}

/// One worker's part of a listener.
pub(crate) struct WorkerListener {
    pub(crate) config: Arc<Listener>,
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<Arc<ServerContext>>,
    pub(crate) limit: Option<ConnectionLimit>,
}

/// A worker that was started. Dropping it ends the worker at once.
pub(crate) struct WorkerThread {
    /// The thread's name.
    pub(crate) name: String,
    /// Drains the worker, which ends when it has drained.
    pub(crate) drain: DrainHandle,
    ready: Option<oneshot::Receiver<Result<(), String>>>,
    /// Closed when the worker ends.
    ended: Option<oneshot::Receiver<()>>,
    /// Its closing stops the worker.
    stop: Option<oneshot::Sender<()>>,
}

impl Worker {
    /// Starts the worker on a thread of its own.
    pub(crate) fn spawn(self) -> io::Result<WorkerThread> {
        let name = format!("worker_{}", self.index);
        let (drain, signal) = Drain::with_advice(self.advice.clone());
        let (ready_sender, ready) = oneshot::channel();
        let (ended_sender, ended) = oneshot::channel::<()>();
        let (stop, stopped) = oneshot::channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = drain.clone();
        thread::Builder::new().name(name.clone()).spawn(move || {
            runtime.block_on(self.run(handle, signal, ready_sender, stopped));
            // Closes what tasks still hold; only then has the worker ended. A panic drops the two as well.
            drop(runtime);
            drop(ended_sender);
        })?;
        Ok(WorkerThread { name, drain, ready: Some(ready), ended: Some(ended), stop: Some(stop) })
    }

    async fn run(
        self,
        drain: DrainHandle,
        signal: Drain,
        ready: oneshot::Sender<Result<(), String>>,
        stopped: oneshot::Receiver<()>,
    ) {
        // With the last handle to the clusters, their connections would no longer be looked after.
        let (mut serving, _clusters) = match self.serve(&signal) {
            Ok(started) => started,
            Err(error) => {
                // Whoever started the worker is gone if it does not listen.
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        let drained = async {
            signal.wait().await;
            // The accept loops take what the kernel has accepted already; only then is the number of connections final.
            while let Some(result) = serving.join_next().await {
                if let Ok(Err(error)) = result {
                    tracing::error!("a listener cannot serve: {error}");
                }
            }
            drain.ended().await;
        };
        tokio::select! {
            () = drained => {}
            _ = stopped => {}
        }
    }

    /// Builds the stack of each listener and starts its accept loop.
    fn serve(self, signal: &Drain) -> Result<(JoinSet<io::Result<()>>, WorkerClusters), String> {
        let Self { index, listeners, clusters, registry, logs, advice: _ } = self;
        let shard = Shard::worker(index);
        let clusters = clusters.worker(shard);
        let mut serving = JoinSet::new();
        for WorkerListener { config, socket, tls, limit } in listeners {
            let prefix = stat_name(&config);
            let Some(chain) = config.filter_chains.first() else { continue };
            let sink = |log: &_| logs.writer(log, shard);
            let handler = stack::handler(&config, chain, &clusters, &registry, shard, sink, signal.clone())
                .map_err(|error| format!("{}: {error}", config.place))?;
            let thread = format!("worker_{index}");
            let stats = ListenerStats::new(&registry.scope(shard, &prefix), &thread, tls.is_some());
            serving.spawn(serve(socket, tls, Arc::new(handler), limit, stats, signal.clone()));
        }
        Ok((serving, clusters))
    }
}

impl WorkerThread {
    /// Ends when the worker accepts connections.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) async fn ready(&mut self) -> Result<(), String> {
        match self.ready.take() {
            Some(ready) => ready.await.unwrap_or_else(|_| Err(format!("{} could not start", self.name))),
            None => Ok(()),
        }
    }

    /// Stops the worker, whatever it is doing.
    pub(crate) fn stop(&mut self) {
        self.stop = None;
    }

    /// Ends when the worker has ended; can be asked again.
    pub(crate) async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            // Nothing is ever sent.
            let _ = ended.await;
            self.ended = None;
        }
    }
}
