//! rustls configurations made from Envoy's TLS contexts.
