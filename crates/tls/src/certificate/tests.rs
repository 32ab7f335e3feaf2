use std::time::Duration;

use nuncio_config::model::{Place, Secret};
use rcgen::{CertificateParams, KeyPair};

use super::*;

const V1: &str = include_str!("../../../../fixtures/tls/v1.crt");
const V1_KEY: &str = include_str!("../../../../fixtures/tls/v1.key");

fn config(chain: &str, key: &str) -> TlsCertificate {
    TlsCertificate {
        certificate_chain: chain.as_bytes().to_vec(),
        certificate_path: None,
        certificate_place: Place::generated("certificate"),
        private_key: Secret::new(key.as_bytes()),
        private_key_place: Place::generated("key"),
    }
}

fn read(chain: &str, key: &str) -> (Option<Certificate>, Vec<TlsError>) {
    let mut errors = Vec::new();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    (load(&config(chain, key), &provider, &mut errors), errors)
}

/// An ECDSA certificate and its key.
fn ecdsa() -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let parameters = CertificateParams::new(vec![String::from("ec.example")]).expect("parameters");
    (parameters.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

fn check(chain: &str, key: &str, expected: &[(&str, &str)]) {
    let (certificate, errors) = read(chain, key);
    assert_eq!(certificate.is_some(), expected.is_empty(), "{errors:?}");
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    for (error, (place, message)) in errors.iter().zip(expected) {
        assert_eq!(&*error.place.path, *place);
        assert!(error.message.contains(message), "{:?} does not say {message:?}", error.message);
        // Nothing of a key may be told: no stretch of its base64 stands in the message.
        for line in key.lines().filter(|line| line.len() > 20 && !line.starts_with('-')) {
            assert!(!error.message.contains(&line[..12]), "{}", error.message);
        }
    }
}

#[test]
fn what_envoy_serves_is_read() {
    let (ec, ec_key) = ecdsa();
    check(V1, V1_KEY, &[]);
    check(&ec, &ec_key, &[]);
    check(&format!("The server:\n{V1}and text behind it"), &format!("Its key\n{V1_KEY}"), &[]);
    // Both in one file, in either order.
    let (both, reversed) = (format!("{V1}{V1_KEY}"), format!("{V1_KEY}{V1}"));
    check(&both, &both, &[]);
    check(&reversed, &reversed, &[]);
    // Of several keys the first counts.
    check(V1, &format!("{V1_KEY}{ec_key}"), &[]);
    // A chain.
    check(&format!("{ec}{V1}"), &ec_key, &[]);
}

#[test]
fn each_fault_is_told_with_its_place() {
    let (ec, ec_key) = ecdsa();
    let cut_off = &V1[..V1.len() / 2];
    let not_base64 = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let not_x509 = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n";
    let not_a_key = "-----BEGIN PRIVATE KEY-----\nMIIBAAAA\n-----END PRIVATE KEY-----\n";

    check("", V1_KEY, &[("certificate", "certificate chain not set")]);
    check("garbage", V1_KEY, &[("certificate", "no certificate in it")]);
    check(V1_KEY, V1_KEY, &[("certificate", "no certificate in it")]);
    check(cut_off, V1_KEY, &[("certificate", "no \"-----END\" line")]);
    check(not_base64, V1_KEY, &[("certificate", "not valid base64")]);
    check(not_x509, V1_KEY, &[("certificate", "certificate 1 of 1")]);
    check(&format!("{V1}{not_x509}"), V1_KEY, &[("certificate", "certificate 2 of 2")]);

    check(V1, "", &[("key", "private key not set")]);
    check(V1, "garbage", &[("key", "no private key in it")]);
    check(V1, V1, &[("key", "no private key in it")]);
    check(V1, not_a_key, &[("key", "not a key that can be used")]);
    check(V1, &V1_KEY[..V1_KEY.len() / 2], &[("key", "no \"-----END\" line")]);
    check(V1, &V1_KEY.replace("-----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY"), &[("key", "")]);
    check(V1, include_str!("../../../../fixtures/tls/encrypted.key"), &[("key", "it is encrypted")]);
    check(
        V1,
        include_str!("../../../../fixtures/tls/encrypted-traditional.key"),
        &[("key", "it is encrypted")],
    );

    check(V1, &ec_key, &[("key", "key type mismatch")]);
    check(&ec, &ecdsa().1, &[("key", "key values mismatch")]);
    // The intermediate before the leaf.
    check(&format!("{V1}{ec}"), &ec_key, &[("key", "key type mismatch")]);
    check("garbage", "garbage", &[("certificate", "no certificate"), ("key", "no private key")]);
}

#[test]
fn weak_keys_are_refused_as_by_envoy() {
    let (certificate, errors) = read(
        include_str!("../../../../fixtures/tls/rsa1024.crt"),
        include_str!("../../../../fixtures/tls/rsa1024.key"),
    );
    assert!(certificate.is_none());
    assert!(errors[0].message.contains("1024 bits, and only RSA certificates with 2048-bit or larger"));
    let (certificate, errors) = read(
        include_str!("../../../../fixtures/tls/p224.crt"),
        include_str!("../../../../fixtures/tls/p224.key"),
    );
    assert!(certificate.is_none());
    assert!(errors[0].message.contains("only P-256, P-384 or P-521 ECDSA certificates are supported"));
}

#[test]
fn the_names_are_those_of_the_extension_or_else_the_first_common_name() {
    let names = |certificate: Option<Certificate>| certificate.expect("a certificate").names;
    assert_eq!(names(read(V1, V1_KEY).0), ["front-proxy"]);
    let key = KeyPair::generate().expect("a key");
    let named = |alternative: &[&str]| {
        let alternative: Vec<_> = alternative.iter().map(|name| String::from(*name)).collect();
        let mut parameters = CertificateParams::new(alternative).expect("parameters");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "Common.Example");
        let pem = parameters.self_signed(&key).expect("a certificate").pem();
        names(read(&pem, &key.serialize_pem()).0)
    };
    assert_eq!(named(&["A.example", "*.b.example"]), ["a.example", "*.b.example"]);
    // An address is an alternative name too, so the common name does not count.
    assert!(named(&["127.0.0.1"]).is_empty());
    assert_eq!(named(&[]), ["common.example"]);
}

#[test]
fn alternative_names_are_told_by_kind() {
    let key = KeyPair::generate().expect("a key");
    let mut parameters =
        CertificateParams::new(["A.example".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()])
            .expect("parameters");
    let uri = "spiffe://a/b".try_into().expect("a URI");
    parameters.subject_alt_names.insert(0, rcgen::SanType::URI(uri));
    let pem = parameters.self_signed(&key).expect("a certificate").pem();
    let info = read(&pem, &key.serialize_pem()).0.expect("a certificate").info;
    assert_eq!((info.dns_names, info.uris), (vec!["A.example".to_owned()], vec!["spiffe://a/b".to_owned()]));
    assert_eq!(info.ip_addresses, ["127.0.0.1", "::1"].map(|ip| ip.parse::<IpAddr>().expect("an address")));
}

#[test]
fn days_are_counted_to_the_first_expiration() {
    let info = |not_after| CertificateInfo {
        path: None,
        serial_number: String::new(),
        dns_names: Vec::new(),
        uris: Vec::new(),
        ip_addresses: Vec::new(),
        not_before: 0,
        not_after,
    };
    let now = UNIX_EPOCH + Duration::from_secs(1000);
    let day = SECONDS_PER_DAY;
    assert_eq!(info(1000 + day).days_until_expiration(now), 1);
    assert_eq!(info(999 + day).days_until_expiration(now), 0);
    assert_eq!(info(0).days_until_expiration(now), 0);
    assert_eq!(days_until_first_expiration(&[info(1000 + 9 * day), info(1000 + 3 * day)], now), Some(3));
    assert_eq!(days_until_first_expiration(&[], now), None);
    let v1 = read(V1, V1_KEY).0.expect("a certificate").info;
    assert_eq!((v1.not_after - v1.not_before) / day, 36500);
    assert!(!v1.serial_number.is_empty() && !v1.serial_number.starts_with("00"));
}

#[test]
fn debug_shows_no_key() {
    let (certificate, _) = read(V1, V1_KEY);
    let shown = format!("{certificate:?} {:?}", config(V1, V1_KEY));
    for line in V1_KEY.lines().filter(|line| !line.starts_with('-')) {
        assert!(!shown.contains(line));
    }
    let der = PrivateKeyDer::from_pem_slice(V1_KEY.as_bytes()).expect("a key");
    let bytes = format!("{:?}", &der.secret_der()[40..60]);
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])));
}
