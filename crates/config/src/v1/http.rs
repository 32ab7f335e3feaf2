//! The HTTP connection manager.

use super::{
    access_log,
    fields::{Fields, boolean as truth, duration, integer as number},
    http_filter,
    listener::{self, Found},
    poller,
    reader::{Object, Upgrade},
    route,
    schema::{
        Key, Schema, boolean, choice, integer, list as list_key, millis, object, text, unique_texts, word,
    },
    tracing,
};
use crate::{
    error::ErrorKind,
    suggest::did_you_mean,
    tree::{Mark, Node},
};

pub(super) const MANAGER: Schema = Schema::new(
    "a v1 HTTP connection manager",
    &[
        choice("codec_type", &[("http1", "HTTP1"), ("http2", "HTTP2"), ("auto", "AUTO")]).required(),
        word("stat_prefix").required(),
        object("route_config"),
        object("rds"),
        list_key("filters", 1).required(),
        boolean("add_user_agent"),
        object("tracing"),
        object("http1_settings"),
        object("http2_settings"),
        CODEC_OPTIONS,
        text("server_name"),
        integer("idle_timeout_s", 0, 315_576_000_000),
        millis("drain_timeout_ms"),
        list_key("access_log", 0),
        boolean("use_remote_address"),
        choice(
            "forward_client_cert",
            &[
                ("sanitize", "SANITIZE"),
                ("forward_only", "FORWARD_ONLY"),
                ("append_forward", "APPEND_FORWARD"),
                ("sanitize_set", "SANITIZE_SET"),
                ("always_forward_only", "ALWAYS_FORWARD_ONLY"),
            ],
        ),
        unique_texts("set_current_client_cert_details", 0),
        boolean("generate_request_id"),
    ],
)
.mistakes(&[("routes", "routes stand in \"route_config\", in \"virtual_hosts\"")]);

/// Versions up to 1.4 had it, for clusters too.
pub(super) const CODEC_OPTIONS: Key = choice("http_codec_options", &[("no_compression", "")]);

const HTTP1: Schema =
    Schema::new("v1 settings of HTTP/1", &[boolean("allow_absolute_url"), boolean("allow_connect")]).open();

pub(super) const HTTP2: Schema = Schema::new(
    "v1 settings of HTTP/2",
    &[
        integer("hpack_table_size", 0, u32::MAX as i64),
        integer("max_concurrent_streams", 1, MOST_STREAMS),
        integer("initial_stream_window_size", 65_535, i32::MAX as i64),
        integer("initial_connection_window_size", 65_535, i32::MAX as i64),
    ],
)
.open();

const MOST_STREAMS: i64 = i32::MAX as i64;
/// v1's default for both windows. Those of v3 are smaller.
const WINDOW: i64 = 256 << 20;
/// The default of v1 and of v3.
const HPACK_TABLE: i64 = 4096;

pub(super) fn manager<'t>(
    up: &mut Upgrade<'_, 't>,
    object: &Object<'_, '_, 't>,
    found: &mut Found<'t>,
) -> Fields<'t> {
    let mark = object.mark;
    let mut manager = Fields::of_type(
        mark,
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    );
    manager.set("codec_type", object.chosen("codec_type"));
    manager.set("stat_prefix", object.copied("stat_prefix"));
    up.one_of(object, &["route_config", "rds"], true);
    manager.set("route_config", up.child(object, "route_config", &route::TABLE, route::table));
    manager.set("rds", up.child(object, "rds", &poller::RDS, poller::rds).flatten());
    let mut told = http_filter::Told::default();
    manager.set(
        "http_filters",
        up.each(object, "filters", &http_filter::FILTER, |up, filter| {
            http_filter::upgrade(up, filter, &mut told)
        }),
    );
    let timeout = told.request_timeout.map(|(at, seconds)| duration(at, seconds.saturating_mul(1000)));
    manager.set("request_timeout", timeout);
    for field in ["add_user_agent", "server_name", "use_remote_address", "generate_request_id"] {
        manager.set(field, object.copied(field));
    }
    let tracing = up.child(object, "tracing", &tracing::OF_MANAGER, |up, tracing| {
        listener::direct(up, found, tracing);
        tracing::of_manager(up, tracing).with("spawn_upstream_span", told.child_span).node()
    });
    manager.set("tracing", tracing);
    let absolute = up
        .child(object, "http1_settings", &HTTP1, |_, settings| settings.copied("allow_absolute_url"))
        .flatten()
        .unwrap_or_else(|| truth(mark, false));
    manager.set("http_protocol_options", Fields::at(mark).with("allow_absolute_url", absolute).node());
    let http2 = http2(up, object);
    if object.choice("codec_type") != Some("HTTP1") {
        manager.set("http2_protocol_options", http2);
    }
    let idle = object.integer("idle_timeout_s").unwrap_or(0).saturating_mul(1000);
    let idle = duration(object.mark_of("idle_timeout_s"), idle);
    manager.set("common_http_protocol_options", Fields::at(mark).with("idle_timeout", idle).node());
    manager.set("drain_timeout", object.duration("drain_timeout_ms"));
    manager.set("access_log", up.each(object, "access_log", &access_log::LOG, access_log::upgrade));
    manager.set("forward_client_cert_details", object.chosen("forward_client_cert"));
    manager.set("set_current_client_cert_details", client_cert_details(up, object));
    manager
}

fn client_cert_details<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    const KEY: &str = "set_current_client_cert_details";
    let mut details = Fields::at(object.mark_of(KEY));
    for (index, (mark, word)) in object.texts(KEY).into_iter().enumerate() {
        match word {
            "Subject" => details.set("subject", truth(mark, true)),
            "SAN" => details.set("uri", truth(mark, true)),
            _ => {
                let meant = did_you_mean(word, ["Subject", "SAN"]);
                let message =
                    format!("must be one of \"Subject\", \"SAN\" but is the string {word:?}{meant}");
                up.error(mark, &object.path.field(KEY).index(index), ErrorKind::Rule, message);
            }
        }
    }
    details.node_if_any()
}

/// `http2_protocol_options` with what v1 took where a file says nothing.
pub(super) fn http2<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Node<'t> {
    let written = up.child(object, "http2_settings", &HTTP2, |_, settings| Http2 {
        mark: settings.mark,
        table: settings.integer("hpack_table_size").map(|size| (settings.mark_of("hpack_table_size"), size)),
        streams: settings.copied("max_concurrent_streams"),
        stream_window: settings.copied("initial_stream_window_size"),
        connection_window: settings.copied("initial_connection_window_size"),
    });
    let mut settings = written.unwrap_or(Http2 {
        mark: object.mark,
        table: None,
        streams: None,
        stream_window: None,
        connection_window: None,
    });
    if object.is_written("http_codec_options") {
        settings.table = Some((object.mark_of("http_codec_options"), 0));
    }
    let Http2 { mark, table, streams, stream_window, connection_window } = settings;
    Fields::at(mark)
        .with(
            "hpack_table_size",
            table.filter(|(_, size)| *size != HPACK_TABLE).map(|(at, size)| number(at, size)),
        )
        .with("max_concurrent_streams", streams.unwrap_or_else(|| number(mark, MOST_STREAMS)))
        .with("initial_stream_window_size", stream_window.unwrap_or_else(|| number(mark, WINDOW)))
        .with("initial_connection_window_size", connection_window.unwrap_or_else(|| number(mark, WINDOW)))
        .node()
}

struct Http2<'t> {
    mark: Mark,
    table: Option<(Mark, i64)>,
    streams: Option<Node<'t>>,
    stream_window: Option<Node<'t>>,
    connection_window: Option<Node<'t>>,
}
