//! TLS towards clients: certificates from wherever they may stand, protocols by ALPN, versions, and clients that cannot
//! shake hands.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use h2::client::Builder;
use http::Request;
use nuncio_test_support::{
    Client, Directory, Http2Client, ManualOrigin, Origin, Proxy, TlsClient, TlsConnection, exchange, mask,
};
use rustls::{
    ProtocolVersion,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Of X.509 version 1, as the front proxy example's.
const CERTIFICATE: &str = include_str!("../../../fixtures/tls/v1.crt");
const KEY: &str = include_str!("../../../fixtures/tls/v1.key");
const OTHER_KEY: &str = include_str!("../../../fixtures/tls/p224.key");

/// A certificate and its key as they stand in the configuration.
fn certificate(chain: &str, key: &str) -> String {
    format!("tls_certificates: [{{ certificate_chain: {{ {chain} }}, private_key: {{ {key} }} }}]")
}

fn inline(chain: &str, key: &str) -> String {
    // A Rust string's escapes are those of a YAML string in double quotes.
    certificate(&format!("inline_string: {chain:?}"), &format!("inline_string: {key:?}"))
}

async fn http1(connection: TlsConnection, path: &str) -> String {
    Client::over(connection.stream).get(path).await.body
}

#[tokio::test]
async fn certificates_may_stand_anywhere() {
    let directory = Directory::new();
    let chain = directory.write("chain.pem", CERTIFICATE);
    let key = directory.write("key.pem", KEY);
    let origin = Origin::answering("hello").await;
    for context in [
        inline(CERTIFICATE, KEY),
        certificate(
            &format!("inline_bytes: {}", BASE64.encode(CERTIFICATE)),
            &format!("inline_bytes: {}", BASE64.encode(KEY)),
        ),
        certificate(&format!("filename: {}", chain.display()), &format!("filename: {}", key.display())),
        certificate("environment_variable: CHAIN", "environment_variable: KEY"),
    ] {
        let proxy = Proxy::in_front_of(&origin)
            .with_tls(&context)
            .with_variable("CHAIN", CERTIFICATE)
            .with_variable("KEY", KEY)
            .start()
            .await;
        let connection = TlsClient::default().connect(proxy.listener(0)).await.unwrap();
        let expected = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
        assert_eq!(connection.certificate(), expected.as_ref());
        assert_eq!(http1(connection, "/").await, "hello");
        proxy
            .wait_for_stats(&[
                ("listener.main.ssl.handshake", 1),
                ("listener.main.ssl.connection_error", 0),
                ("listener.main.ssl.no_certificate", 1),
                ("listener.main.ssl.versions.TLSv1.3", 1),
                ("http.downstream_cx_ssl_total", 1),
                ("http.downstream_cx_ssl_active", 0),
                ("http.downstream_cx_total", 1),
                ("http.downstream_rq_2xx", 1),
            ])
            .await;
    }
}

/// What a configuration is refused for.
#[track_caller]
fn check_refused(context: &str, expected: &str) {
    let proxy = Proxy::in_front_of_address(([127, 0, 0, 1], 1).into()).with_tls(context);
    let errors = match proxy.load() {
        Err(errors) => errors.to_string(),
        Ok(_) => proxy.try_start().err().unwrap().to_string(),
    };
    assert!(errors.starts_with("test.yaml:"), "{errors}");
    assert!(errors.contains(expected), "{expected:?} in {errors}");
    assert!(!errors.contains(KEY.lines().nth(1).unwrap()), "no key is shown: {errors}");
}

#[tokio::test]
async fn certificates_that_are_of_no_use_are_refused_with_their_place() {
    check_refused(&inline("no PEM", KEY), "certificate_chain");
    check_refused(&inline(CERTIFICATE, "no PEM"), "private_key");
    check_refused(&inline(CERTIFICATE, OTHER_KEY), "private_key");
    check_refused(&certificate("filename: /no/such/file", "filename: /no/such/key"), "/no/such/file");
    check_refused(&certificate("environment_variable: NOT_SET", "environment_variable: NOR_THIS"), "NOT_SET");
}

#[tokio::test]
async fn the_protocol_is_agreed_on() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin)
        .with_tls(&format!("alpn_protocols: [h2, http/1.1]\n{}", inline(CERTIFICATE, KEY)))
        .start()
        .await;
    let address = proxy.listener(0);
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
        (&["spdy/3"], None),
    ] {
        let connection = TlsClient::default().alpn(offered).connect(address).await.unwrap();
        assert_eq!(connection.alpn().as_deref(), agreed, "{offered:?}");
        if agreed == Some("h2") {
            let client = Http2Client::over(connection.stream, &Builder::new()).await;
            assert_eq!(client.get("/").await.text(), "hello");
        } else {
            assert_eq!(http1(connection, "/").await, "hello");
        }
    }
    // Without ALPN the first bytes decide, as without TLS.
    let connection = TlsClient::default().connect(address).await.unwrap();
    let client = Http2Client::over(connection.stream, &Builder::new()).await;
    assert_eq!(client.get("/").await.text(), "hello");
    proxy
        .wait_for_stats(&[
            ("http.downstream_cx_ssl_total", 6),
            ("http.downstream_cx_http2_total", 3),
            ("http.downstream_cx_http1_total", 3),
            ("listener.main.ssl.handshake", 6),
        ])
        .await;
}

#[tokio::test]
async fn versions_have_bounds() {
    let origin = Origin::answering("hello").await;
    let (tls12, tls13) = (TlsClient::default().tls12(), TlsClient::default().tls13());
    for (parameters, takes12, takes13) in [
        ("{}", true, true),
        ("{ tls_minimum_protocol_version: TLSv1_3 }", false, true),
        ("{ tls_maximum_protocol_version: TLSv1_2 }", true, false),
    ] {
        let proxy = Proxy::in_front_of(&origin)
            .with_tls(&format!("tls_params: {parameters}\n{}", inline(CERTIFICATE, KEY)))
            .start()
            .await;
        let mut refused = 0;
        for (client, takes, version) in
            [(&tls12, takes12, ProtocolVersion::TLSv1_2), (&tls13, takes13, ProtocolVersion::TLSv1_3)]
        {
            match client.connect(proxy.listener(0)).await {
                Ok(connection) => {
                    assert!(takes, "{version:?} with {parameters}");
                    assert_eq!(connection.version(), version);
                    assert_eq!(http1(connection, "/").await, "hello");
                }
                Err(_) => {
                    assert!(!takes, "{version:?} with {parameters}");
                    refused += 1;
                }
            }
        }
        proxy.wait_for_stats(&[("listener.main.ssl.connection_error", refused)]).await;
    }
}

#[tokio::test]
async fn the_origin_learns_that_it_was_https() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address())
        .with_tls(&format!("alpn_protocols: [h2, http/1.1]\n{}", inline(CERTIFICATE, KEY)))
        .start()
        .await;
    let connection = TlsClient::default().connect(proxy.listener(0)).await.unwrap();
    let mut client = Client::over(connection.stream);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut peer = origin.accept().await;
    assert_eq!(
        mask(&peer.head().await),
        "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-proto: https\r\nx-request-id: UUID\r\nx-envoy-expected-rq-timeout-ms: 15000"
    );
}

#[tokio::test]
async fn a_mebibyte_each_way() {
    let origin =
        Origin::serving(|seen| std::future::ready(http::Response::new(http_body_util::Full::new(seen.body))))
            .await;
    let proxy = Proxy::in_front_of(&origin)
        .with_tls(&format!("alpn_protocols: [h2, http/1.1]\n{}", inline(CERTIFICATE, KEY)))
        .start()
        .await;
    let body = Bytes::from("x".repeat(1 << 20));
    for tls in [TlsClient::default().tls12(), TlsClient::default().tls13()] {
        let connection = tls.connect(proxy.listener(0)).await.unwrap();
        let mut client = Client::over(connection.stream);
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1048576\r\n\r\n";
        let response = client.request([head, &body[..]].concat()).await;
        assert!(response.body.as_bytes() == body, "{} bytes", response.body.len());
        let connection = tls.alpn(&["h2"]).connect(proxy.listener(0)).await.unwrap();
        let client = Http2Client::over(connection.stream, &Builder::new()).await;
        let response = client.post(Request::post("https://a/").body(()).unwrap(), body.clone()).await;
        assert!(response.body == body, "{} bytes", response.body.len());
    }
}

#[tokio::test]
async fn clients_that_do_not_shake_hands_hinder_nobody() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).with_tls(&inline(CERTIFICATE, KEY)).start().await;
    let address = proxy.listener(0);
    let _silent = Client::connect(address).await;
    let mut slow = Client::connect(address).await;
    slow.send(b"\x16\x03\x01\x02\x00").await;
    let answer = exchange(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!answer.contains("HTTP"), "{answer}");
    let connection = TlsClient::default().connect(address).await.unwrap();
    assert_eq!(http1(connection, "/").await, "hello");
    proxy
        .wait_for_stats(&[
            ("listener.main.ssl.connection_error", 1),
            ("listener.main.ssl.handshake", 1),
            ("listener.main.downstream_cx_total", 4),
            ("http.downstream_rq_total", 1),
        ])
        .await;
    assert_eq!(origin.seen().len(), 1);
}
