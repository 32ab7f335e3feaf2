//! A downstream TLS context, ready to accept.

use std::{fmt, sync::Arc};

use nuncio_config::model::{DownstreamTls, TlsVersion};
use rustls::{
    CipherSuite, NamedGroup, ProtocolVersion, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::CryptoProvider,
    server::{ClientHello, ServerSessionMemoryCache},
};

use crate::{Crypto, TlsError, certificate, certificate::CertificateInfo, select::CertificateSelector};

/// Sessions kept for TLS 1.2 clients that take no tickets; beyond that, the oldest is forgotten.
const SESSIONS: usize = 4096;

/// The key exchange groups that Envoy offers. It takes the first of this list that the client knows, even if that costs
/// another round trip; rustls would take the first of the client's list.
const GROUPS: [NamedGroup; 3] = [NamedGroup::X25519MLKEM768, NamedGroup::X25519, NamedGroup::secp256r1];

/// The cipher suites of TLS 1.2 that Envoy offers, best first. On TLS 1.3 the client's order counts.
const AES_FIRST: [CipherSuite; 6] = [
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

/// The same for a client that prefers ChaCha20: Envoy holds it and AES-128 for equally good.
const CHACHA_FIRST: [CipherSuite; 6] = [
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

/// TLS towards clients, shared by all workers. Its `Debug` shows no key.
pub struct ServerContext {
    tls13: bool,
    client_order: Variants,
    aes_first: Variants,
    chacha_first: Variants,
    certificates: Vec<CertificateInfo>,
}

/// One order of cipher suites.
struct Variants {
    /// For each group of [`GROUPS`], in order, one that does no other.
    by_group: Vec<(NamedGroup, Variant)>,
    any_group: Variant,
}

/// One order of cipher suites and choice of groups, with the context's ALPN protocols and without.
struct Variant {
    alpn: Arc<ServerConfig>,
    no_alpn: Arc<ServerConfig>,
}

impl ServerContext {
    /// Checks a context's certificates and makes it ready. Gives all errors at once.
    pub fn new(config: &DownstreamTls, crypto: &Crypto) -> Result<Self, Vec<TlsError>> {
        let mut errors = Vec::new();
        let certificates: Vec<_> = config
            .certificates
            .iter()
            .filter_map(|config| certificate::load(config, &crypto.provider, &mut errors))
            .collect();
        if config.certificates.is_empty() {
            errors.push(TlsError::new(&config.place, "no TLS certificates found for the server context"));
        }
        let versions = versions(config);
        if versions.is_empty() {
            errors.push(TlsError::new(
                &config.place,
                "tls_minimum_protocol_version is above tls_maximum_protocol_version, so no version is left",
            ));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let shared = Shared {
            versions: &versions,
            selector: Arc::new(CertificateSelector::new(&certificates)),
            sessions: ServerSessionMemoryCache::new(SESSIONS),
            ticketer: (crypto.ticketer)().map_err(|error| {
                vec![TlsError::new(&config.place, format!("no session ticket key: {error}"))]
            })?,
            alpn: &config.alpn_protocols,
        };
        let variants = |order| {
            shared.variants(&crypto.provider, order).map_err(|error| {
                vec![TlsError::new(&config.place, format!("no usable cipher suite: {error}"))]
            })
        };
        Ok(Self {
            tls13: versions.contains(&&rustls::version::TLS13),
            client_order: variants(None)?,
            aes_first: variants(Some(&AES_FIRST))?,
            chacha_first: variants(Some(&CHACHA_FIRST))?,
            certificates: certificates.into_iter().map(|certificate| certificate.info).collect(),
        })
    }

    /// The server's certificates, in the order of the configuration.
    pub fn certificates(&self) -> &[CertificateInfo] {
        &self.certificates
    }

    /// The rustls configuration for a client that said `hello`.
    pub fn config_for(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let variants = if self.tls13 && offers_tls13(hello) {
            &self.client_order
        } else if prefers_chacha(hello.cipher_suites()) {
            &self.chacha_first
        } else {
            &self.aes_first
        };
        let variant = variants.for_groups(hello.named_groups().unwrap_or_default());
        let ours = &variant.alpn.alpn_protocols;
        let agrees =
            hello.alpn().is_none_or(|mut theirs| theirs.any(|theirs| ours.iter().any(|ours| ours == theirs)));
        Arc::clone(if agrees { &variant.alpn } else { &variant.no_alpn })
    }
}

/// What the variants of a context have in common, so that a session of one can be resumed by another.
struct Shared<'a> {
    versions: &'a [&'static SupportedProtocolVersion],
    selector: Arc<CertificateSelector>,
    sessions: Arc<ServerSessionMemoryCache>,
    ticketer: Arc<dyn rustls::server::ProducesTickets>,
    alpn: &'a [String],
}

impl Variants {
    fn for_groups(&self, theirs: &[NamedGroup]) -> &Variant {
        let best = self.by_group.iter().find(|(group, _)| theirs.contains(group));
        best.map_or(&self.any_group, |(_, variant)| variant)
    }
}

impl Shared<'_> {
    /// The server's order of cipher suites for TLS 1.2, or the client's for TLS 1.3.
    fn variants(
        &self,
        provider: &CryptoProvider,
        order: Option<&[CipherSuite]>,
    ) -> Result<Variants, rustls::Error> {
        let version = if order.is_some() { ProtocolVersion::TLSv1_2 } else { ProtocolVersion::TLSv1_3 };
        let groups = GROUPS.iter().filter_map(|name| {
            let group = provider.kx_groups.iter().find(|group| group.name() == *name)?;
            group.usable_for_version(version).then_some(*group)
        });
        let by_group = groups.map(|group| {
            let provider = CryptoProvider { kx_groups: vec![group], ..provider.clone() };
            Ok((group.name(), self.variant(provider, order)?))
        });
        Ok(Variants {
            by_group: by_group.collect::<Result<_, rustls::Error>>()?,
            any_group: self.variant(provider.clone(), order)?,
        })
    }

    fn variant(
        &self,
        mut provider: CryptoProvider,
        order: Option<&[CipherSuite]>,
    ) -> Result<Variant, rustls::Error> {
        if let Some(order) = order {
            // Stable, so that those not in the list keep their places behind the others.
            provider.cipher_suites.sort_by_key(|suite: &SupportedCipherSuite| {
                order.iter().position(|first| *first == suite.suite()).unwrap_or(order.len())
            });
        }
        if provider.kx_groups.iter().any(|group| GROUPS.contains(&group.name())) {
            provider.kx_groups.retain(|group| GROUPS.contains(&group.name()));
        }
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(self.versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<CertificateSelector>::clone(&self.selector));
        config.ignore_client_order = order.is_some();
        config.session_storage = Arc::<ServerSessionMemoryCache>::clone(&self.sessions);
        config.ticketer = Arc::clone(&self.ticketer);
        let no_alpn = Arc::new(config.clone());
        config.alpn_protocols = self.alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Ok(Variant { alpn: Arc::new(config), no_alpn })
    }
}

fn versions(config: &DownstreamTls) -> Vec<&'static SupportedProtocolVersion> {
    let maximum = config.maximum_version.unwrap_or(TlsVersion::Tls13);
    [(TlsVersion::Tls13, &rustls::version::TLS13), (TlsVersion::Tls12, &rustls::version::TLS12)]
        .into_iter()
        .filter(|(version, _)| (config.minimum_version..=maximum).contains(version))
        .map(|(_, version)| version)
        .collect()
}

/// Whether a client can do TLS 1.3. Told from the cipher suites, which each client offers for that version only.
pub(crate) fn offers_tls13(hello: &ClientHello<'_>) -> bool {
    hello.cipher_suites().iter().any(|suite| {
        matches!(
            suite,
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS13_AES_256_GCM_SHA384
                | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
        )
    })
}

/// Whether ChaCha20 stands before AES-128 in the client's list.
fn prefers_chacha(suites: &[CipherSuite]) -> bool {
    suites.iter().find_map(|suite| match suite {
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => Some(true),
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => Some(false),
        _ => None,
    }) == Some(true)
}

impl fmt::Debug for ServerContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerContext").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}
