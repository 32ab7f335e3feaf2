//! The front-proxy example on loopback: what the `demo` and `service` binaries are made of.
//!
//! [`fleet`] starts the real proxies as separate processes ([`child`], through [`guard`]) around a DNS server
//! ([`dns`]) and one small application per instance ([`app`]). [`run`] shows them and [`control`] takes orders for
//! them; [`check`] runs the example's [`steps`] and [`compose`] runs the same steps in containers.
//!
//! Linux only: every instance has a loopback address of its own (127.0.1.1, 127.0.1.2 …), and the end of the demo
//! ends its processes through the kernel.

pub mod admin;
pub mod app;
pub mod binaries;
pub mod check;
pub mod child;
pub mod cli;
pub mod client;
pub mod compose;
pub mod control;
pub mod dns;
pub mod failure;
pub mod files;
pub mod fleet;
pub mod guard;
pub mod load;
pub mod plan;
pub mod ports;
pub mod report;
pub mod rows;
pub mod run;
pub mod scale;
pub mod screen;
pub mod signals;
pub mod steps;
