//! Conditions on the certificate that the client showed.

/// What is known of the client's certificate when a request comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCertificate {
    /// Whether the client showed a certificate. False without TLS.
    pub presented: bool,
    /// Whether it was verified against the trusted authorities. False without TLS.
    pub validated: bool,
}

impl PeerCertificate {
    /// A certificate that was shown, verified or not.
    #[must_use]
    pub fn presented(validated: bool) -> Self {
        Self { presented: true, validated }
    }
}

/// A condition on the client's certificate (`RouteMatch.tls_context`). What is `None` is not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsContextMatch {
    /// `presented`: whether there must be a certificate or must be none.
    pub presented: Option<bool>,
    /// `validated`: whether it must be verified or must not.
    pub validated: Option<bool>,
}

impl TlsContextMatch {
    /// A condition that always holds: set at least one part of it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether there must be a certificate.
    #[must_use]
    pub fn presented(self, presented: bool) -> Self {
        Self { presented: Some(presented), ..self }
    }

    /// Sets whether it must be verified.
    #[must_use]
    pub fn validated(self, validated: bool) -> Self {
        Self { validated: Some(validated), ..self }
    }

    pub(super) fn matches(self, peer: PeerCertificate) -> bool {
        self.presented.is_none_or(|presented| presented == peer.presented)
            && self.validated.is_none_or(|validated| validated == peer.validated)
    }
}
