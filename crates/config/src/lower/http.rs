//! The HTTP connection manager and its filters.

use std::{sync::Arc, time::Duration};

use nuncio_api::envoy::extensions::filters::{
    http::router::v3::Router,
    network::http_connection_manager::v3::{
        HttpConnectionManager, HttpFilter,
        http_connection_manager::{CodecType, RouteSpecifier, ServerHeaderTransformation},
        http_filter::ConfigType,
    },
};

use super::{Context, access_log, http_protocol, is, route};
use crate::{model, path::Path};

const DEFAULT_STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

pub(super) fn manager(
    context: &mut Context<'_>,
    at: &Path<'_>,
    message: HttpConnectionManager,
) -> Option<model::HttpConnectionManager> {
    let HttpConnectionManager {
        codec_type,
        stat_prefix,
        http_filters,
        add_user_agent,
        common_http_protocol_options,
        http_protocol_options,
        http2_protocol_options,
        server_name,
        server_header_transformation,
        max_request_headers_kb,
        stream_idle_timeout,
        request_timeout,
        request_headers_timeout,
        drain_timeout: _,
        delayed_close_timeout,
        access_log,
        use_remote_address,
        xff_num_trusted_hops,
        skip_xff_append,
        generate_request_id,
        preserve_external_request_id,
        always_set_request_id_in_response,
        normalize_path,
        stream_error_on_invalid_http_message,
        route_specifier,
        tracing: _,
        http1_safe_max_connection_duration: _,
        http3_protocol_options: _,
        scheme_header_transformation: _,
        stream_flush_timeout: _,
        drain_timeout_jitter: _,
        access_log_flush_interval: _,
        flush_access_log_on_new_request: _,
        access_log_options: _,
        original_ip_detection_extensions: _,
        early_header_mutation_extensions: _,
        internal_address_config: _,
        via: _,
        forward_client_cert_details: _,
        set_current_client_cert_details: _,
        proxy_100_continue: _,
        represent_ipv4_remote_address_as_ipv4_mapped_ipv6: _,
        upgrade_configs: _,
        merge_slashes: _,
        path_with_escaped_slashes_action: _,
        request_id_extension: _,
        local_reply_config: _,
        strip_matching_host_port: _,
        path_normalization_options: _,
        strip_trailing_host_dot: _,
        proxy_status_config: _,
        typed_header_validation_config: _,
        append_x_forwarded_port: _,
        append_local_overload: _,
        add_proxy_protocol_connection_state: _,
        forward_proto_config: _,
        strip_port_mode: _,
    } = message;
    if add_user_agent == Some(true) {
        context.unsupported(&at.field("add_user_agent"), "only false is supported");
    }
    if stream_error_on_invalid_http_message == Some(true) {
        let at = at.field("stream_error_on_invalid_http_message");
        context.unsupported(&at, "only false is supported");
    }
    if normalize_path == Some(true) {
        context.guard(&at.field("normalize_path"), "only false is supported");
    }
    let allow_absolute_url = http_protocol_options.as_ref().is_none_or(http_protocol::allows_absolute_url);
    let codec_type = match CodecType::try_from(codec_type) {
        Ok(CodecType::Http1) => model::CodecType::Http1,
        Ok(CodecType::Http2) => model::CodecType::Http2,
        Ok(CodecType::Http3) => {
            context.unsupported(&at.field("codec_type"), "HTTP/3 is not supported");
            model::CodecType::Auto
        }
        Ok(CodecType::Auto) | Err(_) => model::CodecType::Auto,
    };
    let server_header_transformation =
        match ServerHeaderTransformation::try_from(server_header_transformation) {
            Ok(ServerHeaderTransformation::AppendIfAbsent) => {
                model::ServerHeaderTransformation::AppendIfAbsent
            }
            Ok(ServerHeaderTransformation::PassThrough) => model::ServerHeaderTransformation::PassThrough,
            Ok(ServerHeaderTransformation::Overwrite) | Err(_) => {
                model::ServerHeaderTransformation::Overwrite
            }
        };
    filters(context, &at.field("http_filters"), http_filters);
    let (route_config_name, routes) = match route_specifier {
        Some(RouteSpecifier::RouteConfig(routes)) => {
            let name = routes.name.clone();
            (name, route::table(context, &at.field("route_config"), routes))
        }
        // Both have been refused by the check before this: one is not supported, one is required.
        Some(RouteSpecifier::Rds(_)) | None => (String::new(), None),
    };
    let common = http_protocol::common(
        context,
        &at.field("common_http_protocol_options"),
        common_http_protocol_options,
    );
    let default = model::HttpConnectionManager::default();
    let stream_idle_timeout = match stream_idle_timeout {
        Some(_) => context.timeout(&at.field("stream_idle_timeout"), stream_idle_timeout),
        None => Some(DEFAULT_STREAM_IDLE_TIMEOUT),
    };
    let request_timeout = context.timeout(&at.field("request_timeout"), request_timeout);
    let request_headers_timeout =
        context.timeout(&at.field("request_headers_timeout"), request_headers_timeout);
    let delayed_close_timeout =
        context.optional_duration(&at.field("delayed_close_timeout"), delayed_close_timeout);
    let access_log = access_log::all(context, &at.field("access_log"), access_log);
    Some(model::HttpConnectionManager {
        stat_prefix,
        codec_type,
        route_config_name,
        routes: Arc::new(routes?),
        server_name: if server_name.is_empty() { default.server_name } else { server_name },
        server_header_transformation,
        generate_request_id: generate_request_id.unwrap_or(true),
        preserve_external_request_id,
        always_set_request_id_in_response,
        use_remote_address: use_remote_address.unwrap_or(false),
        xff_num_trusted_hops,
        skip_xff_append,
        allow_absolute_url,
        max_request_headers_bytes: max_request_headers_kb
            .map_or(default.max_request_headers_bytes, |kib| kib.saturating_mul(1024)),
        max_headers_count: common.max_headers_count.unwrap_or(default.max_headers_count),
        idle_timeout: common.idle_timeout,
        max_connection_duration: common.max_connection_duration,
        max_requests_per_connection: common.max_requests_per_connection,
        stream_idle_timeout,
        request_timeout,
        request_headers_timeout,
        delayed_close_timeout: delayed_close_timeout.unwrap_or(default.delayed_close_timeout),
        http2: http2_protocol_options.as_ref().map(http_protocol::http2).unwrap_or_default(),
        access_log,
    })
}

/// The router is the only filter for now, and the last one always.
fn filters(context: &mut Context<'_>, at: &Path<'_>, filters: Vec<HttpFilter>) {
    if filters.is_empty() {
        context.guard(at, "an HTTP connection manager without the router filter is not supported");
    }
    for (index, HttpFilter { name: _, config_type, is_optional: _, disabled: _ }) in
        filters.into_iter().enumerate()
    {
        let at = at.index(index);
        let config_at = at.field("typed_config");
        // Every other kind of filter has been refused by the check before this.
        if let Some(ConfigType::TypedConfig(any)) = config_type
            && is::<Router>(&any)
            && let Some(message) = context.unpack::<Router>(&any, &config_at)
        {
            router(context, &config_at, &message);
        }
    }
}

fn router(context: &mut Context<'_>, at: &Path<'_>, message: &Router) {
    let Router {
        dynamic_stats,
        start_child_span: _,
        upstream_log: _,
        upstream_log_options: _,
        suppress_envoy_headers: _,
        strict_check_headers: _,
        respect_expected_rq_timeout: _,
        suppress_grpc_request_failure_code_stats: _,
        upstream_http_filters: _,
        reject_connect_request_early_data: _,
    } = message;
    if *dynamic_stats == Some(false) {
        context.unsupported(&at.field("dynamic_stats"), "only true is supported");
    }
}
