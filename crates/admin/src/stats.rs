//! The admin server's own stats, under the names that Envoy gives them: `http.admin.` and `listener.admin.`.

use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Gauge, Histogram};
use nuncio_stats::{Registry, Scope, Shard, Unit};

/// Handles of all stats that the admin server writes.
pub(crate) struct AdminStats {
    http: HttpStats,
    listener: ListenerStats,
}

struct HttpStats {
    cx_total: Counter,
    cx_active: Gauge,
    cx_http1_total: Counter,
    cx_http1_active: Gauge,
    cx_destroy: Counter,
    cx_destroy_local: Counter,
    cx_destroy_remote: Counter,
    cx_protocol_error: Counter,
    cx_rx_bytes_total: Counter,
    cx_rx_bytes_buffered: Gauge,
    cx_tx_bytes_total: Counter,
    cx_length_ms: Histogram,
    rq_total: Counter,
    rq_http1_total: Counter,
    rq_active: Gauge,
    rq_time: Histogram,
    responses: Responses,
}

struct ListenerStats {
    cx_total: Counter,
    cx_active: Gauge,
    cx_destroy: Counter,
    cx_overflow: Counter,
    cx_length_ms: Histogram,
    main_thread_cx_total: Counter,
    main_thread_cx_active: Gauge,
    responses: Responses,
}

/// Responses by class, which stand under both prefixes.
struct Responses {
    completed: Counter,
    classes: [Counter; 5],
}

impl AdminStats {
    pub(crate) fn new(registry: &Registry) -> Self {
        let http = registry.scope(Shard::MAIN, "http.admin");
        let listener = registry.scope(Shard::MAIN, "listener.admin");
        let main_thread = listener.scope("main_thread");
        // Connections are handed to the codec as soon as they are accepted, so none is ever waiting before that.
        listener.gauge("downstream_pre_cx_active").set(0.0);
        let _ = listener.counter("downstream_pre_cx_timeout");
        Self {
            http: HttpStats {
                cx_total: http.counter("downstream_cx_total"),
                cx_active: http.gauge("downstream_cx_active"),
                cx_http1_total: http.counter("downstream_cx_http1_total"),
                cx_http1_active: http.gauge("downstream_cx_http1_active"),
                cx_destroy: http.counter("downstream_cx_destroy"),
                cx_destroy_local: http.counter("downstream_cx_destroy_local"),
                cx_destroy_remote: http.counter("downstream_cx_destroy_remote"),
                cx_protocol_error: http.counter("downstream_cx_protocol_error"),
                cx_rx_bytes_total: http.counter("downstream_cx_rx_bytes_total"),
                cx_rx_bytes_buffered: http.gauge("downstream_cx_rx_bytes_buffered"),
                cx_tx_bytes_total: http.counter("downstream_cx_tx_bytes_total"),
                cx_length_ms: http.histogram("downstream_cx_length_ms", Unit::Milliseconds),
                rq_total: http.counter("downstream_rq_total"),
                rq_http1_total: http.counter("downstream_rq_http1_total"),
                rq_active: http.gauge("downstream_rq_active"),
                rq_time: http.histogram("downstream_rq_time", Unit::Milliseconds),
                responses: Responses::new(&http),
            },
            listener: ListenerStats {
                cx_total: listener.counter("downstream_cx_total"),
                cx_active: listener.gauge("downstream_cx_active"),
                cx_destroy: listener.counter("downstream_cx_destroy"),
                cx_overflow: listener.counter("downstream_cx_overflow"),
                cx_length_ms: listener.histogram("downstream_cx_length_ms", Unit::Milliseconds),
                main_thread_cx_total: main_thread.counter("downstream_cx_total"),
                main_thread_cx_active: main_thread.gauge("downstream_cx_active"),
                responses: Responses::new(&listener.scope("http.admin")),
            },
        }
    }

    pub(crate) fn connection_began(&self) {
        for total in [
            &self.http.cx_total,
            &self.http.cx_http1_total,
            &self.listener.cx_total,
            &self.listener.main_thread_cx_total,
        ] {
            total.increment(1);
        }
        for active in self.active_connections() {
            active.increment(1.0);
        }
    }

    pub(crate) fn connection_ended(&self, by_peer: bool, length: Duration) {
        for active in self.active_connections() {
            active.decrement(1.0);
        }
        self.http.cx_destroy.increment(1);
        self.listener.cx_destroy.increment(1);
        if by_peer { &self.http.cx_destroy_remote } else { &self.http.cx_destroy_local }.increment(1);
        self.http.cx_length_ms.record(milliseconds(length));
        self.listener.cx_length_ms.record(milliseconds(length));
    }

    fn active_connections(&self) -> [&Gauge; 4] {
        [
            &self.http.cx_active,
            &self.http.cx_http1_active,
            &self.listener.cx_active,
            &self.listener.main_thread_cx_active,
        ]
    }

    /// A connection was closed at once because there were too many.
    pub(crate) fn connection_refused(&self) {
        self.listener.cx_overflow.increment(1);
    }

    pub(crate) fn protocol_error(&self) {
        self.http.cx_protocol_error.increment(1);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.http.cx_rx_bytes_total.increment(bytes);
        self.http.cx_rx_bytes_buffered.increment(to_f64(bytes));
    }

    /// Bytes that were received have been used up.
    pub(crate) fn consumed(&self, bytes: u64) {
        self.http.cx_rx_bytes_buffered.decrement(to_f64(bytes));
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.http.cx_tx_bytes_total.increment(bytes);
    }

    pub(crate) fn request_began(&self) {
        self.http.rq_total.increment(1);
        self.http.rq_http1_total.increment(1);
        self.http.rq_active.increment(1.0);
    }

    pub(crate) fn request_ended(&self, status: StatusCode, time: Duration) {
        self.http.rq_active.decrement(1.0);
        self.http.rq_time.record(milliseconds(time));
        self.http.responses.count(status);
        self.listener.responses.count(status);
    }
}

impl Responses {
    fn new(scope: &Scope) -> Self {
        let class = |class: u8| scope.counter(&format!("downstream_rq_{class}xx"));
        Self {
            completed: scope.counter("downstream_rq_completed"),
            classes: [class(1), class(2), class(3), class(4), class(5)],
        }
    }

    fn count(&self, status: StatusCode) {
        self.completed.increment(1);
        let class = usize::from(status.as_u16() / 100).checked_sub(1);
        if let Some(class) = class.and_then(|class| self.classes.get(class)) {
            class.increment(1);
        }
    }
}

/// Whole milliseconds, as Envoy records times.
fn milliseconds(time: Duration) -> f64 {
    to_f64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "numbers of bytes and milliseconds stay far below 2^53")]
fn to_f64(value: u64) -> f64 {
    value as f64
}
