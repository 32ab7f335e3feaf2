//! Extensions that files of Envoy's first years name without a type.

/// Whether a message of this type may hold an extension that only has a name.
pub(crate) fn may_stand_alone(message: &str) -> bool {
    NAMES.iter().any(|(holder, _, _)| *holder == message)
}

/// The message type that `name` stands for in a message of the type `holder`.
pub(crate) fn type_of(holder: &str, name: &str) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(of, names, _)| *of == holder && names.contains(&name))
        .map(|(_, _, type_name)| *type_name)
}

const HTTP_FILTER: &str = "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter";
const LISTENER_FILTER: &str = "envoy.config.listener.v3.ListenerFilter";

/// The holder, the names (today's and those of the v1 and v2 configuration), and the type.
const NAMES: &[(&str, &[&str], &str)] = &[
    (
        HTTP_FILTER,
        &["envoy.filters.http.router", "envoy.router", "router"],
        "envoy.extensions.filters.http.router.v3.Router",
    ),
    (
        HTTP_FILTER,
        &["envoy.filters.http.buffer", "envoy.buffer", "buffer"],
        "envoy.extensions.filters.http.buffer.v3.Buffer",
    ),
    (
        HTTP_FILTER,
        &["envoy.filters.http.cors", "envoy.cors", "cors"],
        "envoy.extensions.filters.http.cors.v3.Cors",
    ),
    (
        HTTP_FILTER,
        &["envoy.filters.http.fault", "envoy.fault", "fault"],
        "envoy.extensions.filters.http.fault.v3.HTTPFault",
    ),
    (
        HTTP_FILTER,
        &["envoy.filters.http.grpc_http1_bridge", "envoy.grpc_http1_bridge", "grpc_http1_bridge"],
        "envoy.extensions.filters.http.grpc_http1_bridge.v3.Config",
    ),
    (
        HTTP_FILTER,
        &["envoy.filters.http.grpc_web", "envoy.grpc_web", "grpc_web"],
        "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb",
    ),
    (
        HTTP_FILTER,
        &["envoy.filters.http.health_check", "envoy.health_check", "health_check"],
        "envoy.extensions.filters.http.health_check.v3.HealthCheck",
    ),
    (
        LISTENER_FILTER,
        &["envoy.filters.listener.tls_inspector", "envoy.listener.tls_inspector"],
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    ),
    (
        LISTENER_FILTER,
        &["envoy.filters.listener.proxy_protocol", "envoy.listener.proxy_protocol"],
        "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
    ),
    (
        LISTENER_FILTER,
        &["envoy.filters.listener.original_dst", "envoy.listener.original_dst"],
        "envoy.extensions.filters.listener.original_dst.v3.OriginalDst",
    ),
    (
        "envoy.config.core.v3.TransportSocket",
        &["envoy.transport_sockets.raw_buffer", "raw_buffer"],
        "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_for_a_message_of_the_api() {
        for (holder, _, type_name) in NAMES {
            for name in [holder, type_name] {
                assert!(nuncio_api::descriptors().get_message_by_name(name).is_some(), "{name}");
            }
        }
    }
}
