//! What differs from one run to the next, out of heads that are compared to the letter.

/// Puts a word in place of the values of `date`, `x-request-id` and `x-envoy-upstream-service-time`, if they are what
/// they should be.
pub fn mask(head: &str) -> String {
    let lines: Vec<_> = head.split("\r\n").map(line).collect();
    lines.join("\r\n")
}

fn line(line: &str) -> String {
    let Some((name, value)) = line.split_once(": ") else { return line.to_owned() };
    let word = match name {
        "date" if value.len() == 29 && value.ends_with(" GMT") => "DATE",
        "x-request-id" if is_uuid4(value) => "UUID",
        "x-envoy-upstream-service-time" if value.parse::<u32>().is_ok() => "TIME",
        _ => return line.to_owned(),
    };
    format!("{name}: {word}")
}

/// `xxxxxxxx-xxxx-4xxx-[89ab]xxx-xxxxxxxxxxxx` in lower case.
fn is_uuid4(text: &str) -> bool {
    let shape = |(place, byte): (usize, u8)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        14 => byte == b'4',
        19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    text.len() == 36 && text.bytes().enumerate().all(shape)
}
