//! The stats of a cluster, under Envoy's names. Handles are made when a cluster or a worker is made; a request only
//! increments.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use nuncio_stats::{Registry, Scope, Shard, Unit};

macro_rules! stats {
    ($(#[$doc:meta])* $name:ident { $($counter:ident),* ; $($gauge:ident),* ; $($histogram:ident: $unit:ident),* ; $($scope:literal => { $($c:ident = $cname:literal),* ; $($g:ident = $gname:literal),* }),* }) => {
        $(#[$doc])*
        pub(crate) struct $name {
            $(pub(crate) $counter: Counter,)*
            $(pub(crate) $gauge: Gauge,)*
            $(pub(crate) $histogram: Histogram,)*
            $($(pub(crate) $c: Counter,)* $(pub(crate) $g: Gauge,)*)*
        }

        impl $name {
            pub(crate) fn new(scope: &Scope) -> Self {
                Self {
                    $($counter: scope.counter(stringify!($counter)),)*
                    $($gauge: scope.gauge(stringify!($gauge)),)*
                    $($histogram: scope.histogram(stringify!($histogram), Unit::$unit),)*
                    $($($c: scope.scope($scope).counter($cname),)* $($g: scope.scope($scope).gauge($gname),)*)*
                }
            }
        }
    };
}

stats! {
    /// What a worker counts: connections and requests.
    TrafficStats {
        lb_healthy_panic,
        upstream_cx_close_notify,
        upstream_cx_connect_fail,
        upstream_cx_connect_timeout,
        upstream_cx_destroy,
        upstream_cx_destroy_local,
        upstream_cx_destroy_local_with_active_rq,
        upstream_cx_destroy_remote,
        upstream_cx_destroy_remote_with_active_rq,
        upstream_cx_destroy_with_active_rq,
        upstream_cx_http1_total,
        upstream_cx_http2_total,
        upstream_cx_idle_timeout,
        upstream_cx_max_duration_reached,
        upstream_cx_max_requests,
        upstream_cx_none_healthy,
        upstream_cx_overflow,
        upstream_cx_protocol_error,
        upstream_cx_rx_bytes_total,
        upstream_cx_total,
        upstream_cx_tx_bytes_total,
        upstream_rq_active_overflow,
        upstream_rq_cancelled,
        upstream_rq_pending_failure_eject,
        upstream_rq_pending_overflow,
        upstream_rq_pending_total,
        upstream_rq_rx_reset,
        upstream_rq_timeout,
        upstream_rq_total,
        upstream_rq_tx_reset ;
        upstream_cx_active,
        upstream_cx_rx_bytes_buffered,
        upstream_rq_active,
        upstream_rq_pending_active ;
        upstream_cx_connect_ms: Milliseconds,
        upstream_cx_length_ms: Milliseconds,
        upstream_rq_per_cx: Unspecified ;
        "http2" => {
            http2_connections = "nghttp2_upstream_connections",
            http2_rx_reset = "rx_reset",
            http2_tx_reset = "tx_reset" ;
            http2_streams_active = "streams_active"
        }
    }
}

stats! {
    /// What discovery counts, on the main runtime.
    DiscoveryStats {
        membership_change,
        update_attempt,
        update_failure,
        update_no_rebuild,
        update_success ;
        max_host_weight,
        membership_degraded,
        membership_excluded,
        membership_healthy,
        membership_total,
        warming_state ;
        ;
        "default" => { total_match_count = "total_match_count" ; }
    }
}

/// The scope of a cluster's stats on one shard.
pub(crate) fn scope(registry: &Registry, shard: Shard, stat_name: &str) -> Scope {
    registry.scope(shard, "cluster").scope(stat_name)
}

/// What is counted by a response's status. Envoy makes these names when they are first needed, so that a cluster
/// without traffic has none of them; here they are made then, too, and found again by the status.
pub(crate) struct ResponseStats {
    scope: Scope,
    by_status: Mutex<Vec<ByStatus>>,
    /// By [`Family::index`].
    time: [OnceLock<Vec<Histogram>>; 4],
}

struct ByStatus {
    status: u16,
    family: Family,
    counters: Vec<Counter>,
}

/// The families of names, beside the cluster's own, that a response is counted under.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Family {
    /// Whether the request came from inside: `internal.` or `external.`
    pub(crate) internal: bool,
    /// Whether the host says that it is tried out: `canary.`
    pub(crate) canary: bool,
}

impl Family {
    fn index(self) -> usize {
        usize::from(self.internal) + 2 * usize::from(self.canary)
    }

    fn scopes(self, cluster: &Scope) -> Vec<Scope> {
        let mut scopes =
            vec![cluster.clone(), cluster.scope(if self.internal { "internal" } else { "external" })];
        if self.canary {
            scopes.push(cluster.scope("canary"));
        }
        scopes
    }
}

impl ResponseStats {
    pub(crate) fn new(scope: Scope) -> Self {
        Self { scope, by_status: Mutex::default(), time: Default::default() }
    }

    pub(crate) fn charge(&self, status: u16, family: Family) {
        let mut by_status = self.by_status.lock().unwrap_or_else(PoisonError::into_inner);
        let known = by_status.iter().position(|known| known.status == status && known.family == family);
        let index = known.unwrap_or_else(|| {
            by_status.push(self.register(status, family));
            by_status.len() - 1
        });
        for counter in by_status.get(index).map(|known| &known.counters).into_iter().flatten() {
            counter.increment(1);
        }
    }

    pub(crate) fn charge_time(&self, family: Family, elapsed: Duration) {
        let register = || {
            let scopes = family.scopes(&self.scope);
            scopes.iter().map(|scope| scope.histogram("upstream_rq_time", Unit::Milliseconds)).collect()
        };
        #[expect(clippy::cast_precision_loss, reason = "exact up to 285,000 years")]
        let milliseconds = elapsed.as_millis() as f64;
        let histograms = self.time.get(family.index()).map(|family| family.get_or_init(register));
        for histogram in histograms.into_iter().flatten() {
            histogram.record(milliseconds);
        }
    }

    fn register(&self, status: u16, family: Family) -> ByStatus {
        let mut names = vec!["upstream_rq_completed".to_owned()];
        if matches!(status, 100..=599) {
            names.push(format!("upstream_rq_{}xx", status / 100));
            names.push(format!("upstream_rq_{status}"));
        } else {
            names.push("upstream_rq_unknown".to_owned());
        }
        let scopes = family.scopes(&self.scope);
        let counters =
            names.iter().flat_map(|name| scopes.iter().map(move |scope| scope.counter(name))).collect();
        ByStatus { status, family, counters }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_charged_by_code_class_and_family() {
        let external = Family { internal: false, canary: false };
        let internal = Family { internal: true, canary: false };
        let canary = Family { internal: false, canary: true };
        let registry = Registry::new(1);
        let stats = ResponseStats::new(scope(&registry, Shard::worker(0), "a"));
        assert_eq!(registry.counter_value("cluster.a.upstream_rq_completed"), None);
        for (status, family) in
            [(200, external), (503, external), (200, internal), (600, external), (404, canary)]
        {
            stats.charge(status, family);
        }
        for family in [external, internal, canary] {
            stats.charge_time(family, Duration::from_millis(3));
        }
        for (name, expected) in [
            ("upstream_rq_completed", Some(5)),
            ("upstream_rq_200", Some(2)),
            ("upstream_rq_2xx", Some(2)),
            ("upstream_rq_503", Some(1)),
            ("upstream_rq_5xx", Some(1)),
            ("external.upstream_rq_200", Some(1)),
            ("external.upstream_rq_completed", Some(4)),
            ("canary.upstream_rq_completed", Some(1)),
            ("canary.upstream_rq_404", Some(1)),
            ("canary.upstream_rq_4xx", Some(1)),
            ("canary.upstream_rq_200", None),
            ("external.upstream_rq_404", Some(1)),
            ("upstream_rq_404", Some(1)),
            ("upstream_rq_unknown", Some(1)),
            ("upstream_rq_6xx", None),
            ("internal.upstream_rq_200", Some(1)),
            ("internal.upstream_rq_503", None),
        ] {
            assert_eq!(registry.counter_value(&format!("cluster.a.{name}")), expected, "{name}");
        }
        registry.flush();
        let snapshot = registry.snapshot(&nuncio_stats::StatsQuery::default());
        let counts: Vec<_> =
            snapshot.histograms().map(|h| (h.name(), h.count(nuncio_stats::Span::Cumulative))).collect();
        assert_eq!(
            counts,
            [
                ("cluster.a.canary.upstream_rq_time", 1),
                ("cluster.a.external.upstream_rq_time", 2),
                ("cluster.a.internal.upstream_rq_time", 1),
                ("cluster.a.upstream_rq_time", 3),
            ]
        );
    }
}
