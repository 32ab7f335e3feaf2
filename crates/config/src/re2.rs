//! Which regular expressions Envoy takes: the syntax of RE2 in its default mode, over bytes, and an estimate of the
//! size that its programs have.
//!
//! Rust's library reads some expressions otherwise than RE2 (`[a&&b]`, `(?x)`, `\h`) and has other limits, so an
//! expression that it compiles may be refused by Envoy, or may mean something else there.

use std::fmt;

mod class;

/// More repetitions than this of one thing, also in one another, are refused.
const MOST_REPETITIONS: u64 = 1000;

/// Instructions that every program has: to fail, to match, and two to begin anywhere.
const FRAME: u64 = 4;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    what: &'static str,
    /// The piece of the expression, where it helps.
    piece: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if self.piece.is_empty() { Ok(()) } else { write!(f, ": {}", self.piece) }
    }
}

/// Checks an expression. Gives a size that its program does not stay below: that of RE2 is as large or larger.
///
/// # Errors
///
/// Why RE2 does not compile it.
pub(crate) fn least_size(expression: &str) -> Result<u64, Invalid> {
    let mut parser = Parser { rest: expression.as_bytes(), open: Vec::new(), level: Level::default() };
    let anchored = expression.starts_with('^') || expression.starts_with("\\A");
    parser.run()?;
    let frame = if anchored { FRAME - 2 } else { FRAME };
    Ok(parser.level.finished().size + frame)
}

/// How often at least, and at most if there is an end.
type Times = (u64, Option<u64>);

/// A piece that can be repeated.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    /// The least number of instructions.
    size: u64,
    /// How often what is repeated most in it is repeated.
    repetitions: u64,
}

impl Piece {
    const ONE: Piece = Piece { size: 1, repetitions: 1 };
    /// An edge of a line, a word or the text.
    const EDGE: Piece = Piece { size: 0, repetitions: 1 };

    fn then(self, next: Piece) -> Piece {
        Piece {
            size: self.size.saturating_add(next.size),
            repetitions: self.repetitions.max(next.repetitions),
        }
    }

    /// Alternatives may share their beginnings, so only the largest counts for sure.
    fn or(self, other: Piece) -> Piece {
        Piece { size: self.size.max(other.size), repetitions: self.repetitions.max(other.repetitions) }
    }
}

/// What stands between two brackets.
#[derive(Debug, Default)]
struct Level {
    /// The alternatives before the last `|`.
    alternatives: Option<Piece>,
    /// What has been read since, without `last`.
    before: Piece,
    /// What an operator would repeat.
    last: Option<Piece>,
}

impl Level {
    fn push(&mut self, piece: Piece) {
        self.before = self.before.then(self.last.take().unwrap_or_default());
        self.last = Some(piece);
    }

    fn bar(&mut self) {
        let alternative = self.before.then(self.last.take().unwrap_or_default());
        self.alternatives = Some(self.alternatives.map_or(alternative, |others| others.or(alternative)));
        self.before = Piece::default();
    }

    fn finished(&self) -> Piece {
        let alternative = self.before.then(self.last.unwrap_or_default());
        self.alternatives.map_or(alternative, |others| others.or(alternative))
    }
}

struct Parser<'e> {
    rest: &'e [u8],
    /// The levels around the current one, with whether the group that holds it is captured.
    open: Vec<(Level, bool)>,
    level: Level,
}

impl<'e> Parser<'e> {
    fn run(&mut self) -> Result<(), Invalid> {
        // The operator right before, which must not be repeated itself.
        let mut operator: Option<&'e [u8]> = None;
        while let Some(&first) = self.rest.first() {
            let from = self.rest;
            let mut is_operator = false;
            match first {
                b'(' => self.open_group()?,
                b')' => self.close_group()?,
                b'|' => {
                    self.skip(1);
                    self.level.bar();
                }
                b'^' | b'$' => self.single(Piece::EDGE),
                b'[' => {
                    self.rest = class::skip(self.rest)?;
                    self.level.push(Piece::ONE);
                }
                b'*' | b'+' | b'?' => {
                    self.skip(1);
                    self.lazy();
                    is_operator = true;
                    self.repeat(from, operator, if first == b'?' { (0, Some(1)) } else { (1, None) })?;
                }
                b'{' => match repetition(self.rest) {
                    Some((range, rest)) => {
                        self.rest = rest;
                        self.lazy();
                        is_operator = true;
                        self.repeat(from, operator, range)?;
                    }
                    None => self.single(Piece::ONE),
                },
                b'\\' => self.escape()?,
                _ => self.single(Piece::ONE),
            }
            operator = is_operator.then_some(from);
        }
        if self.open.is_empty() { Ok(()) } else { Err(invalid("a bracket \"(\" is not closed", b"")) }
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn single(&mut self, piece: Piece) {
        self.skip(1);
        self.level.push(piece);
    }

    fn lazy(&mut self) {
        if self.rest.first() == Some(&b'?') {
            self.skip(1);
        }
    }

    /// The part of the expression from `from` up to here.
    fn since(&self, from: &'e [u8]) -> &'e [u8] {
        from.get(..from.len() - self.rest.len()).unwrap_or_default()
    }

    fn repeat(
        &mut self,
        from: &'e [u8],
        operator: Option<&'e [u8]>,
        (least, most): Times,
    ) -> Result<(), Invalid> {
        if let Some(operator) = operator {
            return Err(invalid("a repetition operator cannot be repeated", self.since(operator)));
        }
        let written = self.since(from);
        if least > MOST_REPETITIONS || most.is_some_and(|most| most > MOST_REPETITIONS || most < least) {
            return Err(invalid("invalid repetition size", written));
        }
        let Some(last) = self.level.last else {
            return Err(invalid("there is nothing to repeat", written));
        };
        let copies = most.unwrap_or(least);
        let repetitions = last.repetitions.max(1).saturating_mul(copies.max(1));
        if copies >= 2 && repetitions > MOST_REPETITIONS {
            return Err(invalid("things that are repeated more than 1000 times in all", written));
        }
        self.level.last = Some(Piece { size: last.size.saturating_mul(copies), repetitions });
        Ok(())
    }

    fn open_group(&mut self) -> Result<(), Invalid> {
        let mut captures = true;
        if self.rest.get(1) == Some(&b'?') {
            let from = self.rest;
            self.skip(2);
            let named = self.rest.strip_prefix(b"P<").or_else(|| {
                let rest = self.rest.strip_prefix(b"<")?;
                (!matches!(rest.first(), Some(b'=' | b'!'))).then_some(rest)
            });
            match named {
                Some(rest) => {
                    let end = rest.iter().position(|byte| *byte == b'>');
                    let name = end.and_then(|end| rest.get(..end)).unwrap_or_default();
                    self.rest = rest.get(end.map_or(rest.len(), |end| end + 1)..).unwrap_or_default();
                    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
                    if name.is_empty() || !name.iter().all(fits) {
                        return Err(invalid("a group has an invalid name", self.since(from)));
                    }
                }
                None => {
                    if !self.flags(from)? {
                        return Ok(());
                    }
                    captures = false;
                }
            }
        } else {
            self.skip(1);
        }
        self.open.push((std::mem::take(&mut self.level), captures));
        Ok(())
    }

    /// The flags after `(?`. Returns whether a group follows.
    fn flags(&mut self, from: &'e [u8]) -> Result<bool, Invalid> {
        const UNKNOWN: &str = "RE2 does not know the operator";
        let (mut negated, mut flagged) = (false, false);
        loop {
            let Some(&flag) = self.rest.first() else { return Err(invalid(UNKNOWN, from)) };
            self.skip(1);
            match flag {
                b'i' | b'm' | b's' | b'U' => flagged = true,
                b'-' if !negated => (negated, flagged) = (true, false),
                b':' | b')' if !negated || flagged => return Ok(flag == b':'),
                _ => return Err(invalid(UNKNOWN, self.since(from))),
            }
        }
    }

    fn close_group(&mut self) -> Result<(), Invalid> {
        let Some((outer, captures)) = self.open.pop() else {
            return Err(invalid("a bracket \")\" was not opened", b""));
        };
        let mut inner = std::mem::replace(&mut self.level, outer).finished();
        if captures {
            inner.size = inner.size.saturating_add(2);
        }
        self.single(inner);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Invalid> {
        match self.rest.get(1) {
            Some(b'b' | b'B' | b'A' | b'z') => {
                self.skip(2);
                self.level.push(Piece::EDGE);
            }
            Some(b'C') => {
                self.skip(2);
                self.level.push(Piece::ONE);
            }
            Some(b'Q') => {
                self.skip(2);
                while let Some(&byte) = self.rest.first() {
                    if self.rest.starts_with(b"\\E") {
                        self.skip(2);
                        break;
                    }
                    // Within a quotation, a backslash quotes itself.
                    self.skip(if byte == b'\\' && self.rest.get(1) == Some(&b'\\') { 2 } else { 1 });
                    self.level.push(Piece::ONE);
                }
            }
            _ => {
                self.rest = match class::skip_group(self.rest)? {
                    Some(rest) => rest,
                    None => class::escaped(self.rest)?.1,
                };
                self.level.push(Piece::ONE);
            }
        }
        Ok(())
    }
}

/// Reads `{n}`, `{n,}` or `{n,m}`. Anything else is text.
fn repetition(text: &[u8]) -> Option<(Times, &[u8])> {
    let (least, rest) = number(text.strip_prefix(b"{")?)?;
    let (most, rest) = match rest.strip_prefix(b",") {
        None => (Some(least), rest),
        Some(rest) if rest.starts_with(b"}") => (None, rest),
        Some(rest) => {
            let (most, rest) = number(rest)?;
            (Some(most), rest)
        }
    };
    Some(((least, most), rest.strip_prefix(b"}")?))
}

/// A number without leading zeros.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    if digits.is_empty() || digits.len() > 1 && digits.first() == Some(&b'0') {
        return None;
    }
    let number = digits.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(u64::from(digit.saturating_sub(b'0')))
    });
    Some((number, rest))
}

fn invalid(what: &'static str, piece: &[u8]) -> Invalid {
    const LONGEST: usize = 40;
    let text = String::from_utf8_lossy(piece);
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    Invalid { what, piece: shown }
}

#[cfg(test)]
mod tests;
