//! The time formats of the access log: the part of strftime that Envoy documents for `START_TIME`, always in UTC.
//!
//! A format is read once, with the configuration; a line is written from it without another allocation.

use std::{
    fmt::{Result, Write as _},
    time::{SystemTime, UNIX_EPOCH},
};

/// What Envoy writes if no format is given.
const DEFAULT: &str = "%Y-%m-%dT%H:%M:%E3SZ";

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time format that was understood.
#[derive(Debug, Clone)]
pub(super) struct TimeFormat(Vec<Item>);

#[derive(Debug, Clone)]
enum Item {
    Text(String),
    Year,
    YearOfCentury,
    Month,
    MonthName,
    Day,
    Hour,
    Minute,
    Second,
    /// Whole seconds since 1970.
    Epoch,
    /// So many digits of the second's fraction, cut and not rounded.
    Fraction(usize),
    /// A point and the fraction without zeros at its end; nothing where it is zero.
    ShortFraction,
}

impl TimeFormat {
    /// Reads a format; an empty one is the default. The error has all specifiers that are not supported.
    pub(super) fn parse(format: &str) -> std::result::Result<Self, Vec<String>> {
        let mut items = Vec::new();
        let mut unknown = Vec::new();
        let mut rest = if format.is_empty() { DEFAULT } else { format };
        while let Some((before, after)) = rest.split_once('%') {
            text(&mut items, before);
            let ends = |letter: char| letter != 'E' && !letter.is_ascii_digit() && letter != '*';
            let end = after.find(ends).and_then(|at| Some(at + after.get(at..)?.chars().next()?.len_utf8()));
            let (specifier, after) =
                after.split_at_checked(end.unwrap_or(after.len())).unwrap_or((after, ""));
            if !push(&mut items, specifier) {
                unknown.push(format!("%{specifier}"));
            }
            rest = after;
        }
        text(&mut items, rest);
        if unknown.is_empty() { Ok(Self(items)) } else { Err(unknown) }
    }

    pub(super) fn write(&self, time: SystemTime, line: &mut String) -> Result {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (year, month, day) = civil(since.as_secs() / 86_400);
        let second = since.as_secs() % 86_400;
        let nanos = since.subsec_nanos();
        for item in &self.0 {
            match item {
                Item::Text(text) => line.write_str(text),
                Item::Year => write!(line, "{year}"),
                Item::YearOfCentury => write!(line, "{:02}", year % 100),
                Item::Month => write!(line, "{:02}", month + 1),
                Item::MonthName => line.write_str(MONTHS.get(month).copied().unwrap_or_default()),
                Item::Day => write!(line, "{day:02}"),
                Item::Hour => write!(line, "{:02}", second / 3600),
                Item::Minute => write!(line, "{:02}", second / 60 % 60),
                Item::Second => write!(line, "{:02}", second % 60),
                Item::Epoch => write!(line, "{}", since.as_secs()),
                Item::Fraction(digits) => {
                    let cut = (*digits..9).fold(nanos, |nanos, _| nanos / 10);
                    write!(line, "{cut:0digits$}")
                }
                Item::ShortFraction if nanos == 0 => Ok(()),
                Item::ShortFraction => write!(line, ".{nanos:09}").map(|()| {
                    line.truncate(line.trim_end_matches('0').len());
                }),
            }?;
        }
        Ok(())
    }
}

fn text(items: &mut Vec<Item>, text: &str) {
    if !text.is_empty() {
        items.push(Item::Text(text.to_owned()));
    }
}

/// Adds what the specifier, without its `%`, stands for. Returns whether it is supported.
fn push(items: &mut Vec<Item>, specifier: &str) -> bool {
    let text = |text: &str| Item::Text(text.to_owned());
    match specifier.as_bytes() {
        b"Y" => items.push(Item::Year),
        b"y" => items.push(Item::YearOfCentury),
        b"m" => items.push(Item::Month),
        b"b" => items.push(Item::MonthName),
        b"d" => items.push(Item::Day),
        b"H" => items.push(Item::Hour),
        b"M" => items.push(Item::Minute),
        b"S" => items.push(Item::Second),
        b"f" => items.push(Item::Fraction(9)),
        b"F" => items.extend([Item::Year, text("-"), Item::Month, text("-"), Item::Day]),
        b"T" => items.extend([Item::Hour, text(":"), Item::Minute, text(":"), Item::Second]),
        b"z" => items.push(text("+0000")),
        b"Z" => items.push(text("UTC")),
        b"%" => items.push(text("%")),
        b"E*S" => items.extend([Item::Second, Item::ShortFraction]),
        [b'E', digit @ b'1'..=b'9', b'S'] => {
            items.extend([Item::Second, text("."), Item::Fraction(usize::from(digit - b'0'))]);
        }
        [digit @ b'1'..=b'9', b'f'] | [b'E', digit @ b'1'..=b'9', b'f'] => {
            items.push(Item::Fraction(usize::from(digit - b'0')));
        }
        // Envoy takes a number of digits here and does not use it.
        b"s" | [b'1'..=b'9', b's'] => items.push(Item::Epoch),
        _ => return false,
    }
    true
}

/// The year, the month from zero and the day of a day number: in eras of 400 years that begin on a first of March.
fn civil(days: u64) -> (u64, usize, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 2 } else { month_from_march - 10 };
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, usize::try_from(month).unwrap_or_default(), day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(format: &str, seconds: u64, nanos: u32) -> String {
        let mut line = String::new();
        let time = UNIX_EPOCH + Duration::new(seconds, nanos);
        TimeFormat::parse(format).unwrap().write(time, &mut line).unwrap();
        line
    }

    #[test]
    fn times_are_civil_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_798_761_599, "2026-12-31T23:59:59.007Z"),
        ] {
            assert_eq!(at("", seconds, 7_000_000), expected);
        }
    }

    /// Each as Envoy 1.40 writes it.
    #[test]
    fn specifiers_write_what_envoy_writes() {
        fn check(format: &str, expected: &str) {
            assert_eq!(at(format, 1_795_332_774, 313_442_000), expected, "{format}");
        }
        check("%Y-%m-%dT%H:%M:%S.%3fZ", "2026-11-22T07:32:54.313Z");
        check("%s %3s", "1795332774 1795332774");
        check("%f %1f %6f %9f %E3f", "313442000 3 313442 313442000 313");
        check("%E3S %E6S %E*S", "54.313 54.313442 54.313442");
        check("%F %T", "2026-11-22 07:32:54");
        check("%d/%b/%y %z %Z", "22/Nov/26 +0000 UTC");
        check("plain :)x %%Y", "plain :)x %Y");
        assert_eq!(at("%E*S %3f %9f", 5, 0), "05 000 000000000");
        assert_eq!(at("%3f %E9S", 5, 1_000_001), "001 05.001000001");
    }

    #[test]
    fn all_other_specifiers_are_named() {
        fn check(format: &str, expected: &[&str]) {
            assert_eq!(TimeFormat::parse(format).unwrap_err(), expected, "{format}");
        }
        check("%Q %Y %c", &["%Q", "%c"]);
        check("%0f %12f %E0S %ES", &["%0f", "%12f", "%E0S", "%ES"]);
        check("%é%Y%", &["%é", "%"]);
    }
}
