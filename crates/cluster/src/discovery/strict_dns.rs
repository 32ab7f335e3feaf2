//! `STRICT_DNS`: every address of every name, asked for again and again.
//!
//! An answer replaces what the name stood for, and an answer without addresses (or that the name does not exist)
//! is one: its hosts go. A failure to get an answer changes nothing. An address in place of a name stands for itself;
//! nobody is asked, but it is counted as an answer at each refresh, as in Envoy.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nuncio_config::model::{DnsSettings, EndpointAddress};
use tokio::{runtime::Handle, task::AbortHandle};

use super::{Discovery, Target};
use crate::{host::HostDescription, resolver::Resolver};

/// What each target of a cluster stands for, in the order of the configuration.
type Found = Arc<Mutex<Vec<Vec<HostDescription>>>>;

/// Begins to resolve. Each name has a task of its own, so that one that never answers holds up no other.
pub(super) fn start(
    discovery: &Arc<Discovery>,
    settings: &DnsSettings,
    resolver: &Arc<Resolver>,
    handle: &Handle,
) -> Vec<AbortHandle> {
    let targets = discovery.targets();
    let found: Found = Arc::new(Mutex::new(vec![Vec::new(); targets.len()]));
    let mut names = Vec::with_capacity(targets.len());
    for (place, target) in targets.into_iter().enumerate() {
        let (host, port, literal) = match &target.address {
            EndpointAddress::Socket(address) => {
                (address.ip().to_string(), address.port(), Some(address.ip()))
            }
            EndpointAddress::Name { host, port } => (host.clone(), *port, host.parse().ok()),
        };
        let name = Name {
            discovery: Arc::clone(discovery),
            resolver: Arc::clone(resolver),
            settings: settings.clone(),
            found: Arc::clone(&found),
            place,
            target,
            host,
            port,
        };
        names.push((name, literal));
    }
    // At once, so that a cluster that needs no answer begins with all its hosts.
    publish_literals(discovery, &found, &names);
    if names.iter().all(|(_, literal)| literal.is_some()) {
        discovery.set_initialized();
    }
    let mut tasks = Vec::with_capacity(names.len());
    for (name, literal) in names {
        let task = match literal {
            Some(address) => handle.spawn(name.keep_standing_for(address)),
            None => handle.spawn(name.keep_resolving()),
        };
        tasks.push(task.abort_handle());
    }
    tasks
}

/// Takes over all addresses that stand in the place of names: in one go, but counted one by one as in Envoy.
fn publish_literals(discovery: &Discovery, found: &Found, names: &[(Name, Option<IpAddr>)]) {
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    let mut literals = 0;
    for (name, literal) in names {
        if let (Some(address), Some(found)) = (literal, found.get_mut(name.place)) {
            found.push(name.target.host(SocketAddr::new(*address, name.port)));
            literals += 1;
        }
    }
    if literals > 0 {
        let stats = &discovery.stats;
        stats.update_attempt.increment(literals);
        stats.update_success.increment(literals);
        stats.total_match_count.increment(literals);
        discovery.publish(&found.iter().flatten().cloned().collect::<Vec<_>>());
        stats.membership_change.increment(literals - 1);
    }
}

struct Name {
    discovery: Arc<Discovery>,
    resolver: Arc<Resolver>,
    settings: DnsSettings,
    found: Found,
    /// The target's place in `found`.
    place: usize,
    target: Target,
    host: String,
    port: u16,
}

impl Name {
    async fn keep_resolving(self) {
        let mut failures = 0;
        loop {
            self.discovery.stats.update_attempt.increment(1);
            let answer = self.resolver.resolve(&self.host, self.settings.lookup_family).await;
            let wait = match answer {
                Ok(answer) => {
                    failures = 0;
                    self.take_over(&answer.addresses);
                    refresh_interval(&self.settings, answer.ttl, fastrand::u64(..))
                }
                Err(error) => {
                    tracing::debug!(name = self.host, %error, "cannot resolve");
                    self.discovery.stats.update_failure.increment(1);
                    let wait = failure_interval(&self.settings, failures, fastrand::u64(..));
                    failures = failures.saturating_add(1);
                    wait
                }
            };
            self.discovery.set_initialized();
            tokio::time::sleep(wait).await;
        }
    }

    async fn keep_standing_for(self, address: IpAddr) {
        loop {
            tokio::time::sleep(refresh_interval(&self.settings, None, fastrand::u64(..))).await;
            self.discovery.stats.update_attempt.increment(1);
            self.take_over(&[address]);
        }
    }

    fn take_over(&self, addresses: &[IpAddr]) {
        let stats = &self.discovery.stats;
        stats.update_success.increment(1);
        let mut hosts: Vec<HostDescription> = Vec::with_capacity(addresses.len());
        for address in addresses {
            let host = self.target.host(SocketAddr::new(*address, self.port));
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        stats.total_match_count.increment(hosts.len() as u64);
        // Held until the hosts are published, so that of two names the later answer is not overwritten.
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        match found.get_mut(self.place) {
            Some(found) if *found != hosts => *found = hosts,
            _ => {
                stats.update_no_rebuild.increment(1);
                return;
            }
        }
        let all: Vec<_> = found.iter().flatten().cloned().collect();
        if !self.discovery.publish(&all) {
            stats.update_no_rebuild.increment(1);
        }
    }
}

/// How long to wait after an answer: the refresh rate, or the answer's time to live where that is respected, and a
/// random part of the jitter.
fn refresh_interval(settings: &DnsSettings, ttl: Option<Duration>, random: u64) -> Duration {
    let ttl = ttl.filter(|ttl| settings.respect_ttl && !ttl.is_zero());
    let jitter = u64::try_from(settings.jitter.as_millis()).unwrap_or(u64::MAX);
    ttl.unwrap_or(settings.refresh_rate) + Duration::from_millis(random.checked_rem(jitter).unwrap_or(0))
}

/// How long to wait after so many failures before this one: the refresh rate, or a random part of an interval that
/// doubles with each failure.
fn failure_interval(settings: &DnsSettings, failures: u32, random: u64) -> Duration {
    let Some((base, max)) = settings.failure_refresh_rate else { return settings.refresh_rate };
    let interval = base.saturating_mul(2_u32.saturating_pow(failures)).min(max);
    let milliseconds = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.checked_rem(milliseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn refresh_follows_the_rate_the_ttl_and_the_jitter() {
        fn check(settings: &DnsSettings, ttl: Option<u64>, random: u64, expected: u64) {
            assert_eq!(refresh_interval(settings, ttl.map(ms), random), ms(expected), "{settings:?} {ttl:?}");
        }
        let default = DnsSettings::default();
        check(&default, Some(1000), 7, 5000);
        let respect = DnsSettings { respect_ttl: true, ..default.clone() };
        check(&respect, Some(1000), 7, 1000);
        check(&respect, Some(0), 7, 5000);
        check(&respect, None, 7, 5000);
        check(&DnsSettings { jitter: ms(100), ..default }, None, 142, 5042);
    }

    proptest! {
        #[test]
        fn waiting_after_failures_doubles_up_to_its_maximum(failures in 0_u32..100, random: u64) {
            let fixed = DnsSettings::default();
            prop_assert_eq!(failure_interval(&fixed, failures, random), fixed.refresh_rate);
            let settings = DnsSettings { failure_refresh_rate: Some((ms(500), ms(8000))), ..fixed };
            let bound = ms(500 * 2_u64.pow(failures.min(4)));
            prop_assert!(failure_interval(&settings, failures, random) < bound);
            // Every part of the interval is used.
            let last = u64::try_from(bound.as_millis()).unwrap() - 1;
            prop_assert_eq!(failure_interval(&settings, failures, last), bound - ms(1));
        }
    }
}
