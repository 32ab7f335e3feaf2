//! Listeners and what stands before the HTTP connection manager.

use std::net::SocketAddr;

use super::{HttpConnectionManager, Place, Secret};

/// A listener. Follows `envoy.config.listener.v3.Listener`.
#[derive(Clone, Debug)]
pub struct Listener {
    /// `name`; a listener without one gets a name of its own at load, as in Envoy.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// `ipv4_compat` of the address: a v6 socket that takes v4 connections too.
    pub ipv4_compat: bool,
    /// `stat_prefix`; by default the address with `:` mapped to `_`.
    pub stat_prefix: Option<String>,
    /// `enable_reuse_port`, true by default: one socket per worker.
    pub reuse_port: bool,
    /// `per_connection_buffer_limit_bytes`, 1 MiB by default.
    pub per_connection_buffer_limit_bytes: u32,
    /// `tcp_backlog_size`.
    pub tcp_backlog: Option<u32>,
    /// The filter chains, at least one. For now exactly one, without a match.
    pub filter_chains: Vec<FilterChain>,
    /// Where the address is written, for an error at bind time.
    pub place: Place,
}

/// What handles a connection. Follows `envoy.config.listener.v3.FilterChain`.
#[derive(Clone, Debug)]
pub struct FilterChain {
    /// `name`.
    pub name: String,
    /// `transport_socket` with a `DownstreamTlsContext`; `None` for plain text.
    pub tls: Option<DownstreamTls>,
    /// The one network filter that ends the chain.
    pub http_connection_manager: HttpConnectionManager,
}

/// TLS towards clients.
/// Follows `envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext`.
#[derive(Clone, Debug, Default)]
pub struct DownstreamTls {
    /// `tls_certificates`, at least one.
    pub certificates: Vec<TlsCertificate>,
    /// `alpn_protocols`, in the server's order of preference; empty: no ALPN.
    pub alpn_protocols: Vec<String>,
    /// `tls_params.tls_minimum_protocol_version`: TLS 1.2 by default.
    pub minimum_version: TlsVersion,
    /// `tls_params.tls_maximum_protocol_version`: TLS 1.3 by default.
    pub maximum_version: Option<TlsVersion>,
    /// Where the context is written.
    pub place: Place,
}

/// A certificate chain with its key, both in PEM, not yet parsed.
#[derive(Clone, Debug)]
pub struct TlsCertificate {
    /// The certificate chain, leaf first.
    pub certificate_chain: Vec<u8>,
    /// The file that the chain was read from; `None` if it stands in the configuration or the environment.
    pub certificate_path: Option<String>,
    /// Where the chain is written.
    pub certificate_place: Place,
    /// The private key.
    pub private_key: Secret,
    /// Where the key is written.
    pub private_key_place: Place,
}

/// A TLS protocol version that can be offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}
