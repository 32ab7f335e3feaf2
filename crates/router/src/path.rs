//! What Envoy's connection manager does to paths before it looks for a route: pure functions from text to text.
//!
//! The router compares paths as they come. Who must not be deceived by `/public/../private` cleans paths first, with
//! [`Normalization::apply`] or with the single steps. The results are those of Envoy 1.40, letter by letter.

use std::borrow::Cow;

/// What is done to the paths of requests, by the fields of `HttpConnectionManager`. Nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Normalization {
    /// `path_with_escaped_slashes_action`.
    pub escaped_slashes: EscapedSlashes,
    /// `normalize_path`: see [`normalize`].
    pub normalize: bool,
    /// `merge_slashes`: see [`merge_slashes`].
    pub merge_slashes: bool,
}

/// What is done about `%2F` and `%5C` in a path, in either case
/// (`HttpConnectionManager.PathWithEscapedSlashesAction`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EscapedSlashes {
    /// `KEEP_UNCHANGED`, and what `IMPLEMENTATION_SPECIFIC_DEFAULT` stands for.
    #[default]
    Keep,
    /// `REJECT_REQUEST`: the request is refused.
    Reject,
    /// `UNESCAPE_AND_REDIRECT`: they become slashes and backslashes, and the client is sent to the path that results.
    Redirect,
    /// `UNESCAPE_AND_FORWARD`: they become slashes and backslashes.
    Forward,
}

/// What becomes of a request after its path was cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'p> {
    /// It goes on with this path.
    Continue(Cow<'p, str>),
    /// The client is sent to this path. Envoy answers 307.
    Redirect(Cow<'p, str>),
    /// It is refused. Envoy answers 400.
    Reject,
}

impl Normalization {
    /// Changes nothing: set what is to be done.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what is done about escaped slashes.
    #[must_use]
    pub fn escaped_slashes(self, escaped_slashes: EscapedSlashes) -> Self {
        Self { escaped_slashes, ..self }
    }

    /// Sets whether the path is normalised.
    #[must_use]
    pub fn normalize(self, normalize: bool) -> Self {
        Self { normalize, ..self }
    }

    /// Sets whether slashes side by side become one.
    #[must_use]
    pub fn merge_slashes(self, merge_slashes: bool) -> Self {
        Self { merge_slashes, ..self }
    }

    /// Cleans a path with its query, which is left as it is. The fragment must be gone: see [`without_fragment`].
    #[must_use]
    pub fn apply<'p>(&self, path: &'p str) -> Outcome<'p> {
        let (unescaped, redirect) = match (self.escaped_slashes, has_escaped_slashes(path)) {
            (EscapedSlashes::Reject, true) => return Outcome::Reject,
            (EscapedSlashes::Redirect, true) => (unescape_slashes(path), true),
            (EscapedSlashes::Forward, true) => (unescape_slashes(path), false),
            _ => (Cow::Borrowed(path), false),
        };
        let normalized = match self.normalize {
            true => match then(unescaped, normalize) {
                Some(normalized) => normalized,
                None => return Outcome::Reject,
            },
            false => unescaped,
        };
        let merged = match self.merge_slashes {
            true => then(normalized, |path| Some(merge_slashes(path))).unwrap_or_default(),
            false => normalized,
        };
        if redirect { Outcome::Redirect(merged) } else { Outcome::Continue(merged) }
    }
}

/// Takes one more step with a path, and keeps it borrowed as long as no step changes it.
fn then<'p>(path: Cow<'p, str>, step: impl Fn(&str) -> Option<Cow<'_, str>>) -> Option<Cow<'p, str>> {
    match path {
        Cow::Borrowed(path) => step(path),
        Cow::Owned(path) => match step(&path)? {
            Cow::Borrowed(_) => Some(Cow::Owned(path)),
            Cow::Owned(changed) => Some(Cow::Owned(changed)),
        },
    }
}

/// The path (with its query) without the fragment that a client should not have sent.
#[must_use]
pub fn without_fragment(path: &str) -> &str {
    path.split_once('#').map_or(path, |(path, _)| path)
}

/// `normalize_path`: resolves `.` and `..`, also written as `%2e` or with path parameters (`..;a=b`), takes backslashes
/// for slashes, unescapes letters, digits and `-._~`, and escapes what must not stand in a path. Slashes side by side
/// stay. `None` if the path has a `%00`.
#[must_use]
pub fn normalize(path: &str) -> Option<Cow<'_, str>> {
    let (bare, query) = split_query(path);
    if !bare.starts_with('/') || is_normal(bare) {
        return Some(Cow::Borrowed(path));
    }
    let bare: Vec<&str> = bare.split('/').map(without_parameters).collect();
    let bare = bare.join("/");
    let mut normal = String::with_capacity(path.len());
    let mut segments = bare.get(1..).unwrap_or_default().split(['/', '\\']).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match dots(segment) {
            Some(dots) => {
                if dots == 2 {
                    normal.truncate(normal.rfind('/').unwrap_or(0));
                }
                if is_last {
                    normal.push('/');
                }
            }
            None => {
                normal.push('/');
                push_normal(&mut normal, segment)?;
            }
        }
    }
    normal.push_str(query);
    Some(Cow::Owned(normal))
}

/// `merge_slashes`: slashes side by side become one, but as in Envoy a path of nothing but slashes becomes `//`.
#[must_use]
pub fn merge_slashes(path: &str) -> Cow<'_, str> {
    let (bare, query) = split_query(path);
    if !bare.contains("//") {
        return Cow::Borrowed(path);
    }
    let start = if bare.starts_with('/') { "/" } else { "" };
    let end = if bare.ends_with('/') { "/" } else { "" };
    let segments: Vec<&str> = bare.split('/').filter(|segment| !segment.is_empty()).collect();
    Cow::Owned(format!("{start}{}{end}{query}", segments.join("/")))
}

/// Makes slashes of `%2F` and backslashes of `%5C`, in either case.
#[must_use]
pub fn unescape_slashes(path: &str) -> Cow<'_, str> {
    if !has_escaped_slashes(path) {
        return Cow::Borrowed(path);
    }
    let (mut rest, query) = split_query(path);
    let mut unescaped = String::with_capacity(path.len());
    while let Some((before, after)) = rest.split_once('%') {
        unescaped.push_str(before);
        let slash = match after.get(..2) {
            Some("2f" | "2F") => Some('/'),
            Some("5c" | "5C") => Some('\\'),
            _ => None,
        };
        unescaped.push(slash.unwrap_or('%'));
        rest = if slash.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    unescaped.push_str(rest);
    unescaped.push_str(query);
    Cow::Owned(unescaped)
}

fn has_escaped_slashes(path: &str) -> bool {
    let bytes = split_query(path).0.as_bytes();
    bytes.windows(3).any(|three| matches!(three, [b'%', b'2', b'f' | b'F'] | [b'%', b'5', b'c' | b'C']))
}

fn split_query(path: &str) -> (&str, &str) {
    path.split_at_checked(path.find('?').unwrap_or(path.len())).unwrap_or((path, ""))
}

/// Whether normalisation surely changes nothing.
fn is_normal(bare: &str) -> bool {
    !bare.contains("/.") && bare.bytes().all(|byte| byte != b'%' && byte != b'\\' && !is_escaped(byte))
}

/// `.` or `..` for such a segment with path parameters; other segments keep theirs.
fn without_parameters(segment: &str) -> &str {
    match segment.split_once(';') {
        Some((dots @ ("." | ".."), _)) => dots,
        _ => segment,
    }
}

/// 1 or 2 if the segment is so many dots, escaped or not.
fn dots(segment: &str) -> Option<usize> {
    let mut rest = segment;
    let mut dots = 0;
    while !rest.is_empty() {
        let after = rest.strip_prefix('.').or_else(|| rest.strip_prefix("%2e"));
        rest = after.or_else(|| rest.strip_prefix("%2E"))?;
        dots += 1;
    }
    matches!(dots, 1 | 2).then_some(dots)
}

/// Appends a segment that is no dots. `None` if it has a `%00`.
fn push_normal(normal: &mut String, segment: &str) -> Option<()> {
    let mut rest = segment;
    // Where a percent sign stands that escapes nothing.
    let mut lonely = None;
    while let Some(character) = rest.chars().next() {
        let escaped = rest.strip_prefix('%').and_then(|digits| digits.get(..2));
        let escaped = escaped.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let length = if escaped.is_some() { 3 } else { character.len_utf8() };
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(0) => return None,
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                normal.push(byte.into());
                keep_lonely(normal, lonely, rest.as_bytes().get(length).copied());
            }
            Some(_) => normal.push_str(rest.get(..3).unwrap_or_default()),
            None => {
                if character == '%' {
                    lonely = Some(normal.len());
                }
                let mut buffer = [0; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    if is_escaped(byte) {
                        normal.push_str(&format!("%{byte:02X}"));
                    } else {
                        normal.push(byte.into());
                    }
                }
            }
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    Some(())
}

/// Escapes a lonely percent sign if what was just unescaped, with the byte that comes next, would make an escape of it.
fn keep_lonely(normal: &mut String, lonely: Option<usize>, next: Option<u8>) {
    let Some(at) = lonely else { return };
    let after = normal.as_bytes().get(at + 1..).unwrap_or_default();
    let digits = match after {
        [first] => Some(*first).zip(next),
        [first, second] => Some((*first, *second)),
        _ => None,
    };
    if digits.is_some_and(|(first, second)| first.is_ascii_hexdigit() && second.is_ascii_hexdigit()) {
        normal.insert_str(at + 1, "25");
    }
}

/// Whether a byte must be escaped in a path.
fn is_escaped(byte: u8) -> bool {
    !byte.is_ascii_graphic() || b"\"<>^`{|}".contains(&byte)
}

#[cfg(test)]
mod tests;
