//! What is known of one stream: a request and its response.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{Connection, ResponseFlags};

/// What is known of one stream. Filled in as the request passes through the layers, read when it has ended.
#[derive(Debug, Clone)]
pub struct StreamInfo {
    /// When the request's head had been read.
    pub start: Instant,
    /// The connection that it came on.
    pub connection: Arc<Connection>,
    /// The protocol that the client speaks.
    pub protocol: http::Version,
    /// Whether the request comes from inside: `x-envoy-internal` in Envoy.
    pub internal: bool,
    /// Why the response is what it is.
    pub flags: ResponseFlags,
    /// `%RESPONSE_CODE_DETAILS%`: who made the response, and why. Empty until known.
    pub response_code_details: &'static str,
    /// The name of the route's cluster, once the route is known.
    pub cluster: Option<Arc<str>>,
    /// The name of the route, if it has one.
    pub route_name: Option<Arc<str>>,
    /// The host that the request was sent to.
    pub upstream_host: Option<SocketAddr>,
    /// Why the upstream connection failed, for the access log.
    pub upstream_failure: Option<Arc<str>>,
    /// From sending the request upstream to the response's head.
    pub upstream_service_time: Option<Duration>,
}

impl StreamInfo {
    /// The info of a stream that begins at `start`.
    pub fn new(start: Instant, connection: Arc<Connection>, protocol: http::Version) -> Self {
        Self {
            start,
            connection,
            protocol,
            internal: false,
            flags: ResponseFlags::default(),
            response_code_details: "",
            cluster: None,
            route_name: None,
            upstream_host: None,
            upstream_failure: None,
            upstream_service_time: None,
        }
    }
}
