//! The validated runtime types that a configuration is lowered to.
//!
//! Everything here has been checked: a value of these types can be run without asking again. The names are
//! Envoy's. Each type says which Envoy message it follows. Times are [`Duration`]s, sizes are bytes.
//!
//! The types own plain data and know neither sockets nor protobuf, so that a caller who does not read Envoy files
//! can build them by hand; the `Default` of each type is Envoy's default.

mod cluster;
mod http;
mod listener;
mod server;

pub use self::{
    cluster::{
        CircuitBreakers, Cluster, ClusterDiscovery, DnsLookupFamily, DnsSettings, Endpoint, EndpointAddress,
        LeastRequest, LoadBalancing, LocalityEndpoints, Thresholds, UpstreamProtocol,
    },
    http::{
        AccessLog, AccessLogSink, CodecType, Http2Settings, HttpConnectionManager, LogFormat,
        ServerHeaderTransformation,
    },
    listener::{DownstreamTls, FilterChain, Listener, TlsCertificate, TlsVersion},
    server::{Admin, Bootstrap, DnsResolver, Node, Runtime, RuntimeLayer},
};

use std::{fmt, ops::Range, sync::Arc};

use crate::{lines::Lines, tree::Mark};

/// Where in a configuration a value was written: what an error's caret points at. Errors that are found after loading
/// (a certificate that does not fit its key, an address in use) name it, too.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The name of the source, as the user gave it: a file's path, or `--config-yaml`.
    pub source: Arc<str>,
    /// The line, from 1. Zero for a value that no file holds.
    pub line: u32,
    /// The column in characters, from 1. Zero for a value that no file holds.
    pub column: u32,
    /// How many characters of the line it takes: the width of a word, a number, a quoted string or a key. Zero where
    /// only the start is known: a map or list that is written line by line, a string of several lines. At most 4095.
    pub width: u32,
    /// The field's path, for instance `static_resources.clusters[0].connect_timeout`.
    pub path: Arc<str>,
}

impl Place {
    pub(crate) fn at(source: &Arc<str>, mark: Mark, path: impl Into<Arc<str>>) -> Self {
        let (line, column, width) = (mark.line(), mark.column(), mark.width());
        Self { source: Arc::clone(source), line, column, width, path: path.into() }
    }

    /// The place of a value that was made by the program and stands in no file.
    pub fn generated(path: &str) -> Self {
        Self { source: Arc::from("(generated)"), line: 0, column: 0, width: 0, path: Arc::from(path) }
    }

    /// The bytes of the place in the text of its source; empty where only the start is known. `None` if there is no
    /// such line, as for a value that no file holds. Reads the text up to its end.
    pub fn byte_range(&self, text: &str) -> Option<Range<usize>> {
        Lines::new(text).span(self.line, self.column, self.width)
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::generated("")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.source, self.path)
        } else {
            write!(f, "{}:{}:{}: {}", self.source, self.line, self.column, self.path)
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes that must not be shown: a private key. `Debug` prints `[redacted]`, as Envoy's dumps do.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Takes the bytes of a secret.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The secret itself. Hand it to the one place that needs it and nowhere else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
