//! What is known of a downstream connection. One value per connection, shared by its requests.

use std::net::SocketAddr;

/// A downstream connection as the listener accepted it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The peer.
    pub remote_address: SocketAddr,
    /// The address that the peer connected to.
    pub local_address: SocketAddr,
    /// What the TLS handshake settled; `None` on plain text.
    pub tls: Option<TlsConnection>,
}

impl Connection {
    /// `https` on TLS, `http` otherwise.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// What a TLS handshake settled.
#[derive(Debug, Clone)]
pub struct TlsConnection {
    /// For instance `TLSv1.3`.
    pub version: &'static str,
    /// For instance `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The protocol chosen by ALPN, for instance `h2`.
    pub alpn: Option<Vec<u8>>,
}
