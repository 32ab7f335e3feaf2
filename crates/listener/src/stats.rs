//! A listener's stats, under Envoy's names.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram};
use nuncio_config::model::Listener;
use nuncio_stats::{Scope, Unit};
use nuncio_tls::{Handshake, ServerContext};

/// The stats of one listener on one worker.
pub struct ListenerStats {
    pub(crate) overflow: Counter,
    pub(crate) handshake_timeout: Counter,
    /// Connections that wait in listener filters: none, for there are no such filters.
    pre_cx_active: Gauge,
    total: Counter,
    active: Gauge,
    destroy: Counter,
    worker_total: Counter,
    worker_active: Gauge,
    length_ms: Histogram,
    per_socket_event: Histogram,
    tls: Option<TlsStats>,
}

struct TlsStats {
    scope: Scope,
    handshake: Counter,
    connection_error: Counter,
    no_certificate: Counter,
    session_reused: Counter,
    /// Counters that come to be when they are first counted, as in Envoy: one for each cipher suite, curve and
    /// version. A handful, touched once per handshake, so a list is searched and not a map.
    named: Mutex<Vec<(Kind, &'static str, Counter)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cipher,
    Curve,
    Version,
}

/// The prefix of a listener's stats: `listener.127.0.0.1_8080`, or with its `stat_prefix` in place of the address.
pub fn stat_name(listener: &Listener) -> String {
    match &listener.stat_prefix {
        Some(prefix) => format!("listener.{prefix}"),
        None => format!("listener.{}", listener.address),
    }
}

/// Shows when a context's certificates expire. To be called once per listener, with a scope that is not a worker's.
pub fn record_certificates(scope: &Scope, context: &ServerContext) {
    // Envoy names the gauge after the certificate's name in a secret discovery service and the digest of nothing;
    // of several certificates the last one shows.
    if let Some(certificate) = context.certificates().last() {
        let gauge = scope.gauge("ssl.certificate.unnamed_cert_e3b0c442.expiration_unix_time_seconds");
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds fit 53 bits for longer than there will be clocks"
        )]
        gauge.set(certificate.not_after as f64);
    }
}

impl ListenerStats {
    /// Registers the stats below `scope`, which is named by [`stat_name`] and bound to the worker's shard.
    /// `thread` is `worker_0` for the first worker, and `main_thread` for the admin listener.
    pub fn new(scope: &Scope, thread: &str, tls: bool) -> Self {
        let worker = scope.scope(thread);
        // Always zero, and truly so: a listener has one filter chain that takes everything, and no listener filters
        // that a connection could wait in.
        let _ = (scope.counter("no_filter_chain_match"), scope.counter("downstream_pre_cx_timeout"));
        Self {
            overflow: scope.counter("downstream_cx_overflow"),
            handshake_timeout: scope.counter("downstream_cx_transport_socket_connect_timeout"),
            pre_cx_active: scope.gauge("downstream_pre_cx_active"),
            total: scope.counter("downstream_cx_total"),
            active: scope.gauge("downstream_cx_active"),
            destroy: scope.counter("downstream_cx_destroy"),
            worker_total: worker.counter("downstream_cx_total"),
            worker_active: worker.gauge("downstream_cx_active"),
            length_ms: scope.histogram("downstream_cx_length_ms", Unit::Milliseconds),
            per_socket_event: scope.histogram("connections_accepted_per_socket_event", Unit::Unspecified),
            tls: tls.then(|| TlsStats::new(scope)),
        }
    }

    pub(crate) fn accepted(&self) {
        // Envoy takes one connection per wake-up unless its configuration says otherwise.
        self.per_socket_event.record(1.0);
    }

    pub(crate) fn opened(&self) {
        // "Used" in the sense of `/stats?usedonly`: in Envoy each connection passes through, if only for a moment.
        self.pre_cx_active.increment(0.0);
        self.total.increment(1);
        self.active.increment(1.0);
        self.worker_total.increment(1);
        self.worker_active.increment(1.0);
    }

    pub(crate) fn closed(&self, length: Duration) {
        self.active.decrement(1.0);
        self.worker_active.decrement(1.0);
        self.destroy.increment(1);
        #[expect(clippy::cast_precision_loss, reason = "no connection lives for 2^53 ms")]
        self.length_ms.record(length.as_millis() as f64);
    }

    pub(crate) fn handshake(&self, handshake: &Handshake) {
        let Some(tls) = &self.tls else { return };
        tls.handshake.increment(1);
        // No client is asked for a certificate.
        tls.no_certificate.increment(1);
        if handshake.resumed {
            tls.session_reused.increment(1);
        }
        tls.count(Kind::Cipher, handshake.cipher);
        tls.count(Kind::Version, handshake.version);
        if let Some(curve) = handshake.curve {
            tls.count(Kind::Curve, curve);
        }
    }

    pub(crate) fn connection_error(&self) {
        if let Some(tls) = &self.tls {
            tls.connection_error.increment(1);
        }
    }
}

impl TlsStats {
    fn new(listener: &Scope) -> Self {
        let scope = listener.scope("ssl");
        // Zero as long as clients are not asked for certificates.
        for name in ["fail_verify_cert_hash", "fail_verify_error", "fail_verify_no_cert", "fail_verify_san"] {
            let _ = scope.counter(name);
        }
        Self {
            handshake: scope.counter("handshake"),
            connection_error: scope.counter("connection_error"),
            no_certificate: scope.counter("no_certificate"),
            session_reused: scope.counter("session_reused"),
            named: Mutex::default(),
            scope,
        }
    }

    fn count(&self, kind: Kind, name: &'static str) {
        // Never contended: the stats belong to one worker.
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let known = named.iter().find(|(of, known, _)| *of == kind && *known == name);
        if let Some((_, _, counter)) = known {
            counter.increment(1);
            return;
        }
        let counter = self.scope.scope(kind.scope()).counter(name);
        counter.increment(1);
        named.push((kind, name, counter));
    }
}

impl Kind {
    fn scope(self) -> &'static str {
        match self {
            Self::Cipher => "ciphers",
            Self::Curve => "curves",
            Self::Version => "versions",
        }
    }
}

impl fmt::Debug for ListenerStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerStats").finish_non_exhaustive()
    }
}
