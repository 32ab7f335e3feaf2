//! The access log: Envoy's format strings, parsed once, and the lines made with them.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, HeaderName, StatusCode, Version};
use nuncio_service::{LineSink, LoggedRequest, StreamInfo};

use self::time::TimeFormat;

mod time;

/// Envoy's default format.
pub const DEFAULT_FORMAT: &str = concat!(
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" ",
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ",
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" ",
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n",
);

/// A format string that was understood.
#[derive(Debug, Clone)]
pub struct Format(Vec<Part>);

/// All that is wrong with a format string.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", self.told())]
pub struct FormatError {
    /// In the order of the text.
    pub mistakes: Vec<FormatMistake>,
}

impl FormatError {
    fn told(&self) -> String {
        self.mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

/// One thing that is wrong with a format string.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FormatMistake {
    /// A `%` without its partner.
    #[error("a command operator is not closed: \"{0}\"")]
    Unclosed(String),
    /// A command operator that is not known here.
    #[error("the command operator \"%{0}%\" is not supported")]
    Unknown(String),
    /// A header name that is none, or a length that is none.
    #[error("the command operator \"%{0}%\" has a malformed argument")]
    Argument(String),
    /// A specifier of a time format that is not known here.
    #[error("the specifier {specifier:?} in the command operator \"%{operator}%\" is not supported")]
    Time {
        /// The whole command operator.
        operator: String,
        /// With its `%`.
        specifier: String,
    },
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Request(Field),
    Response(Field),
    StartTime(TimeFormat),
    Protocol,
    ResponseCode,
    ResponseCodeDetails,
    ResponseFlags,
    BytesReceived,
    BytesSent,
    Duration,
    UpstreamHost,
    UpstreamCluster,
    UpstreamFailure,
    RouteName,
    ClientAddress { port: bool },
    PeerAddress { port: bool },
    LocalAddress { port: bool },
    ServerName,
    TlsVersion,
    TlsCipher,
}

/// `NAME?ALTERNATIVE:LENGTH`.
#[derive(Debug, Clone)]
struct Field {
    names: Vec<FieldName>,
    length: Option<usize>,
}

#[derive(Debug, Clone)]
enum FieldName {
    Method,
    Path,
    Authority,
    Scheme,
    Header(HeaderName),
}

/// What a line is made of.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) request: Option<&'a LoggedRequest>,
    pub(crate) response: Option<(StatusCode, &'a HeaderMap)>,
    pub(crate) info: &'a StreamInfo,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) duration: Duration,
}

impl Record<'_> {
    fn cluster(&self) -> Option<&str> {
        self.info.cluster.as_deref().or_else(|| self.request?.cluster.as_deref())
    }

    fn upstream_host(&self) -> Option<SocketAddr> {
        self.info.upstream_host.or_else(|| self.request?.upstream_host)
    }

    /// The client as trusted proxies tell it, whose port nobody knows; or the peer.
    fn client(&self) -> SocketAddr {
        let told = self.info.client_address.or_else(|| self.request?.client_address);
        told.map_or(self.info.connection.remote_address, |address| SocketAddr::new(address, 0))
    }

    fn route_name(&self) -> Option<&str> {
        self.info.route_name.as_deref().or_else(|| self.request?.route_name.as_deref())
    }
}

/// All access logs of one connection manager.
#[derive(Debug, Clone, Default)]
pub struct AccessLog {
    logs: Arc<[(Format, LineSink)]>,
}

impl AccessLog {
    /// Lines in each format to the sink beside it.
    pub fn new(logs: impl IntoIterator<Item = (Format, LineSink)>) -> Self {
        Self { logs: logs.into_iter().collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    pub(crate) fn write(&self, record: &Record<'_>) {
        for (format, sink) in &*self.logs {
            let mut line = String::with_capacity(256);
            format.write(record, &mut line);
            sink.write(line.as_bytes());
        }
    }
}

impl Format {
    /// Reads a format string with its command operators.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let mut parts = Vec::new();
        let mut mistakes = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let Some((operator, after)) = split_operator(after) else {
                mistakes.push(FormatMistake::Unclosed(after.to_owned()));
                return Err(FormatError { mistakes });
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            match Part::parse(operator) {
                Ok(part) => parts.push(part),
                Err(more) => mistakes.extend(more),
            }
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        if mistakes.is_empty() { Ok(Self(parts)) } else { Err(FormatError { mistakes }) }
    }

    fn write(&self, record: &Record<'_>, line: &mut String) {
        let mut start = None;
        for part in &self.0 {
            part.write(record, &mut start, line);
        }
    }
}

/// The operator at the start of `text` without the `%` that closes it, and what follows. As in Envoy an argument in
/// parentheses may have `%` and `)`: it ends at the first `)` after which the operator can end.
fn split_operator(text: &str) -> Option<(&str, &str)> {
    let argument = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))?;
    if text.get(argument..)?.starts_with('(') {
        for (at, _) in text.match_indices(')').filter(|(at, _)| *at > argument) {
            let behind = text.get(at + 1..)?;
            let length = match behind.strip_prefix(':') {
                Some(digits) => {
                    1 + digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len()
                }
                None => 0,
            };
            if length != 1 && behind.get(length..)?.starts_with('%') {
                let end = at + 1 + length;
                return Some((text.get(..end)?, text.get(end + 1..)?));
            }
        }
    }
    // Malformed operators are to be named in full, too.
    text.split_once('%').filter(|(operator, _)| !operator.contains('(') || operator.contains(')'))
}

impl Part {
    fn parse(operator: &str) -> Result<Self, Vec<FormatMistake>> {
        if let Some(field) = operator.strip_prefix("REQ(") {
            return Field::parse(operator, field).map(Self::Request).map_err(|mistake| vec![mistake]);
        }
        if let Some(field) = operator.strip_prefix("RESP(") {
            return Field::parse(operator, field).map(Self::Response).map_err(|mistake| vec![mistake]);
        }
        if let Some(format) = operator.strip_prefix("START_TIME")
            && (format.is_empty() || format.starts_with(['(', ':']))
        {
            return start_time(operator, format);
        }
        Ok(match operator {
            "PROTOCOL" => Self::Protocol,
            "RESPONSE_CODE" => Self::ResponseCode,
            "RESPONSE_CODE_DETAILS" => Self::ResponseCodeDetails,
            "RESPONSE_FLAGS" => Self::ResponseFlags,
            "BYTES_RECEIVED" => Self::BytesReceived,
            "BYTES_SENT" => Self::BytesSent,
            "DURATION" => Self::Duration,
            "UPSTREAM_HOST" => Self::UpstreamHost,
            "UPSTREAM_CLUSTER" => Self::UpstreamCluster,
            "UPSTREAM_TRANSPORT_FAILURE_REASON" => Self::UpstreamFailure,
            "ROUTE_NAME" => Self::RouteName,
            "DOWNSTREAM_REMOTE_ADDRESS" => Self::ClientAddress { port: true },
            "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => Self::ClientAddress { port: false },
            "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" => Self::PeerAddress { port: true },
            "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => Self::PeerAddress { port: false },
            "DOWNSTREAM_LOCAL_ADDRESS" => Self::LocalAddress { port: true },
            "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => Self::LocalAddress { port: false },
            "REQUESTED_SERVER_NAME" => Self::ServerName,
            "DOWNSTREAM_TLS_VERSION" => Self::TlsVersion,
            "DOWNSTREAM_TLS_CIPHER" => Self::TlsCipher,
            unknown => return Err(vec![FormatMistake::Unknown(unknown.to_owned())]),
        })
    }

    /// `start` is when the stream began, once a part of the line has asked: all times of a line are the same.
    fn write(&self, record: &Record<'_>, start: &mut Option<SystemTime>, line: &mut String) {
        let info = record.info;
        let tls = info.connection.tls.as_ref();
        let _infallible = match self {
            Self::Text(text) => line.write_str(text),
            Self::Request(field) => field.write(line, |name| {
                record.request.and_then(|request| name.of_request(request, info.connection.scheme()))
            }),
            Self::Response(field) => {
                field.write(line, |name| record.response.and_then(|(_, headers)| name.of_headers(headers)))
            }
            Self::StartTime(format) => {
                let begin = || SystemTime::now().checked_sub(record.duration).unwrap_or(UNIX_EPOCH);
                format.write(*start.get_or_insert_with(begin), line)
            }
            Self::Protocol => line.write_str(protocol(info.protocol)),
            Self::ResponseCode => match record.response {
                Some((status, _)) => line.write_str(status.as_str()),
                None => line.write_str("0"),
            },
            Self::ResponseCodeDetails => {
                or_dash(line, Some(info.response_code_details).filter(|d| !d.is_empty()))
            }
            Self::ResponseFlags => write!(line, "{}", info.flags),
            Self::BytesReceived => write!(line, "{}", record.bytes_received),
            Self::BytesSent => write!(line, "{}", record.bytes_sent),
            Self::Duration => write!(line, "{}", record.duration.as_millis()),
            Self::UpstreamHost => match record.upstream_host() {
                Some(host) => write!(line, "{host}"),
                None => line.write_str("-"),
            },
            Self::UpstreamCluster => or_dash(line, record.cluster()),
            Self::UpstreamFailure => or_dash(line, info.upstream_failure),
            Self::RouteName => or_dash(line, record.route_name()),
            Self::ClientAddress { port } => address(line, record.client(), *port),
            Self::PeerAddress { port } => address(line, info.connection.remote_address, *port),
            Self::LocalAddress { port } => address(line, info.connection.local_address, *port),
            // Whatever the client asks for, Envoy knows it only from a listener filter, and none is supported.
            Self::ServerName => or_dash(line, None),
            Self::TlsVersion => or_dash(line, tls.map(|tls| tls.version)),
            Self::TlsCipher => or_dash(line, tls.map(|tls| tls.cipher)),
        };
    }
}

/// `START_TIME` with what follows the name: nothing, or a format in parentheses.
fn start_time(operator: &str, format: &str) -> Result<Part, Vec<FormatMistake>> {
    let format = match format.strip_prefix('(') {
        Some(format) => format.strip_suffix(')').filter(|format| !format.contains('\n')),
        None => Some("").filter(|_| format.is_empty()),
    };
    let format = format.ok_or_else(|| vec![FormatMistake::Argument(operator.to_owned())])?;
    let unknown = |specifier| FormatMistake::Time { operator: operator.to_owned(), specifier };
    TimeFormat::parse(format)
        .map(Part::StartTime)
        .map_err(|specifiers| specifiers.into_iter().map(unknown).collect())
}

impl Field {
    fn parse(operator: &str, text: &str) -> Result<Self, FormatMistake> {
        let malformed = || FormatMistake::Argument(operator.to_owned());
        let (names, length) = text.split_once(')').ok_or_else(malformed)?;
        let length = match length.strip_prefix(':') {
            Some(digits) => Some(digits.parse().map_err(|_| malformed())?),
            None if length.is_empty() => None,
            None => return Err(malformed()),
        };
        let names = names
            .splitn(2, '?')
            .map(|name| match name.to_ascii_lowercase().as_str() {
                ":method" => Ok(FieldName::Method),
                ":path" => Ok(FieldName::Path),
                ":authority" | "host" => Ok(FieldName::Authority),
                ":scheme" => Ok(FieldName::Scheme),
                name => {
                    HeaderName::from_bytes(name.as_bytes()).map(FieldName::Header).map_err(|_| malformed())
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { names, length })
    }

    fn write<'a>(&self, line: &mut String, find: impl Fn(&FieldName) -> Option<&'a str>) -> std::fmt::Result {
        let value = self.names.iter().find_map(find).unwrap_or("-");
        let end = self.length.unwrap_or(value.len());
        line.write_str(value.get(..end).unwrap_or(value))
    }
}

impl FieldName {
    fn of_request<'a>(&self, request: &'a LoggedRequest, scheme: &'static str) -> Option<&'a str> {
        match self {
            Self::Method => Some(request.method.as_str()),
            // CONNECT has none.
            Self::Path => Some(request.path.as_str()).filter(|path| !path.is_empty()),
            Self::Authority => request.authority.as_deref(),
            Self::Scheme => Some(scheme),
            Self::Header(_) => self.of_headers(&request.headers),
        }
    }

    fn of_headers<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        match self {
            Self::Header(name) => headers.get(name)?.to_str().ok(),
            _ => None,
        }
    }
}

fn or_dash(line: &mut String, value: Option<&str>) -> std::fmt::Result {
    line.write_str(value.unwrap_or("-"))
}

fn address(line: &mut String, address: SocketAddr, port: bool) -> std::fmt::Result {
    if port { write!(line, "{address}") } else { write!(line, "{}", address.ip()) }
}

/// HTTP/1.0 is always refused, and Envoy's log names it by the protocol of the refusal.
fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests;
