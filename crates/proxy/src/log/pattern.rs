//! The shape of a log line, in the part of spdlog's pattern syntax that makes sense here.

use std::{cell::RefCell, fmt, time::SystemTime};

/// A parsed pattern.
pub(super) struct Pattern(Vec<Piece>);

/// What a line is made of.
pub(super) struct Line<'a> {
    pub(super) time: SystemTime,
    pub(super) level: &'static str,
    pub(super) component: &'static str,
    pub(super) file: &'a str,
    pub(super) line: u32,
    pub(super) message: &'a str,
}

enum Piece {
    Text(String),
    /// Part of the time: the characters of `YYYY-MM-DDTHH:MM:SS.mmmuuunnnZ` from and to.
    Time(usize, usize),
    ShortYear,
    Level,
    ShortLevel,
    Component,
    Thread,
    Process,
    File,
    FileName,
    Line,
    Message,
    /// `%_`: the message without line ends.
    MessageOnOneLine,
    /// `%j`: the message as the inside of a JSON string.
    MessageAsJson,
}

impl Pattern {
    /// Parses; gives back the first flag that is not known.
    pub(super) fn parse(text: &str) -> Result<Self, char> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                literal.push(character);
                continue;
            }
            let flag = characters.next().unwrap_or('%');
            if flag == '%' {
                literal.push('%');
                continue;
            }
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::of(flag).ok_or(flag)?);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self(pieces))
    }

    pub(super) fn write(&self, out: &mut impl fmt::Write, line: &Line<'_>) -> fmt::Result {
        let time = humantime::format_rfc3339_nanos(line.time).to_string();
        let part = |from: usize, to: usize| time.get(from..to).unwrap_or_default();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.write_str(text)?,
                Piece::Time(from, to) => out.write_str(part(*from, *to))?,
                Piece::ShortYear => out.write_str(part(2, 4))?,
                Piece::Level => out.write_str(line.level)?,
                Piece::ShortLevel => {
                    out.write_str(line.level.get(..1).unwrap_or_default().to_uppercase().as_str())?
                }
                Piece::Component => out.write_str(line.component)?,
                Piece::Thread => THREAD.with_borrow(|thread| out.write_str(thread))?,
                Piece::Process => write!(out, "{}", std::process::id())?,
                Piece::File => out.write_str(line.file)?,
                Piece::FileName => out.write_str(line.file.rsplit('/').next().unwrap_or_default())?,
                Piece::Line => write!(out, "{}", line.line)?,
                Piece::Message => out.write_str(line.message)?,
                Piece::MessageOnOneLine => out.write_str(&line.message.replace('\n', "\\n"))?,
                Piece::MessageAsJson => {
                    let quoted = serde_json::Value::from(line.message).to_string();
                    out.write_str(quoted.get(1..quoted.len() - 1).unwrap_or_default())?;
                }
            }
        }
        Ok(())
    }
}

impl Piece {
    fn of(flag: char) -> Option<Self> {
        Some(match flag {
            'Y' => Self::Time(0, 4),
            'C' => Self::ShortYear,
            'm' => Self::Time(5, 7),
            'd' => Self::Time(8, 10),
            'H' => Self::Time(11, 13),
            'M' => Self::Time(14, 16),
            'S' => Self::Time(17, 19),
            'T' | 'X' => Self::Time(11, 19),
            'e' => Self::Time(20, 23),
            'f' => Self::Time(20, 26),
            'F' => Self::Time(20, 29),
            'l' => Self::Level,
            'L' => Self::ShortLevel,
            'n' => Self::Component,
            't' => Self::Thread,
            'P' => Self::Process,
            'g' => Self::File,
            's' => Self::FileName,
            '#' => Self::Line,
            'v' => Self::Message,
            '_' => Self::MessageOnOneLine,
            'j' => Self::MessageAsJson,
            _ => return None,
        })
    }
}

thread_local! {
    /// The kernel's number of this thread, as Envoy prints it.
    static THREAD: RefCell<String> = RefCell::new(thread_number());
}

fn thread_number() -> String {
    let link = std::fs::read_link("/proc/thread-self").ok();
    let number = link.as_deref().and_then(|path| path.file_name()).and_then(|name| name.to_str());
    number.map_or_else(|| std::process::id().to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(pattern: &str, expected: &str) {
        let mut text = String::new();
        let line = Line {
            time: SystemTime::UNIX_EPOCH + Duration::new(951_782_399, 12_345_678),
            level: "warning",
            component: "main",
            file: "crates/proxy/src/server.rs",
            line: 7,
            message: "a\n\"b\"",
        };
        Pattern::parse(pattern).unwrap().write(&mut text, &line).unwrap();
        assert_eq!(text, expected);
    }

    #[test]
    fn flags_print_what_spdlog_prints() {
        check(
            "[%Y-%m-%d %T.%e][%l][%n] [%g:%#] x",
            "[2000-02-28 23:59:59.012][warning][main] [crates/proxy/src/server.rs:7] x",
        );
        check("%C%H%M%S %f %F %L %s", "00235959 012345 012345678 W server.rs");
        check("%v|%_|%j", "a\n\"b\"|a\\n\"b\"|a\\n\\\"b\\\"");
        check("100%%", "100%");
        check("%", "%");
        check("%P", &std::process::id().to_string());
    }

    #[test]
    fn an_unknown_flag_is_refused() {
        assert_eq!(Pattern::parse("%Y %q").err(), Some('q'));
        assert_eq!(Pattern::parse("%5v").err(), Some('5'));
    }

    #[test]
    fn threads_have_the_kernels_number() {
        let mut text = String::new();
        let line = Line { time: SystemTime::now(), level: "", component: "", file: "", line: 0, message: "" };
        Pattern::parse("%t").unwrap().write(&mut text, &line).unwrap();
        assert!(text.parse::<u32>().is_ok(), "{text}");
    }
}
