//! Envoy's v3 API as Rust types and as descriptors.
