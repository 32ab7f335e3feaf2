//! Bind, accept, choose the filter chain, accept TLS, drain.
