//! A request's head from its bytes: strict where two readers could see two requests (RFC 9112, 11.2), and refused in
//! Envoy's words.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header};

use crate::{
    connection::refusal::{self, Refusal},
    headers,
};

/// Room in a header map for what is added to a request on its way.
const ADDED_HEADERS: usize = 6;

/// How many header lines are looked at without an allocation: Envoy's default limit.
const USUAL_LINES: usize = 100;

/// The longest target that a [`Uri`] can hold.
const LONGEST_TARGET: usize = u16::MAX as usize - 1;

/// Names that many requests have and that are not among the standard ones, which cost nothing.
static USUAL_NAMES: [HeaderName; 5] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("traceparent"),
];

/// A complete head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request: Request<()>,
    pub(super) length: BodyLength,
    /// Whether the client waits for `100 Continue`.
    pub(super) expects_continue: bool,
}

/// How the end of a request's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// There is none.
    None,
    Known(u64),
    Chunked,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// `max_request_headers_kb`, in bytes.
    pub(super) bytes: usize,
    /// `max_headers_count`.
    pub(super) lines: usize,
}

impl Limits {
    /// How many lines a head of these bytes may have: no more than fit in, however high the limit.
    fn lines_of(self, head: &[u8]) -> usize {
        const SHORTEST: usize = b"a:\n".len();
        self.lines.min(head.len() / SHORTEST)
    }
}

/// Looks for heads in what comes.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    /// How much has been searched for the end of the head.
    searched: usize,
    /// How much there was when it was last parsed.
    parsed: usize,
}

impl HeadReader {
    /// Takes the first head from `bytes`, if it is complete. A head that cannot become one is refused before its end.
    pub(super) fn take(&mut self, bytes: &mut BytesMut, limits: Limits) -> Result<Option<Head>, Refusal> {
        if matches!(bytes.first(), Some(b'\r' | b'\n')) {
            skip_empty_lines(bytes);
            *self = Self::default();
        }
        // An end may begin before what is new.
        let from = self.searched.saturating_sub(3);
        if let Some(end) = end_of_head(bytes, from) {
            *self = Self::default();
            let head = bytes.split_to(end).freeze();
            return if end > limits.bytes { Err(refusal::TOO_LARGE) } else { parse(&head, limits).map(Some) };
        }
        self.searched = bytes.len();
        if bytes.len() >= limits.bytes {
            return Err(refusal::TOO_LARGE);
        }
        // Parsing at each doubling finds garbage early and costs no more than parsing once.
        if bytes.len() > 2 * self.parsed {
            self.parsed = bytes.len();
            parse_partly(bytes, limits)?;
        }
        Ok(None)
    }
}

/// A server skips at least one empty line before a request (RFC 9112, 2.2).
fn skip_empty_lines(bytes: &mut BytesMut) {
    let mut empty = 0;
    loop {
        match bytes.get(empty..) {
            Some([b'\n', ..]) => empty += 1,
            Some([b'\r', b'\n', ..]) => empty += 2,
            _ => break,
        }
    }
    bytes.advance(empty);
}

/// Where the first head in `bytes` ends, its empty line included.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let searched = bytes.get(from..)?;
    memchr::memchr_iter(b'\n', searched).find_map(|at| match searched.get(at + 1..) {
        Some([b'\n', ..]) => Some(from + at + 2),
        Some([b'\r', b'\n', ..]) => Some(from + at + 3),
        _ => None,
    })
}

fn parse_partly(bytes: &[u8], limits: Limits) -> Result<(), Refusal> {
    // Half a request line does not tell another version from garbage.
    if bytes.first().is_some_and(u8::is_ascii_alphabetic) && memchr::memchr(b'\n', bytes).is_none() {
        return Ok(());
    }
    let mut lines = vec![MaybeUninit::uninit(); limits.lines_of(bytes)];
    match httparse::Request::new(&mut []).parse_with_uninit_headers(bytes, &mut lines) {
        Ok(_) => Ok(()),
        Err(error) => Err(refuse(error, bytes)),
    }
}

#[cold]
fn refuse(error: httparse::Error, head: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => refusal::TOO_MANY,
        _ => refusal::of_unparsable(head),
    }
}

fn parse(head: &Bytes, limits: Limits) -> Result<Head, Refusal> {
    let most = limits.lines_of(head);
    if most <= USUAL_LINES {
        let mut lines = [const { MaybeUninit::uninit() }; USUAL_LINES];
        parse_with(head, lines.get_mut(..most).unwrap_or_default())
    } else {
        parse_with(head, &mut vec![MaybeUninit::uninit(); most])
    }
}

fn parse_with<'a>(head: &'a Bytes, lines: &mut [MaybeUninit<httparse::Header<'a>>]) -> Result<Head, Refusal> {
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(head, lines) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(refusal::CODEC_ERROR),
        Err(error) => return Err(refuse(error, head)),
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(refusal::CODEC_ERROR);
    };
    let mut fields =
        Fields { map: HeaderMap::with_capacity(parsed.headers.len() + ADDED_HEADERS), ..Fields::default() };
    for line in parsed.headers.iter() {
        let value = HeaderValue::from_maybe_shared(head.slice_ref(line.value));
        fields.add(name(line.name)?, value.map_err(|_| refusal::CODEC_ERROR)?)?;
    }
    if fields.length.is_some() && fields.codings > 0 {
        // The origin might see another end of the body than we do.
        return Err(refusal::BOTH_FRAMINGS);
    }
    if version == 0 {
        return Err(refusal::LOW_VERSION);
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| refusal::CODEC_ERROR)?;
    let uri = uri(head, target)?;
    if let Some(refusal) = refusal::of_target(&method, &uri) {
        return Err(refusal);
    }
    fields.check()?;
    let length = match fields.length {
        Some(0) => BodyLength::None,
        Some(length) => BodyLength::Known(length),
        None if fields.codings > 0 => BodyLength::Chunked,
        None => BodyLength::None,
    };
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = fields.map;
    Ok(Head { request, length, expects_continue: fields.expects_continue })
}

fn name(text: &str) -> Result<HeaderName, Refusal> {
    let usual = USUAL_NAMES.iter().find(|name| name.as_str().eq_ignore_ascii_case(text));
    match usual {
        Some(name) => Ok(name.clone()),
        None => HeaderName::from_bytes(text.as_bytes()).map_err(|_| refusal::CODEC_ERROR),
    }
}

fn uri(head: &Bytes, target: &str) -> Result<Uri, Refusal> {
    if target.len() > LONGEST_TARGET {
        return Err(refusal::TOO_LARGE);
    }
    if !target.is_ascii() {
        return Err(refusal::CODEC_ERROR);
    }
    Uri::from_maybe_shared(head.slice_ref(target.as_bytes())).map_err(|_| refusal::CODEC_ERROR)
}

/// A head's fields, and what was noticed while they were put together.
#[derive(Default)]
struct Fields {
    map: HeaderMap,
    length: Option<u64>,
    /// `transfer-encoding` lines.
    codings: usize,
    /// Whether each of them was `chunked` alone.
    foreign_coding: bool,
    hosts: usize,
    bad_host: bool,
    connection: bool,
    expects_continue: bool,
}

impl Fields {
    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Refusal> {
        match name {
            header::HOST => {
                self.hosts += 1;
                self.bad_host |= !headers::is_authority(value.as_bytes());
            }
            header::CONTENT_LENGTH => {
                let length = content_length(value.as_bytes()).ok_or(refusal::CODEC_ERROR)?;
                // Even equal ones: Envoy refuses them, and another reader might not see that they are equal.
                if self.length.replace(length).is_some() {
                    return Err(refusal::CODEC_ERROR);
                }
            }
            header::TRANSFER_ENCODING => {
                self.codings += 1;
                self.foreign_coding |= !value.as_bytes().eq_ignore_ascii_case(b"chunked");
            }
            header::CONNECTION => self.connection = true,
            header::EXPECT => self.expects_continue |= value.as_bytes().eq_ignore_ascii_case(b"100-continue"),
            _ => {}
        }
        self.map.try_append(name, value).map(drop).map_err(|_| refusal::TOO_MANY)
    }

    /// What no single line shows.
    fn check(&self) -> Result<(), Refusal> {
        if self.hosts > 1 {
            // Two readers could choose different ones.
            return Err(refusal::CODEC_ERROR);
        }
        if self.bad_host {
            return Err(refusal::AUTHORITY);
        }
        if self.foreign_coding || self.codings > 1 {
            // Whoever reads the first of several codings, or only the last, sees another body than we do.
            return Err(refusal::TRANSFER_ENCODING);
        }
        // A client must not take away what a proxy before us has said of it.
        let rejected = [&b"x-forwarded-for"[..], b"x-forwarded-host", b"x-forwarded-proto"];
        if self.connection && rejected.into_iter().any(|name| headers::connection_names(&self.map, name)) {
            return Err(refusal::CONNECTION_HEADER);
        }
        Ok(())
    }
}

/// Digits alone, of a number that there is (RFC 9110, 8.6): no sign, no list, no blank.
fn content_length(value: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    value.first()?;
    value.iter().try_fold(0_u64, |length, byte| length.checked_mul(10)?.checked_add(digit(byte)?))
}

#[cfg(test)]
mod tests;
