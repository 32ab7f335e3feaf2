//! The least of an HTTP/1.1 client that the generators of our own need.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A GET as the other generators send it.
pub(crate) fn get(path: &str, close: bool) -> String {
    let connection = if close { "Connection: close\r\n" } else { "" };
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{connection}\r\n")
}

/// What a response says of itself in its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Bytes of the head with its empty line.
    head: usize,
    /// Bytes of the body.
    pub(crate) body: usize,
}

impl Response {
    /// Reads the head at the start of `bytes`; nothing while the response is incomplete.
    pub(crate) fn read(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = bytes.get(..end).unwrap_or_default();
        let head = std::str::from_utf8(head).map_err(io::Error::other)?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let length = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse::<usize>().ok());
        match (status, length) {
            (Some(status), Some(body)) => {
                let response = Self { status, head: end + 4, body };
                Ok((bytes.len() >= response.head.saturating_add(body)).then_some(response))
            }
            _ => Err(io::Error::other(format!("a response without status or length: {head:?}"))),
        }
    }

    /// Whether it is what the origin answers for `path`, whose last segment is the number of bytes wanted.
    pub(crate) fn answers(&self, path: &str) -> bool {
        let wanted = path.rsplit('/').next().and_then(|segment| segment.parse().ok());
        self.status == 200 && wanted == Some(self.body)
    }
}

/// One blocking keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(port: u16) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address(port), PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, buffer: Vec::new() })
    }

    /// Sends a request and reads the whole response.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<Response> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let mut chunk = [0; 4096];
        loop {
            let read = self.stream.read(&mut chunk)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
            if let Some(response) = Response::read(&self.buffer)? {
                return Ok(response);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_read_when_they_are_complete() {
        let check = |bytes: &str, expected: Option<Option<(u16, usize)>>| {
            let seen = Response::read(bytes.as_bytes()).ok();
            assert_eq!(seen.map(|seen| seen.map(|seen| (seen.status, seen.body))), expected, "{bytes}");
        };
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Some(Some((200, 5))));
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", Some(None));
        check("HTTP/1.1 503 No\r\na: b\r\ncontent-length:0\r\n\r\n", Some(Some((503, 0))));
        check("HTTP/1.1 200 OK\r\ncontent-le", Some(None));
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", None);
    }

    #[test]
    fn answers_have_the_length_that_the_path_asks_for() {
        let check = |status, body, path, expected| {
            assert_eq!(Response { status, head: 0, body }.answers(path), expected, "{status} {body} {path}");
        };
        check(200, 89, "/service/1/89", true);
        check(200, 88, "/service/1/89", false);
        check(503, 89, "/service/1/89", false);
        check(200, 0, "/", false);
    }
}
