//! A response's head as Envoy's codec writes it.

use http::{HeaderMap, StatusCode, header};

/// How a response's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none, whatever the headers say.
    Bodiless,
    /// As many bytes as the head says.
    Length(u64),
    Chunked,
}

/// Writes a head to the end of `out` and says how the body is framed. `length` is what is known of the body's length
/// apart from the headers.
pub(super) fn response_head(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &HeaderMap,
    to_head: bool,
    length: Option<u64>,
    close: bool,
) -> Framing {
    status_line(out, status);
    let mut told = None;
    for (name, value) in headers {
        // HTTP/2 hosts may say it twice, in the same words.
        if *name == header::CONTENT_LENGTH && told.replace(value).is_some() {
            continue;
        }
        line(out, name.as_str(), value.as_bytes());
    }
    let told = told.map(|value| value.to_str().ok().and_then(|value| value.parse().ok()).unwrap_or_default());
    let framing = match (told, length) {
        _ if is_bodiless(status) => Framing::Bodiless,
        (Some(length), _) if !to_head => Framing::Length(length),
        (Some(_), _) => Framing::Bodiless,
        (None, Some(length)) if !to_head => {
            out.extend_from_slice(b"content-length: ");
            decimal(out, length);
            out.extend_from_slice(b"\r\n");
            Framing::Length(length)
        }
        (None, _) => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            if to_head { Framing::Bodiless } else { Framing::Chunked }
        }
    };
    if close {
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    framing
}

/// Whether responses with this status have no body (RFC 9112, 6.3).
fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn status_line(out: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Envoy's words, which are the usual ones but for a few.
fn reason(status: StatusCode) -> &'static str {
    match status.as_u16() {
        203 => "Non-Authoritative Information",
        418 => "Unknown",
        599 => "Last Unassigned Server Error Code",
        _ => status.canonical_reason().unwrap_or("Unknown"),
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a number in decimal.
fn decimal(out: &mut Vec<u8>, number: u64) {
    number_in(out, number, 10);
}

/// Writes the line before a chunk of this size.
pub(super) fn chunk_size(out: &mut Vec<u8>, size: usize) {
    number_in(out, size as u64, 16);
    out.extend_from_slice(b"\r\n");
}

fn number_in(out: &mut Vec<u8>, mut number: u64, base: u32) {
    let begin = out.len();
    loop {
        let digit =
            u32::try_from(number % u64::from(base)).ok().and_then(|digit| char::from_digit(digit, base));
        out.push(digit.map_or(b'0', |digit| digit as u8));
        number /= u64::from(base);
        if number == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(begin..) {
        digits.reverse();
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(
        status: u16,
        headers: &[(&'static str, &'static str)],
        (to_head, length, close): (bool, Option<u64>, bool),
        expected: &str,
        framing: Framing,
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let mut out = b"before ".to_vec();
        let got =
            response_head(&mut out, StatusCode::from_u16(status).unwrap(), &map, to_head, length, close);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("before {}\r\n\r\n", expected.replace('\n', "\r\n"))
        );
        assert_eq!(got, framing);
    }

    #[test]
    fn heads_are_framed_as_envoy_frames_them() {
        let ok = "HTTP/1.1 200 OK";
        check(200, &[], (false, None, false), &format!("{ok}\ntransfer-encoding: chunked"), Framing::Chunked);
        check(
            200,
            &[],
            (false, Some(0), true),
            &format!("{ok}\ncontent-length: 0\nconnection: close"),
            Framing::Length(0),
        );
        check(
            200,
            &[],
            (false, Some(120), false),
            &format!("{ok}\ncontent-length: 120"),
            Framing::Length(120),
        );
        check(
            200,
            &[("a", "1"), ("content-length", "5"), ("b", "2"), ("a", "3")],
            (false, None, false),
            &format!("{ok}\na: 1\na: 3\ncontent-length: 5\nb: 2"),
            Framing::Length(5),
        );
        check(
            200,
            &[("content-length", "5"), ("content-length", "5")],
            (false, None, false),
            &format!("{ok}\ncontent-length: 5"),
            Framing::Length(5),
        );
        check(
            200,
            &[("content-length", "5")],
            (true, Some(0), false),
            &format!("{ok}\ncontent-length: 5"),
            Framing::Bodiless,
        );
        check(
            200,
            &[],
            (true, Some(0), false),
            &format!("{ok}\ntransfer-encoding: chunked"),
            Framing::Bodiless,
        );
        check(204, &[], (false, Some(0), false), "HTTP/1.1 204 No Content", Framing::Bodiless);
        check(
            304,
            &[("content-length", "5")],
            (false, None, false),
            "HTTP/1.1 304 Not Modified\ncontent-length: 5",
            Framing::Bodiless,
        );
        check(101, &[], (false, None, false), "HTTP/1.1 101 Switching Protocols", Framing::Bodiless);
        check(
            404,
            &[("content-length", "0")],
            (false, Some(0), false),
            "HTTP/1.1 404 Not Found\ncontent-length: 0",
            Framing::Length(0),
        );
    }

    #[test]
    fn reasons_are_envoys() {
        for (status, expected) in [
            (203, "Non-Authoritative Information"),
            (418, "Unknown"),
            (599, "Last Unassigned Server Error Code"),
            (299, "Unknown"),
            (503, "Service Unavailable"),
        ] {
            assert_eq!(reason(StatusCode::from_u16(status).unwrap()), expected);
        }
    }

    #[test]
    fn numbers_are_written_in_their_base() {
        for number in [0, 1, 9, 10, 15, 16, 255, 4096, 1 << 20, 123_456_789] {
            let mut out = Vec::new();
            chunk_size(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{number:x}\r\n"));
            let mut out = Vec::new();
            decimal(&mut out, number as u64);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
