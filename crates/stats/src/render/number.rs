//! Numbers as the C++ formatting functions write them that Envoy uses, each in its own place.

use std::fmt::Write as _;

/// The shortest text that reads back as the same number, with an exponent for very large and very small ones only.
pub(super) fn push_shortest(out: &mut String, value: f64) {
    // Writing to a string cannot fail, here and below.
    if value != 0.0 && !(1e-4..1e16).contains(&value.abs()) && value.is_finite() {
        push_scientific(out, value);
    } else {
        let _ = write!(out, "{value}");
    }
}

/// The shortest text that reads back as the same number, with an exponent wherever that is shorter.
pub(super) fn push_compact(out: &mut String, value: f64) {
    let plain = out.len();
    let _ = write!(out, "{value}");
    if value == 0.0 || !value.is_finite() {
        return;
    }
    let scientific = out.len();
    push_scientific(out, value);
    let (plain_len, scientific_len) = (scientific - plain, out.len() - scientific);
    if scientific_len < plain_len {
        out.replace_range(plain..scientific, "");
    } else {
        out.truncate(scientific);
    }
}

/// At most so many significant digits, without trailing zeros (`%.32g` for 32).
pub(super) fn push_digits(out: &mut String, value: f64, digits: usize) {
    if !value.is_finite() || value == 0.0 {
        let _ = write!(out, "{value}");
        return;
    }
    let text = format!("{:.*e}", digits.saturating_sub(1), value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let kept: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let kept = kept.trim_end_matches('0');
    if value < 0.0 {
        out.push('-');
    }
    let width = i32::try_from(digits).unwrap_or(i32::MAX);
    match usize::try_from(exponent) {
        Ok(whole) if exponent < width => {
            let whole = whole + 1;
            let (before, after) = kept.split_at_checked(whole).unwrap_or((kept, ""));
            let _ = write!(out, "{before:0<whole$}");
            if !after.is_empty() {
                let _ = write!(out, ".{after}");
            }
        }
        Err(_) if exponent >= -4 => {
            out.push_str("0.");
            out.extend((exponent..-1).map(|_| '0'));
            out.push_str(kept);
        }
        _ => {
            let (first, after) = kept.split_at_checked(1).unwrap_or((kept, ""));
            out.push_str(first);
            if !after.is_empty() {
                let _ = write!(out, ".{after}");
            }
            push_exponent(out, exponent);
        }
    }
}

fn push_scientific(out: &mut String, value: f64) {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    out.push_str(digits);
    push_exponent(out, exponent.parse().unwrap_or_default());
}

fn push_exponent(out: &mut String, exponent: i32) {
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_as_envoy_writes_it() {
        fn check(value: f64, shortest: &str, compact: &str, six: &str, many: &str) {
            let text = |push: &dyn Fn(&mut String)| {
                let mut out = String::from("x");
                push(&mut out);
                out.split_off(1)
            };
            assert_eq!(text(&|out| push_shortest(out, value)), shortest);
            assert_eq!(text(&|out| push_compact(out, value)), compact);
            assert_eq!(text(&|out| push_digits(out, value, 6)), six);
            assert_eq!(text(&|out| push_digits(out, value, 32)), many);
        }
        check(0.0, "0", "0", "0", "0");
        check(0.5, "0.5", "0.5", "0.5", "0.5");
        check(-0.5, "-0.5", "-0.5", "-0.5", "-0.5");
        check(10.0, "10", "10", "10", "10");
        check(60000.0, "60000", "60000", "60000", "60000");
        check(300_000.0, "300000", "3e+05", "300000", "300000");
        check(1_800_000.0, "1800000", "1800000", "1.8e+06", "1800000");
        check(1e16, "1e+16", "1e+16", "1e+16", "10000000000000000");
        check(1e40, "1e+40", "1e+40", "1e+40", "1.0000000000000000303786028427004e+40");
        check(0.001, "0.001", "0.001", "0.001", "0.0010000000000000000208166817117217");
        check(0.0001, "0.0001", "1e-04", "0.0001", "0.00010000000000000000479217360238593");
        check(0.00001, "1e-05", "1e-05", "1e-05", "1.0000000000000000818030539140313e-05");
        check(
            44.494_382_022_471_91,
            "44.49438202247191",
            "44.49438202247191",
            "44.4944",
            "44.494382022471910431704600341618",
        );
        check(f64::NAN, "NaN", "NaN", "NaN", "NaN");
    }
}
