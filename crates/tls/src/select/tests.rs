//! The expectations were seen with Envoy 1.40, with certificates of the same names and kinds in the same order.

use nuncio_config::model::{Place, Secret, TlsCertificate};
use rcgen::{
    CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
};

use super::*;
use crate::certificate;

const RSA: &[SignatureScheme] = &[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256];
const P256: &[SignatureScheme] = &[SignatureScheme::ECDSA_NISTP256_SHA256];
const BOTH: &[SignatureScheme] = &[SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256];
const P384: &[SignatureScheme] = &[SignatureScheme::ECDSA_NISTP384_SHA384, SignatureScheme::RSA_PSS_SHA256];

/// A certificate of a kind for some names, separated by spaces. A name that begins with `CN=` is the common name.
fn certificate(kind: &str, names: &str) -> Certificate {
    let key = match kind {
        "rsa" => KeyPair::from_pem(include_str!("../../../../fixtures/tls/v1.key")),
        "p256" => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        "p384" => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        _ => KeyPair::generate_for(&PKCS_ED25519),
    }
    .expect("a key");
    let (common, alternative): (Vec<_>, Vec<_>) =
        names.split_whitespace().map(String::from).partition(|name| name.starts_with("CN="));
    let mut parameters = CertificateParams::new(alternative).expect("parameters");
    for name in common {
        parameters.distinguished_name.push(DnType::CommonName, name.trim_start_matches("CN="));
    }
    let config = TlsCertificate {
        certificate_chain: parameters.self_signed(&key).expect("a certificate").pem().into_bytes(),
        certificate_path: None,
        certificate_place: Place::default(),
        private_key: Secret::new(key.serialize_pem().into_bytes()),
        private_key_place: Place::default(),
    };
    let mut errors = Vec::new();
    certificate::load(&config, &rustls::crypto::aws_lc_rs::default_provider(), &mut errors)
        .expect("it is sound")
}

/// Checks which of the certificates a client gets, by its index.
fn check(certificates: &[(&str, &str)], asked: &[(Option<&str>, &[SignatureScheme], usize)]) {
    let certificates: Vec<_> = certificates.iter().map(|(kind, names)| certificate(kind, names)).collect();
    let selector = CertificateSelector::new(&certificates);
    for (name, schemes, expected) in asked {
        let client = Client { schemes, curves: None };
        let chosen = selector.select(*name, &client).expect("there are certificates");
        let index = certificates.iter().position(|certificate| Arc::ptr_eq(&certificate.key, chosen));
        assert_eq!(index, Some(*expected), "{name:?} {schemes:?}");
    }
}

#[test]
fn the_kind_follows_the_client() {
    check(
        &[("rsa", "a.example"), ("p256", "a.example")],
        &[
            (None, RSA, 0),
            (None, P256, 1),
            (None, BOTH, 1),
            (Some("a.example"), RSA, 0),
            (Some("a.example"), P256, 1),
            (Some("a.example"), BOTH, 1),
            (Some("b.example"), BOTH, 0),
            (Some("b.example"), P256, 0),
        ],
    );
}

#[test]
fn a_name_without_certificate_gets_the_first() {
    check(
        &[
            ("rsa", "a.example"),
            ("rsa", "CN=b.example"),
            ("p256", "CN=c.example c1.example"),
            ("rsa", "*.w.example"),
            ("p256", "*.w.example"),
        ],
        &[
            (None, RSA, 0),
            (None, BOTH, 2),
            (Some("a.example"), P256, 0),
            (Some("b.example"), BOTH, 1),
            // The common name does not count beside an alternative name.
            (Some("c.example"), BOTH, 0),
            (Some("c1.example"), BOTH, 2),
            (Some("c1.example"), RSA, 0),
            (Some("x.w.example"), RSA, 3),
            (Some("x.w.example"), BOTH, 4),
            (Some("y.x.w.example"), BOTH, 0),
            (Some("w.example"), BOTH, 0),
            (Some("zzz"), BOTH, 0),
        ],
    );
}

#[test]
fn an_ecdsa_certificate_may_be_the_first() {
    check(
        &[("p256", "c1.example"), ("rsa", "CN=b.example")],
        &[
            (None, RSA, 1),
            (Some("a.example"), RSA, 0),
            (Some("b.example"), P256, 1),
            (Some("c1.example"), RSA, 0),
        ],
    );
}

#[test]
fn an_exact_name_goes_before_a_wildcard_unless_its_kind_does_not_suit() {
    check(
        &[("rsa", "CN=default"), ("rsa", "x.w.example"), ("p256", "*.w.example")],
        &[
            (Some("x.w.example"), RSA, 1),
            (Some("x.w.example"), BOTH, 1),
            (Some("x.w.example"), P256, 1),
            (Some("y.w.example"), BOTH, 2),
        ],
    );
    check(
        &[("rsa", "CN=default"), ("p256", "x.w.example"), ("rsa", "*.w.example")],
        &[(Some("x.w.example"), RSA, 2), (Some("x.w.example"), BOTH, 1)],
    );
}

#[test]
fn of_two_for_one_name_the_first_counts() {
    check(
        &[("rsa", "CN=default"), ("rsa", "dup.example"), ("rsa", "dup.example")],
        &[(Some("dup.example"), RSA, 1)],
    );
}

#[test]
fn the_curve_must_suit_the_client() {
    check(
        &[("rsa", "CN=default"), ("p384", "CN=e384"), ("p256", "a.example")],
        &[
            (None, P384, 1),
            (None, BOTH, 2),
            (None, RSA, 0),
            (Some("e384"), P384, 1),
            (Some("e384"), BOTH, 0),
            (Some("a.example"), P384, 0),
        ],
    );
    check(&[("ed25519", "CN=ed"), ("rsa", "a.example")], &[(None, RSA, 0), (Some("a.example"), RSA, 1)]);
}

#[test]
fn a_wildcard_stands_for_one_label() {
    check(
        &[("rsa", "CN=default"), ("rsa", "CN=*.cn.example"), ("rsa", "*.com")],
        &[
            (Some("x.cn.example"), RSA, 1),
            (Some("cn.example"), RSA, 0),
            (Some("example.com"), RSA, 2),
            (Some("com"), RSA, 0),
            (Some(""), RSA, 0),
            (Some("trailing."), RSA, 0),
        ],
    );
}

#[test]
fn up_to_tls_1_2_the_curve_must_be_offered() {
    let certificates = [certificate("p256", "a.example"), certificate("rsa", "a.example")];
    let selector = CertificateSelector::new(&certificates);
    for (curves, expected) in [(NamedGroup::secp256r1, 0), (NamedGroup::X25519, 1)] {
        let client = Client { schemes: BOTH, curves: Some(&[curves]) };
        let chosen = selector.select(Some("a.example"), &client).expect("there are certificates");
        assert!(Arc::ptr_eq(chosen, &certificates[expected].key), "{curves:?}");
    }
}
