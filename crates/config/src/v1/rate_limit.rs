//! Rate limiting: the service that filters ask, and the descriptors of routes.

use super::{
    fields::{Fields, list},
    header,
    reader::{Object, Upgrade},
    schema::{Schema, any, boolean, choice, integer, list as list_key, word},
};
use crate::tree::Node;

/// An entry of `rate_limits` of a virtual host or route.
pub(super) const LIMIT: Schema = Schema::new(
    "a v1 rate limit",
    &[integer("stage", 0, 10), word("disable_key"), list_key("actions", 1).required()],
);

const TYPES: &[(&str, &str)] = &[
    ("source_cluster", "source_cluster"),
    ("destination_cluster", "destination_cluster"),
    ("request_headers", "request_headers"),
    ("remote_address", "remote_address"),
    ("generic_key", "generic_key"),
    ("header_value_match", "header_value_match"),
];

/// An action whose type is missing or wrong, which is all that is said of it.
const UNCLEAR: Schema = Schema::new(
    "a v1 rate limit action",
    &[
        choice("type", TYPES).required(),
        any("header_name"),
        any("descriptor_key"),
        any("descriptor_value"),
        any("expect_match"),
        any("headers"),
    ],
);

/// Which type the action has decides what else it may hold.
const ACTION: Schema = Schema::new("a v1 rate limit action", &[choice("type", TYPES).required()]);

const HEADERS: Schema = Schema::new(
    "a v1 rate limit action by header",
    &[choice("type", TYPES).required(), word("header_name").required(), word("descriptor_key").required()],
);

const KEY: Schema = Schema::new(
    "a v1 rate limit action with a key",
    &[choice("type", TYPES).required(), word("descriptor_value").required()],
);

const MATCH: Schema = Schema::new(
    "a v1 rate limit action by header values",
    &[
        choice("type", TYPES).required(),
        word("descriptor_value").required(),
        boolean("expect_match"),
        list_key("headers", 1).required(),
    ],
);

/// The service that a filter asks. Without one v1 let everything pass, so the filter can go.
pub(super) fn service<'t>(up: &mut Upgrade<'_, 't>, config: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let service = up.rate_limit_service(config.mark);
    if service.is_none() {
        let message =
            "the filter is left out: without \"rate_limit_service\" at the top level v1 let everything pass";
        up.lossy(config.mark, &config.path, message);
    }
    service
}

pub(super) fn limit<'t>(up: &mut Upgrade<'_, 't>, limit: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let mut actions = Vec::new();
    up.items(limit, "actions", |up, item, at| {
        let schema = match item.get("type").and_then(|entry| entry.value.scalar()).map(|scalar| &*scalar.text)
        {
            Some("request_headers") => &HEADERS,
            Some("generic_key") => &KEY,
            Some("header_value_match") => &MATCH,
            Some("source_cluster" | "destination_cluster" | "remote_address") => &ACTION,
            _ => &UNCLEAR,
        };
        if let Some(object) = up.read(item, at, schema) {
            actions.extend(action(up, &object));
        }
    });
    let fields = Fields::at(limit.mark)
        .with("stage", limit.copied("stage"))
        .with("disable_key", limit.copied("disable_key"))
        .with("actions", list(limit.mark_of("actions"), actions));
    Some(fields.node())
}

fn action<'t>(up: &mut Upgrade<'_, 't>, action: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let content = Fields::at(action.mark)
        .with("header_name", action.copied("header_name"))
        .with("descriptor_key", action.copied("descriptor_key"))
        .with("descriptor_value", action.copied("descriptor_value"))
        .with("expect_match", action.copied("expect_match"))
        .with("headers", up.each(action, "headers", &header::MATCHER, header::matcher));
    Some(Fields::at(action.mark).with(action.choice("type")?, content.node()).node())
}
