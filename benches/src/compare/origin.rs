//! The origin behind every proxy: a responder as cheap as can be, so that the core which it shares with the load
//! generator has time to keep the proxy busy.
//!
//! The last segment of the path is the number of bytes wanted: `/service/1/89` answers with 89 bytes.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::client::address;
use super::{Result, failure};

/// The bodies that it can answer with, in bytes.
pub(crate) const SIZES: [usize; 4] = [89, 1024, 65_536, 1_048_576];

/// A fixed date: with one in the response no proxy has to make one.
const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
const MAX_HEAD: usize = 65_536;
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

/// The ports on which an origin answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) http1: u16,
    pub(crate) http2: u16,
}

/// Runs as a process of its own, which prints its ports.
pub(crate) fn run() -> Result<()> {
    serve(|ports| println!("{}", announcement(ports)))
}

/// Answers over HTTP/1.1 and over HTTP/2 with prior knowledge, on two ports that it announces, without end.
pub(crate) fn serve(announce: impl FnOnce(Ports)) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let http1 = TcpListener::bind(address(0)).await?;
        let http2 = TcpListener::bind(address(0)).await?;
        announce(Ports { http1: http1.local_addr()?.port(), http2: http2.local_addr()?.port() });
        let pages = Arc::new(Pages::new());
        loop {
            tokio::select! {
                accepted = http1.accept() => {
                    let (stream, _) = accepted?;
                    stream.set_nodelay(true)?;
                    tokio::spawn(serve_http1(stream, Arc::clone(&pages)));
                }
                accepted = http2.accept() => {
                    let (stream, _) = accepted?;
                    stream.set_nodelay(true)?;
                    tokio::spawn(serve_http2(stream, Arc::clone(&pages)));
                }
            }
        }
    })
}

fn announcement(Ports { http1, http2 }: Ports) -> String {
    format!("http1 {http1} http2 {http2}")
}

/// The ports from what the origin printed.
pub(crate) fn parse_announcement(output: &str) -> Option<Ports> {
    let (line, _) = output.split_once('\n')?;
    let (http1, http2) = line.strip_prefix("http1 ")?.split_once(" http2 ")?;
    Some(Ports { http1: http1.parse().ok()?, http2: http2.parse().ok()? })
}

struct Page {
    size: usize,
    body: Bytes,
    /// Head and body as HTTP/1.1 sends them.
    message: Bytes,
}

struct Pages(Vec<Page>);

impl Pages {
    fn new() -> Pages {
        let page = |size: usize| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nserver: origin\r\ndate: {DATE}\r\ncontent-type: text/plain\r\n\
                 content-length: {size}\r\n\r\n"
            );
            let body = vec![b'n'; size];
            let message = [head.as_bytes(), &body].concat();
            Page { size, body: body.into(), message: message.into() }
        };
        Pages(SIZES.map(page).into())
    }

    fn find(&self, path: &[u8]) -> Option<&Page> {
        let last = path.rsplit(|&byte| byte == b'/').next()?;
        let size: usize = std::str::from_utf8(last).ok()?.parse().ok()?;
        self.0.iter().find(|page| page.size == size)
    }
}

/// Path and body length of a request, from the bytes before the empty line. A chunked body has no length to skip,
/// and no generator here sends one.
fn parse_head(head: &[u8]) -> Result<(&[u8], usize)> {
    let mut lines = head.split(|&byte| byte == b'\n');
    let path = lines.next().and_then(|line| line.split(|&byte| byte == b' ').nth(1));
    let mut length = 0;
    for line in lines {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"content-length") {
            let value = std::str::from_utf8(value.get(1..).unwrap_or_default())?;
            length = value.trim().parse()?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(failure("a chunked request"));
        }
    }
    Ok((path.ok_or_else(|| failure("no path"))?, length))
}

async fn serve_http1(mut stream: TcpStream, pages: Arc<Pages>) -> Result<()> {
    let mut buffer = BytesMut::with_capacity(4096);
    loop {
        let end = loop {
            if let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
                break end;
            }
            if buffer.len() > MAX_HEAD || stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = buffer.split_to(end + 4);
        let (path, mut body) = parse_head(head.get(..end).unwrap_or_default())?;
        while body > 0 {
            let part = body.min(buffer.len());
            buffer.advance(part);
            body -= part;
            if body > 0 {
                buffer.reserve(MAX_HEAD);
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            }
        }
        match pages.find(path) {
            Some(page) => stream.write_all(&page.message).await?,
            None => stream.write_all(NOT_FOUND).await?,
        }
    }
}

async fn serve_http2(stream: TcpStream, pages: Arc<Pages>) {
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let pages = Arc::clone(&pages);
        async move {
            let (head, body) = request.into_parts();
            // Reading it to its end lets the sender finish; what it holds does not matter, nor does a cut.
            let _ = body.collect().await;
            Ok::<_, Infallible>(answer(pages.find(head.uri.path().as_bytes())))
        }
    });
    // The proxy may end the connection as it likes, which is no fault of the origin.
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(1024)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(page: Option<&Page>) -> http::Response<Full<Bytes>> {
    let mut response = http::Response::new(Full::new(page.map(|page| page.body.clone()).unwrap_or_default()));
    if page.is_none() {
        *response.status_mut() = http::StatusCode::NOT_FOUND;
    }
    let headers = response.headers_mut();
    headers.insert(http::header::SERVER, http::HeaderValue::from_static("origin"));
    headers.insert(http::header::DATE, http::HeaderValue::from_static(DATE));
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_a_whole_line_only() {
        let ports = Ports { http1: 81, http2: 82 };
        assert_eq!(parse_announcement(&(announcement(ports) + "\n")), Some(ports));
        assert_eq!(parse_announcement("http1 81 http2 8"), None);
    }

    #[test]
    fn heads_give_path_and_body_length() {
        let check = |head: &str, expected: Option<(&str, usize)>| {
            let seen = parse_head(head.as_bytes()).ok();
            assert_eq!(seen, expected.map(|(path, length)| (path.as_bytes(), length)), "{head}");
        };
        check("GET /service/1/89 HTTP/1.1\r\nhost: a", Some(("/service/1/89", 0)));
        check("POST /x/89 HTTP/1.1\r\nhost: a\r\nContent-Length: 12", Some(("/x/89", 12)));
        check("POST /x/89 HTTP/1.1\r\ntransfer-encoding: chunked", None);
        check("GARBAGE", None);
    }

    #[test]
    fn pages_are_found_by_the_last_segment() {
        let pages = Pages::new();
        let check = |path: &str, expected| assert_eq!(pages.find(path.as_bytes()).map(|p| p.size), expected);
        check("/service/1/89", Some(89));
        check("/service/77/1048576", Some(1_048_576));
        check("/service/1/90", None);
        check("/", None);
    }

    #[tokio::test]
    async fn requests_are_answered_one_after_the_other() {
        let listener = TcpListener::bind(address(0)).await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("accept");
            serve_http1(stream, Arc::new(Pages::new())).await.expect("serve");
        });
        let statuses = tokio::task::spawn_blocking(move || {
            let mut connection = super::super::client::Connection::open(port).expect("connect");
            let upload = b"POST /service/1/1024 HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello";
            [&upload[..], b"GET /1/65536 HTTP/1.1\r\n\r\n", b"GET /none HTTP/1.1\r\n\r\n"]
                .map(|request| connection.exchange(request).expect("response").status)
        });
        assert_eq!(statuses.await.expect("client"), [200, 200, 404]);
    }
}
