//! Origins, fixtures and a proxy builder for whole-proxy tests.
