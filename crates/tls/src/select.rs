//! The choice among a context's certificates, in Envoy's order.
//!
//! A client that names a server gets a certificate for exactly that name, or else for the wildcard one label up, or
//! else the first certificate of the context. A client that names none gets the best of all. Best is the first
//! ECDSA certificate that the client can verify, then the first of any other kind.

use std::{collections::HashMap, fmt, sync::Arc};

use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::certificate::Certificate;

/// The certificates of one context.
pub(crate) struct CertificateSelector {
    all: Vec<Candidate>,
    /// By name; a wildcard without its asterisk, so that it begins with a dot.
    by_name: HashMap<String, Vec<Candidate>>,
}

#[derive(Clone)]
struct Candidate {
    ecdsa: bool,
    key: Arc<CertifiedKey>,
}

impl CertificateSelector {
    pub(crate) fn new(certificates: &[Certificate]) -> Self {
        let mut selector = Self { all: Vec::new(), by_name: HashMap::new() };
        for certificate in certificates {
            let candidate = Candidate { ecdsa: certificate.ecdsa, key: Arc::clone(&certificate.key) };
            for name in &certificate.names {
                let name = if name.starts_with("*.") { name.get(1..).unwrap_or_default() } else { name };
                selector.by_name.entry(name.to_owned()).or_default().push(candidate.clone());
            }
            selector.all.push(candidate);
        }
        selector
    }

    /// `name` in lower case.
    fn select(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let candidate = match name {
            Some(name) => [Some(name), parent(name)]
                .into_iter()
                .flatten()
                .find_map(|name| best(self.by_name.get(name)?, schemes)),
            None => best(&self.all, schemes),
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

fn best<'a>(candidates: &'a [Candidate], schemes: &[SignatureScheme]) -> Option<&'a Candidate> {
    candidates
        .iter()
        .find(|candidate| candidate.ecdsa && candidate.key.key.choose_scheme(schemes).is_some())
        .or_else(|| candidates.iter().find(|candidate| !candidate.ecdsa))
}

impl ResolvesServerCert for CertificateSelector {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.select(hello.server_name(), hello.signature_schemes()).map(Arc::clone)
    }
}

impl fmt::Debug for CertificateSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateSelector({} certificates)", self.all.len())
    }
}

#[cfg(test)]
mod tests;
