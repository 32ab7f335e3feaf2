//! Handshakes between a context and rustls clients of many kinds, over a pipe in memory.

use std::sync::Arc;

use nuncio_config::model::{DownstreamTls, Place, Secret, TlsCertificate, TlsVersion};
use nuncio_tls::{AcceptError, Crypto, Handshake, ServerContext};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, NamedGroup, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use x509_parser::prelude::{FromDer, X509Certificate};

const V1: &str = include_str!("../../../fixtures/tls/v1.crt");
const V1_KEY: &str = include_str!("../../../fixtures/tls/v1.key");

/// Trusts every certificate, but checks that the server has its key. Knows certificates of version 1.
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let (_, parsed) = X509Certificate::from_der(certificate).expect("a certificate");
        let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn crypto() -> Crypto {
    Crypto { provider: Arc::new(aws_lc_rs::default_provider()), ticketer: aws_lc_rs::Ticketer::new }
}

fn certificate(chain: &str, key: &str) -> TlsCertificate {
    TlsCertificate {
        certificate_chain: chain.as_bytes().to_vec(),
        certificate_path: None,
        certificate_place: Place::generated("certificate"),
        private_key: Secret::new(key.as_bytes()),
        private_key_place: Place::generated("key"),
    }
}

fn context(alpn: &[&str], change: impl FnOnce(&mut DownstreamTls)) -> ServerContext {
    let mut config = DownstreamTls {
        certificates: vec![certificate(V1, V1_KEY)],
        alpn_protocols: alpn.iter().map(|protocol| String::from(*protocol)).collect(),
        ..DownstreamTls::default()
    };
    change(&mut config);
    ServerContext::new(&config, &crypto()).expect("it is sound")
}

/// A client; `suites` and `groups` in its order of preference, empty for the provider's.
fn client(alpn: &[&str], suites: &[CipherSuite], groups: &[NamedGroup]) -> ClientConfig {
    let mut provider: CryptoProvider = aws_lc_rs::default_provider();
    if !suites.is_empty() {
        let all = provider.cipher_suites.clone();
        provider.cipher_suites = suites
            .iter()
            .filter_map(|name| all.iter().find(|suite| suite.suite() == *name).copied())
            .collect();
    }
    if !groups.is_empty() {
        provider.kx_groups = groups
            .iter()
            .filter_map(|name| aws_lc_rs::ALL_KX_GROUPS.iter().find(|group| group.name() == *name).copied())
            .collect();
    }
    let has = |version: &rustls::SupportedProtocolVersion| {
        provider.cipher_suites.iter().any(|suite| suite.version() == version)
    };
    let versions: Vec<_> = [&rustls::version::TLS13, &rustls::version::TLS12]
        .into_iter()
        .filter(|version| has(version))
        .collect();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&versions)
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

/// Shakes hands and sends a few bytes each way. Gives what the server saw and the protocol that both agreed on.
async fn connect(
    context: &ServerContext,
    client: &Arc<ClientConfig>,
) -> Result<(Handshake, Option<Vec<u8>>), AcceptError> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(client));
    let name = ServerName::try_from("front-proxy").expect("a name");
    let server = async {
        let mut stream = context.accept(far).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await?;
        let (_, connection) = stream.get_ref();
        Ok((Handshake::of(connection), connection.alpn_protocol().map(<[u8]>::to_vec)))
    };
    let client = async {
        let mut stream = connector.connect(name, near).await?;
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await?;
        assert_eq!(read, b"hello");
        std::io::Result::Ok(())
    };
    let (served, connected) = tokio::join!(server, client);
    assert_eq!(served.is_ok(), connected.is_ok(), "{served:?} {connected:?}");
    served
}

#[tokio::test]
async fn a_certificate_of_version_1_is_served() {
    let (handshake, alpn) =
        connect(&context(&[], |_| {}), &Arc::new(client(&[], &[], &[NamedGroup::X25519])))
            .await
            .expect("they shake hands");
    let expected = Handshake {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384",
        curve: Some("X25519"),
        resumed: false,
    };
    assert_eq!((handshake, alpn), (expected, None));
}

#[tokio::test]
async fn alpn_follows_the_servers_order_and_is_left_out_where_nothing_matches() {
    let server = context(&["h2", "http/1.1"], |_| {});
    let cases: [(&[&str], Option<&str>); 6] = [
        (&["h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["foo", "http/1.1"], Some("http/1.1")),
        (&["foo"], None),
        (&[], None),
    ];
    for (offered, expected) in cases {
        let (_, alpn) =
            connect(&server, &Arc::new(client(offered, &[], &[]))).await.expect("they shake hands");
        assert_eq!(alpn.as_deref(), expected.map(str::as_bytes), "{offered:?}");
    }
    let (_, alpn) =
        connect(&context(&[], |_| {}), &Arc::new(client(&["h2"], &[], &[]))).await.expect("they shake hands");
    assert_eq!(alpn, None);
}

#[tokio::test]
async fn cipher_suites_are_chosen_as_by_envoy() {
    use CipherSuite as C;
    let aes128 = C::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;
    let aes256 = C::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384;
    let chacha = C::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256;
    let cases: [(&[CipherSuite], &str); 7] = [
        // On TLS 1.3 the client's order counts.
        (&[C::TLS13_AES_128_GCM_SHA256, C::TLS13_AES_256_GCM_SHA384], "TLS_AES_128_GCM_SHA256"),
        (&[C::TLS13_CHACHA20_POLY1305_SHA256, C::TLS13_AES_128_GCM_SHA256], "TLS_CHACHA20_POLY1305_SHA256"),
        (&[C::TLS13_AES_256_GCM_SHA384, aes128], "TLS_AES_256_GCM_SHA384"),
        // On TLS 1.2 the server's.
        (&[aes256, aes128, chacha], "ECDHE-RSA-AES128-GCM-SHA256"),
        (&[aes256, chacha, aes128], "ECDHE-RSA-CHACHA20-POLY1305"),
        (&[aes256, chacha], "ECDHE-RSA-CHACHA20-POLY1305"),
        (&[aes256], "ECDHE-RSA-AES256-GCM-SHA384"),
    ];
    let server = context(&[], |_| {});
    for (offered, expected) in cases {
        let (handshake, _) =
            connect(&server, &Arc::new(client(&[], offered, &[]))).await.expect("they shake hands");
        assert_eq!(handshake.cipher, expected, "{offered:?}");
    }
    // A client that could do TLS 1.3, and a server that may not.
    let old = context(&[], |config| config.maximum_version = Some(TlsVersion::Tls12));
    let (handshake, _) = connect(&old, &Arc::new(client(&[], &[], &[]))).await.expect("they shake hands");
    assert_eq!((handshake.version, handshake.cipher), ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256"));
}

#[tokio::test]
async fn key_exchange_groups_are_those_of_envoy() {
    let server = context(&[], |_| {});
    let cases: [(&[NamedGroup], Option<&str>); 9] = [
        (&[NamedGroup::X25519], Some("X25519")),
        (&[NamedGroup::X25519MLKEM768, NamedGroup::X25519], Some("X25519MLKEM768")),
        (&[NamedGroup::X25519, NamedGroup::secp256r1], Some("X25519")),
        // The server's order counts, even if the client has to be asked for another share.
        (&[NamedGroup::secp256r1, NamedGroup::X25519], Some("X25519")),
        (&[NamedGroup::X25519, NamedGroup::X25519MLKEM768], Some("X25519MLKEM768")),
        (&[NamedGroup::secp384r1, NamedGroup::X25519], Some("X25519")),
        (&[NamedGroup::secp256r1], Some("P-256")),
        (&[NamedGroup::secp384r1, NamedGroup::secp256r1], Some("P-256")),
        (&[NamedGroup::secp384r1], None),
    ];
    for (offered, expected) in cases {
        let result = connect(&server, &Arc::new(client(&[], &[], offered))).await;
        match expected {
            Some(expected) => {
                assert_eq!(result.expect("they shake hands").0.curve, Some(expected), "{offered:?}")
            }
            None => assert!(matches!(result, Err(AcceptError::Tls(_))), "{offered:?}"),
        }
    }
    let tls12 = [CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let server = context(&[], |config| config.maximum_version = Some(TlsVersion::Tls12));
    for suites in [&tls12[..], &[]] {
        let groups = [NamedGroup::secp256r1, NamedGroup::X25519, NamedGroup::X25519MLKEM768];
        let result = connect(&server, &Arc::new(client(&[], suites, &groups))).await;
        assert_eq!(result.expect("they shake hands").0.curve, Some("X25519"));
    }
}

#[tokio::test]
async fn versions_outside_the_bounds_are_refused() {
    let tls12 = [CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let server = context(&[], |config| config.minimum_version = TlsVersion::Tls13);
    let result = connect(&server, &Arc::new(client(&[], &tls12, &[]))).await;
    assert!(matches!(result, Err(AcceptError::Tls(_))));
    let (handshake, _) = connect(&server, &Arc::new(client(&[], &[], &[]))).await.expect("they shake hands");
    assert_eq!(handshake.version, "TLSv1.3");
}

#[tokio::test]
async fn sessions_are_resumed_by_ticket_and_from_the_cache() {
    let tls12 = [CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let without_tickets = {
        let mut config = client(&[], &tls12, &[]);
        config.resumption = Resumption::in_memory_sessions(8)
            .tls12_resumption(rustls::client::Tls12Resumption::SessionIdOnly);
        config
    };
    let server = context(&[], |_| {});
    for config in [client(&[], &[], &[]), client(&[], &tls12, &[]), without_tickets] {
        let config = Arc::new(config);
        for resumed in [false, true] {
            let (handshake, _) = connect(&server, &config).await.expect("they shake hands");
            assert_eq!(handshake.resumed, resumed, "{handshake:?}");
        }
        // Another context knows nothing of the session.
        let (handshake, _) = connect(&context(&[], |_| {}), &config).await.expect("they shake hands");
        assert!(!handshake.resumed);
    }
}

/// Sends bytes that are no TLS and reads the answer.
async fn send(bytes: &[u8]) -> (Result<(), AcceptError>, Vec<u8>) {
    let server = context(&[], |_| {});
    let (mut near, far): (DuplexStream, DuplexStream) = tokio::io::duplex(1 << 16);
    near.write_all(bytes).await.expect("room");
    let (accepted, answer) = tokio::join!(async { server.accept(far).await.map(drop) }, async {
        let mut answer = Vec::new();
        near.shutdown().await.expect("open");
        near.read_to_end(&mut answer).await.expect("open");
        answer
    });
    (accepted, answer)
}

#[tokio::test]
async fn what_is_no_tls_gets_an_alert_and_http_gets_nothing() {
    for bytes in ["GET / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n"] {
        let (accepted, answer) = send(bytes.as_bytes()).await;
        assert!(matches!(accepted, Err(AcceptError::Tls(_))), "{bytes}");
        assert!(answer.is_empty(), "{bytes}");
    }
    for bytes in ["DELETE / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\0\u{1}garbage"] {
        let (accepted, answer) = send(bytes.as_bytes()).await;
        assert!(matches!(accepted, Err(AcceptError::Tls(_))), "{bytes}");
        assert_eq!(answer.first(), Some(&21), "an alert record");
    }
    // A client that goes away is no fault of the handshake.
    for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00"] {
        let (accepted, answer) = send(bytes).await;
        assert!(matches!(accepted, Err(AcceptError::Io(_))), "{bytes:?}");
        assert!(answer.is_empty());
    }
}

#[test]
fn all_errors_of_a_context_come_at_once() {
    let key = KeyPair::generate().expect("a key");
    let other = CertificateParams::new(vec![String::from("a.example")]).expect("parameters");
    let other = other.self_signed(&key).expect("a certificate").pem();
    let config = DownstreamTls {
        certificates: vec![
            certificate(V1, V1_KEY),
            certificate("garbage", V1_KEY),
            certificate(&other, V1_KEY),
        ],
        minimum_version: TlsVersion::Tls13,
        maximum_version: Some(TlsVersion::Tls12),
        place: Place::generated("context"),
        ..DownstreamTls::default()
    };
    let errors = ServerContext::new(&config, &crypto()).expect_err("three faults");
    let places: Vec<_> = errors.iter().map(|error| &*error.place.path).collect();
    assert_eq!(places, ["certificate", "key", "context"]);

    let errors = ServerContext::new(&DownstreamTls::default(), &crypto()).expect_err("no certificate");
    assert!(errors[0].message.contains("no TLS certificates found"));
}

#[tokio::test]
async fn the_handshake_is_small() {
    let server = context(&[], |_| {});
    let (_, far) = tokio::io::duplex(1);
    let size = size_of_val(&server.accept(far));
    assert!(size <= 4096, "{size} bytes");
}
