//! The format strings of access logs and of headers that are added, as Envoy parses them: `%REQ(X-A?X-B):10%`.
//!
//! This says whether Envoy takes a string. Which commands have a meaning here is for those who use it to say.

use std::fmt;

/// What is wrong with a format string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// A `%` that begins no command, with what follows it.
    NoCommand(String),
    /// A command that Envoy does not have.
    Unknown(String),
    /// A command with the wrong arguments.
    Arguments { command: String, reason: &'static str },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommand(at) => write!(
                f,
                "no command begins at {at:?}; a command is like %PROTOCOL% or %REQ(NAME):10%, and a per cent sign is \
                 written %%"
            ),
            Self::Unknown(name) => write!(f, "there is no command %{name}%"),
            Self::Arguments { command, reason } => write!(f, "the command %{command}% {reason}"),
        }
    }
}

/// What stands after the name of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// `(…)`, or nothing.
    Option,
    /// `(…)`.
    Argument,
    /// `(…)`, and perhaps `:LENGTH`.
    ArgumentAndLength,
    /// `:LENGTH`, or one of some words in brackets, or nothing.
    LengthOrWord(&'static [&'static str]),
}

/// Checks a format string.
///
/// # Errors
///
/// The first mistake. What a command is called that no other than `more` knows is none.
pub(crate) fn check(format: &str, more: &[&str]) -> Result<(), Malformed> {
    let mut rest = format;
    while let Some((_, from)) = rest.split_once('%') {
        rest = match from.strip_prefix('%') {
            Some(after) => after,
            None => command(from, more)?,
        };
    }
    Ok(())
}

/// Checks the command after a `%`, and gives what follows its end.
fn command<'f>(text: &'f str, more: &[&str]) -> Result<&'f str, Malformed> {
    const SHOWN: usize = 20;
    let no_command = || Malformed::NoCommand(format!("%{}", text.chars().take(SHOWN).collect::<String>()));
    let is_name = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    let (name, rest) = text.split_at(text.find(|letter| !is_name(letter)).unwrap_or(text.len()));
    if name.is_empty() {
        return Err(no_command());
    }
    let (argument, rest) = match rest.strip_prefix('(') {
        Some(inner) => inner.split_once(')').ok_or_else(no_command)?,
        None => ("", rest),
    };
    let (length, rest) = match rest.strip_prefix(':') {
        Some(inner) => {
            let digits = inner.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(inner.len());
            let (digits, rest) = inner.split_at(digits);
            if digits.is_empty() {
                return Err(no_command());
            }
            (true, rest)
        }
        None => (false, rest),
    };
    let Some(rest) = rest.strip_prefix('%') else { return Err(no_command()) };
    if more.contains(&name) {
        return Ok(rest);
    }
    let Some(takes) = takes(name) else { return Err(Malformed::Unknown(name.to_owned())) };
    match fault(name, takes, argument, length) {
        Some(reason) => {
            let end = text.len() - rest.len() - 1;
            Err(Malformed::Arguments { command: text.get(..end).unwrap_or(name).to_owned(), reason })
        }
        None => Ok(rest),
    }
}

fn fault(name: &str, takes: Takes, argument: &str, length: bool) -> Option<&'static str> {
    let has_argument = !argument.is_empty();
    match takes {
        Takes::Nothing if has_argument || length => return Some("takes neither an argument nor a length"),
        Takes::Option if length => return Some("takes no length"),
        Takes::Argument | Takes::ArgumentAndLength if !has_argument => {
            return Some("needs an argument in round brackets");
        }
        Takes::Argument if length => return Some("takes no length"),
        Takes::LengthOrWord(words) if has_argument && !words.contains(&argument) => {
            return Some("has an argument that it does not know");
        }
        _ => {}
    }
    if HEADERS.contains(&name) {
        return header_names(argument);
    }
    match name {
        "START_TIME" | "START_TIME_LOCAL" | "EMIT_TIME" | "EMIT_TIME_LOCAL"
            if argument.contains("%n") || argument.contains(['\n', '\r', '\0']) =>
        {
            Some("has a line break in its format")
        }
        "FILTER_STATE" | "UPSTREAM_FILTER_STATE" => match argument.split(':').nth(1) {
            Some("PLAIN" | "TYPED" | "FIELD") | None => None,
            Some(_) => Some("serializes as PLAIN, TYPED or FIELD only"),
        },
        "COMMON_DURATION" if argument.split(':').count() < 3 => {
            Some("needs where it begins, where it ends, and a unit, with colons between them")
        }
        _ => None,
    }
}

/// `NAME` or `NAME?ALTERNATIVE`.
fn header_names(argument: &str) -> Option<&'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:".contains(&byte);
    let names: Vec<&str> = argument.split('?').collect();
    if names.len() > 2 {
        Some("has more than one alternative")
    } else if names.iter().any(|name| !name.bytes().all(fits)) {
        Some("has a name that no header can have")
    } else {
        None
    }
}

fn takes(name: &str) -> Option<Takes> {
    if HEADERS.contains(&name) || WITH_ARGUMENT_AND_LENGTH.contains(&name) {
        return Some(Takes::ArgumentAndLength);
    }
    if PLAIN.contains(&name) {
        return Some(Takes::Nothing);
    }
    if WITH_OPTION.contains(&name) {
        return Some(Takes::Option);
    }
    match name {
        "CLUSTER_METADATA" | "UPSTREAM_METADATA" | "METADATA" | "COMMON_DURATION" | "COALESCE" => {
            Some(Takes::Argument)
        }
        "PATH" => Some(Takes::LengthOrWord(&["WQ", "NQ"])),
        "QUERY_PARAMS" => Some(Takes::LengthOrWord(&["ORIG", "DECODED"])),
        _ => None,
    }
}

/// Commands that show a header.
const HEADERS: &[&str] =
    &["REQ", "RESP", "TRAILER", "REQUEST_HEADER", "RESPONSE_HEADER", "RESPONSE_TRAILER", "STREAM_INFO_REQ"];

const WITH_ARGUMENT_AND_LENGTH: &[&str] =
    &["CEL", "DYNAMIC_METADATA", "ENVIRONMENT", "FILTER_STATE", "QUERY_PARAM", "UPSTREAM_FILTER_STATE"];

/// Commands that may have an argument.
const WITH_OPTION: &[&str] = &[
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_PEER_CERT_V_END",
    "DOWNSTREAM_PEER_CERT_V_START",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "EMIT_TIME",
    "EMIT_TIME_LOCAL",
    "GRPC_STATUS",
    "REQUESTED_SERVER_NAME",
    "RESPONSE_CODE_DETAILS",
    "START_TIME",
    "START_TIME_LOCAL",
    "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "UPSTREAM_PEER_CERT_V_END",
    "UPSTREAM_PEER_CERT_V_START",
    "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
];

/// Commands that stand alone.
const PLAIN: &[&str] = &[
    "ACCESS_LOG_TYPE",
    "BYTES_RECEIVED",
    "BYTES_RETRANSMITTED",
    "BYTES_SENT",
    "CONNECTION_ID",
    "CONNECTION_TERMINATION_DETAILS",
    "CUSTOM_FLAGS",
    "DOWNSTREAM_CX_RTT",
    "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
    "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT",
    "DOWNSTREAM_DETECTED_CLOSE_TYPE",
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS",
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID",
    "DOWNSTREAM_DIRECT_LOCAL_PORT",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_PORT",
    "DOWNSTREAM_HANDSHAKE_DURATION",
    "DOWNSTREAM_HEADER_BYTES_RECEIVED",
    "DOWNSTREAM_HEADER_BYTES_SENT",
    "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID",
    "DOWNSTREAM_LOCAL_CLOSE_REASON",
    "DOWNSTREAM_LOCAL_DNS_SAN",
    "DOWNSTREAM_LOCAL_EMAIL_SAN",
    "DOWNSTREAM_LOCAL_IP_SAN",
    "DOWNSTREAM_LOCAL_OTHERNAME_SAN",
    "DOWNSTREAM_LOCAL_PORT",
    "DOWNSTREAM_LOCAL_SUBJECT",
    "DOWNSTREAM_LOCAL_URI_SAN",
    "DOWNSTREAM_PEER_CERT",
    "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1",
    "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256",
    "DOWNSTREAM_PEER_CHAIN_SERIALS",
    "DOWNSTREAM_PEER_DNS_SAN",
    "DOWNSTREAM_PEER_EMAIL_SAN",
    "DOWNSTREAM_PEER_FINGERPRINT_1",
    "DOWNSTREAM_PEER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_IP_SAN",
    "DOWNSTREAM_PEER_ISSUER",
    "DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_ISSUER_SERIAL",
    "DOWNSTREAM_PEER_OTHERNAME_SAN",
    "DOWNSTREAM_PEER_SERIAL",
    "DOWNSTREAM_PEER_SUBJECT",
    "DOWNSTREAM_PEER_URI_SAN",
    "DOWNSTREAM_REMOTE_ADDRESS",
    "DOWNSTREAM_REMOTE_PORT",
    "DOWNSTREAM_TLS_CIPHER",
    "DOWNSTREAM_TLS_GROUP",
    "DOWNSTREAM_TLS_SESSION_ID",
    "DOWNSTREAM_TLS_VERSION",
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
    "DOWNSTREAM_WIRE_BYTES_RECEIVED",
    "DOWNSTREAM_WIRE_BYTES_SENT",
    "DURATION",
    "FILTER_CHAIN_NAME",
    "GRPC_STATUS_NUMBER",
    "HOSTNAME",
    "LISTENER_NAME",
    "LOCAL_REPLY_BODY",
    "PACKETS_RETRANSMITTED",
    "PROTOCOL",
    "REQUEST_DURATION",
    "REQUEST_HEADERS_BYTES",
    "REQUEST_TX_DURATION",
    "RESPONSE_CODE",
    "RESPONSE_DURATION",
    "RESPONSE_FLAGS",
    "RESPONSE_FLAGS_LONG",
    "RESPONSE_HEADERS_BYTES",
    "RESPONSE_TRAILERS_BYTES",
    "RESPONSE_TX_DURATION",
    "ROUNDTRIP_DURATION",
    "ROUTE_NAME",
    "ROUTE_RESOLUTION_COUNT",
    "ROUTE_RESOLUTION_TIME_US",
    "SPAN_ID",
    "STREAM_ID",
    "TLS_JA3_FINGERPRINT",
    "TLS_JA4_FINGERPRINT",
    "TRACE_ID",
    "UNIQUE_ID",
    "UPSTREAM_CLUSTER",
    "UPSTREAM_CLUSTER_RAW",
    "UPSTREAM_CONNECTION_ID",
    "UPSTREAM_CONNECTION_IDS_ATTEMPTED",
    "UPSTREAM_CONNECTION_POOL_READY_DURATION",
    "UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
    "UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT",
    "UPSTREAM_DETECTED_CLOSE_TYPE",
    "UPSTREAM_HEADER_BYTES_RECEIVED",
    "UPSTREAM_HEADER_BYTES_SENT",
    "UPSTREAM_HOST",
    "UPSTREAM_HOSTS_ATTEMPTED",
    "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT",
    "UPSTREAM_HOST_NAME",
    "UPSTREAM_HOST_NAMES_ATTEMPTED",
    "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT",
    "UPSTREAM_HOST_NAME_WITHOUT_PORT",
    "UPSTREAM_LOCAL_ADDRESS",
    "UPSTREAM_LOCAL_CLOSE_REASON",
    "UPSTREAM_LOCAL_DNS_SAN",
    "UPSTREAM_LOCAL_IP_SAN",
    "UPSTREAM_LOCAL_PORT",
    "UPSTREAM_LOCAL_URI_SAN",
    "UPSTREAM_PEER_CERT",
    "UPSTREAM_PEER_DNS_SAN",
    "UPSTREAM_PEER_IP_SAN",
    "UPSTREAM_PEER_ISSUER",
    "UPSTREAM_PEER_SUBJECT",
    "UPSTREAM_PEER_URI_SAN",
    "UPSTREAM_PROTOCOL",
    "UPSTREAM_REMOTE_ADDRESS",
    "UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID",
    "UPSTREAM_REMOTE_PORT",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT",
    "UPSTREAM_SERVER_NAME",
    "UPSTREAM_TLS_CIPHER",
    "UPSTREAM_TLS_GROUP",
    "UPSTREAM_TLS_SESSION_ID",
    "UPSTREAM_TLS_VERSION",
    "UPSTREAM_TRANSPORT_FAILURE_REASON",
    "UPSTREAM_WIRE_BYTES_RECEIVED",
    "UPSTREAM_WIRE_BYTES_SENT",
    "VIRTUAL_CLUSTER_NAME",
];

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(format: &str, expected: Result<(), &str>) {
        let is = super::check(format, &["MINE"]).map_err(|malformed| malformed.to_string());
        assert_eq!(is, expected.map_err(str::to_owned), "{format:?}");
    }

    /// What Envoy says of the same strings is in `fixtures/config/verdicts/access_log.yaml`.
    #[test]
    fn commands_are_read_as_in_envoy() {
        for good in
            ["", "text", "%%", "%PROTOCOL%", "%PROTOCOL()%", "%REQ(:PATH?X-A):3%", "%START_TIME(%s)%x%%"]
        {
            check(good, Ok(()));
        }
        check("%MINE(x):1%", Ok(()));
        check("%MINES%", Err("there is no command %MINES%"));
        let no_command = |at: &str| {
            format!(
                "no command begins at {at:?}; a command is like %PROTOCOL% or %REQ(NAME):10%, and a per cent sign is \
                 written %%"
            )
        };
        for (bad, at) in
            [("100 %", "%"), ("%%%", "%"), ("a %PROTOCOL", "%PROTOCOL"), ("%REQ(A):x%", "%REQ(A):x%")]
        {
            check(bad, Err(&no_command(at)));
        }
        check("%PROTOCOL:5%", Err("the command %PROTOCOL:5% takes neither an argument nor a length"));
        check("%REQ%", Err("the command %REQ% needs an argument in round brackets"));
        check("%REQ(A?B?C)%", Err("the command %REQ(A?B?C)% has more than one alternative"));
    }
}
