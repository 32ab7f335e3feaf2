//! `x-request-id`: a random UUID (RFC 9562, version 4) as Envoy's UUID request id extension makes it.

use http::HeaderValue;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A new request id from the thread's random generator. It names a request in logs and guards nothing.
pub(crate) fn generate() -> HeaderValue {
    HeaderValue::from_bytes(&uuid(fastrand::u128(..))).unwrap_or(HeaderValue::from_static(""))
}

/// The text form of a version 4 UUID with the random bits of `random`.
fn uuid(random: u128) -> [u8; 36] {
    let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let mut digits = bits.to_be_bytes().into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let mut text = [b'-'; 36];
    for (at, character) in text.iter_mut().enumerate() {
        if !matches!(at, 8 | 13 | 18 | 23)
            && let Some(digit) = digits.next().and_then(|digit| HEX.get(usize::from(digit)))
        {
            *character = *digit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(random: u128, expected: &str) {
        assert_eq!(std::str::from_utf8(&uuid(random)).unwrap(), expected);
    }

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        check(0, "00000000-0000-4000-8000-000000000000");
        check(u128::MAX, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        check(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef, "01234567-89ab-4def-8123-456789abcdef");
    }

    #[test]
    fn two_ids_differ() {
        assert_ne!(generate(), generate());
    }
}
