//! What a handshake settled, in the words that Envoy uses in stats and access logs.

use rustls::{
    CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection, SupportedCipherSuite,
};

/// What a handshake settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// For instance `TLSv1.3`.
    pub version: &'static str,
    /// For instance `TLS_AES_256_GCM_SHA384`; the suites of TLS 1.2 by their OpenSSL names.
    pub cipher: &'static str,
    /// For instance `X25519`. `None` where no keys were exchanged, since a TLS 1.2 session was resumed.
    pub curve: Option<&'static str>,
    /// Whether a session was resumed.
    pub resumed: bool,
}

impl Handshake {
    /// Reads it off a connection whose handshake is complete.
    pub fn of(connection: &ServerConnection) -> Self {
        Self {
            version: version(connection.protocol_version()),
            cipher: cipher(connection.negotiated_cipher_suite()),
            curve: connection.negotiated_key_exchange_group().map(|group| curve(group.name())),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

fn version(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "unknown",
    }
}

fn cipher(suite: Option<SupportedCipherSuite>) -> &'static str {
    match suite.map(|suite| suite.suite()) {
        Some(CipherSuite::TLS13_AES_128_GCM_SHA256) => "TLS_AES_128_GCM_SHA256",
        Some(CipherSuite::TLS13_AES_256_GCM_SHA384) => "TLS_AES_256_GCM_SHA384",
        Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256) => "TLS_CHACHA20_POLY1305_SHA256",
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256) => "ECDHE-ECDSA-AES128-GCM-SHA256",
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384) => "ECDHE-ECDSA-AES256-GCM-SHA384",
        Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256) => "ECDHE-ECDSA-CHACHA20-POLY1305",
        Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) => "ECDHE-RSA-AES128-GCM-SHA256",
        Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) => "ECDHE-RSA-AES256-GCM-SHA384",
        Some(CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256) => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "unknown",
    }
}

fn curve(group: NamedGroup) -> &'static str {
    match group {
        NamedGroup::X25519 => "X25519",
        NamedGroup::secp256r1 => "P-256",
        NamedGroup::secp384r1 => "P-384",
        NamedGroup::secp521r1 => "P-521",
        NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        _ => "unknown",
    }
}
