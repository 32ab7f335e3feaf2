//! TLS clients that take every certificate.

use std::{net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, ProtocolVersion, SignatureScheme, SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::soon;

/// What a client offers.
#[derive(Clone, Debug, Default)]
pub struct TlsClient {
    alpn: Vec<Vec<u8>>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

/// A connection after its handshake.
pub struct TlsConnection {
    /// Plain text goes in and out.
    pub stream: TlsStream<TcpStream>,
}

impl TlsClient {
    /// Offers these protocols by ALPN, none by default.
    #[must_use]
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Speaks TLS 1.2 only.
    #[must_use]
    pub fn tls12(mut self) -> Self {
        self.versions = vec![&rustls::version::TLS12];
        self
    }

    /// Speaks TLS 1.3 only.
    #[must_use]
    pub fn tls13(mut self) -> Self {
        self.versions = vec![&rustls::version::TLS13];
        self
    }

    /// Connects and shakes hands.
    ///
    /// # Errors
    /// What the handshake failed for.
    pub async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsConnection> {
        let both = [&rustls::version::TLS13, &rustls::version::TLS12];
        let versions = if self.versions.is_empty() { &both[..] } else { &self.versions };
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        config.alpn_protocols.clone_from(&self.alpn);
        let stream = soon("a connection", TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("front-envoy").unwrap();
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
        Ok(TlsConnection { stream: soon("a handshake", handshake).await? })
    }
}

impl TlsConnection {
    /// The protocol that was agreed on.
    pub fn alpn(&self) -> Option<String> {
        let (_, session) = self.stream.get_ref();
        session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned())
    }

    /// `TLSv1_2` or `TLSv1_3`.
    pub fn version(&self) -> ProtocolVersion {
        self.stream.get_ref().1.protocol_version().unwrap()
    }

    /// The server's certificate.
    pub fn certificate(&self) -> Vec<u8> {
        self.stream.get_ref().1.peer_certificates().unwrap().first().unwrap().to_vec()
    }
}

/// Trusts whatever is shown, since the tests' certificates are of X.509 version 1, which no verifier knows.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
