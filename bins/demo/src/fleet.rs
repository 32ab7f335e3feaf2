//! Everything that the demo runs: the front proxy, the services' instances and the DNS server between them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::admin;
use crate::child::{Child, Event};
use crate::dns::Dns;
use crate::failure::Failure;
use crate::files::{self, Directory};
use crate::plan::Plan;
use crate::ports::{self, Ports, SERVICES, instance_address};
use crate::rows::{Row, State};

/// How long a proxy may take to start, its application included.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long the front proxy may take to find a change in DNS: its refresh interval of 5 s, and ample slack.
const REFRESH_LIMIT: Duration = Duration::from_secs(20);
/// The front proxy's admin page shows a host list a moment before each of its workers has it.
const WORKERS_SETTLE: Duration = Duration::from_millis(500);
/// What the front proxy may take to drain: connections that a browser keeps open end after this time.
const FRONT_DRAIN: Duration = Duration::from_secs(2);
/// What a sidecar may take to drain: the front proxy has left it before it is told to.
const SIDECAR_DRAIN: Duration = Duration::from_secs(5);
/// What a process may take beyond its drain time before it is killed.
const STOP_SLACK: Duration = Duration::from_secs(8);

/// The name of the front proxy's configuration on other ports.
const FRONT_COPY: &str = "front-envoy.yaml";

/// The running example.
pub struct Fleet {
    plan: Plan,
    front_path: PathBuf,
    dns: Dns,
    directory: Directory,
    events: mpsc::UnboundedSender<Event>,
    running: Mutex<Running>,
    /// Held while the number of instances changes, so that two changes follow each other.
    scaling: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Running {
    front: Option<Arc<Child>>,
    /// By service and number.
    instances: BTreeMap<(u8, u8), Instance>,
}

#[derive(Clone)]
struct Instance {
    child: Arc<Child>,
    state: State,
}

impl Fleet {
    /// Write the front proxy's copy, if it needs one, and start the DNS server; no process yet.
    pub async fn prepare(plan: Plan, events: mpsc::UnboundedSender<Event>) -> Result<Self, Failure> {
        let directory = Directory::choose();
        let front_path = match &plan.front_copy {
            None => plan.front_config.clone(),
            Some(copy) => directory.write(FRONT_COPY, copy)?,
        };
        let dns = Dns::start().await?;
        Ok(Self {
            plan,
            front_path,
            dns,
            directory,
            events,
            running: Mutex::default(),
            scaling: tokio::sync::Mutex::default(),
        })
    }

    /// Start one instance of each service, then the front proxy. On an error the rest still needs [`Fleet::stop`].
    pub async fn start(self: &Arc<Self>) -> Result<(), Failure> {
        let _scaling = self.scaling.lock().await;
        self.add_instances(SERVICES.map(|service| (service, 1))).await?;
        for service in SERVICES {
            self.publish(service).await?;
        }
        self.start_front().await
    }

    /// Where the front proxy's admin interface answers.
    pub fn admin(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.plan.ports.admin))
    }

    /// The ports that are in use.
    pub fn ports(&self) -> &Ports {
        &self.plan.ports
    }

    /// How many worker threads the front proxy has.
    pub fn concurrency(&self) -> u16 {
        self.plan.concurrency
    }

    /// The directory with the configurations' copies.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The process ids of all processes that were started and have not been stopped.
    pub fn pids(&self) -> Vec<u32> {
        let running = self.running();
        let children = running.instances.values().map(|instance| &instance.child).chain(&running.front);
        children.flat_map(|child| [Some(child.pid()), child.app_pid()]).flatten().collect()
    }

    /// Change the number of instances of a service, without a failed request, and tell `progress` what is done.
    pub async fn scale(
        self: &Arc<Self>,
        service: u8,
        count: u8,
        progress: &mpsc::UnboundedSender<String>,
    ) -> Result<(), Failure> {
        let _scaling = self.scaling.lock().await;
        let tell = |line: String| drop(progress.send(line));
        let numbers = self.numbers(service);
        let have = numbers.len();
        let want = usize::from(count);
        if want > have {
            let new: Vec<_> = (1..=ports::MAX_INSTANCES)
                .filter(|number| !numbers.contains(number))
                .take(want - have)
                .collect();
            tell(format!("service{service}: starting {}", instances_in_words(new.len())));
            self.add_instances(new.iter().map(|number| (service, *number))).await?;
            self.publish(service).await?;
            tell(format!("service{service}: in DNS; the front proxy looks every 5 s"));
            self.wait_for_front(service).await?;
        } else if want < have {
            let leaving: Vec<_> = numbers.into_iter().skip(want).collect();
            self.remove_instances(service, &leaving, &tell).await?;
        }
        tell(format!("service{service}: {} under load balancing", instances_in_words(want)));
        Ok(())
    }

    /// Take instances away in the order that loses no request: out of DNS, out of the front proxy, then stopped.
    async fn remove_instances(
        &self,
        service: u8,
        leaving: &[u8],
        tell: &impl Fn(String),
    ) -> Result<(), Failure> {
        self.set_state(service, leaving, State::Leaving);
        self.publish(service).await?;
        tell(format!(
            "service{service}: {} out of DNS; the front proxy looks every 5 s",
            instances_in_words(leaving.len())
        ));
        if let Err(failure) = self.wait_for_front(service).await {
            self.set_state(service, leaving, State::Running);
            self.publish(service).await?;
            return Err(failure);
        }
        tokio::time::sleep(WORKERS_SETTLE).await;
        self.set_state(service, leaving, State::Draining);
        tell(format!("service{service}: {} draining", instances_in_words(leaving.len())));
        let mut stops = JoinSet::new();
        for number in leaving {
            if let Some(child) = self.child(service, *number) {
                stops.spawn(async move { child.stop(SIDECAR_DRAIN + STOP_SLACK).await });
            }
        }
        let complaints: Vec<_> = stops.join_all().await.into_iter().flatten().collect();
        let mut running = self.running();
        for number in leaving {
            running.instances.remove(&(service, *number));
        }
        complaints.into_iter().next().map_or(Ok(()), Err)
    }

    /// Stop everything in order. Returns what did not end by itself.
    pub async fn stop(&self) -> Vec<Failure> {
        let (front, instances) = {
            let running = self.running();
            let instances: Vec<_> =
                running.instances.values().map(|instance| Arc::clone(&instance.child)).collect();
            (running.front.clone(), instances)
        };
        let mut complaints = Vec::new();
        if let Some(front) = front {
            complaints.extend(front.stop(FRONT_DRAIN + STOP_SLACK).await);
        }
        let mut stops = JoinSet::new();
        for child in instances {
            stops.spawn(async move { child.stop(SIDECAR_DRAIN + STOP_SLACK).await });
        }
        complaints.extend(stops.join_all().await.into_iter().flatten());
        *self.running() = Running::default();
        complaints
    }

    /// End every process at once.
    pub fn kill(&self) {
        let running = self.running();
        running.front.iter().for_each(|child| child.kill());
        running.instances.values().for_each(|instance| instance.child.kill());
    }

    /// What every process is doing.
    pub async fn rows(&self) -> Vec<Row> {
        let Ports { http, https, admin, .. } = self.plan.ports;
        let (front, instances) = {
            let running = self.running();
            (running.front.clone(), running.instances.clone())
        };
        let mut rows = Vec::new();
        if let Some(front) = front {
            let stats = admin::stats(self.admin(), admin::REQUESTS).await.unwrap_or_default();
            rows.push(Row {
                name: front.name().to_owned(),
                address: format!("0.0.0.0:{http} :{https}, admin :{admin}"),
                pid: Some(front.pid()),
                state: State::Running,
                requests: stats.get("http.ingress_http.downstream_rq_total").copied(),
            });
        }
        rows.push(Row {
            name: "dns".to_owned(),
            address: self.dns.address().to_string(),
            pid: Some(std::process::id()),
            state: State::Running,
            requests: None,
        });
        for ((service, number), Instance { child, state }) in instances {
            let [listener, service_admin, app] =
                self.plan.ports.instance_addresses(instance_address(service, number));
            let stats = match state {
                State::Starting => admin::Stats::new(),
                _ => admin::stats(service_admin.into(), admin::REQUESTS).await.unwrap_or_default(),
            };
            rows.push(Row {
                name: child.name().to_owned(),
                address: listener.to_string(),
                pid: Some(child.pid()),
                state,
                requests: stats.get("http.ingress_http.downstream_rq_total").copied(),
            });
            rows.push(Row {
                name: "  application".to_owned(),
                address: app.to_string(),
                pid: child.app_pid(),
                state: if child.app_pid().is_some() { state } else { State::Starting },
                requests: upstream_requests(&stats),
            });
        }
        rows
    }

    async fn start_front(&self) -> Result<(), Failure> {
        let arguments: [OsString; 10] = [
            "-c".into(),
            self.front_path.clone().into(),
            "--config-yaml".into(),
            files::resolver_override(self.dns.address()).into(),
            "--service-cluster".into(),
            "front-proxy".into(),
            "--concurrency".into(),
            self.plan.concurrency.to_string().into(),
            "--drain-time-s".into(),
            FRONT_DRAIN.as_secs().to_string().into(),
        ];
        let program = self.plan.binaries.front_proxy.clone().into();
        let child =
            Child::spawn(&self.plan.binaries, "front-proxy", program, arguments.into(), self.events.clone())?;
        let child = Arc::new(child);
        self.running().front = Some(Arc::clone(&child));
        let ready = within_start_limit(&child, async {
            admin::wait_ready(self.admin()).await;
            for service in SERVICES {
                admin::wait_hosts(self.admin(), &service_name(service), &self.published_hosts(service)).await;
            }
        })
        .await;
        self.directory.remove(FRONT_COPY);
        ready
    }

    async fn add_instances(self: &Arc<Self>, new: impl IntoIterator<Item = (u8, u8)>) -> Result<(), Failure> {
        let mut starts = JoinSet::new();
        for (service, number) in new {
            let child = self.spawn_instance(service, number)?;
            let fleet = Arc::clone(self);
            starts.spawn(async move {
                let [_, service_admin, _] =
                    fleet.plan.ports.instance_addresses(instance_address(service, number));
                let ready = within_start_limit(&child, async {
                    admin::wait_ready(service_admin.into()).await;
                    child.app_ready().await;
                })
                .await;
                // The sidecar has read its file; what does not exist cannot be left behind.
                fleet.directory.remove(&instance_file_name(service, number));
                if ready.is_ok() {
                    fleet.set_state(service, &[number], State::Running);
                }
                ready
            });
        }
        starts.join_all().await.into_iter().collect()
    }

    fn spawn_instance(&self, service: u8, number: u8) -> Result<Arc<Child>, Failure> {
        let name = format!("{}-{number}", service_name(service));
        let address = instance_address(service, number);
        let [_, _, app] = self.plan.ports.instance_addresses(address);
        let copy = self.plan.service_copy(address)?;
        let path = self.directory.write(&instance_file_name(service, number), &copy)?;
        let arguments: [OsString; 20] = [
            "-c".into(),
            path.into(),
            "--service-cluster".into(),
            service_name(service).into(),
            "--service-node".into(),
            name.clone().into(),
            "--concurrency".into(),
            "1".into(),
            "--drain-time-s".into(),
            SIDECAR_DRAIN.as_secs().to_string().into(),
            "--".into(),
            self.plan.binaries.demo.clone().into(),
            "app".into(),
            "--listen".into(),
            app.to_string().into(),
            "--service".into(),
            service.to_string().into(),
            format!("--hostname={name}").into(),
            "--resolved".into(),
            address.to_string().into(),
        ];
        let program = self.plan.binaries.sidecar.clone().into();
        let child = Arc::new(Child::spawn(
            &self.plan.binaries,
            &name,
            program,
            arguments.into(),
            self.events.clone(),
        )?);
        let instance = Instance { child: Arc::clone(&child), state: State::Starting };
        self.running().instances.insert((service, number), instance);
        Ok(child)
    }

    /// Publish the addresses of a service's running instances.
    async fn publish(&self, service: u8) -> Result<(), Failure> {
        self.dns.publish(&service_name(service), &self.published(service)).await
    }

    async fn wait_for_front(&self, service: u8) -> Result<(), Failure> {
        let hosts = self.published_hosts(service);
        let cluster = service_name(service);
        let found = admin::wait_hosts(self.admin(), &cluster, &hosts);
        tokio::time::timeout(REFRESH_LIMIT, found).await.map_err(|_| {
            Failure::new(format!(
                "the front proxy did not take over the new addresses of service{service} within {} s",
                REFRESH_LIMIT.as_secs()
            ))
        })
    }

    /// The addresses of a service's running instances.
    fn published(&self, service: u8) -> Vec<Ipv4Addr> {
        let running = self.running();
        let instances = running
            .instances
            .iter()
            .filter(|((of, _), instance)| *of == service && instance.state == State::Running);
        instances.map(|((_, number), _)| instance_address(service, *number)).collect()
    }

    /// The same as the front proxy's admin interface lists them.
    fn published_hosts(&self, service: u8) -> Vec<String> {
        let port = self.plan.ports.service;
        self.published(service)
            .into_iter()
            .map(|address| SocketAddrV4::new(address, port).to_string())
            .collect()
    }

    fn numbers(&self, service: u8) -> Vec<u8> {
        let running = self.running();
        running.instances.keys().filter(|(of, _)| *of == service).map(|(_, number)| *number).collect()
    }

    fn child(&self, service: u8, number: u8) -> Option<Arc<Child>> {
        self.running().instances.get(&(service, number)).map(|instance| Arc::clone(&instance.child))
    }

    fn set_state(&self, service: u8, numbers: &[u8], state: State) {
        let mut running = self.running();
        for number in numbers {
            if let Some(instance) = running.instances.get_mut(&(service, *number)) {
                instance.state = state;
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wait for `ready`, for the end of the process, or for the clock, whatever comes first.
async fn within_start_limit(child: &Child, ready: impl Future<Output = ()>) -> Result<(), Failure> {
    tokio::select! {
        () = ready => Ok(()),
        ended = child.ended() => Err(ended),
        () = tokio::time::sleep(START_LIMIT) => {
            Err(Failure::new(format!("{} was not ready within {} s", child.name(), START_LIMIT.as_secs())))
        }
    }
}

/// The name under which the front proxy's file knows a service.
pub fn service_name(service: u8) -> String {
    format!("service{service}")
}

/// The requests that a sidecar sent to its application, whatever its file calls the application's cluster.
fn upstream_requests(stats: &admin::Stats) -> Option<u64> {
    let upstream = |name: &str| name.starts_with("cluster.") && name.ends_with(".upstream_rq_total");
    stats.iter().filter(|(name, _)| upstream(name)).map(|(_, value)| *value).reduce(|sum, value| sum + value)
}

fn instance_file_name(service: u8, number: u8) -> String {
    format!("service{service}-{number}.yaml")
}

fn instances_in_words(count: usize) -> String {
    if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") }
}
