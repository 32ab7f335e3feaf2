//! What a case file says: a configuration, and exchanges as scripts of the client and of the origin.
//!
//! The format is described for its writers in `fixtures/oracle/README.md`.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, de::Error as _};

use crate::{Result, seen::Part};

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

/// A difference from Envoy that is kept on purpose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differs {
    /// The exchange's name; a `*` at the end stands for any rest.
    pub exchange: String,
    /// The parts of the answer that differ.
    pub what: Vec<What>,
    /// Why, as in `docs/ENVOY_COMPAT.md`.
    pub reason: String,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A part of the answer.
    Part(Part),
    /// Some of the stats, written as `stats:PATTERN`.
    Stats(String),
    /// Written as `delayed-close`: Envoy waits before it closes the connection, Nuncio does not.
    DelayedClose,
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

/// What one side does next.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A whole request, in the words of either protocol.
    Request(Request),
    /// A whole response, in the words of either protocol.
    Answer(Answer),
    /// A head, line by line; a body follows.
    Head(String),
    /// A head that is all.
    HeadOnly(String),
    /// Bytes of a body.
    Body(Text),
    /// The last bytes of a body (HTTP/2: DATA with END_STREAM).
    Last(Text),
    /// A chunk of a body (HTTP/2: DATA).
    Chunk(Text),
    /// The end of a chunked body with these trailers (HTTP/2: END_STREAM).
    End(Vec<String>),
    /// Bytes as they are, outside any stream.
    Send(Text),
    /// Nothing for so many milliseconds.
    Wait(u64),
    /// Nothing until something has happened.
    Await(Event),
    /// A frame of HTTP/2.
    Frame(Frame),
    /// RST_STREAM with this code.
    Rst(u32),
    /// GOAWAY with this code, after the last stream so far or the given one.
    Goaway {
        /// The error code.
        code: u32,
        /// The last stream that will be answered.
        last: Option<u32>,
    },
    /// As an origin's first step: do not wait for the request's body.
    Early,
    /// End the connection's sending side.
    Fin,
    /// Close the connection.
    Close,
    /// Close the connection by TCP reset.
    Reset,
}

/// What a side can wait for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Client: every request so far is answered.
    Response,
    /// Client: the head of a response, or some of its body, has come for every request so far.
    Bytes,
    /// Client: an interim response has come.
    Interim,
    /// Client: every request so far has reached an origin.
    Origin,
    /// Origin: the request's body is complete.
    Body,
    /// Origin: the proxy has given up the request.
    Gone,
}

/// Bytes: text, each of whose characters is one byte, or a filling.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// The characters' code points, all below 256.
    Plain(String),
    /// A text again and again.
    Fill {
        /// How many bytes in all.
        fill: usize,
        /// What to repeat.
        #[serde(default = "letter")]
        with: String,
    },
    /// One text after the other.
    Parts(Vec<Text>),
}

/// A request in the words of either protocol.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method, GET by default.
    #[serde(default = "get")]
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The authority.
    #[serde(default = "host")]
    pub host: String,
    /// Lines after the host.
    #[serde(default)]
    pub headers: Vec<String>,
    /// The body; with a content-length unless chunked.
    #[serde(default)]
    pub body: Option<Text>,
    /// Without content-length, and chunked in HTTP/1.
    #[serde(default)]
    pub chunked: bool,
    /// Trailers of a chunked body.
    #[serde(default)]
    pub trailers: Vec<String>,
}

/// A response in the words of either protocol.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The status code, 200 by default.
    #[serde(default = "ok")]
    pub status: u16,
    /// Lines of the head.
    #[serde(default)]
    pub headers: Vec<String>,
    /// The body; with a content-length unless chunked.
    #[serde(default)]
    pub body: Option<Text>,
    /// Without content-length, and chunked in HTTP/1.
    #[serde(default)]
    pub chunked: bool,
    /// Trailers of a chunked body.
    #[serde(default)]
    pub trailers: Vec<String>,
}

/// A frame of HTTP/2 in numbers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// The frame's type.
    pub kind: u8,
    /// Its flags.
    #[serde(default)]
    pub flags: u8,
    /// Its stream.
    #[serde(default)]
    pub stream: u32,
    /// Its payload.
    #[serde(default = "nothing")]
    pub payload: Text,
    /// Header lines to encode after the payload.
    #[serde(default)]
    pub headers: Vec<String>,
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

impl Differs {
    /// Whether an exchange is meant.
    pub fn is_about(&self, exchange: &str) -> bool {
        crate::pattern::matches(&self.exchange, exchange)
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

impl Text {
    /// The bytes that are meant.
    ///
    /// # Errors
    /// Where a character is above 255.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::Plain(text) => latin1(text),
            Self::Fill { fill, with } => Ok(latin1(with)?.into_iter().cycle().take(*fill).collect()),
            Self::Parts(parts) => {
                let parts: Result<Vec<_>> = parts.iter().map(Self::bytes).collect();
                Ok(parts?.concat())
            }
        }
    }
}

/// Each character as one byte.
///
/// # Errors
/// Where a character is above 255.
pub fn latin1(text: &str) -> Result<Vec<u8>> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).map_err(|_| format!("{c:?} is not a byte").into()))
        .collect()
}

impl<'de> Deserialize<'de> for What {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "delayed-close" {
            return Ok(Self::DelayedClose);
        }
        if let Some(pattern) = text.strip_prefix("stats:") {
            return Ok(Self::Stats(pattern.to_owned()));
        }
        let part = Part::deserialize(serde::de::value::StrDeserializer::<D::Error>::new(&text))?;
        Ok(if part == Part::Stats { Self::Stats("*".to_owned()) } else { Self::Part(part) })
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

fn letter() -> String {
    "x".to_owned()
}

fn get() -> String {
    "GET".to_owned()
}

fn host() -> String {
    "example.com".to_owned()
}

fn ok() -> u16 {
    200
}

fn nothing() -> Text {
    Text::Plain(String::new())
}
