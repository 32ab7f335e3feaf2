//! The end of an exchange: its access log line in Envoy's default format, and its stats.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::Arc,
    time::{Instant, SystemTime},
};

use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, Version, header};
use nuncio_service::LineSink;

use crate::{connection::ConnectionState, stats::AdminStats};

/// One request and its answer. Logged and counted when dropped, which is when the answer has been handed to the
/// socket or the connection broke.
pub(crate) struct Exchange {
    pub(crate) status: StatusCode,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    /// Whether the body was taken to its end.
    pub(crate) complete: bool,
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    peer: SocketAddr,
    start: (SystemTime, Instant),
    sinks: Arc<[LineSink]>,
    stats: Arc<AdminStats>,
    connection: Arc<ConnectionState>,
}

impl Exchange {
    /// Begins with a request's head.
    pub(crate) fn begin<B>(
        request: &http::Request<B>,
        peer: SocketAddr,
        sinks: &Arc<[LineSink]>,
        stats: &Arc<AdminStats>,
        connection: &Arc<ConnectionState>,
    ) -> Self {
        stats.request_began();
        Self {
            status: StatusCode::OK,
            bytes_received: 0,
            bytes_sent: 0,
            complete: false,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
            peer,
            start: (SystemTime::now(), Instant::now()),
            sinks: Arc::clone(sinks),
            stats: Arc::clone(stats),
            connection: Arc::clone(connection),
        }
    }

    fn line(&self) -> String {
        let mut line = String::with_capacity(256);
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        // hyper drops the body of an answer to HEAD unread.
        let flags = if self.complete || self.method == Method::HEAD { "-" } else { "DC" };
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            "[{}] \"{} {path} {:?}\" {} {flags} {} {} {} - ",
            humantime::format_rfc3339_millis(self.start.0),
            self.method,
            self.version,
            self.status.as_u16(),
            self.bytes_received,
            self.bytes_sent,
            self.start.1.elapsed().as_millis(),
        );
        // The peer is appended as Envoy's admin server does; it trusts the remote address.
        let _ = match self.header(&HeaderName::from_static("x-forwarded-for")) {
            "-" => write!(line, "\"{}\"", self.peer.ip()),
            hops => write!(line, "\"{hops},{}\"", self.peer.ip()),
        };
        for name in [header::USER_AGENT, HeaderName::from_static("x-request-id"), header::HOST] {
            let _ = write!(line, " \"{}\"", self.header(&name));
        }
        line.push_str(" \"-\"\n");
        line
    }

    fn header(&self, name: &HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-")
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.stats.request_ended(self.status, self.start.1.elapsed());
        self.connection.request_ended(&self.stats);
        if !self.sinks.is_empty() {
            let line = self.line();
            for sink in self.sinks.iter() {
                sink.write(line.as_bytes());
            }
        }
    }
}
