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
    time: OnceLock<[Histogram; 2]>,
}

struct ByStatus {
    status: u16,
    internal: bool,
    counters: Vec<Counter>,
}

impl ResponseStats {
    pub(crate) fn new(scope: Scope) -> Self {
        Self { scope, by_status: Mutex::default(), time: OnceLock::new() }
    }

    pub(crate) fn charge(&self, status: u16, internal: bool, elapsed: Option<Duration>) {
        let mut by_status = self.by_status.lock().unwrap_or_else(PoisonError::into_inner);
        let known = by_status.iter().position(|known| known.status == status && known.internal == internal);
        let index = known.unwrap_or_else(|| {
            by_status.push(self.register(status, internal));
            by_status.len() - 1
        });
        for counter in by_status.get(index).map(|known| &known.counters).into_iter().flatten() {
            counter.increment(1);
        }
        drop(by_status);
        if let Some(elapsed) = elapsed {
            self.record_time(internal, elapsed);
        }
    }

    fn record_time(&self, internal: bool, elapsed: Duration) {
        // The origin of requests is one or the other for nearly every proxy, so one pair of handles is kept.
        let family = if internal { "internal" } else { "external" };
        let register = || {
            [&self.scope, &self.scope.scope(family)]
                .map(|scope| scope.histogram("upstream_rq_time", Unit::Milliseconds))
        };
        #[expect(clippy::cast_precision_loss, reason = "exact up to 285,000 years")]
        let milliseconds = elapsed.as_millis() as f64;
        let record = |histograms: &[Histogram; 2]| {
            for histogram in histograms {
                histogram.record(milliseconds);
            }
        };
        if internal { record(&register()) } else { record(self.time.get_or_init(register)) }
    }

    fn register(&self, status: u16, internal: bool) -> ByStatus {
        let family = self.scope.scope(if internal { "internal" } else { "external" });
        let mut names = vec!["upstream_rq_completed".to_owned()];
        if matches!(status, 100..=599) {
            names.push(format!("upstream_rq_{}xx", status / 100));
            names.push(format!("upstream_rq_{status}"));
        } else {
            names.push("upstream_rq_unknown".to_owned());
        }
        let counters =
            names.iter().flat_map(|name| [self.scope.counter(name), family.counter(name)]).collect();
        ByStatus { status, internal, counters }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_charged_by_code_class_and_origin() {
        let registry = Registry::new(1);
        let stats = ResponseStats::new(scope(&registry, Shard::worker(0), "a"));
        assert_eq!(registry.counter_value("cluster.a.upstream_rq_completed"), None);
        stats.charge(200, false, Some(Duration::from_millis(3)));
        stats.charge(503, false, None);
        stats.charge(200, true, Some(Duration::from_millis(3)));
        stats.charge(600, false, None);
        for (name, expected) in [
            ("upstream_rq_completed", Some(4)),
            ("upstream_rq_200", Some(2)),
            ("upstream_rq_2xx", Some(2)),
            ("upstream_rq_503", Some(1)),
            ("upstream_rq_5xx", Some(1)),
            ("external.upstream_rq_200", Some(1)),
            ("external.upstream_rq_completed", Some(3)),
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
                ("cluster.a.external.upstream_rq_time", 1),
                ("cluster.a.internal.upstream_rq_time", 1),
                ("cluster.a.upstream_rq_time", 2),
            ]
        );
    }
}
