//! Benchmarks of the request path.
