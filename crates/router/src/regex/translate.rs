//! RE2's syntax, read as Envoy has RE2 read it, and written in the syntax of the regex crates.
//!
//! Envoy lets RE2 take patterns and texts as Latin-1, so that `.` is one byte and only ASCII letters have two cases.
//! The two syntaxes differ in many places (`\<`, `[a[b]`, `a{,5}`, `\Q`, octal escapes, what `\d` covers), so nothing
//! is passed through: every atom is read here and written out as bytes, and flags are resolved on the way.

mod bracket;

use super::classes::ByteSet;

/// RE2's limit for the product of nested counted repetitions.
const MOST_REPETITIONS: u32 = 1000;
/// So deep groups may be nested. RE2 takes 1000.
const DEEPEST: usize = 200;

/// A pattern in the syntax of the regex crates, without regard to Unicode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Translated {
    /// What every text that matches starts with.
    pub(super) prefix: Vec<u8>,
    /// What must follow there.
    pub(super) rest: String,
}

/// Translates the pattern, or says what RE2 or we refuse in it.
pub(super) fn translate(pattern: &str) -> Result<Translated, String> {
    let mut translator = Translator {
        rest: pattern.as_bytes(),
        out: String::new(),
        prefix: None,
        literals: Vec::new(),
        rest_start: 0,
        outer: Vec::new(),
        group: Group::default(),
    };
    translator.run()?;
    translator.end_prefix();
    let rest = translator.out.get(translator.rest_start..).unwrap_or_default().to_owned();
    Ok(Translated { prefix: translator.prefix.unwrap_or_default(), rest })
}

struct Translator<'a> {
    rest: &'a [u8],
    out: String,
    /// The literal prefix once it is known; until then its bytes collect in `literals`.
    prefix: Option<Vec<u8>>,
    literals: Vec<u8>,
    /// Where in `out` that begins what follows the prefix.
    rest_start: usize,
    /// The groups around the one that is being read.
    outer: Vec<Group>,
    group: Group,
}

#[derive(Clone, Copy, Debug, Default)]
struct Group {
    flags: Flags,
    last: Last,
    /// The most repetitions of one byte within.
    repetitions: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    ignore_case: bool,
    multi_line: bool,
    dot_matches_new_line: bool,
    swap_greed: bool,
}

/// What a repetition operator would apply to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Atom {
        repetitions: u32,
    },
    Repeated,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), String> {
        while let Some((byte, after)) = self.rest.split_first() {
            let before = self.rest;
            self.rest = after;
            match byte {
                b'(' => self.open()?,
                b')' => self.close()?,
                b'|' => {
                    self.out.push('|');
                    self.group.last = Last::Nothing;
                    if self.outer.is_empty() {
                        self.prefix = Some(Vec::new());
                        self.rest_start = 0;
                    }
                }
                b'^' if self.group.flags.multi_line => self.assertion("(?m:^)"),
                // At the very start it leaves the prefix open.
                b'^' if self.literals.is_empty() => self.atom(r"\A"),
                b'^' => self.assertion(r"\A"),
                b'$' if self.group.flags.multi_line => self.assertion("(?m:$)"),
                b'$' => self.assertion(r"\z"),
                b'.' if self.group.flags.dot_matches_new_line => self.class(ByteSet::ALL),
                b'.' => self.class(ByteSet::of(&[(b'\n', b'\n')]).complement()),
                b'[' => {
                    let set = self.bracket().map_err(|at| at.describe(before))?;
                    self.class(set);
                }
                b'*' | b'+' | b'?' => self.repeat(&char::from(*byte).to_string(), 1)?,
                b'{' => self.count()?,
                b'\\' => self.escape(before)?,
                byte => self.literal(*byte),
            }
        }
        if self.outer.is_empty() { Ok(()) } else { Err("a ) is missing".into()) }
    }

    /// Writes something that a repetition operator may follow.
    fn atom(&mut self, text: &str) {
        self.out.push_str(text);
        self.group.last = Last::Atom { repetitions: 1 };
        self.group.repetitions = self.group.repetitions.max(1);
    }

    fn assertion(&mut self, text: &str) {
        self.end_prefix();
        self.atom(text);
    }

    /// The prefix ends where `out` ends now.
    fn end_prefix(&mut self) {
        if self.prefix.is_none() {
            self.rest_start = if self.literals.is_empty() { 0 } else { self.out.len() };
            self.prefix = Some(std::mem::take(&mut self.literals));
        }
    }

    fn literal(&mut self, byte: u8) {
        if self.group.flags.ignore_case && byte.is_ascii_alphabetic() {
            self.class(ByteSet::of(&[(byte, byte)]).folded());
            return;
        }
        if self.prefix.is_none() {
            self.literals.push(byte);
        }
        self.atom(&written(byte));
    }

    fn class(&mut self, set: ByteSet) {
        self.end_prefix();
        let ranges = set.ranges();
        let text = ranges.iter().map(|(from, to)| format!("{}-{}", written(*from), written(*to)));
        // An empty class is written so that both syntaxes agree that it matches nothing.
        match ranges.is_empty() {
            true => self.atom(r"[^\x00-\xFF]"),
            false => self.atom(&format!("[{}]", text.collect::<String>())),
        }
    }

    fn open(&mut self) -> Result<(), String> {
        self.end_prefix();
        let mut flags = self.group.flags;
        let start = match self.rest.strip_prefix(b"?") {
            None => "(",
            Some(rest) => match rest.strip_prefix(b"P<").or_else(|| rest.strip_prefix(b"<")) {
                Some(name) => {
                    self.rest = after_name(name)?;
                    "("
                }
                None => {
                    let (changed, end, rest) = read_flags(flags, rest)?;
                    self.rest = rest;
                    if end == b')' {
                        self.group.flags = changed;
                        return Ok(());
                    }
                    flags = changed;
                    "(?:"
                }
            },
        };
        if self.outer.len() >= DEEPEST {
            return Err(format!("groups are nested deeper than {DEEPEST}"));
        }
        self.out.push_str(start);
        self.outer.push(std::mem::replace(&mut self.group, Group { flags, ..Group::default() }));
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let outer = self.outer.pop().ok_or("unexpected )")?;
        let inner = std::mem::replace(&mut self.group, outer);
        let repetitions = inner.repetitions.max(1);
        self.out.push(')');
        self.group.last = Last::Atom { repetitions };
        self.group.repetitions = self.group.repetitions.max(repetitions);
        Ok(())
    }

    fn repeat(&mut self, operator: &str, most: u32) -> Result<(), String> {
        let inner = match self.group.last {
            Last::Nothing => return Err(format!("no argument for repetition operator: {operator}")),
            Last::Repeated => return Err(format!("bad repetition operator: {operator} after another")),
            Last::Atom { repetitions } => repetitions,
        };
        let repetitions = inner.saturating_mul(most.max(1));
        if repetitions > MOST_REPETITIONS {
            return Err(format!("invalid repetition size: {operator} makes more than {MOST_REPETITIONS}"));
        }
        // The literal before a repetition may be missing from the text.
        if self.prefix.is_none() {
            let repeated = self.literals.pop().map_or(0, |byte| written(byte).len());
            self.end_prefix();
            self.rest_start = self.rest_start.saturating_sub(repeated);
        }
        let lazy = self.rest.strip_prefix(b"?").inspect(|rest| self.rest = rest).is_some();
        self.out.push_str(operator);
        if lazy != self.group.flags.swap_greed {
            self.out.push('?');
        }
        self.group.last = Last::Repeated;
        self.group.repetitions = self.group.repetitions.max(repetitions);
        Ok(())
    }

    /// A counted repetition, or a brace that stands for itself.
    fn count(&mut self) -> Result<(), String> {
        let Some((least, most, rest)) = read_count(self.rest) else {
            self.literal(b'{');
            return Ok(());
        };
        let operator = match most {
            Some(most) => format!("{{{least},{most}}}"),
            None => format!("{{{least},}}"),
        };
        let highest = most.unwrap_or(least);
        if highest < least || highest > MOST_REPETITIONS {
            return Err(format!("invalid repetition size: {operator}"));
        }
        self.rest = rest;
        self.repeat(&operator, highest)
    }

    /// What follows a backslash outside of brackets; `before` starts with the backslash.
    fn escape(&mut self, before: &[u8]) -> Result<(), String> {
        match self.rest.split_first() {
            None => return Err("a backslash at the end".into()),
            Some((b'Q', rest)) => {
                let end = rest.windows(2).position(|two| two == br"\E");
                let (quoted, after) = match end.and_then(|end| rest.split_at_checked(end)) {
                    Some((quoted, after)) => (quoted, after.get(2..).unwrap_or_default()),
                    None => (rest, &[][..]),
                };
                quoted.iter().for_each(|byte| self.literal(*byte));
                self.rest = after;
                return Ok(());
            }
            Some((b'A', rest)) => {
                self.rest = rest;
                self.assertion(r"\A");
            }
            Some((b'z', rest)) => {
                self.rest = rest;
                self.assertion(r"\z");
            }
            Some((b'b', rest)) => {
                self.rest = rest;
                self.assertion(r"\b");
            }
            Some((b'B', rest)) => {
                self.rest = rest;
                self.assertion(r"\B");
            }
            Some((b'C', rest)) => {
                self.rest = rest;
                self.class(ByteSet::ALL);
            }
            Some(_) => match self.named_class().map_err(|at| at.describe(before))? {
                Some(set) => self.class(set),
                None => {
                    let byte = self.escaped_byte().map_err(|at| at.describe(before))?;
                    self.literal(byte);
                }
            },
        }
        Ok(())
    }
}

/// A byte in the syntax of the regex crates.
fn written(byte: u8) -> String {
    match byte {
        b'/' => "/".into(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("\\x{byte:02X}"),
    }
}

/// The pattern after the name of a group, which two groups may share.
fn after_name(text: &[u8]) -> Result<&[u8], String> {
    let length = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    match text.split_at_checked(length) {
        Some((name, [b'>', rest @ ..])) if !name.is_empty() => Ok(rest),
        _ => Err("invalid named capture group".into()),
    }
}

/// The flags after `(?`, the byte that ends them, and what follows.
fn read_flags(mut flags: Flags, text: &[u8]) -> Result<(Flags, u8, &[u8]), String> {
    let (mut on, mut needed) = (true, false);
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let flag = match byte {
            b'i' => &mut flags.ignore_case,
            b'm' => &mut flags.multi_line,
            b's' => &mut flags.dot_matches_new_line,
            b'U' => &mut flags.swap_greed,
            b'-' if on => {
                (on, needed) = (false, true);
                continue;
            }
            b':' | b')' if !needed => return Ok((flags, *byte, rest)),
            _ => break,
        };
        *flag = on;
        needed = false;
    }
    let end = text.len().min(8);
    let text = String::from_utf8_lossy(text.get(..end).unwrap_or_default()).into_owned();
    Err(format!("invalid perl operator: \"(?\" before {text:?}"))
}

/// The bounds of `n}`, `n,}` or `n,m}` and what follows; `None` if it is none of these.
fn read_count(text: &[u8]) -> Option<(u32, Option<u32>, &[u8])> {
    let (least, rest) = read_number(text)?;
    match rest {
        [b'}', rest @ ..] => Some((least, Some(least), rest)),
        [b',', b'}', rest @ ..] => Some((least, None, rest)),
        [b',', rest @ ..] => {
            let (most, rest) = read_number(rest)?;
            rest.strip_prefix(b"}").map(|rest| (least, Some(most), rest))
        }
        _ => None,
    }
}

/// A number without leading zeros.
fn read_number(text: &[u8]) -> Option<(u32, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(length)?;
    if length == 0 || length > 8 || (length > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().map(|number| (number, rest))
}
