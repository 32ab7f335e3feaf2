//! All clusters: their discovery on the main runtime, and what each worker gets of them.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nuncio_config::model::{self, LoadBalancing};
use nuncio_stats::{Registry, Shard};
use tokio::{runtime::Handle, sync::watch, task::AbortHandle, time::MissedTickBehavior};

use crate::{
    breaker::Breakers,
    cluster::{Cluster, WorkerCluster},
    discovery::Discovery,
    host::HostSet,
    pool::{ClusterContext, SweepClock},
    resolver::Resolvers,
    stats::{TrafficStats, scope},
    status::ClusterStatus,
};

/// The longest time between two looks at idle connections.
const LONGEST_SWEEP: Duration = Duration::from_secs(1);
/// The shortest, for idle timeouts that would otherwise pass unseen for long.
const SHORTEST_SWEEP: Duration = Duration::from_millis(50);

/// Owns the clusters of a process.
///
/// Dropping it, or [`shutdown`](Self::shutdown), ends discovery. Workers keep what they have.
pub struct ClusterManager {
    clusters: Vec<Managed>,
    registry: Registry,
    workers: AtomicUsize,
    tasks: Mutex<Vec<AbortHandle>>,
}

struct Managed {
    settings: Arc<model::Cluster>,
    breakers: Arc<Breakers>,
    discovery: Arc<Discovery>,
}

/// One worker's clusters. Cloning gives another handle to the same pools.
#[derive(Clone)]
pub struct WorkerClusters {
    inner: Arc<Worker>,
}

struct Worker {
    clusters: HashMap<Arc<str>, Arc<WorkerCluster>, foldhash::fast::RandomState>,
    started: Instant,
}

impl ClusterManager {
    /// Takes over `clusters`. Those of type `STATIC` have their hosts at once; discovery of the others begins with
    /// [`start`](Self::start). `default_resolver` answers for clusters that name no resolver of their own. The
    /// circuit breakers are split for as many workers as `registry` was made for.
    pub fn new(
        clusters: Vec<model::Cluster>,
        default_resolver: model::DnsResolver,
        registry: &Registry,
    ) -> Self {
        let mut resolvers = Resolvers::new(default_resolver);
        let clusters = clusters
            .into_iter()
            .map(|cluster| {
                let settings = Arc::new(cluster);
                let breakers =
                    Breakers::new(&settings.circuit_breakers.default, registry, settings.stat_name());
                let discovery = Discovery::new(Arc::clone(&settings), &mut resolvers, registry);
                Managed { settings, breakers, discovery }
            })
            .collect();
        Self { clusters, registry: registry.clone(), workers: AtomicUsize::new(0), tasks: Mutex::default() }
    }

    /// Begins discovery, as tasks on `handle`'s runtime.
    pub fn start(&self, handle: &Handle) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for cluster in &self.clusters {
            tasks.extend(cluster.discovery.start(handle));
        }
    }

    /// Waits until each cluster has had its first answer, or failed once to get one: Envoy binds no listener before.
    /// A name server that never answers counts as a failure when the resolver gives up.
    pub async fn initialized(&self) {
        for cluster in &self.clusters {
            cluster.discovery.initialized().await;
        }
    }

    /// The clusters for one worker. To be called within the worker's runtime, where it spawns the tasks that receive
    /// new hosts and close idle connections; they end with the last handle.
    pub fn worker(&self, shard: Shard) -> WorkerClusters {
        let worker = self.workers.fetch_add(1, Ordering::Relaxed);
        let sweep = self
            .clusters
            .iter()
            .filter_map(|cluster| cluster.settings.idle_timeout)
            .map(|timeout| timeout / 2)
            .min()
            .map_or(LONGEST_SWEEP, |least| least.clamp(SHORTEST_SWEEP, LONGEST_SWEEP));
        let mut clusters = HashMap::default();
        for cluster in &self.clusters {
            let scope = scope(&self.registry, shard, cluster.settings.stat_name());
            let context = Arc::new(ClusterContext {
                settings: Arc::clone(&cluster.settings),
                breakers: Arc::clone(&cluster.breakers),
                worker,
                stats: TrafficStats::new(&scope),
                counts_active: matches!(cluster.settings.load_balancing, LoadBalancing::LeastRequest(_)),
                clock: SweepClock::new(sweep),
            });
            let mut hosts = cluster.discovery.hosts();
            let worker_cluster = WorkerCluster::new(context, scope, &hosts.borrow_and_update());
            if cluster.discovery.changes() {
                tokio::spawn(receive_hosts(hosts, Arc::downgrade(&worker_cluster)));
            }
            clusters.insert(Arc::clone(worker_cluster.name()), worker_cluster);
        }
        let inner = Arc::new(Worker { clusters, started: Instant::now() });
        tokio::spawn(sweep_idle(Arc::downgrade(&inner), sweep));
        WorkerClusters { inner }
    }

    /// What there is to tell of each cluster, in the order of the configuration.
    pub fn status(&self) -> Vec<ClusterStatus> {
        self.clusters
            .iter()
            .map(|cluster| ClusterStatus {
                name: Arc::from(&*cluster.settings.name),
                observability_name: Arc::from(cluster.settings.stat_name()),
                circuit_breakers: cluster.settings.circuit_breakers.clone(),
                hosts: cluster.discovery.hosts().borrow().hosts.iter().map(|host| host.status()).collect(),
            })
            .collect()
    }

    /// Ends discovery.
    pub fn shutdown(&self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

impl Drop for ClusterManager {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl WorkerClusters {
    /// The cluster of this name.
    pub fn get(&self, name: &str) -> Option<Cluster> {
        self.inner.clusters.get(name).map(|cluster| Cluster::new(Arc::clone(cluster)))
    }

    /// Closes idle connections, now and from now on; those that carry a request end with it.
    pub fn drain(&self) {
        for cluster in self.inner.clusters.values() {
            cluster.drain();
        }
    }
}

impl fmt::Debug for ClusterManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.clusters.iter().map(|cluster| &cluster.settings.name);
        f.debug_list().entries(names).finish()
    }
}

impl fmt::Debug for WorkerClusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.inner.clusters.keys()).finish()
    }
}

async fn receive_hosts(mut hosts: watch::Receiver<Arc<HostSet>>, cluster: Weak<WorkerCluster>) {
    while hosts.changed().await.is_ok() {
        let set = Arc::clone(&hosts.borrow_and_update());
        let Some(cluster) = cluster.upgrade() else { return };
        cluster.update(&set);
    }
}

async fn sweep_idle(worker: Weak<Worker>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(worker) = worker.upgrade() else { return };
        let now = worker.started.elapsed();
        for cluster in worker.clusters.values() {
            cluster.context().clock.advance(now);
            cluster.sweep();
        }
    }
}
