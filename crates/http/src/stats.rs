//! The connection manager's stats, resolved once per worker so that a request only increments.

use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Gauge, Histogram};
use nuncio_stats::{Scope, Unit};

macro_rules! http_stats {
    ($($(#[$doc:meta])* $field:ident: $kind:ident;)*) => {
        /// The handles under `http.<stat_prefix>.`, named as in Envoy's documentation of the connection manager.
        #[derive(Debug)]
        pub struct HttpStats {
            $($(#[$doc])* pub(crate) $field: http_stats!(@type $kind),)*
            /// `downstream_cx_length_ms`.
            pub(crate) downstream_cx_length_ms: Histogram,
            /// `downstream_rq_time`.
            pub(crate) downstream_rq_time: Histogram,
            /// `downstream_rq_1xx` to `_5xx`.
            classes: [Counter; 5],
            /// The same under `listener.<address>.http.<stat_prefix>.`.
            listener_classes: [Counter; 5],
            /// `downstream_rq_completed` there.
            listener_completed: Counter,
            /// Those of the HTTP/2 codec.
            pub(crate) http2: Http2Stats,
        }

        impl HttpStats {
            /// Registers the stats of one worker: `http` is the scope `http.<stat_prefix>`, `listener` the scope
            /// `listener.<address>.http.<stat_prefix>`, `http2` the scope of that name, which all connection managers
            /// share.
            pub fn new(http: &Scope, listener: &Scope, http2: &Scope) -> Self {
                Self {
                    $($field: http.$kind(stringify!($field)),)*
                    downstream_cx_length_ms: http.histogram("downstream_cx_length_ms", Unit::Milliseconds),
                    downstream_rq_time: http.histogram("downstream_rq_time", Unit::Milliseconds),
                    classes: classes(http),
                    listener_classes: classes(listener),
                    listener_completed: listener.counter("downstream_rq_completed"),
                    http2: Http2Stats::new(http2),
                }
            }
        }
    };
    (@type counter) => { Counter };
    (@type gauge) => { Gauge };
}

http_stats! {
    downstream_cx_active: gauge;
    downstream_cx_delayed_close_timeout: counter;
    downstream_cx_destroy: counter;
    downstream_cx_destroy_active_rq: counter;
    downstream_cx_destroy_local: counter;
    downstream_cx_destroy_local_active_rq: counter;
    downstream_cx_destroy_remote: counter;
    downstream_cx_destroy_remote_active_rq: counter;
    downstream_cx_drain_close: counter;
    downstream_cx_http1_active: gauge;
    downstream_cx_http1_total: counter;
    downstream_cx_http2_active: gauge;
    downstream_cx_http2_total: counter;
    downstream_cx_idle_timeout: counter;
    downstream_cx_max_duration_reached: counter;
    downstream_cx_max_requests_reached: counter;
    downstream_cx_protocol_error: counter;
    downstream_cx_rx_bytes_buffered: gauge;
    downstream_cx_rx_bytes_total: counter;
    downstream_cx_ssl_active: gauge;
    downstream_cx_ssl_total: counter;
    downstream_cx_total: counter;
    downstream_cx_tx_bytes_total: counter;
    downstream_rq_active: gauge;
    downstream_rq_completed: counter;
    downstream_rq_header_timeout: counter;
    downstream_rq_http1_total: counter;
    downstream_rq_http2_total: counter;
    downstream_rq_idle_timeout: counter;
    downstream_rq_non_relative_path: counter;
    downstream_rq_response_before_rq_complete: counter;
    downstream_rq_rx_reset: counter;
    downstream_rq_timeout: counter;
    downstream_rq_too_many_premature_resets: counter;
    downstream_rq_total: counter;
    downstream_rq_tx_reset: counter;
    downstream_rq_ws_on_non_ws_route: counter;
    no_cluster: counter;
    no_route: counter;
    rq_direct_response: counter;
    rq_total: counter;
}

/// What is known of the HTTP/2 connections of clients, named as in Envoy's documentation of its HTTP/2 codec.
#[derive(Debug)]
pub(crate) struct Http2Stats {
    pub(crate) goaway_sent: Counter,
    pub(crate) header_list_size_too_large: Counter,
    pub(crate) header_overflow: Counter,
    pub(crate) rx_messaging_error: Counter,
    pub(crate) rx_reset: Counter,
    pub(crate) stream_refused_errors: Counter,
    pub(crate) streams_active: Gauge,
    pub(crate) trailers: Counter,
    pub(crate) tx_reset: Counter,
}

impl Http2Stats {
    fn new(scope: &Scope) -> Self {
        Self {
            goaway_sent: scope.counter("goaway_sent"),
            header_list_size_too_large: scope.counter("header_list_size_too_large"),
            header_overflow: scope.counter("header_overflow"),
            rx_messaging_error: scope.counter("rx_messaging_error"),
            rx_reset: scope.counter("rx_reset"),
            stream_refused_errors: scope.counter("stream_refused_errors"),
            streams_active: scope.gauge("streams_active"),
            trailers: scope.counter("trailers"),
            tx_reset: scope.counter("tx_reset"),
        }
    }
}

fn classes(scope: &Scope) -> [Counter; 5] {
    [1, 2, 3, 4, 5].map(|class| scope.counter(&format!("downstream_rq_{class}xx")))
}

impl HttpStats {
    /// Counts a response by the class of its status.
    pub(crate) fn charge_status(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).wrapping_sub(1);
        if let (Some(http), Some(listener)) = (self.classes.get(class), self.listener_classes.get(class)) {
            http.increment(1);
            listener.increment(1);
        }
        self.downstream_rq_completed.increment(1);
        self.listener_completed.increment(1);
    }
}

/// Milliseconds as Envoy's histograms take them: whole ones.
pub(crate) fn whole_ms(duration: Duration) -> f64 {
    duration.as_millis() as f64
}
