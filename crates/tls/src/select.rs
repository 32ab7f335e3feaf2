//! The choice among a context's certificates, in Envoy's order.
//!
//! A client that names a server gets a certificate for exactly that name, or else for the wildcard one label up, or
//! else the first certificate of the context. A client that names none gets the best of all. Best is the first
//! ECDSA certificate that the client can verify, then the first of any other kind. A client can verify ECDSA if it
//! offers a signature scheme for the certificate's curve and, up to TLS 1.2, the curve itself.

use std::{collections::HashMap, fmt, sync::Arc};

use rustls::{
    NamedGroup, SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::{certificate::Certificate, server::offers_tls13};

/// The certificates of one context.
pub(crate) struct CertificateSelector {
    all: Vec<Candidate>,
    /// By name; a wildcard without its asterisk, so that it begins with a dot.
    by_name: HashMap<String, Vec<Candidate>>,
}

#[derive(Clone)]
struct Candidate {
    /// That of an ECDSA key.
    curve: Option<NamedGroup>,
    key: Arc<CertifiedKey>,
}

/// What a client can verify.
struct Client<'a> {
    schemes: &'a [SignatureScheme],
    /// The groups that it offers; `None` where they do not count.
    curves: Option<&'a [NamedGroup]>,
}

impl CertificateSelector {
    pub(crate) fn new(certificates: &[Certificate]) -> Self {
        let mut selector = Self { all: Vec::new(), by_name: HashMap::new() };
        for certificate in certificates {
            let candidate = Candidate { curve: certificate.curve, key: Arc::clone(&certificate.key) };
            for name in &certificate.names {
                let name = if name.starts_with("*.") { name.get(1..).unwrap_or_default() } else { name };
                selector.by_name.entry(name.to_owned()).or_default().push(candidate.clone());
            }
            selector.all.push(candidate);
        }
        selector
    }

    /// `name` in lower case.
    fn select(&self, name: Option<&str>, client: &Client<'_>) -> Option<&Arc<CertifiedKey>> {
        let candidate = match name {
            Some(name) => [Some(name), parent(name)]
                .into_iter()
                .flatten()
                .find_map(|name| best(self.by_name.get(name)?, client)),
            None => best(&self.all, client),
        };
        // The first one even where it does not suit the client: the handshake then fails as it does in Envoy.
        candidate.or(self.all.first()).map(|candidate| &candidate.key)
    }
}

/// `.example.com` for `www.example.com`.
fn parent(name: &str) -> Option<&str> {
    let (dot, _) = name.char_indices().skip(1).find(|(_, character)| *character == '.')?;
    name.get(dot..).filter(|parent| parent.len() > 1)
}

fn best<'a>(candidates: &'a [Candidate], client: &Client<'_>) -> Option<&'a Candidate> {
    candidates
        .iter()
        .find(|candidate| candidate.curve.is_some_and(|curve| client.verifies(curve, &candidate.key)))
        .or_else(|| candidates.iter().find(|candidate| candidate.curve.is_none()))
}

impl Client<'_> {
    fn verifies(&self, curve: NamedGroup, key: &CertifiedKey) -> bool {
        self.curves.is_none_or(|curves| curves.contains(&curve))
            && key.key.choose_scheme(self.schemes).is_some()
    }
}

impl ResolvesServerCert for CertificateSelector {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let curves = if offers_tls13(&hello) { None } else { hello.named_groups() };
        let client = Client { schemes: hello.signature_schemes(), curves };
        self.select(hello.server_name(), &client).map(Arc::clone)
    }
}

impl fmt::Debug for CertificateSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateSelector({} certificates)", self.all.len())
    }
}

#[cfg(test)]
mod tests;
