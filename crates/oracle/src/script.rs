//! From whole requests and answers to the steps of a protocol.

use crate::{
    Result,
    case::{Answer, Request, Step, Text},
};

/// A step in the words of HTTP/1.1 or HTTP/2; steps that are already, as they are.
pub(crate) fn lower(step: &Step, http2: bool) -> Result<Vec<Step>> {
    let (mut head, headers, body, chunked, trailers) = match step {
        Step::Request(Request { method, path, host, headers, body, chunked, trailers }) => {
            let head = if http2 {
                [(":method", method.as_str()), (":path", path), (":scheme", "http"), (":authority", host)]
                    .map(|(name, value)| format!("{name}: {value}"))
                    .to_vec()
            } else {
                vec![format!("{method} {path} HTTP/1.1"), format!("host: {host}")]
            };
            (head, headers, body, *chunked, trailers)
        }
        Step::Answer(Answer { status, headers, body, chunked, trailers }) => {
            let head =
                if http2 { format!(":status: {status}") } else { format!("HTTP/1.1 {status} As Asked") };
            (vec![head], headers, body, *chunked, trailers)
        }
        step => return Ok(vec![step.clone()]),
    };
    head.extend(headers.iter().cloned());
    let Some(body) = body else {
        if matches!(step, Step::Answer(_)) && !http2 && !chunked && !has_framing(&head) {
            head.push("content-length: 0".to_owned());
        }
        return Ok(vec![Step::HeadOnly(head.join("\n"))]);
    };
    let mut steps = Vec::new();
    if !chunked {
        head.push(format!("content-length: {}", body.bytes()?.len()));
        steps.push(Step::Head(head.join("\n")));
        if trailers.is_empty() {
            steps.push(Step::Last(body.clone()));
        } else {
            steps.push(Step::Body(body.clone()));
            steps.push(Step::End(trailers.clone()));
        }
        return Ok(steps);
    }
    if http2 && trailers.is_empty() {
        return Ok(vec![Step::Head(head.join("\n")), Step::Last(body.clone())]);
    }
    if !http2 {
        head.push("transfer-encoding: chunked".to_owned());
    }
    steps.push(Step::Head(head.join("\n")));
    steps.push(Step::Chunk(body.clone()));
    steps.push(Step::End(trailers.clone()));
    Ok(steps)
}

/// Whether a step says something, rather than wait or end. What is said without a pause goes out in one piece, so
/// that the other side reads it in one piece, too.
pub(crate) fn says(step: &Step) -> bool {
    !matches!(step, Step::Wait(_) | Step::Await(_) | Step::Early | Step::Fin | Step::Close | Step::Reset)
}

/// The bytes of a step in HTTP/1.1, if it sends any.
pub(crate) fn http1_bytes(step: &Step) -> Result<Option<Vec<u8>>> {
    let latin1 = |text: String| crate::case::latin1(&text);
    Ok(Some(match step {
        Step::Head(head) | Step::HeadOnly(head) => {
            latin1(format!("{}\r\n\r\n", head.trim_end_matches('\n').replace('\n', "\r\n")))?
        }
        Step::Body(body) | Step::Last(body) | Step::Send(body) => body.bytes()?,
        Step::Chunk(chunk) => chunks(chunk)?,
        Step::End(trailers) => {
            let lines: String = trailers.iter().map(|line| format!("{line}\r\n")).collect();
            latin1(format!("0\r\n{lines}\r\n"))?
        }
        _ => return Ok(None),
    }))
}

fn chunks(text: &Text) -> Result<Vec<u8>> {
    let bytes = text.bytes()?;
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend(bytes);
    chunk.extend(b"\r\n");
    Ok(chunk)
}

fn has_framing(head: &[String]) -> bool {
    let status = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    status == "204" || status == "304" || crate::http1::header(head, "content-length").is_some()
}
