//! What is known of one stream: a request and its response.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
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
    /// The client's address where trusted proxies tell it in `x-forwarded-for`; else it is the connection's.
    pub client_address: Option<IpAddr>,
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
    pub upstream_failure: Option<&'static str>,
    /// From the end of the request to the response's head.
    pub upstream_service_time: Option<Duration>,
    /// When the response must have ended, if the route says so.
    pub response_deadline: Option<Instant>,
    /// How far the request's body has been read; `None` where there is no body.
    pub progress: Option<Arc<RequestProgress>>,
    /// Whether the client asks for another protocol (`upgrade`), which a route would have to allow.
    pub upgrade: bool,
    /// Whether the connection is to end with this stream.
    pub close_downstream: bool,
    /// What the access log will say of the request; `None` where there is no log.
    pub logged: Option<Arc<Mutex<LoggedRequest>>>,
}

/// What an access log may ask of a request, as it was when it went on. Shared with whoever writes the log, because
/// a request that is given up takes its [`StreamInfo`] along.
#[derive(Debug, Clone, Default)]
pub struct LoggedRequest {
    /// The method.
    pub method: http::Method,
    /// `:authority`, or the `Host` header, where there is one.
    pub authority: Option<String>,
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The client's address where trusted proxies told it.
    pub client_address: Option<IpAddr>,
    /// The cluster that it went to.
    pub cluster: Option<Arc<str>>,
    /// The name of its route.
    pub route_name: Option<Arc<str>>,
    /// The host that it was sent to.
    pub upstream_host: Option<SocketAddr>,
}

impl LoggedRequest {
    /// Takes the head as it stands now.
    pub fn take_head<B>(&mut self, http: &http::Request<B>) {
        let uri = http.uri();
        let host = http.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
        let authority = host.or_else(|| uri.authority().map(|authority| authority.as_str()));
        self.method = http.method().clone();
        self.authority = authority.map(str::to_owned);
        self.path = uri.path_and_query().map_or("", |path| path.as_str()).to_owned();
        self.headers = http.headers().clone();
    }
}

impl StreamInfo {
    /// The info of a stream that begins at `start`.
    pub fn new(start: Instant, connection: Arc<Connection>, protocol: http::Version) -> Self {
        Self {
            start,
            connection,
            client_address: None,
            protocol,
            internal: false,
            flags: ResponseFlags::default(),
            response_code_details: "",
            cluster: None,
            route_name: None,
            upstream_host: None,
            upstream_failure: None,
            upstream_service_time: None,
            response_deadline: None,
            progress: None,
            upgrade: false,
            close_downstream: false,
            logged: None,
        }
    }

    /// Has the access log, if there is one, show the request as it stands now.
    pub fn log_head<B>(&self, http: &http::Request<B>) {
        if let Some(logged) = &self.logged {
            let mut logged = logged.lock().unwrap_or_else(PoisonError::into_inner);
            logged.take_head(http);
            logged.client_address = self.client_address;
            logged.cluster.clone_from(&self.cluster);
            logged.route_name.clone_from(&self.route_name);
        }
    }

    /// Has the access log, if there is one, show the target of a request as it was sent, in the absolute form.
    pub fn log_target(&self, target: &http::Uri) {
        if let Some(logged) = &self.logged {
            logged.lock().unwrap_or_else(PoisonError::into_inner).path = target.to_string();
        }
    }

    /// Has the access log, if there is one, show the host that a request was given up at.
    pub fn log_upstream_host(&self, host: Option<SocketAddr>) {
        if let Some(logged) = &self.logged {
            logged.lock().unwrap_or_else(PoisonError::into_inner).upstream_host = host;
        }
    }
}

/// How far a request's body has been read. Shared by the body, which may be read in another task, and by whoever
/// waits for its end.
#[derive(Debug, Default)]
pub struct RequestProgress {
    bytes: AtomicU64,
    ended: AtomicBool,
    malformed: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl RequestProgress {
    /// Counts bytes of the body.
    pub fn read(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes the end of the body and wakes who waits for it.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// Notes that the body cannot be read on because its framing is wrong.
    pub fn break_off(&self) {
        self.malformed.store(true, Ordering::Relaxed);
    }

    /// Whether the body's framing is wrong.
    pub fn is_malformed(&self) -> bool {
        self.malformed.load(Ordering::Relaxed)
    }

    /// The bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the body has been read to its end.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Has `waker` woken at the end, if that has not come yet. The last waker stays.
    pub fn wake_at_end(&self, waker: &Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waiting {
            Some(old) => old.clone_from(waker),
            None => *waiting = Some(waker.clone()),
        }
        if self.has_ended()
            && let Some(waker) = waiting.take()
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, task::Wake};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_end_of_a_body_wakes_who_waits_whichever_comes_first() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let progress = RequestProgress::default();
        progress.read(5);
        progress.wake_at_end(&waker);
        assert_eq!((progress.bytes(), progress.has_ended(), woken.0.load(Ordering::Relaxed)), (5, false, 0));
        progress.end();
        assert_eq!((progress.has_ended(), woken.0.load(Ordering::Relaxed)), (true, 1));
        progress.wake_at_end(&waker);
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
    }
}
