//! One line for each kind of rule that Envoy's API uses.

use super::*;

/// The rules of a real field, which is the shortest way to rules of every kind.
fn rules(message: &str, field: &str) -> Rules {
    let descriptor = nuncio_api::descriptors().get_message_by_name(message).expect(message);
    Rules::of(&descriptor.get_field_by_name(field).expect(field)).expect("the field has rules")
}

#[track_caller]
fn check(message: &str, field: &str, value: &Value, expected: &[&str]) {
    let mut broken = Vec::new();
    rules(message, field).check(value, &mut broken);
    let shown: Vec<String> = broken
        .iter()
        .map(|broken| match &broken.at {
            Within::Value => broken.message.clone(),
            Within::Element(index) => format!("[{index}] {}", broken.message),
            Within::Key(key) => format!("[{key}] {}", broken.message),
        })
        .collect();
    assert_eq!(shown, expected, "{message}.{field}");
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn duration_of(seconds: i64, nanos: i32) -> Value {
    let descriptor = nuncio_api::descriptors().get_message_by_name("google.protobuf.Duration").unwrap();
    let mut message = DynamicMessage::new(descriptor);
    message.set_field_by_name("seconds", Value::I64(seconds));
    message.set_field_by_name("nanos", Value::I32(nanos));
    Value::Message(message)
}

fn wrapper(name: &str, value: Value) -> Value {
    let descriptor =
        nuncio_api::descriptors().get_message_by_name(&format!("google.protobuf.{name}")).unwrap();
    let mut message = DynamicMessage::new(descriptor);
    message.set_field_by_name("value", value);
    Value::Message(message)
}

const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";
const ROUTE: &str = "envoy.config.route.v3";

#[test]
fn strings() {
    check(CLUSTER, "name", &string("c"), &[]);
    check(CLUSTER, "name", &string(""), &["must not be empty"]);
    let header = format!("{ROUTE}.HeaderMatcher");
    check(&header, "name", &string(":path"), &[]);
    check(&header, "name", &string("a\nb"), &["has a character that cannot stand in a header name"]);
    let action = format!("{ROUTE}.RouteAction");
    check(&action, "prefix_rewrite", &string("/a b"), &[]);
    check(
        &action,
        "prefix_rewrite",
        &string("/a\r"),
        &["has a character that cannot stand in a header value"],
    );
}

#[test]
fn numbers() {
    check("envoy.config.core.v3.SocketAddress", "port_value", &Value::U32(65535), &[]);
    check(
        "envoy.config.core.v3.SocketAddress",
        "port_value",
        &Value::U32(65536),
        &["must be at most 65535 but is 65536"],
    );
    let status = format!("{ROUTE}.DirectResponseAction");
    check(&status, "status", &Value::U32(100), &["must be at least 200 and less than 600 but is 100"]);
    let frames = "envoy.config.core.v3.Http2ProtocolOptions";
    check(frames, "max_concurrent_streams", &wrapper("UInt32Value", Value::U32(1)), &[]);
    let zero = wrapper("UInt32Value", Value::U32(0));
    check(frames, "max_concurrent_streams", &zero, &["must be at least 1 and at most 2147483647 but is 0"]);
    let percent = "envoy.type.v3.Percent";
    check(percent, "value", &Value::F64(100.5), &["must be at least 0 and at most 100 but is 100.5"]);
}

#[test]
fn enums_durations_and_lists() {
    check(
        CLUSTER,
        "lb_policy",
        &Value::EnumNumber(77),
        &["77 is not a value of envoy.config.cluster.v3.Cluster.LbPolicy"],
    );
    check(CLUSTER, "connect_timeout", &duration_of(0, 0), &["must be greater than 0s but is 0s"]);
    check(CLUSTER, "connect_timeout", &duration_of(0, 250_000_000), &[]);
    check(
        CLUSTER,
        "dns_refresh_rate",
        &duration_of(0, 1),
        &["must be greater than 0.001s but is 0.000000001s"],
    );
    let host = format!("{ROUTE}.VirtualHost");
    check(&host, "domains", &Value::List(vec![]), &["must not be empty"]);
    check(
        &host,
        "domains",
        &Value::List(vec![string("a"), string("b\n")]),
        &["[1] has a character that cannot stand in a header value"],
    );
}

#[test]
fn required_fields_are_known() {
    assert!(rules(&format!("{ROUTE}.Route"), "match").required());
    assert!(!rules(CLUSTER, "name").required());
}
