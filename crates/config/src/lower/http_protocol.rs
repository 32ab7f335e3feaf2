//! Options that the HTTP connection manager and clusters share.

use std::time::Duration;

use nuncio_api::envoy::config::core::v3::{Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions};

use super::Context;
use crate::{model::Http2Settings, path::Path};

const ONE_HOUR: Duration = Duration::from_secs(3600);

/// `common_http_protocol_options` with the defaults put in.
pub(super) struct Common {
    pub(super) idle_timeout: Option<Duration>,
    pub(super) max_connection_duration: Option<Duration>,
    pub(super) max_headers_count: Option<u32>,
    pub(super) max_requests_per_connection: Option<u32>,
}

pub(super) fn common(
    context: &mut Context<'_>,
    at: &Path<'_>,
    options: Option<HttpProtocolOptions>,
) -> Common {
    let HttpProtocolOptions {
        idle_timeout,
        max_connection_duration,
        max_headers_count,
        max_requests_per_connection,
        max_connection_duration_jitter: _,
        max_response_headers_kb: _,
        max_stream_duration: _,
        headers_with_underscores_action: _,
    } = options.unwrap_or_default();
    let idle_timeout = match idle_timeout {
        Some(_) => context.timeout(&at.field("idle_timeout"), idle_timeout),
        None => Some(ONE_HOUR),
    };
    Common {
        idle_timeout,
        max_connection_duration: context
            .timeout(&at.field("max_connection_duration"), max_connection_duration),
        max_headers_count,
        max_requests_per_connection: max_requests_per_connection.filter(|most| *most > 0),
    }
}

/// A cluster has no options of HTTP/1 that are supported; the one that is let through states the default.
pub(super) fn upstream_http1(context: &mut Context<'_>, at: &Path<'_>, options: &Http1ProtocolOptions) {
    if !allows_absolute_url(options) {
        context.unsupported(&at.field("allow_absolute_url"), "only true is supported");
    }
}

/// The only option of HTTP/1 towards clients that is supported.
pub(super) fn allows_absolute_url(options: &Http1ProtocolOptions) -> bool {
    let Http1ProtocolOptions {
        allow_absolute_url,
        accept_http_10: _,
        default_host_for_http_10: _,
        header_key_format: _,
        enable_trailers: _,
        allow_chunked_length: _,
        override_stream_error_on_invalid_http_message: _,
        send_fully_qualified_url: _,
        use_balsa_parser: _,
        allow_custom_methods: _,
        ignore_http_11_upgrade: _,
    } = options;
    allow_absolute_url.unwrap_or(true)
}

pub(super) fn http2(options: &Http2ProtocolOptions) -> Http2Settings {
    let Http2ProtocolOptions {
        max_concurrent_streams,
        initial_stream_window_size,
        initial_connection_window_size,
        hpack_table_size: _,
        allow_connect: _,
        allow_metadata: _,
        max_outbound_frames: _,
        max_outbound_control_frames: _,
        max_consecutive_inbound_frames_with_empty_payload: _,
        max_inbound_priority_frames_per_stream: _,
        max_inbound_window_update_frames_per_data_frame_sent: _,
        stream_error_on_invalid_http_messaging: _,
        override_stream_error_on_invalid_http_message: _,
        custom_settings_parameters: _,
        connection_keepalive: _,
        use_oghttp2_codec: _,
        max_metadata_size: _,
        enable_huffman_encoding: _,
        max_header_field_size_kb: _,
        disallow_obs_text: _,
        stream_reset_burst: _,
        stream_reset_rate: _,
    } = options;
    let default = Http2Settings::default();
    Http2Settings {
        max_concurrent_streams: max_concurrent_streams.unwrap_or(default.max_concurrent_streams),
        initial_stream_window_size: initial_stream_window_size.unwrap_or(default.initial_stream_window_size),
        initial_connection_window_size: initial_connection_window_size
            .unwrap_or(default.initial_connection_window_size),
    }
}
