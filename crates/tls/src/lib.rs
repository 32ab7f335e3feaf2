//! What TLS needs from Envoy's transport socket contexts: certificates that were checked at load, the choice among
//! them by server name, and the handshake as Envoy does it.
//!
//! A [`ServerContext`] is made once from a [`DownstreamTls`](nuncio_config::model::DownstreamTls) and shared by all
//! workers. It is several rustls configurations rather than one, because three of Envoy's habits are not to be had
//! in one: a client whose ALPN offer has nothing in common with the server's is served without ALPN; on TLS 1.2 the
//! server's order of cipher suites counts and on TLS 1.3 the client's; and on TLS 1.2 AES-128 and ChaCha20 count as
//! equal. [`ServerContext::accept`] reads the client's hello first and then takes the configuration that fits.
//!
//! Certificates are read with a parser that knows X.509 version 1, which Envoy serves and rustls' own checks refuse.
//! The cryptography is the caller's, passed in as a [`Crypto`] value.

mod accept;
mod certificate;
mod handshake;
mod select;
mod server;

use std::{fmt, sync::Arc};

use nuncio_config::model::Place;
use rustls::{crypto::CryptoProvider, server::ProducesTickets};

pub use self::{
    accept::AcceptError,
    certificate::{CertificateInfo, days_until_first_expiration},
    handshake::Handshake,
    server::ServerContext,
};

/// The cryptography to use. The binaries choose it; nothing here has a default.
#[derive(Clone)]
pub struct Crypto {
    /// Cipher suites, key exchange groups and signatures.
    pub provider: Arc<CryptoProvider>,
    /// Makes what encrypts session tickets. Called once per context, so that a ticket given out under one
    /// configuration is worth nothing under another.
    pub ticketer: fn() -> Result<Arc<dyn ProducesTickets>, rustls::Error>,
}

/// Why a TLS context cannot be used, and where that is written. Never holds any part of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct TlsError {
    /// Where the certificate, the key or the context is written.
    pub place: Place,
    /// What is wrong and what to do.
    pub message: String,
}

impl TlsError {
    fn new(place: &Place, message: impl Into<String>) -> Self {
        Self { place: place.clone(), message: message.into() }
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto").finish_non_exhaustive()
    }
}
