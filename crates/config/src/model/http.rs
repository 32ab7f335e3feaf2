//! The HTTP connection manager.

use std::{sync::Arc, time::Duration};

use nuncio_router::RouteTable;

use super::Place;

/// Follows `envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`.
#[derive(Clone, Debug)]
pub struct HttpConnectionManager {
    /// `stat_prefix`: the stats stand under `http.<stat_prefix>.`.
    pub stat_prefix: String,
    /// `codec_type`.
    pub codec_type: CodecType,
    /// `route_config.name`.
    pub route_config_name: String,
    /// The compiled `route_config`. The proxy exchanges the payloads for its own with `RouteTable::map`.
    pub routes: Arc<RouteTable>,
    /// `server_name`, `envoy` by default.
    pub server_name: String,
    /// `server_header_transformation`.
    pub server_header_transformation: ServerHeaderTransformation,
    /// `generate_request_id`, true by default.
    pub generate_request_id: bool,
    /// `preserve_external_request_id`.
    pub preserve_external_request_id: bool,
    /// `always_set_request_id_in_response`.
    pub always_set_request_id_in_response: bool,
    /// `use_remote_address`, false by default.
    pub use_remote_address: bool,
    /// `xff_num_trusted_hops`.
    pub xff_num_trusted_hops: u32,
    /// `skip_xff_append`.
    pub skip_xff_append: bool,
    /// `http_protocol_options.allow_absolute_url`, true by default: whether `GET http://host/path` is understood.
    pub allow_absolute_url: bool,
    /// `max_request_headers_kb` in bytes: 60 KiB by default.
    pub max_request_headers_bytes: u32,
    /// `common_http_protocol_options.max_headers_count`: 100 by default.
    pub max_headers_count: u32,
    /// `common_http_protocol_options.idle_timeout`: 1 h by default; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// `common_http_protocol_options.max_connection_duration`.
    pub max_connection_duration: Option<Duration>,
    /// `common_http_protocol_options.max_requests_per_connection`.
    pub max_requests_per_connection: Option<u32>,
    /// `stream_idle_timeout`: 5 min by default; `None`: never.
    pub stream_idle_timeout: Option<Duration>,
    /// `request_timeout`: none by default.
    pub request_timeout: Option<Duration>,
    /// `request_headers_timeout`: none by default.
    pub request_headers_timeout: Option<Duration>,
    /// `delayed_close_timeout`: 1 s by default; zero: none.
    pub delayed_close_timeout: Duration,
    /// `http2_protocol_options`.
    pub http2: Http2Settings,
    /// `access_log`.
    pub access_log: Vec<AccessLog>,
}

impl Default for HttpConnectionManager {
    fn default() -> Self {
        Self {
            stat_prefix: String::new(),
            codec_type: CodecType::Auto,
            route_config_name: String::new(),
            routes: Arc::default(),
            server_name: "envoy".to_owned(),
            server_header_transformation: ServerHeaderTransformation::Overwrite,
            generate_request_id: true,
            preserve_external_request_id: false,
            always_set_request_id_in_response: false,
            use_remote_address: false,
            xff_num_trusted_hops: 0,
            skip_xff_append: false,
            allow_absolute_url: true,
            max_request_headers_bytes: 60 * 1024,
            max_headers_count: 100,
            idle_timeout: Some(Duration::from_secs(3600)),
            max_connection_duration: None,
            max_requests_per_connection: None,
            stream_idle_timeout: Some(Duration::from_secs(300)),
            request_timeout: None,
            request_headers_timeout: None,
            delayed_close_timeout: Duration::from_secs(1),
            http2: Http2Settings::default(),
            access_log: Vec::new(),
        }
    }
}

/// Which protocol a client speaks. Follows `HttpConnectionManager.CodecType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodecType {
    /// By ALPN, or by the HTTP/2 preface where there is none.
    #[default]
    Auto,
    /// HTTP/1 only.
    Http1,
    /// HTTP/2 with prior knowledge only.
    Http2,
}

/// What becomes of the `server` response header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerHeaderTransformation {
    /// Always `server_name`.
    #[default]
    Overwrite,
    /// `server_name` where the upstream sent none.
    AppendIfAbsent,
    /// As the upstream sent it, or none.
    PassThrough,
}

/// Follows `envoy.config.core.v3.Http2ProtocolOptions`, for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Settings {
    /// `max_concurrent_streams`: 1024 by default.
    pub max_concurrent_streams: u32,
    /// `initial_stream_window_size` in bytes: 16 MiB by default.
    pub initial_stream_window_size: u32,
    /// `initial_connection_window_size` in bytes: 24 MiB by default.
    pub initial_connection_window_size: u32,
}

impl Default for Http2Settings {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 1024,
            initial_stream_window_size: 16 << 20,
            initial_connection_window_size: 24 << 20,
        }
    }
}

/// One access log. Follows `envoy.config.accesslog.v3.AccessLog` without a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Where lines go.
    pub sink: AccessLogSink,
    /// `format` or `log_format`; `None`: Envoy's default format.
    pub format: Option<LogFormat>,
}

/// The format of an access log's lines. Follows `envoy.config.core.v3.SubstitutionFormatString` with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    /// The text with its command operators. Not empty.
    pub text: String,
    /// Where the text is written, or the field that names its file.
    pub place: Place,
}

/// Where access log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogSink {
    /// A file, appended to. `/dev/null` is honoured by not writing at all.
    File(String),
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}
