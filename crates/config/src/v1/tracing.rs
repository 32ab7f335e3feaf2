//! Tracing: v1 names the tracer once, v3 in every connection manager that traces.

use super::{
    fields::{Fields, extension, list, text},
    reader::{Object, Upgrade},
    schema::{Schema, choice, object, texts, word},
};
use crate::tree::Node;

/// The top level's `tracing`.
pub(super) const ROOT: Schema = Schema::new("v1 tracing", &[object("http")]).open();

const HTTP: Schema = Schema::new("v1 tracing of HTTP", &[object("driver").required()]);

const DRIVER: Schema = Schema::new(
    "a v1 tracing driver",
    &[
        choice("type", &[("lightstep", "lightstep"), ("zipkin", "zipkin")]).required(),
        object("config").required(),
    ],
);

const LIGHTSTEP: Schema = Schema::new(
    "a v1 LightStep driver",
    &[word("collector_cluster").required(), word("access_token_file").required()],
);

const ZIPKIN: Schema =
    Schema::new("a v1 Zipkin driver", &[word("collector_cluster").required(), word("collector_endpoint")]);

/// A connection manager's `tracing`.
pub(super) const OF_MANAGER: Schema = Schema::new(
    "v1 tracing of a connection manager",
    &[
        choice("operation_name", &[("ingress", "INBOUND"), ("egress", "OUTBOUND")]).required(),
        texts("request_headers_for_tags"),
    ],
);

/// Where Zipkin took spans in v1's time, and where it takes those that Envoy sends today.
const ZIPKIN_V1: &str = "/api/v1/spans";
const ZIPKIN_V2: &str = "/api/v2/spans";

/// The provider for `HttpConnectionManager.tracing`.
pub(super) fn provider<'t>(up: &mut Upgrade<'_, 't>, tracing: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let driver = |up: &mut Upgrade<'_, 't>, http: &Object<'_, '_, 't>| {
        up.child(http, "driver", &DRIVER, |up, driver| match driver.choice("type") {
            Some("zipkin") => up.child(driver, "config", &ZIPKIN, zipkin),
            Some(_) => {
                up.child(driver, "config", &LIGHTSTEP, |_, _| ());
                let message = "no spans are sent: Envoy has no LightStep tracer any more";
                up.lossy(driver.mark_of("type"), &driver.path.field("type"), message);
                None
            }
            None => None,
        })
    };
    up.child(tracing, "http", &HTTP, driver).flatten().flatten()
}

fn zipkin<'t>(up: &mut Upgrade<'_, 't>, config: &Object<'_, '_, 't>) -> Node<'t> {
    let endpoint_mark = config.mark_of("collector_endpoint");
    let written = config.text("collector_endpoint").unwrap_or(ZIPKIN_V1);
    let endpoint = if written == ZIPKIN_V1 { ZIPKIN_V2 } else { written };
    let message =
        format!("spans are sent in the JSON of Zipkin's API v2, to {endpoint:?}; v1 sent that of API v1");
    up.lossy(endpoint_mark, &config.path.field("collector_endpoint"), message);
    let zipkin = Fields::of_type(config.mark, "envoy.config.trace.v3.ZipkinConfig")
        .with("collector_cluster", config.copied("collector_cluster"))
        .with("collector_endpoint", text(endpoint_mark, endpoint.to_owned()))
        .with("collector_endpoint_version", text(endpoint_mark, "HTTP_JSON"));
    extension("envoy.tracers.zipkin", zipkin).node()
}

/// `HttpConnectionManager.tracing`.
pub(super) fn of_manager<'t>(up: &Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Fields<'t> {
    let mut tracing = Fields::at(object.mark);
    tracing.set("provider", up.tracer(object.mark));
    if object.is_written("request_headers_for_tags") {
        let tags = object.texts("request_headers_for_tags").into_iter().map(|(mark, name)| {
            let header = Fields::at(mark).with("name", text(mark, name.to_owned()));
            Fields::at(mark)
                .with("tag", text(mark, name.to_owned()))
                .with("request_header", header.node())
                .node()
        });
        tracing.set("custom_tags", list(object.mark_of("request_headers_for_tags"), tags.collect()));
    }
    tracing
}
