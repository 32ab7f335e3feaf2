//! The steps of a script.

use serde::Deserialize;

use crate::Result;

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
    /// Client: the proxy has ended the connection.
    End,
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
