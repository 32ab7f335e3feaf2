//! Messages of HTTP/1.1 as they stand on the wire: lenient in what a proxy may send, exact in what was sent.

use crate::seen::text;

/// A message, or as much of it as has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Start line and headers.
    pub(crate) head: Vec<String>,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    /// The trailers.
    pub(crate) trailers: Vec<String>,
    /// Whether all of it has come.
    pub(crate) complete: bool,
    /// How many bytes it took; all of them where it is not complete.
    pub(crate) used: usize,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request.
    Request,
    /// A response to GET and its like.
    Response,
    /// A response to HEAD.
    ToHead,
}

/// The message at the start of `bytes`, once its head is complete.
pub(crate) fn parse(bytes: &[u8], kind: Kind, ended: bool) -> Option<Message> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, rest) = bytes.split_at_checked(end + 4)?;
    let mut message = Message { head: lines(head), used: bytes.len(), ..Message::default() };
    let status = message.head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let empty = kind == Kind::ToHead
        || kind == Kind::Response && (status.starts_with('1') || status == "204" || status == "304");
    let taken = if empty {
        Some(0)
    } else if header(&message.head, "transfer-encoding").is_some() {
        chunks(rest, &mut message)
    } else if let Some(length) = header(&message.head, "content-length") {
        let length = length.parse().unwrap_or(usize::MAX);
        message.body = rest.get(..length).unwrap_or(rest).to_vec();
        (message.body.len() == length).then_some(length)
    } else if kind == Kind::Request {
        Some(0)
    } else {
        message.body = rest.to_vec();
        ended.then_some(rest.len())
    };
    if let Some(taken) = taken {
        message.complete = true;
        message.used = end + 4 + taken;
    }
    Some(message)
}

/// The value of the first line with this name, in lower case.
pub(crate) fn header(head: &[String], name: &str) -> Option<String> {
    head.iter().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_ascii_lowercase())
    })
}

fn lines(head: &[u8]) -> Vec<String> {
    text(head).trim_end_matches("\r\n").split("\r\n").map(str::to_owned).collect()
}

/// Takes the chunks from `bytes` into `message`; how many bytes they took, once the last has come.
fn chunks(bytes: &[u8], message: &mut Message) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = text(rest.get(..line)?);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).ok()?;
        at += line + 2;
        let rest = bytes.get(at..)?;
        if size == 0 {
            if rest.starts_with(b"\r\n") {
                return Some(at + 2);
            }
            let end = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
            message.trailers = lines(rest.get(..end)?);
            return Some(at + end + 4);
        }
        message.body.extend_from_slice(rest.get(..size).unwrap_or(rest));
        at += size + 2;
        bytes.get(..at)?;
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, parse};

    #[test]
    fn the_end_of_a_message_is_found() {
        let check = |bytes: &str, kind, ended, expected: Option<(&str, bool, usize)>| {
            let message = parse(bytes.as_bytes(), kind, ended);
            let seen =
                message.map(|message| (crate::seen::text(&message.body), message.complete, message.used));
            let expected = expected.map(|(body, complete, used)| (body.to_owned(), complete, used));
            assert_eq!(seen, expected, "{bytes:?}");
        };
        let length = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n";
        check("HTTP/1.1 200 OK\r\n", Kind::Response, true, None);
        check(&format!("{length}abcd"), Kind::Response, false, Some(("abc", true, 41)));
        check(&format!("{length}ab"), Kind::Response, true, Some(("ab", false, 40)));
        check(length, Kind::ToHead, false, Some(("", true, 38)));
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        check(&format!("{chunked}2\r\nab\r\n0\r\n\r\nrest"), Kind::Response, false, Some(("ab", true, 59)));
        check(
            &format!("{chunked}2\r\nab\r\n0\r\na: b\r\n\r\n"),
            Kind::Response,
            false,
            Some(("ab", true, 65)),
        );
        check(&format!("{chunked}4\r\nab"), Kind::Response, true, Some(("ab", false, 52)));
        check("HTTP/1.1 200 OK\r\n\r\nabc", Kind::Response, true, Some(("abc", true, 22)));
        check("GET / HTTP/1.1\r\n\r\nGET", Kind::Request, false, Some(("", true, 18)));
    }
}
