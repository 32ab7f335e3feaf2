//! A request and the response's head on one stream. The upload goes on in the task of the request; only the frames
//! of the connection pass through its driver.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, StatusCode, Uri, Version, header, uri};
use http_body::Body as _;
use nuncio_service::Body;

use super::{
    Slot,
    body::ResponseBody,
    upload::{Ended, Upload, UploadFailed},
};
use crate::{
    error::Kind,
    pool::{ActiveRequest, HostHandle, MOST_INTERIM},
};

/// The most headers of a response, as over HTTP/1 and in Envoy by default. The codec counts bytes only.
const MOST_HEADERS: usize = 100;

pub(crate) struct Exchange {
    response: h2::client::ResponseFuture,
    stream: Option<Stream>,
    /// Interim responses so far.
    interim: u32,
    host: SocketAddr,
}

/// A stream under way. Dropping it before both sides have ended resets it.
pub(super) struct Stream {
    upload: Upload,
    /// Whether all has been sent, or nothing more need be.
    upload_ended: bool,
    /// Whether the host takes nothing more.
    upload_refused: bool,
    /// Whether the response has ended, or the host has ended the stream.
    response_ended: bool,
    _active: ActiveRequest,
    slot: Slot,
}

/// Why an exchange does not begin.
pub(crate) enum NotBegun {
    /// The connection has ended meanwhile: try another one.
    Unsent(Box<Request<Body>>),
    Failed(Kind),
}

impl Exchange {
    /// Begins to send. Fails where the circuit breaker for requests is open.
    pub(crate) fn begin(slot: Slot, mut request: Request<Body>) -> Result<Self, NotBegun> {
        let Some(mut sender) = slot.sender() else { return Err(NotBegun::Unsent(Box::new(request))) };
        let Some(active) = ActiveRequest::begin(slot.handle()) else {
            return Err(NotBegun::Failed(Kind::Overflow));
        };
        prepare(&mut request);
        let (head, body) = request.into_parts();
        let ended = body.is_end_stream();
        let sent = sender.send_request(Request::from_parts(head, ()), ended);
        let (response, upload) = sent.map_err(|error| {
            slot.handle().cell.rq_error.add();
            NotBegun::Failed(reset(&error, slot.handle()))
        })?;
        slot.handle().stats().http2_streams_active.increment(1.0);
        let upload = Upload::new(body, upload);
        let stream = Stream {
            upload,
            upload_ended: ended,
            upload_refused: false,
            response_ended: false,
            _active: active,
            slot,
        };
        let host = stream.handle().host.description.address;
        Ok(Self { response, stream: Some(stream), interim: 0, host })
    }

    pub(crate) fn host(&self) -> SocketAddr {
        self.host
    }

    /// Interim responses are added to `interim`.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        interim: &mut Vec<StatusCode>,
    ) -> Poll<Result<Response<Body>, Kind>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(Kind::LocalReset)) };
        if let Err(UploadFailed) = stream.poll_upload(cx) {
            return Poll::Ready(Err(Kind::RequestBody));
        }
        while let Poll::Ready(Some(Ok(response))) = self.response.poll_informational(cx) {
            interim.push(response.status());
            self.interim += 1;
            if self.interim > MOST_INTERIM {
                stream.handle().cell.rq_error.add();
                // Dropping the stream resets it.
                self.stream = None;
                return Poll::Ready(Err(Kind::ProtocolError));
            }
        }
        let response = match Pin::new(&mut self.response).poll(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(response)) => response,
            Poll::Ready(Err(error)) => {
                stream.handle().cell.rq_error.add();
                return Poll::Ready(Err(stream.fail(&error)));
            }
        };
        if response.headers().len() > MOST_HEADERS {
            stream.handle().cell.rq_error.add();
            // Dropping the stream resets it.
            self.stream = None;
            return Poll::Ready(Err(Kind::ProtocolError));
        }
        let cell = &stream.handle().cell;
        if response.status().is_server_error() {
            cell.rq_error.add()
        } else {
            cell.rq_success.add()
        }
        let (mut head, body) = response.into_parts();
        head.extensions.clear();
        let body = match self.stream.take() {
            Some(stream) => ResponseBody::begin(stream, body, &head),
            None => Body::Empty,
        };
        Poll::Ready(Ok(Response::from_parts(head, body)))
    }
}

impl Stream {
    pub(super) fn handle(&self) -> &Arc<HostHandle> {
        self.slot.handle()
    }

    /// Sends on as far as the host's windows allow.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), UploadFailed> {
        if !self.upload_ended
            && !self.upload_refused
            && let Poll::Ready(result) = self.upload.poll(cx)
        {
            match result? {
                Ended::Whole => self.upload_ended = true,
                Ended::ByHost => self.upload_refused = true,
            }
        }
        Ok(())
    }

    pub(super) fn response_ended(&mut self) {
        self.response_ended = true;
    }

    /// What an error of the stream means; counts it.
    pub(super) fn fail(&mut self, error: &h2::Error) -> Kind {
        // What the codec or the host has ended we need not reset.
        self.response_ended = true;
        self.upload_ended = true;
        if !error.is_reset() {
            self.slot.cut_off();
        }
        if error.is_library() {
            let stats = self.handle().stats();
            stats.upstream_rq_tx_reset.increment(1);
            stats.http2_tx_reset.increment(1);
        }
        let kind = reset(error, self.handle());
        if kind == Kind::ConnectionTermination {
            // Envoy counts a request that its connection leaves behind as one that was waiting.
            self.handle().stats().upstream_rq_pending_failure_eject.increment(1);
        }
        kind
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let stats = self.slot.handle().stats();
        stats.http2_streams_active.decrement(1.0);
        if !self.response_ended || !self.upload_ended {
            // Without error it may follow a response for which the host did not need the whole request (RFC 9113, 8.1).
            if self.upload.was_reset() {
                stats.http2_rx_reset.increment(1);
            }
            // The code that Envoy sends whenever it gives up a stream.
            self.upload.reset(h2::Reason::INTERNAL_ERROR);
            stats.upstream_rq_tx_reset.increment(1);
            stats.http2_tx_reset.increment(1);
        }
    }
}

/// What an error of the codec means for a request.
fn reset(error: &h2::Error, handle: &HostHandle) -> Kind {
    if error.is_reset() && error.is_remote() {
        handle.stats().http2_rx_reset.increment(1);
        if error.reason() == Some(h2::Reason::REFUSED_STREAM) {
            return Kind::RemoteRefused;
        }
        handle.stats().upstream_rq_rx_reset.increment(1);
        return Kind::RemoteReset;
    }
    if error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR) {
        // The host says that it has not seen the request.
        return Kind::RemoteRefused;
    }
    if error.is_library() { Kind::ProtocolError } else { Kind::ConnectionTermination }
}

/// Makes a request ready for the codec, which wants an absolute URI for the pseudo-headers and no `host`.
fn prepare(request: &mut Request<Body>) {
    *request.version_mut() = Version::HTTP_2;
    let host = take_host(request);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    if let Some(authority) = host.and_then(|host| {
        uri::Authority::from_maybe_shared(bytes::Bytes::copy_from_slice(host.as_bytes())).ok()
    }) {
        parts.authority = Some(authority);
    }
    if parts.scheme.is_none() {
        let forwarded = request.headers().get("x-forwarded-proto").map(HeaderValue::as_bytes);
        parts.scheme = Some(if forwarded == Some(b"https") { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
    }
    if parts.path_and_query.as_ref().is_none_or(|path| path.as_str().is_empty()) {
        parts.path_and_query = Some(uri::PathAndQuery::from_static("/"));
    }
    // Without an authority the codec refuses the request, as it should.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}

/// Takes the `host` header out and keeps the order of the others.
fn take_host(request: &mut Request<Body>) -> Option<HeaderValue> {
    let host = request.headers().get(header::HOST)?.clone();
    let headers = request.headers_mut();
    let mut rest = std::mem::replace(headers, http::HeaderMap::with_capacity(headers.len()));
    let mut last = None;
    for (name, value) in rest.drain() {
        if name.is_some() {
            last = name;
        }
        if let Some(name) = last.as_ref().filter(|name| **name != header::HOST) {
            headers.append(name.clone(), value);
        }
    }
    Some(host)
}
