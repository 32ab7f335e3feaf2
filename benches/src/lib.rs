//! Benchmarks of the request path.
//!
//! The criterion benches of pure code are in `benches/`; the end-to-end comparison with other proxies is the
//! program `compare`, whose parts stand in [`compare`].

pub mod compare;
