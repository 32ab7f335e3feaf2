//! Name resolution: hickory-resolver, set up as Envoy's resolver is.
//!
//! No answer is cached here, since discovery asks at the rate that is configured and would otherwise not see changes.
//! A lookup ends within [`LONGEST_LOOKUP`], whatever the name servers do.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use hickory_resolver::{
    TokioResolver,
    config::{
        ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts,
        ServerOrderingStrategy,
    },
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{op::ResponseCode, rr::RecordType},
    system_conf::read_system_conf,
};
use nuncio_config::model::{DnsLookupFamily, DnsResolver};

/// How long one try of one query may take.
const TRY: Duration = Duration::from_secs(5);
/// Tries after the first.
const RETRIES: usize = 2;
/// How long all queries of one lookup may take.
const LONGEST_LOOKUP: Duration = Duration::from_secs(20);

const HOSTS_FILE: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The resolvers of a process, one for each way in which they are configured.
pub(crate) struct Resolvers {
    default: DnsResolver,
    made: HashMap<(Vec<std::net::SocketAddr>, bool, bool), Arc<Resolver>>,
}

impl Resolvers {
    pub(crate) fn new(default: DnsResolver) -> Self {
        Self { default, made: HashMap::new() }
    }

    /// The resolver for a cluster.
    pub(crate) fn get(&mut self, settings: Option<&DnsResolver>) -> Arc<Resolver> {
        let settings = settings.unwrap_or(&self.default);
        let key = (settings.servers.clone(), settings.use_tcp, settings.no_default_search_domain);
        let made = self
            .made
            .entry(key)
            .or_insert_with(|| Arc::new(Resolver { settings: settings.clone(), current: Mutex::default() }));
        Arc::clone(made)
    }
}

/// Resolves names by the hosts file and name servers.
pub(crate) struct Resolver {
    settings: DnsResolver,
    current: Mutex<Option<(Files, TokioResolver)>>,
}

/// When the files that a resolver was made from were written; it is made anew when they change.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Files([Option<SystemTime>; 2]);

/// An answer; without addresses if the name has none or does not exist.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) ttl: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("no answer within {LONGEST_LOOKUP:?}")]
    TimedOut,
}

impl Resolver {
    /// Asks for the addresses of `name`.
    pub(crate) async fn resolve(&self, name: &str, family: DnsLookupFamily) -> Result<Answer, ResolveError> {
        let resolver = self.current()?;
        let lookup = async {
            use RecordType::{A, AAAA};
            match family {
                DnsLookupFamily::V4Only => lookup(&resolver, name, A).await,
                DnsLookupFamily::V6Only => lookup(&resolver, name, AAAA).await,
                DnsLookupFamily::Auto => either(&resolver, name, AAAA, A).await,
                DnsLookupFamily::V4Preferred => either(&resolver, name, A, AAAA).await,
                DnsLookupFamily::All => {
                    let (v4, v6) =
                        futures_util::join!(lookup(&resolver, name, A), lookup(&resolver, name, AAAA));
                    both(v4, v6)
                }
            }
        };
        tokio::time::timeout(LONGEST_LOOKUP, lookup).await.map_err(|_| ResolveError::TimedOut)?
    }

    fn current(&self) -> Result<TokioResolver, NetError> {
        let files = Files([HOSTS_FILE, RESOLV_CONF].map(written));
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made_from, resolver)) = &*current
            && *made_from == files
        {
            return Ok(resolver.clone());
        }
        let resolver = build(&self.settings)?;
        *current = Some((files, resolver.clone()));
        Ok(resolver)
    }
}

fn written(path: &str) -> Option<SystemTime> {
    Path::new(path).metadata().and_then(|metadata| metadata.modified()).ok()
}

fn build(settings: &DnsResolver) -> Result<TokioResolver, NetError> {
    // A system without name servers is asked on itself, as the C library does it.
    let (system, mut options) = read_system_conf().unwrap_or_else(|_| {
        let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
        (ResolverConfig::from_name_servers(vec![local]), ResolverOpts::default())
    });
    let (mut domain, mut search, mut servers) = system.into_parts();
    if settings.no_default_search_domain {
        (domain, search) = (None, Vec::new());
    }
    if !settings.servers.is_empty() {
        servers = settings
            .servers
            .iter()
            .map(|address| {
                let on_port = |protocol| {
                    let mut connection = ConnectionConfig::new(protocol);
                    connection.port = address.port();
                    connection
                };
                let connections = vec![on_port(ProtocolConfig::Udp), on_port(ProtocolConfig::Tcp)];
                NameServerConfig::new(address.ip(), true, connections)
            })
            .collect();
    }
    if settings.use_tcp {
        for server in &mut servers {
            server.connections.retain(|connection| connection.protocol == ProtocolConfig::Tcp);
        }
    }
    options.cache_size = 0;
    options.timeout = options.timeout.min(TRY);
    options.attempts = options.attempts.min(RETRIES);
    options.num_concurrent_reqs = 1;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    let config = ResolverConfig::from_parts(domain, search, servers);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

/// One query. That there is no such name or no such address is an answer, as in Envoy; anything else is not.
async fn lookup(resolver: &TokioResolver, name: &str, family: RecordType) -> Result<Answer, ResolveError> {
    match resolver.lookup(name, family).await {
        Ok(lookup) => {
            let addresses: Vec<_> =
                lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
            let ttl = lookup.valid_until().checked_duration_since(Instant::now());
            Ok(Answer { addresses, ttl: ttl.map(to_seconds) })
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none)))
            if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
        {
            Ok(Answer::default())
        }
        Err(error) => Err(error.into()),
    }
}

/// A time to live is in whole seconds, of which the time since the answer has taken a little.
fn to_seconds(ttl: Duration) -> Duration {
    Duration::from_secs((ttl + Duration::from_millis(500)).as_secs())
}

/// The addresses of one family, or of the other if it has none.
async fn either(
    resolver: &TokioResolver,
    name: &str,
    first: RecordType,
    second: RecordType,
) -> Result<Answer, ResolveError> {
    match lookup(resolver, name, first).await {
        Ok(answer) if !answer.addresses.is_empty() => Ok(answer),
        _ => lookup(resolver, name, second).await,
    }
}

/// The addresses of both families, as far as there is an answer.
fn both(
    first: Result<Answer, ResolveError>,
    second: Result<Answer, ResolveError>,
) -> Result<Answer, ResolveError> {
    match (first, second) {
        (Ok(mut first), Ok(second)) => {
            first.addresses.extend(second.addresses);
            first.ttl = first.ttl.into_iter().chain(second.ttl).min();
            Ok(first)
        }
        (Ok(answer), Err(_)) | (Err(_), Ok(answer)) => Ok(answer),
        (Err(error), Err(_)) => Err(error),
    }
}
