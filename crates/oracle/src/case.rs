//! What a case file says: a configuration, and exchanges as scripts of the client and of the origin.
//!
//! The format is described for its writers in `fixtures/oracle/README.md`.

mod differs;
mod step;

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, de::Error as _};

pub use self::{
    differs::{Differs, What},
    step::{Answer, Event, Frame, Request, Step, Text, latin1},
};
use crate::Result;

/// One file under `fixtures/oracle`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The file's name without its end.
    #[serde(skip)]
    pub name: String,
    /// What the exchanges have in common.
    pub about: String,
    /// The configuration's file, seen from the case's folder.
    pub config: String,
    /// Texts to replace in the configuration before its placeholders are filled in.
    #[serde(default)]
    pub replace: Vec<(String, String)>,
    /// The origins to start, by the name of their port.
    #[serde(default = "both_origins")]
    pub origins: BTreeMap<String, Protocol>,
    /// Stats that differ from run to run, as patterns with `*`.
    #[serde(default)]
    pub vary: Vec<String>,
    /// Proxies tell the client's address. Where that is a loopback address Envoy tells the machine's own instead,
    /// which is another one on each machine, so neither is compared.
    #[serde(default)]
    pub client_address_is_told: bool,
    /// Differences that are kept on purpose.
    #[serde(default)]
    pub differs: Vec<Differs>,
    /// The exchanges, each with a name of its own.
    pub exchanges: Vec<Exchange>,
}

/// What an origin speaks.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// One connection of a client, from its opening to its end.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Unique within the file.
    pub name: String,
    /// Run once for each pair of client protocol and origin protocol.
    #[serde(default)]
    pub over: Vec<Pair>,
    /// Whether the client speaks HTTP/2.
    #[serde(default)]
    pub http2: bool,
    /// Whether an HTTP/2 client leaves out the preface and the first settings.
    #[serde(default)]
    pub bare: bool,
    /// The port to connect to, by its name in the configuration.
    #[serde(default = "listener")]
    pub to: String,
    /// Connect with TLS.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// What the client does.
    pub client: Vec<Step>,
    /// What the origins do, one list for each request in the order of arrival.
    #[serde(default)]
    pub origin: Vec<Vec<Step>>,
    /// How many responses to wait for, where it is not one for each head that is sent.
    #[serde(default)]
    pub responses: Option<usize>,
    /// Leave the origins' connections open for the next exchange.
    #[serde(default)]
    pub keep_upstream: bool,
    /// Several requests run at a time, so the order in which the origins and the log see them means nothing.
    #[serde(default)]
    pub unordered: bool,
    /// How long to wait for what does not come, in milliseconds.
    #[serde(default = "patience")]
    pub patience: u64,
    /// Stats that differ from run to run, as patterns with `*`.
    #[serde(default)]
    pub vary: Vec<String>,
}

/// The client's and the origin's version of HTTP, written as `1-2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Whether the client speaks HTTP/2.
    pub client2: bool,
    /// Whether the origin does.
    pub origin2: bool,
}

/// How the client does TLS. It accepts any certificate.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The protocols to offer.
    #[serde(default)]
    pub alpn: Vec<String>,
}

impl Case {
    /// Reads one file.
    ///
    /// # Errors
    /// Where it cannot be read or understood.
    pub fn load(path: &Path) -> Result<Self> {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(|error| told(&error))?;
        let document = serde_yaml::Deserializer::from_str(&text);
        let mut case: Self =
            serde_yaml::with::singleton_map_recursive::deserialize(document).map_err(|error| told(&error))?;
        case.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        case.exchanges = case.exchanges.into_iter().flat_map(Exchange::expanded).collect();
        for (index, exchange) in case.exchanges.iter().enumerate() {
            if case.exchanges.iter().skip(index + 1).any(|other| other.name == exchange.name) {
                return Err(told(&format!("two exchanges are named {:?}", exchange.name)).into());
            }
        }
        Ok(case)
    }
}

impl Exchange {
    fn expanded(self) -> Vec<Self> {
        if self.over.is_empty() {
            return vec![self];
        }
        let each = |pair: &Pair| {
            let number = |two| if two { 2 } else { 1 };
            let mut one = self.clone();
            one.name = format!("{} {}-{}", self.name, number(pair.client2), number(pair.origin2));
            one.http2 = pair.client2;
            let upstream = if pair.origin2 { "h2" } else { "h1" };
            for step in &mut one.client {
                if let Step::Request(request) = step {
                    request.path = request.path.replace("{{up}}", upstream);
                }
            }
            one
        };
        self.over.iter().map(each).collect()
    }
}

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let side = |text: &str| match text {
            "1" => Ok(false),
            "2" => Ok(true),
            _ => Err(D::Error::custom("a pair is written 1-1, 1-2, 2-1 or 2-2")),
        };
        let (client, origin) = text.split_once('-').unwrap_or((&text, ""));
        Ok(Self { client2: side(client)?, origin2: side(origin)? })
    }
}

fn both_origins() -> BTreeMap<String, Protocol> {
    [("h1".to_owned(), Protocol::Http1), ("h2".to_owned(), Protocol::Http2)].into()
}

fn listener() -> String {
    "listener".to_owned()
}

fn patience() -> u64 {
    5_000
}
