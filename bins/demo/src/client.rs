//! The demo's own HTTP client, so that nothing but the demo is needed to see the example work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderMap};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::failure::Failure;

/// How long any one exchange may take: more than the proxies' own timeout, so that theirs is what is seen.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A complete response.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The headers in the order in which they came.
    pub headers: HeaderMap,
    /// The body, if it is text.
    pub body: String,
}

impl Answer {
    /// The host name in the example's text.
    pub fn host(&self) -> Option<&str> {
        let (_, rest) = self.body.split_once(" hostname: ")?;
        Some(rest.split_once(' ')?.0)
    }
}

/// A keep-alive connection.
pub struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    authority: String,
}

impl Connection {
    /// Connect in plain text.
    pub async fn open(address: SocketAddr) -> Result<Self, Failure> {
        in_time(address, async {
            let stream = TcpStream::connect(address).await.map_err(|error| failure(address, &error))?;
            Self::over(stream, address).await
        })
        .await
    }

    /// Connect with TLS to a server that must present exactly `certificate`.
    pub async fn open_tls(
        address: SocketAddr,
        certificate: CertificateDer<'static>,
    ) -> Result<Self, Failure> {
        let connector =
            TlsConnector::from(Arc::new(tls_config(certificate).map_err(|error| failure(address, &error))?));
        in_time(address, async {
            let stream = TcpStream::connect(address).await.map_err(|error| failure(address, &error))?;
            let name = ServerName::from(address.ip());
            let stream = connector.connect(name, stream).await.map_err(|error| failure(address, &error))?;
            Self::over(stream, address).await
        })
        .await
    }

    async fn over<S>(stream: S, address: SocketAddr) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failure(address, &error))?;
        // The connection's own error is the request's error, which is reported there.
        tokio::spawn(async { drop(connection.await) });
        Ok(Self { sender, authority: format!("localhost:{}", address.port()) })
    }

    /// Send one request and read the whole response.
    pub async fn get(&mut self, path: &str) -> Result<Answer, Failure> {
        let place = format!("{}{path}", self.authority);
        let request = Request::get(path)
            .header(HOST, &self.authority)
            .body(Empty::new())
            .map_err(|error| failure(&place, &error))?;
        in_time(&place, async {
            self.sender.ready().await.map_err(|error| failure(&place, &error))?;
            let response =
                self.sender.send_request(request).await.map_err(|error| failure(&place, &error))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| failure(&place, &error))?.to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            Ok(Answer { status: head.status, headers: head.headers, body })
        })
        .await
    }
}

/// One request on a connection of its own.
pub async fn get(address: SocketAddr, path: &str) -> Result<Answer, Failure> {
    Connection::open(address).await?.get(path).await
}

async fn in_time<T>(
    place: impl std::fmt::Display,
    exchange: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(TIMEOUT, exchange).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(format!("{place}: no answer within {} s", TIMEOUT.as_secs()))),
    }
}

fn failure(place: impl std::fmt::Display, error: &dyn std::error::Error) -> Failure {
    let mut text = format!("{place}: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    Failure::new(text)
}

fn tls_config(certificate: CertificateDer<'static>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = ExactCertificate { certificate, provider: Arc::clone(&provider) };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Accepts one certificate, signed by whom and named as it may be, and a server that holds its key.
#[derive(Debug)]
struct ExactCertificate {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ExactCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("the certificate is not the one in the file".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("this client speaks TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // The key is taken out by hand: the example's own certificate is of X.509 version 1, which rustls refuses.
        let (_, certificate) = X509Certificate::from_der(certificate)
            .map_err(|error| rustls::Error::General(format!("the certificate cannot be read: {error}")))?;
        let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
