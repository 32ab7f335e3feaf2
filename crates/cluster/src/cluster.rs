//! A cluster as one worker sees it: its balancer, its pools, its stats.

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, StatusCode};
use nuncio_balance::{Balancer, Policy, Thresholds};
use nuncio_config::model::{self, LoadBalancing, UpstreamProtocol};
use nuncio_service::Body;
use nuncio_stats::Scope;

use crate::{
    error::{Kind, UpstreamError},
    host::{Host, HostSet},
    pool::{ClusterContext, HostHandle, http1, http2},
    request::{ResponseFuture, UpstreamResponse},
    stats::{Family, ResponseStats},
};

/// One worker's handle to a cluster: a tower service that sends each request to one of the cluster's hosts.
///
/// Cloning gives another handle to the same balancer, pools and stats. Handles can be sent between threads, but one
/// worker should own them: nothing is shared with other workers but the host set and the circuit breakers.
#[derive(Clone)]
pub struct Cluster {
    worker: Arc<WorkerCluster>,
}

pub(crate) struct WorkerCluster {
    name: Arc<str>,
    context: Arc<ClusterContext>,
    responses: ResponseStats,
    hosts: Mutex<Hosts>,
}

/// The hosts to pick from. A host's place in the balancer's set is its place here.
struct Hosts {
    balancer: Balancer,
    pools: Vec<HostPool>,
}

/// The pool of one host, by the protocol that the cluster speaks.
#[derive(Clone)]
pub(crate) enum HostPool {
    Http1(Arc<http1::Pool>),
    Http2(Arc<http2::Pool>),
}

impl HostPool {
    fn new(handle: Arc<HostHandle>) -> Self {
        match handle.context.settings.protocol {
            UpstreamProtocol::Http1 => Self::Http1(http1::Pool::new(handle)),
            UpstreamProtocol::Http2(settings) => Self::Http2(http2::Pool::new(handle, settings)),
        }
    }

    fn handle(&self) -> &Arc<HostHandle> {
        match self {
            Self::Http1(pool) => pool.handle(),
            Self::Http2(pool) => pool.handle(),
        }
    }

    fn drain(&self) {
        match self {
            Self::Http1(pool) => pool.drain(),
            Self::Http2(pool) => pool.drain(),
        }
    }

    fn sweep(&self) {
        match self {
            Self::Http1(pool) => pool.sweep(),
            Self::Http2(pool) => pool.sweep(),
        }
    }
}

impl WorkerCluster {
    pub(crate) fn new(context: Arc<ClusterContext>, scope: Scope, hosts: &HostSet) -> Arc<Self> {
        let settings = &context.settings;
        let balancer = Balancer::new(
            policy(&settings.load_balancing),
            fastrand::u64(..),
            Arc::new(picking_set(settings, hosts)),
        );
        let cluster = Self {
            name: Arc::from(&*settings.name),
            responses: ResponseStats::new(scope),
            hosts: Mutex::new(Hosts { balancer, pools: Vec::new() }),
            context,
        };
        cluster.update(hosts);
        Arc::new(cluster)
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn lock(&self) -> MutexGuard<'_, Hosts> {
        // A panic elsewhere leaves nothing half done in here.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with other hosts. Pools of hosts that stay are kept; those of hosts that left are drained.
    pub(crate) fn update(&self, set: &HostSet) {
        let mut hosts = self.lock();
        let mut left: HashMap<*const Host, HostPool> =
            hosts.pools.drain(..).map(|pool| (Arc::as_ptr(&pool.handle().host), pool)).collect();
        hosts.pools = set
            .hosts
            .iter()
            .map(|host| left.remove(&Arc::as_ptr(host)).unwrap_or_else(|| self.pool(host)))
            .collect();
        hosts.balancer.set_hosts(Arc::new(picking_set(&self.context.settings, set)));
        drop(hosts);
        for pool in left.values() {
            pool.drain();
        }
    }

    fn pool(&self, host: &Arc<Host>) -> HostPool {
        let (host, cell, context) = (Arc::clone(host), host.cell(), Arc::clone(&self.context));
        HostPool::new(Arc::new(HostHandle { host, cell, context }))
    }

    pub(crate) fn context(&self) -> &ClusterContext {
        &self.context
    }

    pub(crate) fn drain(&self) {
        for pool in &self.lock().pools {
            pool.drain();
        }
    }

    /// Closes connections whose time is over.
    pub(crate) fn sweep(&self) {
        let pools = self.lock().pools.clone();
        for pool in pools {
            pool.sweep();
        }
    }

    fn pick(&self) -> Option<HostPool> {
        let mut hosts = self.lock();
        let Hosts { balancer, pools } = &mut *hosts;
        let active = |place: usize| {
            pools.get(place).map_or(0, |pool| u64::from(pool.handle().host.active.load(Ordering::Relaxed)))
        };
        let picked = balancer.pick(fastrand::u64(..), active).and_then(|place| pools.get(place).cloned());
        if balancer.hosts().in_panic() || pools.is_empty() {
            self.context.stats.lb_healthy_panic.increment(1);
        }
        picked
    }
}

fn policy(load_balancing: &LoadBalancing) -> Policy {
    match load_balancing {
        LoadBalancing::RoundRobin => Policy::RoundRobin,
        LoadBalancing::Random => Policy::Random,
        LoadBalancing::LeastRequest(settings) => Policy::LeastRequest(
            nuncio_balance::LeastRequest::new()
                .choice_count(settings.choice_count)
                .active_request_bias(settings.active_request_bias),
        ),
    }
}

fn picking_set(settings: &model::Cluster, set: &HostSet) -> nuncio_balance::HostSet {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a percentage, whose fraction Envoy drops"
    )]
    let threshold = settings.healthy_panic_threshold as u32;
    let hosts = set.hosts.iter().map(|host| {
        nuncio_balance::Host::new()
            .weight(NonZeroU32::new(host.description.weight).unwrap_or(NonZeroU32::MIN))
    });
    nuncio_balance::HostSet::with_thresholds(hosts, Thresholds::default().healthy_panic_threshold(threshold))
}

impl Cluster {
    pub(crate) fn new(worker: Arc<WorkerCluster>) -> Self {
        Self { worker }
    }

    /// The cluster's name.
    pub fn name(&self) -> &Arc<str> {
        &self.worker.name
    }

    /// Sends a request to a host of the cluster.
    ///
    /// Its target is an absolute URI, or one in origin form together with a `host` header. A `host` header that is
    /// there stays in its place; otherwise the URI's authority is sent as the first header. Headers that belong to
    /// one connection (`connection`, `transfer-encoding` and so on) must have been removed; those that frame the
    /// body are added as Envoy adds them, last. Over HTTP/1 trailers are dropped, as Envoy does by default.
    ///
    /// The future sends as it is polled, and so does the response's body, which carries on with the upload until
    /// both have ended. Dropping either ends the exchange: over HTTP/1 by closing the connection, over HTTP/2 by
    /// resetting the stream.
    pub fn request(&self, request: Request<Body>) -> ResponseFuture {
        match self.worker.pick() {
            Some(pool) => ResponseFuture::send(pool, request),
            None => {
                self.worker.context.stats.upstream_cx_none_healthy.increment(1);
                ResponseFuture::failed(UpstreamError::unsent(Kind::NoHealthyUpstream, None))
            }
        }
    }

    /// Counts a response to a client: `upstream_rq_<code>`, `_<n>xx`, `_completed`, for the cluster, for the origin of
    /// the request (`internal.` or `external.`), and, where the host says that it is a canary, for those (`canary.`). To
    /// be called for the response that the client gets in the end, local replies on behalf of the cluster included.
    pub fn charge_response(&self, status: StatusCode, internal_origin_request: bool, canary: bool) {
        let family = Family { internal: internal_origin_request, canary };
        self.worker.responses.charge(status.as_u16(), family);
    }

    /// Records in `upstream_rq_time` how long a host took from the end of a request to the end of its response. To be
    /// called for whole responses of hosts.
    pub fn charge_time(&self, internal_origin_request: bool, canary: bool, elapsed: Duration) {
        let family = Family { internal: internal_origin_request, canary };
        self.worker.responses.charge_time(family, elapsed);
    }

    /// Counts a request that was not answered in time.
    pub fn charge_timeout(&self, host: Option<SocketAddr>) {
        self.worker.context.stats.upstream_rq_timeout.increment(1);
        if let Some(host) = host
            && let Some(pool) =
                self.worker.lock().pools.iter().find(|pool| pool.handle().host.description.address == host)
        {
            pool.handle().cell.rq_timeout.add();
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("name", &self.worker.name).finish_non_exhaustive()
    }
}

impl tower_service::Service<Request<Body>> for Cluster {
    type Response = UpstreamResponse;
    type Error = UpstreamError;
    type Future = ResponseFuture;

    /// Always ready: what a cluster cannot take it refuses by its circuit breakers.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        self.request(request)
    }
}
