//! The admin server: what an operator or a probe can ask of a running proxy.
//!
//! It answers on the main runtime and touches nothing that a worker owns, so that it answers while every worker is
//! saturated. What it shows comes from [`AdminHandles`], which the proxy fills in: this crate knows neither
//! clusters nor listeners, only rows about them.
//!
//! Paths, bodies, content types and headers are those of Envoy 1.40, so that dashboards, probes and scripts written
//! for Envoy work. The page at `/` and `/help` list the commands that exist here, in words of our own.

mod access_log;
mod answer;
mod certs;
mod clusters;
mod commands;
mod config_dump;
mod connection;
mod endpoints;
mod handles;
mod listeners;
mod page;
mod query;
mod server;
mod server_info;
mod stats;

pub use self::{
    handles::{
        AdminHandles, CertificateStatus, CircuitBreakerThresholds, ClusterStatus, ConfigDump, HostStatus,
        ListenerStatus, Memory, ServerFacts, ServerState,
    },
    server::{Limits, serve},
};
