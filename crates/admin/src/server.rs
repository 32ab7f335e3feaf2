//! The accept loop and the life of a connection.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nuncio_service::{Drain, LineSink};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::Instant,
};

use crate::{
    access_log::Exchange,
    answer::{Answer, AnswerBody},
    connection::{ConnectionState, Counted},
    endpoints,
    handles::AdminHandles,
    stats::AdminStats,
};

/// What one client, or all together, may take of the admin server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; one more is closed at once.
    pub connections: usize,
    /// The time for the head of a request, and the time that a connection may be idle.
    pub head_timeout: Duration,
    /// The time for the body of a request.
    pub body_timeout: Duration,
    /// The time for which a client may read nothing of an answer.
    pub write_timeout: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Bytes of a request's body, which no endpoint looks at.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            head_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            head_bytes: 64 * 1024,
            body_bytes: 64 * 1024,
        }
    }
}

/// What all connections share.
struct Server {
    handles: AdminHandles,
    sinks: Arc<[LineSink]>,
    stats: Arc<AdminStats>,
    limits: Limits,
}

/// Answers on `listener` until `drain` starts. Connections hold guards of `drain`, so that its owner can wait for
/// the answers under way.
///
/// # Errors
/// Where the runtime cannot take the listener.
pub async fn serve(
    listener: std::net::TcpListener,
    handles: AdminHandles,
    access_log: Vec<LineSink>,
    limits: Limits,
    drain: Drain,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let stats = Arc::new(AdminStats::new(&handles.stats));
    let server = Arc::new(Server { handles, sinks: access_log.into(), stats, limits });
    let room = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.wait() => return Ok(()),
        };
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&room).try_acquire_owned() {
                Ok(permit) => {
                    let connection = connection(Arc::clone(&server), stream, peer, drain.clone());
                    tokio::spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(_) => server.stats.connection_refused(),
            },
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                // Most often the process has no file descriptors left; trying again at once would only burn CPU.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(server: Arc<Server>, stream: TcpStream, peer: SocketAddr, drain: Drain) {
    let _guard = drain.guard();
    let start = Instant::now();
    server.stats.connection_began();
    // A socket that the peer has closed already may refuse the option; reading tells then.
    let _ = stream.set_nodelay(true);
    let state = Arc::new(ConnectionState::default());
    let io = Counted::new(stream, Arc::clone(&state), Arc::clone(&server.stats), server.limits.write_timeout);
    let service = {
        let (server, state) = (Arc::clone(&server), Arc::clone(&state));
        service_fn(move |request| answer(Arc::clone(&server), Arc::clone(&state), peer, request))
    };
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(server.limits.head_timeout)
        .max_buf_size(server.limits.head_bytes)
        .serve_connection(TokioIo::new(io), service);
    tokio::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = drain.wait() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        if error.is_parse() {
            server.stats.protocol_error();
        }
        tracing::debug!("connection from {peer}: {error}");
    }
    state.request_ended(&server.stats);
    server.stats.connection_ended(state.closed_by_peer(), start.elapsed());
}

async fn answer(
    server: Arc<Server>,
    state: Arc<ConnectionState>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let mut exchange = Exchange::begin(&request, peer, &server.sinks, &server.stats, &state);
    if request.version() == Version::HTTP_10 {
        let refusal = Answer::text(StatusCode::UPGRADE_REQUIRED, "Upgrade Required");
        return Ok(refusal.into_refusal(exchange));
    }
    if request.headers().get(header::HOST).is_none_or(|host| host.is_empty()) {
        return Ok(Answer::text(StatusCode::BAD_REQUEST, "").into_refusal(exchange));
    }
    let (head, body) = request.into_parts();
    // The body is read to its end so that the connection can be used again, and because Envoy answers only then.
    let body = Limited::new(body, server.limits.body_bytes).collect();
    match tokio::time::timeout(server.limits.body_timeout, body).await {
        Ok(Ok(body)) => exchange.bytes_received = body.to_bytes().len() as u64,
        Ok(Err(error)) => {
            let status = if error.is::<LengthLimitError>() {
                StatusCode::PAYLOAD_TOO_LARGE
            } else {
                StatusCode::BAD_REQUEST
            };
            let reason = status.canonical_reason().unwrap_or_default();
            return Ok(Answer::text(status, reason).into_refusal(exchange));
        }
        Err(_) => {
            return Ok(Answer::text(StatusCode::REQUEST_TIMEOUT, "Request Timeout").into_refusal(exchange));
        }
    }
    let answer = endpoints::answer(&server.handles, &head.method, &head.uri);
    Ok(answer.into_response(exchange))
}
