//! HTTP filters, by their v1 names.

use super::{
    fields::{Fields, list, percent, text},
    header, ip_tagging,
    network_filter::{ext_authz, free_form, named, unknown},
    rate_limit,
    reader::{Object, Upgrade},
    schema::{
        Schema, any, boolean, choice, integer, list as list_key, millis, object, percent as percent_key,
        positive_millis, texts, unique_texts, word,
    },
};
use crate::{
    error::ErrorKind,
    tree::{Mark, Node},
};

/// `type` told which way a filter works; v1 ignored it from 1.5 on.
pub(super) const FILTER: Schema = Schema::new(
    "a v1 HTTP filter",
    &[
        word("name").required(),
        any("config").required(),
        choice("type", &[("encoder", ""), ("decoder", ""), ("both", "")]),
    ],
);

/// What filters have to tell the connection manager, because v3 says it there.
#[derive(Default)]
pub(super) struct Told<'t> {
    /// The shortest `max_request_time_s` of the buffer filters, where it is, in seconds. 0 is none.
    pub(super) request_timeout: Option<(Mark, i64)>,
    /// The router's `start_child_span`.
    pub(super) child_span: Option<Node<'t>>,
}

const NAMES: &[&str] = &[
    "router",
    "health_check",
    "buffer",
    "fault",
    "rate_limit",
    "cors",
    "lua",
    "grpc_web",
    "grpc_http1_bridge",
    "http_dynamo_filter",
    "grpc_json_transcoder",
    "squash",
    "ip_tagging",
    "header_to_metadata",
    "ext_authz",
];

const ROUTER: Schema =
    Schema::new("a v1 router filter", &[boolean("dynamic_stats"), boolean("start_child_span")]);

const EMPTY: Schema = Schema::new("a v1 filter without settings", &[]);

const HEALTH_CHECK: Schema = Schema::new(
    "a v1 health check filter",
    &[boolean("pass_through_mode").required(), word("endpoint").required(), millis("cache_time_ms")],
);

const BUFFER: Schema = Schema::new(
    "a v1 buffer filter",
    &[
        integer("max_request_bytes", 1, u32::MAX as i64).required(),
        integer("max_request_time_s", 0, u32::MAX as i64).required(),
    ],
);

const LUA: Schema = Schema::new("a v1 Lua filter", &[word("inline_code").required()]);

const RATE_LIMIT: Schema = Schema::new(
    "a v1 rate limit filter",
    &[
        word("domain").required(),
        integer("stage", 0, 10),
        choice("request_type", &[("internal", "internal"), ("external", "external"), ("both", "both")]),
        millis("timeout_ms"),
    ],
);

const TRANSCODER: Schema = Schema::new(
    "a v1 gRPC-JSON transcoder filter",
    &[word("proto_descriptor").required(), unique_texts("services", 1).required(), object("print_options")],
);

const PRINT_OPTIONS: Schema = Schema::new(
    "v1 print options",
    &[
        boolean("add_whitespace"),
        boolean("always_print_primitive_fields"),
        boolean("always_print_enums_as_ints"),
        boolean("preserve_proto_field_names"),
    ],
);

const SQUASH: Schema = Schema::new(
    "a v1 Squash filter",
    &[
        word("cluster").required(),
        object("attachment_template").required(),
        millis("attachment_timeout_ms"),
        millis("attachment_poll_period_ms"),
        millis("request_timeout_ms"),
    ],
);

const FAULT: Schema = Schema::new(
    "a v1 fault filter",
    &[
        object("abort"),
        object("delay"),
        word("upstream_cluster"),
        list_key("headers", 0),
        texts("downstream_nodes"),
    ],
);

const ABORT: Schema = Schema::new(
    "a v1 abort of a fault filter",
    &[percent_key("abort_percent").required(), integer("http_status", 200, 599).required()],
);

const DELAY: Schema = Schema::new(
    "a v1 delay of a fault filter",
    &[
        choice("type", &[("fixed", "")]).required(),
        percent_key("fixed_delay_percent").required(),
        positive_millis("fixed_duration_ms").required(),
    ],
);

pub(super) fn upgrade<'t>(
    up: &mut Upgrade<'_, 't>,
    filter: &Object<'_, '_, 't>,
    told: &mut Told<'t>,
) -> Option<Node<'t>> {
    let name = filter.text("name")?;
    match name.strip_prefix("envoy.").unwrap_or(name) {
        "router" => {
            let config = up.child(filter, "config", &ROUTER, |_, config| {
                told.child_span =
                    config.copied("start_child_span").filter(|_| config.is_true("start_child_span"));
                Fields::of_type(config.mark, "envoy.extensions.filters.http.router.v3.Router")
                    .with("dynamic_stats", config.copied("dynamic_stats"))
            })?;
            named(filter, "envoy.filters.http.router", config)
        }
        "health_check" => {
            let config = up.child(filter, "config", &HEALTH_CHECK, health_check)?;
            named(filter, "envoy.filters.http.health_check", config)
        }
        "buffer" => {
            let config = up.child(filter, "config", &BUFFER, |up, config| buffer(up, config, told))?;
            named(filter, "envoy.filters.http.buffer", config)
        }
        "fault" => {
            let config = up.child(filter, "config", &FAULT, fault)?;
            named(filter, "envoy.filters.http.fault", config)
        }
        "rate_limit" => {
            let config = up.child(filter, "config", &RATE_LIMIT, rate_limit)?;
            named(filter, "envoy.filters.http.ratelimit", config?)
        }
        "lua" => {
            let config = up.child(filter, "config", &LUA, |_, config| {
                let mark = config.mark_of("inline_code");
                let code = Fields::at(mark).with("inline_string", config.copied("inline_code"));
                Fields::of_type(config.mark, "envoy.extensions.filters.http.lua.v3.Lua")
                    .with("default_source_code", code.node())
            })?;
            named(filter, "envoy.filters.http.lua", config)
        }
        "grpc_json_transcoder" => {
            let config = up.child(filter, "config", &TRANSCODER, transcoder)?;
            named(filter, "envoy.filters.http.grpc_json_transcoder", config)
        }
        "cors" => empty(up, filter, "envoy.filters.http.cors", "envoy.extensions.filters.http.cors.v3.Cors"),
        "grpc_web" => empty(
            up,
            filter,
            "envoy.filters.http.grpc_web",
            "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb",
        ),
        "grpc_http1_bridge" => empty(
            up,
            filter,
            "envoy.filters.http.grpc_http1_bridge",
            "envoy.extensions.filters.http.grpc_http1_bridge.v3.Config",
        ),
        "http_dynamo_filter" => gone(up, filter, &EMPTY, "it counted requests to DynamoDB"),
        "squash" => gone(up, filter, &SQUASH, "it attached debuggers"),
        "ip_tagging" => {
            let config = ip_tagging::upgrade(up, filter)?;
            named(filter, "envoy.filters.http.ip_tagging", config)
        }
        "header_to_metadata" => {
            let config = free_form(up, filter, "envoy.extensions.filters.http.header_to_metadata.v3.Config")?;
            named(filter, "envoy.filters.http.header_to_metadata", config)
        }
        "ext_authz" => {
            let config = ext_authz(up, filter, "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz")?;
            named(filter, "envoy.filters.http.ext_authz", config)
        }
        other => {
            unknown(up, filter, "HTTP", other, NAMES);
            None
        }
    }
}

fn empty<'t>(
    up: &mut Upgrade<'_, 't>,
    filter: &Object<'_, '_, 't>,
    name: &'static str,
    type_name: &str,
) -> Option<Node<'t>> {
    let config = up.child(filter, "config", &EMPTY, |_, config| Fields::of_type(config.mark, type_name))?;
    named(filter, name, config)
}

/// A filter that changes nothing for clients and upstreams, and that Envoy has no more.
fn gone<'t>(
    up: &mut Upgrade<'_, 't>,
    filter: &Object<'_, '_, 't>,
    schema: &'static Schema,
    what: &str,
) -> Option<Node<'t>> {
    up.child(filter, "config", schema, |_, _| ());
    let message = format!("the filter is left out: Envoy has it no more ({what})");
    up.lossy(filter.mark_of("name"), &filter.path.field("name"), message);
    None
}

fn health_check<'t>(up: &mut Upgrade<'_, 't>, config: &Object<'_, '_, 't>) -> Fields<'t> {
    if config.boolean("pass_through_mode") == Some(false) && config.is_written("cache_time_ms") {
        let at = config.path.field("cache_time_ms");
        let message = "there is nothing to cache: \"pass_through_mode\" is false";
        up.semantic(config.mark_of("cache_time_ms"), &at, message);
    }
    let mark = config.mark_of("endpoint");
    let path = config.text("endpoint").map(|endpoint| {
        let matcher = Fields::at(mark).with("name", text(mark, ":path"));
        matcher.with("string_match", header::exact(mark, endpoint.to_owned())).node()
    });
    Fields::of_type(config.mark, "envoy.extensions.filters.http.health_check.v3.HealthCheck")
        .with("pass_through_mode", config.copied("pass_through_mode"))
        .with("cache_time", config.duration("cache_time_ms"))
        .with("headers", path.map(|path| list(mark, vec![path])))
}

fn buffer<'t>(up: &mut Upgrade<'_, 't>, config: &Object<'_, '_, 't>, told: &mut Told<'t>) -> Fields<'t> {
    const TIME: &str = "max_request_time_s";
    if let Some(seconds) = config.integer(TIME) {
        let mark = config.mark_of(TIME);
        let message = "becomes the \"request_timeout\" of the connection manager, where the time runs from the start \
                       of the request; v1's ran from its body";
        up.lossy(mark, &config.path.field(TIME), message);
        match told.request_timeout {
            Some((_, shortest)) if shortest != 0 && (seconds == 0 || shortest <= seconds) => {}
            _ => told.request_timeout = Some((mark, seconds)),
        }
    }
    Fields::of_type(config.mark, "envoy.extensions.filters.http.buffer.v3.Buffer")
        .with("max_request_bytes", config.copied("max_request_bytes"))
}

fn fault<'t>(up: &mut Upgrade<'_, 't>, config: &Object<'_, '_, 't>) -> Fields<'t> {
    if !config.is_written("abort") && !config.is_written("delay") {
        up.error(config.mark, &config.path, ErrorKind::Rule, "one of \"abort\", \"delay\" is required");
    }
    let share = |object: &Object<'_, '_, 't>, key| {
        object.integer(key).map(|share| percent(object.mark_of(key), share))
    };
    let abort = up.child(config, "abort", &ABORT, |_, abort| {
        Fields::at(abort.mark)
            .with("http_status", abort.copied("http_status"))
            .with("percentage", share(abort, "abort_percent"))
            .node()
    });
    let delay = up.child(config, "delay", &DELAY, |_, delay| {
        Fields::at(delay.mark)
            .with("fixed_delay", delay.duration("fixed_duration_ms"))
            .with("percentage", share(delay, "fixed_delay_percent"))
            .node()
    });
    Fields::of_type(config.mark, "envoy.extensions.filters.http.fault.v3.HTTPFault")
        .with("delay", delay)
        .with("abort", abort)
        .with("upstream_cluster", config.copied("upstream_cluster"))
        .with("headers", up.each(config, "headers", &header::MATCHER, header::matcher))
        .with("downstream_nodes", config.copied_texts("downstream_nodes"))
}

fn rate_limit<'t>(up: &mut Upgrade<'_, 't>, config: &Object<'_, '_, 't>) -> Option<Fields<'t>> {
    let service = rate_limit::service(up, config)?;
    if config.choice("request_type").is_some_and(|kind| kind != "both") {
        up.trusts_nobody(config, "request_type");
    }
    let filter = Fields::of_type(config.mark, "envoy.extensions.filters.http.ratelimit.v3.RateLimit")
        .with("domain", config.copied("domain"))
        .with("stage", config.copied("stage"))
        .with("request_type", config.chosen("request_type"))
        .with("timeout", config.duration("timeout_ms"))
        .with("rate_limit_service", service);
    Some(filter)
}

fn transcoder<'t>(up: &mut Upgrade<'_, 't>, config: &Object<'_, '_, 't>) -> Fields<'t> {
    let options = up.child(config, "print_options", &PRINT_OPTIONS, |_, options| {
        let mut fields = Fields::at(options.mark);
        for key in PRINT_OPTIONS.keys {
            fields.set(key.name, options.copied(key.name));
        }
        fields.node()
    });
    Fields::of_type(config.mark, "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder")
        .with("proto_descriptor", config.copied("proto_descriptor"))
        .with("services", config.copied_texts("services"))
        .with("print_options", options)
}
