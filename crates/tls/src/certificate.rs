//! Reading a certificate chain and its key, and checking that they belong together.
//!
//! What is accepted follows Envoy: text around the PEM blocks is skipped, the first key counts, the certificate's
//! dates and usages are not looked at, RSA keys have at least 2048 bits, and elliptic curves are P-256, P-384 and
//! P-521.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use nuncio_config::model::TlsCertificate;
use rustls::{
    NamedGroup,
    crypto::CryptoProvider,
    sign::{CertifiedKey, SigningKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};
use x509_parser::{
    certificate::X509Certificate,
    der_parser::{Oid, oid},
    extensions::GeneralName,
    prelude::FromDer,
    public_key::PublicKey,
    x509::SubjectPublicKeyInfo,
};

use crate::TlsError;

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// The curves that Envoy takes for a server's key.
const CURVES: [(Oid<'static>, NamedGroup); 3] = [
    (oid!(1.2.840.10045.3.1.7), NamedGroup::secp256r1),
    (oid!(1.3.132.0.34), NamedGroup::secp384r1),
    (oid!(1.3.132.0.35), NamedGroup::secp521r1),
];
const EC_PUBLIC_KEY: Oid<'static> = oid!(1.2.840.10045.2.1);

/// What the admin endpoints and the stats show of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The file that it was read from, if it was.
    pub path: Option<String>,
    /// In hexadecimal digits.
    pub serial_number: String,
    /// DNS names of the subject alternative names.
    pub dns_names: Vec<String>,
    /// URIs of the subject alternative names.
    pub uris: Vec<String>,
    /// Addresses of the subject alternative names.
    pub ip_addresses: Vec<IpAddr>,
    /// The first second in which it is valid, counted from 1970.
    pub not_before: i64,
    /// The last second in which it is valid, counted from 1970.
    pub not_after: i64,
}

/// A certificate that can be served.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) info: CertificateInfo,
    /// The names that it is chosen for: the DNS names, or the common name of a certificate without any
    /// alternative name. In lower case.
    pub(crate) names: Vec<String>,
    /// The curve of an ECDSA key.
    pub(crate) curve: Option<NamedGroup>,
    pub(crate) key: Arc<CertifiedKey>,
}

impl CertificateInfo {
    /// Whole days that are left at `now`; zero once it has expired.
    pub fn days_until_expiration(&self, now: SystemTime) -> u64 {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let left = self.not_after.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
        u64::try_from(left / SECONDS_PER_DAY).unwrap_or(0)
    }
}

/// The days until the first of the certificates expires, which is the gauge `server.days_until_first_cert_expiring`.
/// `None` without a certificate.
pub fn days_until_first_expiration<'a>(
    certificates: impl IntoIterator<Item = &'a CertificateInfo>,
    now: SystemTime,
) -> Option<u64> {
    certificates.into_iter().map(|certificate| certificate.days_until_expiration(now)).min()
}

/// Reads one certificate with its key. All that is wrong is added to `errors`.
pub(crate) fn load(
    config: &TlsCertificate,
    provider: &CryptoProvider,
    errors: &mut Vec<TlsError>,
) -> Option<Certificate> {
    let chain = chain(&config.certificate_chain)
        .and_then(|chain| Leaf::read(&chain).map(|leaf| (chain, leaf)))
        .map_err(|message| errors.push(TlsError::new(&config.certificate_place, message)));
    let key = key(config.private_key.expose(), provider)
        .map_err(|message| errors.push(TlsError::new(&config.private_key_place, message)));
    let ((chain, leaf), key) = (chain.ok()?, key.ok()?);
    if let Err(message) = leaf.check_key(key.as_ref()) {
        errors.push(TlsError::new(&config.private_key_place, message));
        return None;
    }
    Some(Certificate {
        info: CertificateInfo { path: config.certificate_path.clone(), ..leaf.info },
        names: leaf.names,
        curve: leaf.curve,
        key: Arc::new(CertifiedKey::new(chain, key)),
    })
}

/// An address as certificates hold it: 4 or 16 bytes.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// What is kept of the first certificate of a chain.
struct Leaf {
    info: CertificateInfo,
    names: Vec<String>,
    curve: Option<NamedGroup>,
    /// The algorithm and the key, in DER.
    public_key: (Vec<u8>, Vec<u8>),
}

impl Leaf {
    fn read(chain: &[CertificateDer<'static>]) -> Result<Self, String> {
        let mut leaf = None;
        for (index, der) in chain.iter().enumerate() {
            let parsed = match X509Certificate::from_der(der) {
                Ok(([], parsed)) => parsed,
                _ => {
                    return Err(format!(
                        "failed to load the certificate chain: certificate {} of {} is PEM but not X.509; \
                         write the file anew",
                        index + 1,
                        chain.len()
                    ));
                }
            };
            if index == 0 {
                let curve = check_strength(parsed.public_key())?;
                leaf = Some(Self::of(&parsed, curve));
            }
        }
        leaf.ok_or_else(|| String::from("failed to load the certificate chain: it is empty"))
    }

    fn of(certificate: &X509Certificate<'_>, curve: Option<NamedGroup>) -> Self {
        let alternative = certificate
            .subject_alternative_name()
            .ok()
            .flatten()
            .map(|extension| extension.value.general_names.as_slice())
            .unwrap_or_default();
        let (mut dns_names, mut uris, mut ip_addresses) = (Vec::new(), Vec::new(), Vec::new());
        for name in alternative {
            match name {
                GeneralName::DNSName(name) => dns_names.push((*name).to_owned()),
                GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                GeneralName::IPAddress(bytes) => ip_addresses.extend(address(bytes)),
                _ => {}
            }
        }
        let mut names: Vec<String> = dns_names.iter().map(|name| name.to_ascii_lowercase()).collect();
        if alternative.is_empty() {
            let common_name = certificate.subject().iter_common_name().next();
            names.extend(
                common_name.and_then(|name| name.as_str().ok()).map(|name| name.to_ascii_lowercase()),
            );
        }
        let key = certificate.public_key();
        Self {
            info: CertificateInfo {
                path: None,
                serial_number: certificate.raw_serial().iter().skip_while(|byte| **byte == 0).fold(
                    String::new(),
                    |mut text, byte| {
                        text.push_str(&format!("{byte:02x}"));
                        text
                    },
                ),
                dns_names,
                uris,
                ip_addresses,
                not_before: certificate.validity().not_before.timestamp(),
                not_after: certificate.validity().not_after.timestamp(),
            },
            names,
            curve,
            public_key: (
                key.algorithm.algorithm.as_bytes().to_vec(),
                key.subject_public_key.data.as_ref().to_vec(),
            ),
        }
    }

    /// Whether `key` is the private half of the certificate's key. The keys are compared and not their whole
    /// encodings, since the parameters of an RSA key may be written as NULL or left out.
    fn check_key(&self, key: &dyn SigningKey) -> Result<(), String> {
        let Some(public) = key.public_key() else {
            return Err(String::from(
                "failed to load the private key: the cryptography in use cannot tell its public key",
            ));
        };
        let Ok(([], public)) = SubjectPublicKeyInfo::from_der(&public) else {
            return Err(String::from("failed to load the private key: its public key cannot be read"));
        };
        let (algorithm, bits) = &self.public_key;
        if public.algorithm.algorithm.as_bytes() != algorithm.as_slice() {
            return Err(String::from(
                "failed to load the private key: it is of another type than the certificate's (key type \
                 mismatch); give the key that the certificate was made with",
            ));
        }
        if public.subject_public_key.data.as_ref() != bits.as_slice() {
            return Err(String::from(
                "failed to load the private key: it does not belong to the certificate (key values mismatch); \
                 give the key that the certificate was made with, and the server's certificate first in its chain",
            ));
        }
        Ok(())
    }
}

/// Refuses weak keys. Gives the curve of an ECDSA key.
fn check_strength(key: &SubjectPublicKeyInfo<'_>) -> Result<Option<NamedGroup>, String> {
    if let Ok(PublicKey::RSA(rsa)) = key.parsed()
        && rsa.key_size() < 2048
    {
        return Err(format!(
            "failed to load the certificate chain: its RSA key has {} bits, and only RSA certificates with \
             2048-bit or larger keys are supported",
            rsa.key_size()
        ));
    }
    let algorithm = &key.algorithm;
    if algorithm.algorithm != EC_PUBLIC_KEY {
        return Ok(None);
    }
    let curve = algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    match CURVES.iter().find(|(known, _)| curve.as_ref() == Some(known)) {
        Some((_, group)) => Ok(Some(*group)),
        None => Err(String::from(
            "failed to load the certificate chain: only P-256, P-384 or P-521 ECDSA certificates are supported",
        )),
    }
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    if pem.trim_ascii().is_empty() {
        return Err(String::from(
            "failed to load the certificate chain: certificate chain not set (it is empty)",
        ));
    }
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("failed to load the certificate chain: {}", broken_pem(&error)))?;
    if chain.is_empty() {
        return Err(String::from(
            "failed to load the certificate chain: no certificate in it; it must be PEM with a \
             \"-----BEGIN CERTIFICATE-----\" block, the server's certificate first",
        ));
    }
    Ok(chain)
}

fn key(pem: &[u8], provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, String> {
    if pem.trim_ascii().is_empty() {
        return Err(String::from("failed to load the private key: private key not set (it is empty)"));
    }
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        let reason = if is_encrypted(pem) {
            "it is encrypted and there is no password for it; decrypt it with \"openssl pkey -in KEY -out PLAIN\""
        } else if matches!(error, pem::Error::NoItemsFound) {
            "no private key in it; it must be PEM with a \"-----BEGIN PRIVATE KEY-----\" block (PKCS #8, or RSA \
             and EC keys in their own formats)"
        } else {
            broken_pem(&error)
        };
        format!("failed to load the private key: {reason}")
    })?;
    // The provider's own words are left out: nothing that was derived from a key belongs in a message.
    provider.key_provider.load_private_key(key).map_err(|_| {
        String::from(
            "failed to load the private key: it is PEM, but not a key that can be used; RSA of 2048 to 8192 \
             bits, ECDSA on P-256, P-384 or P-521, and Ed25519 can be",
        )
    })
}

fn is_encrypted(pem: &[u8]) -> bool {
    ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| pem.windows(mark.len()).any(|window| window == mark.as_bytes()))
}

/// In words of our own, since some of the parser's errors quote the line that they stumbled over.
fn broken_pem(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => {
            "a PEM block has no \"-----END\" line; the text may be cut off"
        }
        pem::Error::IllegalSectionStart { .. } => "a \"-----BEGIN\" line is malformed",
        pem::Error::Base64Decode(_) => {
            "a PEM block is not valid base64; check its line breaks and indentation"
        }
        _ => "the PEM cannot be read",
    }
}

#[cfg(test)]
mod tests;
