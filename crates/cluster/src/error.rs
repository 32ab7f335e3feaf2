//! Why a request got no response, or not all of it: in Envoy's words, for the response, its flags and the stats.

use std::{error::Error, fmt, io, net::SocketAddr};

use http::StatusCode;
use nuncio_service::ResponseFlags;

/// Why a request to a cluster failed.
///
/// It is the error of [`Cluster::request`](crate::Cluster::request), and, boxed, that of a response's body. The
/// methods answer in the words of Envoy's local replies, access log and stats.
#[derive(Debug)]
pub struct UpstreamError {
    kind: Kind,
    host: Option<SocketAddr>,
    request_sent: bool,
    response_started: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    NoHealthyUpstream,
    Overflow,
    ConnectFailure(Option<ConnectFailure>),
    ConnectTimeout,
    ConnectionTermination,
    ProtocolError,
    RemoteReset,
    RemoteRefused,
    LocalReset,
    RequestBody,
}

/// The reasons for which a connection cannot be made that Envoy's details name. The texts are those of `strerror`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectFailure {
    Refused,
    TimedOut,
    HostUnreachable,
    NetworkUnreachable,
    AddressNotAvailable,
    Reset,
    PermissionDenied,
}

impl ConnectFailure {
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        Some(match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::HostUnreachable => Self::HostUnreachable,
            io::ErrorKind::NetworkUnreachable => Self::NetworkUnreachable,
            io::ErrorKind::AddrNotAvailable => Self::AddressNotAvailable,
            io::ErrorKind::ConnectionReset => Self::Reset,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            _ => return None,
        })
    }
}

/// Writes the details of a failure to connect, whose transport part is the access log's transport failure reason.
macro_rules! connect_details {
    ($($failure:ident => $reason:literal),* $(,)?) => {
        const fn transport_failure_reason(failure: ConnectFailure) -> &'static str {
            match failure { $(ConnectFailure::$failure => $reason),* }
        }

        const fn connect_details(failure: ConnectFailure) -> &'static str {
            match failure {
                $(ConnectFailure::$failure => concat!(
                    "upstream_reset_before_response_started{remote_connection_failure|", $reason, "}"
                )),*
            }
        }
    };
}

connect_details! {
    Refused => "delayed_connect_error:_Connection_refused",
    TimedOut => "delayed_connect_error:_Connection_timed_out",
    HostUnreachable => "delayed_connect_error:_No_route_to_host",
    Reset => "delayed_connect_error:_Connection_reset_by_peer",
    NetworkUnreachable => "immediate_connect_error:_Network_is_unreachable",
    AddressNotAvailable => "immediate_connect_error:_Cannot_assign_requested_address",
    PermissionDenied => "immediate_connect_error:_Permission_denied",
}

impl UpstreamError {
    /// A failure before anything was sent.
    pub(crate) fn unsent(kind: Kind, host: Option<SocketAddr>) -> Self {
        Self { kind, host, request_sent: false, response_started: false }
    }

    /// A failure after the request, or a part of it, may have reached the host.
    pub(crate) fn sent(kind: Kind, host: SocketAddr) -> Self {
        Self { kind, host: Some(host), request_sent: true, response_started: false }
    }

    /// A failure within the response's body.
    pub(crate) fn in_body(kind: Kind, host: SocketAddr) -> Self {
        Self { kind, host: Some(host), request_sent: true, response_started: true }
    }

    /// The host that the request was sent to, or was to be sent to.
    pub fn host(&self) -> Option<SocketAddr> {
        self.host
    }

    /// The response flags that go with it.
    pub fn flags(&self) -> ResponseFlags {
        match self.kind {
            Kind::NoHealthyUpstream => ResponseFlags::NO_HEALTHY_UPSTREAM,
            Kind::Overflow => ResponseFlags::UPSTREAM_OVERFLOW,
            Kind::ConnectFailure(_) | Kind::ConnectTimeout => ResponseFlags::UPSTREAM_CONNECTION_FAILURE,
            Kind::ConnectionTermination => ResponseFlags::UPSTREAM_CONNECTION_TERMINATION,
            Kind::ProtocolError => ResponseFlags::UPSTREAM_PROTOCOL_ERROR,
            Kind::RemoteReset | Kind::RemoteRefused => ResponseFlags::UPSTREAM_REMOTE_RESET,
            Kind::LocalReset => ResponseFlags::LOCAL_RESET,
            Kind::RequestBody => ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION,
        }
    }

    /// The status of the local reply: 502 for a malformed response, 503 for all else.
    pub fn status(&self) -> StatusCode {
        match self.kind {
            Kind::ProtocolError => StatusCode::BAD_GATEWAY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The body of the local reply.
    pub fn body(&self) -> String {
        match self.kind {
            Kind::NoHealthyUpstream => "no healthy upstream".to_owned(),
            _ => format!(
                "upstream connect error or disconnect/reset before headers. reset reason: {}",
                self.reset_reason().0
            ),
        }
    }

    /// The response code details: who made the response, and why.
    pub fn details(&self) -> &'static str {
        match self.kind {
            Kind::NoHealthyUpstream => "no_healthy_upstream",
            Kind::ConnectFailure(Some(failure)) => connect_details(failure),
            Kind::RequestBody => "downstream_remote_disconnect",
            _ if self.response_started => self.reset_reason().2,
            _ => self.reset_reason().1,
        }
    }

    /// `%UPSTREAM_TRANSPORT_FAILURE_REASON%`: why the connection could not be made.
    pub fn transport_failure_reason(&self) -> Option<&'static str> {
        match self.kind {
            Kind::ConnectFailure(Some(failure)) => Some(transport_failure_reason(failure)),
            _ => None,
        }
    }

    /// The reason in Envoy's words: for the body, and for the details before and after the response's start.
    fn reset_reason(&self) -> (&'static str, &'static str, &'static str) {
        macro_rules! reason {
            ($words:literal, $name:literal) => {
                (
                    $words,
                    concat!("upstream_reset_before_response_started{", $name, "}"),
                    concat!("upstream_reset_after_response_started{", $name, "}"),
                )
            };
        }
        match self.kind {
            Kind::NoHealthyUpstream => ("no healthy upstream", "no_healthy_upstream", "no_healthy_upstream"),
            Kind::Overflow => reason!("overflow", "overflow"),
            Kind::ConnectFailure(_) => reason!("remote connection failure", "remote_connection_failure"),
            Kind::ConnectTimeout => reason!("connection timeout", "connection_timeout"),
            Kind::ConnectionTermination => reason!("connection termination", "connection_termination"),
            Kind::ProtocolError => reason!("protocol error", "protocol_error"),
            Kind::RemoteReset => reason!("remote reset", "remote_reset"),
            Kind::RemoteRefused => reason!("remote refused stream reset", "remote_refused_stream_reset"),
            Kind::LocalReset | Kind::RequestBody => reason!("local reset", "local_reset"),
        }
    }

    /// Whether a circuit breaker refused the request; its local reply carries `x-envoy-overloaded: true`.
    pub fn is_overflow(&self) -> bool {
        self.kind == Kind::Overflow
    }

    /// Whether the request's own body failed, so that nobody waits for an answer.
    pub fn is_request_body(&self) -> bool {
        self.kind == Kind::RequestBody
    }

    /// Whether a part of the request may have reached the host. Where not, sending it again is always safe.
    pub fn request_sent(&self) -> bool {
        self.request_sent
    }

    /// Whether the response's head had been received.
    pub fn response_started(&self) -> bool {
        self.response_started
    }

    /// Whether trying again, perhaps with another host, may help: not where the response had begun or the request
    /// itself failed.
    pub fn is_retryable(&self) -> bool {
        !self.response_started
            && match self.kind {
                Kind::ConnectFailure(_)
                | Kind::ConnectTimeout
                | Kind::ConnectionTermination
                | Kind::ProtocolError
                | Kind::RemoteReset
                | Kind::RemoteRefused
                | Kind::LocalReset => true,
                Kind::NoHealthyUpstream | Kind::Overflow | Kind::RequestBody => false,
            }
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reset_reason().0)?;
        match self.host {
            Some(host) => write!(f, " ({host})"),
            None => Ok(()),
        }
    }
}

impl Error for UpstreamError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_speak_as_envoy_does() {
        fn check(error: &UpstreamError, status: u16, flags: &str, details: &str, body: &str) {
            assert_eq!(error.status().as_u16(), status);
            assert_eq!(error.flags().to_string(), flags);
            assert_eq!(error.details(), details);
            assert_eq!(error.body(), body);
        }
        let host = SocketAddr::from(([127, 0, 0, 1], 80));
        let prefix = "upstream connect error or disconnect/reset before headers. reset reason: ";
        let unsent = |kind| UpstreamError::unsent(kind, Some(host));
        check(
            &UpstreamError::unsent(Kind::NoHealthyUpstream, None),
            503,
            "UH",
            "no_healthy_upstream",
            "no healthy upstream",
        );
        let refused = io::Error::from_raw_os_error(111);
        check(
            &unsent(Kind::ConnectFailure(ConnectFailure::of(&refused))),
            503,
            "UF",
            "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
            &format!("{prefix}remote connection failure"),
        );
        check(
            &unsent(Kind::ConnectTimeout),
            503,
            "UF",
            "upstream_reset_before_response_started{connection_timeout}",
            &format!("{prefix}connection timeout"),
        );
        check(
            &UpstreamError::sent(Kind::ConnectionTermination, host),
            503,
            "UC",
            "upstream_reset_before_response_started{connection_termination}",
            &format!("{prefix}connection termination"),
        );
        check(
            &UpstreamError::sent(Kind::ProtocolError, host),
            502,
            "UPE",
            "upstream_reset_before_response_started{protocol_error}",
            &format!("{prefix}protocol error"),
        );
        check(
            &UpstreamError::in_body(Kind::ProtocolError, host),
            502,
            "UPE",
            "upstream_reset_after_response_started{protocol_error}",
            &format!("{prefix}protocol error"),
        );
        check(
            &unsent(Kind::Overflow),
            503,
            "UO",
            "upstream_reset_before_response_started{overflow}",
            &format!("{prefix}overflow"),
        );
        check(
            &UpstreamError::sent(Kind::RemoteRefused, host),
            503,
            "UR",
            "upstream_reset_before_response_started{remote_refused_stream_reset}",
            &format!("{prefix}remote refused stream reset"),
        );
    }
}
