//! Listeners, filter chains and TLS towards clients.

use super::{Entry, guards, honoured, message, no_effect};

const METADATA: &str = "nothing that is supported reads metadata";

pub(super) const ENTRIES: &[Entry] = &[
    message(
        "envoy.config.listener.v3.Listener",
        &[
            honoured(&[
                "name",
                "address",
                "stat_prefix",
                "filter_chains",
                "per_connection_buffer_limit_bytes",
                "enable_reuse_port",
                "tcp_backlog_size",
                "bind_to_port",
                "use_original_dst",
                "transparent",
                "freebind",
            ]),
            no_effect(METADATA, &["metadata"]),
            no_effect(
                "only traces and drains of one direction tell directions apart",
                &["traffic_direction"],
            ),
            no_effect(
                "only listener filters wait, and they are refused",
                &["listener_filters_timeout", "continue_on_listener_filters_timeout"],
            ),
            no_effect(
                "it changes how evenly work is spread, not what is answered",
                &["max_connections_to_accept_per_socket_event"],
            ),
            no_effect("there is no global connection limit", &["ignore_global_conn_limit"]),
            no_effect("there is no overload manager", &["bypass_overload_manager"]),
            guards(&["listener_filters", "filter_chain_matcher", "default_filter_chain"]),
        ],
    ),
    message(
        "envoy.config.listener.v3.FilterChain",
        &[
            honoured(&["filter_chain_match", "filters", "transport_socket", "name"]),
            no_effect(METADATA, &["metadata"]),
            guards(&["use_proxy_proto"]),
        ],
    ),
    message(
        "envoy.config.listener.v3.FilterChainMatch",
        &[guards(&[
            "destination_port",
            "prefix_ranges",
            "address_suffix",
            "suffix_len",
            "direct_source_prefix_ranges",
            "source_type",
            "source_prefix_ranges",
            "source_ports",
            "server_names",
            "transport_protocol",
            "application_protocols",
        ])],
    ),
    message("envoy.config.listener.v3.Filter", &[honoured(&["name", "typed_config"])]),
    message("envoy.config.core.v3.TransportSocket", &[honoured(&["name", "typed_config"])]),
    message("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer", &[]),
    message(
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        &[
            honoured(&[
                "common_tls_context",
                "require_client_certificate",
                "require_sni",
                "full_scan_certs_on_sni_mismatch",
            ]),
            guards(&[
                "session_ticket_keys",
                "session_ticket_keys_sds_secret_config",
                "disable_stateless_session_resumption",
                "disable_stateful_session_resumption",
                "session_timeout",
                "ocsp_staple_policy",
            ]),
        ],
    ),
    message(
        "envoy.extensions.transport_sockets.tls.v3.CommonTlsContext",
        &[
            honoured(&["tls_params", "tls_certificates", "alpn_protocols"]),
            guards(&[
                "tls_certificate_sds_secret_configs",
                "tls_certificate_provider_instance",
                "custom_tls_certificate_selector",
                "tls_certificate_certificate_provider",
                "tls_certificate_certificate_provider_instance",
                "validation_context",
                "validation_context_sds_secret_config",
                "combined_validation_context",
                "validation_context_certificate_provider",
                "validation_context_certificate_provider_instance",
                "custom_handshaker",
            ]),
        ],
    ),
    message(
        "envoy.extensions.transport_sockets.tls.v3.TlsParameters",
        &[
            honoured(&["tls_minimum_protocol_version", "tls_maximum_protocol_version"]),
            guards(&["cipher_suites", "ecdh_curves", "signature_algorithms", "compliance_policies"]),
        ],
    ),
    message(
        "envoy.extensions.transport_sockets.tls.v3.TlsCertificate",
        &[
            honoured(&["certificate_chain", "private_key"]),
            guards(&["pkcs12", "private_key_provider", "password", "ocsp_staple", "tls_params"]),
        ],
    ),
];
