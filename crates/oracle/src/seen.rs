//! What was seen of one exchange, from all sides, in the form in which it is recorded and compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All that was seen.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// What the client got.
    pub responses: Vec<Response>,
    /// What became of the client's connection.
    pub connection: Connection,
    /// What the origins got, in the order of arrival.
    pub origin: Vec<OriginRequest>,
    /// The lines of the access log.
    pub log: Vec<String>,
    /// The stats that changed, and by how much.
    pub stats: BTreeMap<String, i64>,
}

/// A part of what was seen, for naming differences.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What the client got.
    Responses,
    /// What became of the client's connection.
    Connection,
    /// What the origins got.
    Origin,
    /// The access log.
    Log,
    /// The stats.
    Stats,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Responses, Self::Connection, Self::Origin, Self::Log, Self::Stats];
}

/// A response as the client saw it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Response {
    /// Heads of interim responses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interim: Vec<Vec<String>>,
    /// The final head, line by line; empty where none came.
    pub head: Vec<String>,
    /// The body, or its length and hash.
    pub body: String,
    /// The trailers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<String>,
    /// How it ended: complete, cut, or the frame that ended it.
    pub end: String,
}

/// What became of the client's connection.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Kept, closed, closed after a delay, or reset.
    pub fate: String,
    /// The protocol that TLS agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// GOAWAY and what else concerns the whole connection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<String>,
    /// Bytes that belong to no response.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub excess: String,
}

/// A request as an origin saw it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct OriginRequest {
    /// The origin's name.
    pub origin: String,
    /// Which of the connections of this exchange, counted from 1.
    pub connection: usize,
    /// The head, line by line.
    pub head: Vec<String>,
    /// The body, or its length and hash.
    pub body: String,
    /// The trailers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<String>,
    /// How it ended: answered, or how the proxy gave it up.
    pub end: String,
}

/// A body, or its length and hash where it is long.
pub fn body(bytes: &[u8]) -> String {
    if bytes.len() <= 300 {
        return text(bytes);
    }
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{} bytes, hash {hash:016x}", bytes.len())
}

/// Each byte as one character.
pub fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
