//! Health checks of clusters.

use super::{
    fields::{Fields, extension, list, text},
    reader::{Object, Upgrade},
    schema::{
        Schema, boolean, choice, integer, list as list_key, millis, positive_millis, text as text_key, word,
    },
};
use crate::{
    error::ErrorKind,
    tree::{Mark, Node},
};

pub(super) const CHECK: Schema = Schema::new(
    "a v1 health check",
    &[
        choice("type", &[("http", "http"), ("tcp", "tcp"), ("redis", "redis")]).required(),
        positive_millis("timeout_ms").required(),
        positive_millis("interval_ms").required(),
        integer("unhealthy_threshold", 1, u32::MAX as i64).required(),
        integer("healthy_threshold", 1, u32::MAX as i64).required(),
        word("path"),
        word("service_name"),
        list_key("send", 0),
        list_key("receive", 0),
        millis("interval_jitter_ms"),
        boolean("reuse_connection"),
        text_key("redis_key"),
    ],
);

const BYTES: Schema = Schema::new("v1 bytes of a health check", &[text_key("binary").required()]);

/// `health_checks` with the one check that v1 has.
pub(super) fn upgrade<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let mut check = Fields::at(object.mark);
    check.set("timeout", object.duration("timeout_ms"));
    check.set("interval", object.duration("interval_ms"));
    check.set("interval_jitter", object.duration("interval_jitter_ms"));
    check.set("unhealthy_threshold", object.copied("unhealthy_threshold"));
    check.set("healthy_threshold", object.copied("healthy_threshold"));
    check.set("reuse_connection", object.copied("reuse_connection"));
    match object.choice("type") {
        Some("http") => check.set("http_health_check", http(up, object)),
        Some("tcp") => check.set("tcp_health_check", tcp(up, object)),
        Some("redis") => {
            let key = object.copied("redis_key").filter(|_| object.text("redis_key") != Some(""));
            let redis = Fields::of_type(object.mark, "envoy.extensions.health_checkers.redis.v3.Redis");
            let redis = extension("envoy.health_checkers.redis", redis.with("key", key));
            check.set("custom_health_check", redis.node());
        }
        _ => {}
    }
    Some(list(object.mark, vec![check.node()]))
}

fn http<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Node<'t> {
    required(up, object, "path");
    let service = object.copied("service_name").map(|name| {
        let mark = name.mark;
        Fields::at(mark).with("prefix", name).node()
    });
    Fields::at(object.mark).with("path", object.copied("path")).with("service_name_matcher", service).node()
}

/// v1 sent all entries as one, so v3, which has one, gets them together.
fn tcp<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Node<'t> {
    required(up, object, "send");
    required(up, object, "receive");
    let payload = |mark: Mark, hex: String| Fields::at(mark).with("text", text(mark, hex)).node();
    let sent: String = bytes(up, object, "send").into_iter().map(|(_, hex)| hex).collect();
    let send = (!sent.is_empty()).then(|| payload(object.mark_of("send"), sent));
    let received = bytes(up, object, "receive");
    let receive: Vec<_> = received.into_iter().map(|(mark, hex)| payload(mark, hex)).collect();
    Fields::at(object.mark)
        .with("send", send)
        .with("receive", (!receive.is_empty()).then(|| list(object.mark_of("receive"), receive)))
        .node()
}

fn required<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>, key: &'static str) {
    if !object.is_written(key) {
        let kind = object.text("type").unwrap_or_default();
        let message = format!("is required in a health check of the type {kind:?}");
        up.error(object.mark, &object.path.field(key), ErrorKind::Rule, message);
    }
}

/// The entries of a list of bytes in hexadecimal. Empty ones say nothing.
fn bytes<'t>(
    up: &mut Upgrade<'_, 't>,
    object: &Object<'_, '_, 't>,
    key: &'static str,
) -> Vec<(Mark, String)> {
    let mut found = Vec::new();
    up.items(object, key, |up, item, at| {
        let Some(entry) = up.read(item, at, &BYTES) else { return };
        let Some(hex) = entry.text("binary") else { return };
        let mark = entry.mark_of("binary");
        if !hex.len().is_multiple_of(2) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let message = "must be bytes in hexadecimal, two digits each";
            up.error(mark, &entry.path.field("binary"), ErrorKind::Rule, message);
        } else if !hex.is_empty() {
            found.push((mark, hex.to_owned()));
        }
    });
    found
}
