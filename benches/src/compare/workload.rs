//! The list of workloads: what the proxy is configured for, and what it is loaded with.

use super::peers::{Peer, Routes, Upstream};

/// Body of the small GET, as long as the answer of the front-proxy example.
const SMALL: usize = 89;
const MEBIBYTE: usize = 1_048_576;

/// Connections that stay open without a request.
pub(crate) const IDLE_CONNECTIONS: usize = 5_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) upstream: Upstream,
    pub(crate) routes: Routes,
    pub(crate) load: Generator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generator {
    /// `wrk` over so many connections.
    Wrk { connections: usize, tls: bool, request: Request },
    /// `h2load` over so many TLS connections with so many streams in each.
    H2load { connections: usize, streams: usize },
    /// A new TLS connection for each request, by a generator of our own.
    Handshakes { resume: bool },
    /// Connections that made one request each and then stay open.
    Idle { connections: usize },
    /// Requests at half the rate that Envoy can serve.
    FixedRate { connections: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A GET answered with so many bytes.
    Get(usize),
    /// A POST of so many bytes with a small answer.
    Post(usize),
    /// A GET on a connection of its own.
    GetAndClose,
    /// A GET that asks for the configured routes in turn.
    EveryRoute,
}

/// What the primary figure of a workload counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    CpuPerRequest,
    CpuPerHandshake,
    MemoryPerConnection,
}

impl Unit {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Unit::CpuPerRequest => "CPU µs per request",
            Unit::CpuPerHandshake => "CPU µs per handshake and request",
            Unit::MemoryPerConnection => "KiB per idle connection",
        }
    }
}

impl Workload {
    pub(crate) fn unit(&self) -> Unit {
        match self.load {
            Generator::Handshakes { .. } => Unit::CpuPerHandshake,
            Generator::Idle { .. } => Unit::MemoryPerConnection,
            _ => Unit::CpuPerRequest,
        }
    }

    /// Why a proxy cannot take part, if it cannot.
    pub(crate) fn exclusion(&self, peer: Peer) -> Option<&'static str> {
        (peer == Peer::Nginx && self.upstream == Upstream::Http2)
            .then_some("nginx's proxy module speaks HTTP/1 to the origin")
    }

    /// The path of one plain request.
    pub(crate) fn path(&self) -> String {
        let bytes = match self.load {
            Generator::Wrk { request: Request::Get(bytes), .. } => bytes,
            _ => SMALL,
        };
        match self.routes {
            Routes::Example => format!("/service/1/{bytes}"),
            Routes::Numbered(_) => format!("/service/0/{bytes}"),
        }
    }

    pub(crate) fn small() -> usize {
        SMALL
    }

    pub(crate) fn find(name: &str) -> Option<Workload> {
        ALL.into_iter().find(|workload| workload.name == name)
    }
}

/// The one that `--quick` runs, and the one whose system calls are counted.
pub(crate) const QUICK: &str = "get-64";

pub(crate) const ALL: [Workload; 19] = [
    get("get-1", "small GET, 1 connection", 1, SMALL),
    get(QUICK, "small GET, 64 connections", 64, SMALL),
    get("get-512", "small GET, 512 connections", 512, SMALL),
    get("body-1k", "1 KiB body", 64, 1024),
    get("body-64k", "64 KiB body", 64, 65_536),
    get("download-1m", "1 MiB to the client", 16, MEBIBYTE),
    wrk("upload-1m", "1 MiB from the client", 16, false, Request::Post(MEBIBYTE)),
    wrk("tls-http1", "HTTP/1.1 over TLS", 64, true, Request::Get(SMALL)),
    Workload {
        load: Generator::H2load { connections: 8, streams: 8 },
        ..get("tls-http2", "HTTP/2 over TLS, 8 connections of 8 streams", 0, SMALL)
    },
    Workload { upstream: Upstream::Http2, ..get("upstream-http2", "HTTP/2 to the origin", 64, SMALL) },
    Workload {
        upstream: Upstream::Http2,
        load: Generator::H2load { connections: 8, streams: 8 },
        ..get("http2-both", "HTTP/2 over TLS and to the origin", 0, SMALL)
    },
    wrk("connection", "a connection for each request", 64, false, Request::GetAndClose),
    Workload {
        load: Generator::Handshakes { resume: false },
        ..get("handshakes", "full TLS 1.3 handshakes, RSA 2048", 0, SMALL)
    },
    Workload {
        load: Generator::Handshakes { resume: true },
        ..get("handshakes-resumed", "resumed TLS 1.3 handshakes", 0, SMALL)
    },
    routes("routes-1", "1 route", 1),
    routes("routes-1000", "1,000 routes", 1_000),
    routes("routes-10000", "10,000 routes", 10_000),
    Workload {
        load: Generator::Idle { connections: IDLE_CONNECTIONS },
        ..get("idle", "5,000 idle connections", 0, SMALL)
    },
    Workload {
        load: Generator::FixedRate { connections: 64 },
        ..get("fixed-rate", "small GET at half of Envoy's peak, with latencies", 0, SMALL)
    },
];

const fn wrk(
    name: &'static str,
    what: &'static str,
    connections: usize,
    tls: bool,
    request: Request,
) -> Workload {
    let load = Generator::Wrk { connections, tls, request };
    Workload { name, what, upstream: Upstream::Http1, routes: Routes::Example, load }
}

const fn get(name: &'static str, what: &'static str, connections: usize, bytes: usize) -> Workload {
    wrk(name, what, connections, false, Request::Get(bytes))
}

const fn routes(name: &'static str, what: &'static str, count: usize) -> Workload {
    Workload { routes: Routes::Numbered(count), ..wrk(name, what, 64, false, Request::EveryRoute) }
}

#[cfg(test)]
mod tests {
    use super::super::origin;
    use super::*;

    #[test]
    fn names_are_unique_and_the_origin_has_every_body() {
        for workload in ALL {
            assert_eq!(Workload::find(workload.name), Some(workload));
            let path = workload.path();
            let bytes = path.rsplit('/').next().and_then(|last| last.parse().ok()).expect("a number");
            assert!(origin::SIZES.contains(&bytes), "{}: {path}", workload.name);
        }
        assert!(Workload::find(QUICK).is_some());
        assert_eq!(Workload::find("none"), None);
    }
}
