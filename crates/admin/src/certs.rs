//! `/certs`.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::{answer::Answer, handles::CertificateStatus};

const DAY: Duration = Duration::from_hours(24);

/// The certificates of each listener. No authorities are shown, because clients are not asked for certificates.
pub(crate) fn answer(listeners: &[Vec<CertificateStatus>], now: SystemTime) -> Answer {
    let listener = |certificates: &Vec<CertificateStatus>| {
        let chain: Vec<Value> = certificates.iter().map(|certificate| details(certificate, now)).collect();
        json!({ "ca_cert": [], "cert_chain": chain })
    };
    let certificates: Vec<Value> = listeners.iter().map(listener).collect();
    Answer::json(&json!({ "certificates": certificates }))
}

fn details(certificate: &CertificateStatus, now: SystemTime) -> Value {
    let CertificateStatus { path, serial_number, subject_alt_names, valid_from, expiration_time } =
        certificate;
    let names: Vec<Value> = subject_alt_names.iter().map(|(kind, name)| json!({ *kind: name })).collect();
    let left = expiration_time.duration_since(now).unwrap_or_default();
    json!({
        "path": path.as_deref().unwrap_or("<inline>"),
        "serial_number": serial_number,
        "subject_alt_names": names,
        // 64-bit integers are strings in protobuf's JSON.
        "days_until_expiration": (left.as_secs() / DAY.as_secs()).to_string(),
        "valid_from": written(*valid_from),
        "expiration_time": written(*expiration_time),
    })
}

/// Empty for a time that has no such form, beyond the year 9999.
fn written(time: SystemTime) -> String {
    let mut text = String::new();
    if write!(text, "{}", humantime::format_rfc3339_seconds(time)).is_err() {
        text.clear();
    }
    text
}
