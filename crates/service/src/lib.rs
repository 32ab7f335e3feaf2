//! The shared words of the data path: what a request and a response are between the codec of the downstream
//! connection, the HTTP filters, and the upstream cluster.
//!
//! A filter is a tower layer over a `Service<Request, Response = Response, Error = BoxError>`. A [`Request`] is
//! an `http` request with a streaming [`Body`] and the [`StreamInfo`] of its stream; whoever answers moves the
//! stream info on into the [`Response`], so that the layers outside (access log, stats) read there what happened
//! without a lock or a lookup.
//!
//! This crate knows no runtime, socket or configuration.

pub mod body;
pub mod connection;
pub mod drain;
pub mod flags;
pub mod line_sink;
pub mod stream_info;

pub use self::{
    body::Body,
    connection::{Connection, TlsConnection},
    drain::{Advice, Drain, DrainClosed, DrainEnded, DrainGuard, DrainHandle, DrainWait},
    flags::ResponseFlags,
    line_sink::LineSink,
    stream_info::{LoggedRequest, RequestProgress, StreamInfo},
};

/// Any error between two layers.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request on its way upstream.
#[derive(Debug)]
pub struct Request {
    /// Head and body. Extensions stay empty: what belongs to the stream stands in `info`.
    pub http: http::Request<Body>,
    /// What is known of the stream so far.
    pub info: Box<StreamInfo>,
}

/// A response on its way downstream.
#[derive(Debug)]
pub struct Response {
    /// Head and body.
    pub http: http::Response<Body>,
    /// The stream info of the request that this answers.
    pub info: Box<StreamInfo>,
}
