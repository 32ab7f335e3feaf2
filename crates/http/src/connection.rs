//! One downstream connection from its first byte to its last: choice of the codec, requests to the filters, idle
//! time, draining, and a gentle end.

mod http1;
mod http2;
mod input;
mod linger;
mod refusal;
mod state;
mod stream;
mod watch;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::BytesMut;
use nuncio_config::model::{CodecType, Http2Settings, HttpConnectionManager};
use nuncio_service::{Connection, Drain, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use self::{state::ConnectionState, stream::StreamService, watch::DRAIN_GRACE};
use crate::{
    accepted::Accepted, access_log::AccessLog, headers::HeaderRules, local_reply::LocalReply,
    stats::HttpStats,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves the connections of one filter chain on one worker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ConnectionManager<S> {
    shared: Arc<Shared>,
    filters: S,
}

/// What all connections of a connection manager share.
#[derive(Debug)]
pub(crate) struct Shared {
    stats: Arc<HttpStats>,
    access_log: AccessLog,
    rules: HeaderRules,
    codec: CodecType,
    max_request_headers_bytes: usize,
    max_headers_count: usize,
    max_requests_per_connection: Option<u32>,
    idle_timeout: Option<Duration>,
    max_connection_duration: Option<Duration>,
    headers_timeout: Option<Duration>,
    /// Whether that is the stream's idle timeout.
    head_idles: bool,
    stream_idle_timeout: Option<Duration>,
    delayed_close_timeout: Duration,
    http2: Http2Settings,
    buffer_limit: usize,
}

impl<S> ConnectionManager<S>
where
    S: Service<Request, Response = Response, Error = LocalReply> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    /// A connection manager that hands requests to `filters`, whose `poll_ready` is not asked. Of what it writes,
    /// an HTTP/2 stream holds back at most `buffer_limit` bytes.
    pub fn new(
        config: &HttpConnectionManager,
        buffer_limit: u32,
        stats: Arc<HttpStats>,
        access_log: AccessLog,
        filters: S,
    ) -> Self {
        let shared = Shared {
            stats,
            access_log,
            rules: HeaderRules::new(config),
            codec: config.codec_type,
            max_request_headers_bytes: config.max_request_headers_bytes as usize,
            max_headers_count: config.max_headers_count as usize,
            max_requests_per_connection: config.max_requests_per_connection,
            idle_timeout: config.idle_timeout,
            max_connection_duration: config.max_connection_duration,
            // A stream begins with the first byte of its head, so its idle timeout bounds a slow head.
            headers_timeout: match (config.request_headers_timeout, config.stream_idle_timeout) {
                (Some(headers), Some(idle)) => Some(headers.min(idle)),
                (headers, idle) => headers.or(idle),
            },
            head_idles: match (config.request_headers_timeout, config.stream_idle_timeout) {
                (Some(headers), Some(idle)) => idle < headers,
                (headers, _) => headers.is_none(),
            },
            stream_idle_timeout: config.stream_idle_timeout,
            delayed_close_timeout: config.delayed_close_timeout,
            http2: config.http2,
            buffer_limit: buffer_limit as usize,
        };
        Self { shared: Arc::new(shared), filters }
    }

    /// Begins to count a connection that was accepted, before its TLS handshake if `tls`.
    pub fn accept(&self, tls: bool) -> Accepted {
        Accepted::new(Arc::clone(&self.shared.stats), tls)
    }

    /// Serves one connection from its first byte until it ends. `drain` asks it to end early.
    pub fn serve<I>(&self, io: I, connection: Arc<Connection>, drain: Drain) -> impl Future<Output = ()>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.serve_accepted(self.accept(connection.tls.is_some()), io, connection, drain)
    }

    /// The same for one that counts already.
    pub async fn serve_accepted<I>(
        &self,
        accepted: Accepted,
        mut io: I,
        connection: Arc<Connection>,
        drain: Drain,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stats = &self.shared.stats;
        let state = Arc::new(ConnectionState::new(Arc::clone(stats), drain.clone()));
        // Counts the end even if the task is dropped.
        let ended = Ended { state: Arc::clone(&state), accepted };
        if let Some((http2, prefix)) = self.choose_codec(&mut io, &connection, &state, &drain).await {
            let service = StreamService {
                shared: Arc::clone(&self.shared),
                state: Arc::clone(&state),
                connection,
                filters: self.filters.clone(),
            };
            let _active = self.active(http2);
            if http2 {
                // The future of the other codec is smaller, and there are more of it.
                Box::pin(http2::serve(io, prefix.freeze(), service, &drain)).await;
            } else {
                http1::serve(io, prefix, &service, &drain).await;
            }
        }
        drop(ended);
    }

    /// Whether the client speaks HTTP/2, and what had to be read to know; `None` if it went away.
    async fn choose_codec<I: AsyncRead + Unpin>(
        &self,
        io: &mut I,
        connection: &Connection,
        state: &ConnectionState,
        drain: &Drain,
    ) -> Option<(bool, BytesMut)> {
        match self.shared.codec {
            CodecType::Http1 => return Some((false, BytesMut::new())),
            CodecType::Http2 => return Some((true, BytesMut::new())),
            CodecType::Auto => {}
        }
        match connection.tls.as_ref().and_then(|tls| tls.alpn.as_deref()) {
            Some(b"h2") => return Some((true, BytesMut::new())),
            Some(_) => return Some((false, BytesMut::new())),
            None => {}
        }
        let idle = self.shared.idle_timeout;
        let mut prefix = BytesMut::new();
        let mut draining = pin!(async {
            drain.wait().await;
            tokio::time::sleep(DRAIN_GRACE).await;
        });
        let mut timer = pin!(async move {
            match idle {
                Some(idle) => tokio::time::sleep(idle).await,
                None => std::future::pending().await,
            }
        });
        loop {
            let read = poll_fn(|cx| match input::poll_read(io, &mut prefix, false, cx) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending if draining.as_mut().poll(cx).is_ready() => Poll::Ready(None),
                Poll::Pending if timer.as_mut().poll(cx).is_ready() => {
                    state.stats().downstream_cx_idle_timeout.increment(1);
                    Poll::Ready(None)
                }
                Poll::Pending => Poll::Pending,
            })
            .await;
            match read {
                Some(Ok(read)) if read > 0 => {
                    state.read_bytes(read);
                }
                Some(Ok(_) | Err(_)) => {
                    state.remote_closed();
                    return None;
                }
                None => return None,
            }
            // `PRI` is no HTTP/1 method, so a few bytes settle it.
            if prefix.len() >= 4 || !PREFACE.starts_with(&prefix) {
                return Some((PREFACE.get(..4).is_some_and(|start| prefix.starts_with(start)), prefix));
            }
        }
    }

    fn active(&self, http2: bool) -> ActiveCodec<'_> {
        let stats = &*self.shared.stats;
        if http2 {
            stats.downstream_cx_http2_total.increment(1);
            stats.downstream_cx_http2_active.increment(1);
        } else {
            stats.downstream_cx_http1_total.increment(1);
            stats.downstream_cx_http1_active.increment(1);
        }
        ActiveCodec { stats, http2 }
    }
}

/// Counts a codec's connection while it lives.
struct ActiveCodec<'a> {
    stats: &'a HttpStats,
    http2: bool,
}

impl Drop for ActiveCodec<'_> {
    fn drop(&mut self) {
        let gauge = if self.http2 {
            &self.stats.downstream_cx_http2_active
        } else {
            &self.stats.downstream_cx_http1_active
        };
        gauge.decrement(1);
    }
}

/// Has the end of a connection counted.
struct Ended {
    state: Arc<ConnectionState>,
    accepted: Accepted,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.state.read_bytes(0);
        if self.state.ended_with_streams() {
            self.accepted.set_with_requests();
        }
        if self.state.is_remote_closed() {
            self.accepted.set_closed_by_client();
        }
    }
}
