//! Choosing a host as Envoy chooses it, as a plain computation.
//!
//! A [`HostSet`] is an immutable snapshot of a cluster's hosts: how much weight each has and whether it is healthy.
//! A [`Balancer`] picks from it by a [`Policy`]. Hosts are numbers, their places in the set, so that the crate knows
//! nothing of addresses and connections; what it needs to know of the world (a random number, how many requests are
//! under way at a host) is passed in with every pick. Nothing here is asynchronous, takes a lock or reads a clock.
//!
//! ```
//! use std::sync::Arc;
//!
//! use nuncio_balance::{Balancer, Health, Host, HostSet, Policy};
//!
//! let hosts = HostSet::new([Host::new(), Host::new().health(Health::Unhealthy), Host::new()]);
//! let mut balancer = Balancer::new(Policy::RoundRobin, 0, Arc::new(hosts));
//! let idle = |_host: usize| 0;
//! let picks: Vec<_> = (0..4).map(|random| balancer.pick(random, idle)).collect();
//! assert_eq!(picks, [Some(0), Some(2), Some(0), Some(2)]);
//! ```
//!
//! # Which hosts
//!
//! A pick goes to the healthy hosts. If fewer of them are left than Envoy wants as a reserve (its overprovisioning
//! factor of 1.4), degraded hosts get the rest of the requests. If healthy and degraded hosts together are fewer
//! than the panic threshold, health counts for nothing and all hosts are picked from: a few hosts that still seem
//! well would only be overrun. [`Thresholds`] holds both numbers.
//!
//! # Which of them
//!
//! | policy | weights equal | weights unequal |
//! |---|---|---|
//! | round robin | one after the other, from a start that the seed chooses | earliest deadline first: exact shares, evenly spread |
//! | random | any, with equal chance | the same: Envoy ignores the weights |
//! | least request | the least busy of `choice_count` drawn at random | earliest deadline first with the weight divided by (active + 1)^bias |
//!
//! # For each thread its own
//!
//! A balancer is cheap and is meant to be owned by one thread, with the host set shared. Give each another seed,
//! otherwise all threads begin with the same host.

#![warn(missing_docs)]

mod balancer;
mod draw;
mod host_set;
mod policy;
mod schedule;

pub use balancer::Balancer;
pub use host_set::{Health, Host, HostSet, Thresholds};
pub use policy::{LeastRequest, Policy};

/// The example of the README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
