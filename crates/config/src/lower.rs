//! Typed messages to the runtime model.
//!
//! Each message is destructured completely, so that a field that Envoy adds and nobody handles here breaks the build.
//! A field that is bound to `_` is not supported; the check before this has refused it.

use std::time::Duration;

use nuncio_api::envoy::config::bootstrap::v3 as bootstrap;
use prost::Name;
use prost_types::Any;

use crate::{
    check,
    encoded::Resources,
    error::{ErrorKind, Issues, WarningKind},
    model,
    path::Path,
    places::Places,
    source::LoadOptions,
};

mod access_log;
mod address;
mod cluster;
mod data_source;
mod dns;
mod endpoint;
mod http;
mod http_protocol;
mod listener;
pub(crate) mod route;
mod runtime;
mod tls;

pub(crate) use address::parse_ip;

/// What lowering needs besides the message: where things stand, what is allowed, and where to complain.
pub(crate) struct Context<'c> {
    pub(crate) places: &'c Places<'c>,
    pub(crate) options: &'c LoadOptions<'c>,
    pub(crate) issues: &'c mut Issues,
    pub(crate) runtime: model::Runtime,
}

impl Context<'_> {
    /// A value that is wrong in itself or with the rest.
    fn error(&mut self, at: &Path<'_>, message: impl Into<String>) {
        if self.issues.is_full() {
            return self.issues.omit();
        }
        self.issues.later_error(self.places.locate(at), ErrorKind::Semantic, message);
    }

    /// Free-form data can be nested deeper than messages can be.
    fn too_deep(&mut self, at: &Path<'_>) {
        self.issues.error(self.places.locate(at), ErrorKind::Limit, "nested too deeply");
    }

    /// A value that Envoy knows and Nuncio does not.
    fn unsupported(&mut self, at: &Path<'_>, message: impl Into<String>) {
        check::unsupported(self.issues, self.places, self.options, at, false, message.into());
    }

    /// The same, where leaving it out would weaken security: always an error.
    fn guard(&mut self, at: &Path<'_>, message: impl Into<String>) {
        check::unsupported(self.issues, self.places, self.options, at, true, message.into());
    }

    /// What is left of a value after its unsupported parts were let pass cannot be run. If anything else is wrong, that
    /// has been said and is the reason.
    fn unusable(&mut self, at: &Path<'_>, message: impl Into<String>) {
        if !self.issues.has_errors() {
            self.issues.error(self.places.locate(at), ErrorKind::Unsupported, message);
        }
    }

    fn warn(&mut self, at: &Path<'_>, kind: WarningKind, message: impl Into<String>) {
        self.issues.warning(self.places.locate(at), kind, message);
    }

    fn place(&self, at: &Path<'_>) -> model::Place {
        self.places.locate(at)
    }

    /// A duration that must not be negative.
    fn duration(&mut self, at: &Path<'_>, value: prost_types::Duration) -> Duration {
        Duration::try_from(value).unwrap_or_else(|_| {
            self.error(at, "must not be negative");
            Duration::ZERO
        })
    }

    fn optional_duration(&mut self, at: &Path<'_>, value: Option<prost_types::Duration>) -> Option<Duration> {
        value.map(|value| self.duration(at, value))
    }

    /// A timeout for which zero means none.
    fn timeout(&mut self, at: &Path<'_>, value: Option<prost_types::Duration>) -> Option<Duration> {
        self.optional_duration(at, value).filter(|timeout| !timeout.is_zero())
    }

    /// The payload of an `Any` whose type has been compared with `T`.
    fn unpack<T: prost::Message + Name + Default>(&mut self, any: &Any, at: &Path<'_>) -> Option<T> {
        let payload = T::decode(any.value.as_slice());
        if payload.is_err() {
            self.error(at, format!("the payload is not a {}", T::full_name()));
        }
        payload.ok()
    }
}

/// Whether the payload of an `Any` is a `T`.
fn is<T: Name>(any: &Any) -> bool {
    any.type_url.rsplit('/').next() == Some(T::full_name().as_str())
}

/// Lowers a whole bootstrap, whose listeners and clusters come by themselves. What comes out is only to be used if no error was
/// reported.
pub(crate) fn bootstrap(
    context: &mut Context<'_>,
    message: bootstrap::Bootstrap,
    listeners: &Resources,
    clusters: &Resources,
) -> model::Bootstrap {
    let bootstrap::Bootstrap {
        node,
        static_resources,
        layered_runtime,
        admin,
        stats_flush_interval,
        use_tcp_for_dns_lookups,
        dns_resolution_config,
        typed_dns_resolver_config,
        // They have no effect here, for the reasons in the support table.
        watchdog: _,
        watchdogs: _,
        perf_tracing_file_path: _,
        node_context_params: _,
        dynamic_resources: _,
        cluster_manager: _,
        hds_config: _,
        flags_path: _,
        stats_sinks: _,
        deferred_stat_options: _,
        stats_config: _,
        tracing: _,
        enable_dispatcher_stats: _,
        header_prefix: _,
        stats_server_version_override: _,
        bootstrap_extensions: _,
        config_sources: _,
        default_config_source: _,
        default_socket_interface: _,
        certificate_provider_instances: _,
        inline_headers: _,
        default_regex_engine: _,
        xds_delegate_extension: _,
        xds_config_tracker_extension: _,
        listener_manager: _,
        application_log_config: _,
        grpc_async_client_manager_config: _,
        memory_allocator_manager: _,
        enable_worker_cpu_affinity: _,
        stats_flush: _,
        stats_eviction: _,
    } = message;
    let root = Path::ROOT;
    context.runtime = layered_runtime
        .map(|layers| runtime::layered(context, &root.field("layered_runtime"), layers))
        .unwrap_or_default();
    let bootstrap::bootstrap::StaticResources { listeners: _, clusters: _, secrets: _ } =
        static_resources.unwrap_or_default();
    let resources = root.field("static_resources");
    let dns_resolver = dns::resolver(
        context,
        &root,
        dns::Fields {
            typed: typed_dns_resolver_config,
            resolution: dns_resolution_config,
            use_tcp: use_tcp_for_dns_lookups,
        },
    );
    let listeners = listener::listeners(context, &resources.field("listeners"), listeners);
    let clusters = cluster::clusters(context, &resources.field("clusters"), clusters);
    model::Bootstrap {
        node: node.map(node_identity).unwrap_or_default(),
        admin: admin.and_then(|admin| lower_admin(context, &root.field("admin"), admin)),
        listeners,
        clusters,
        dns_resolver: dns_resolver.unwrap_or_default(),
        stats_flush_interval: context
            .optional_duration(&root.field("stats_flush_interval"), stats_flush_interval),
        runtime: std::mem::take(&mut context.runtime),
    }
}

fn node_identity(node: nuncio_api::envoy::config::core::v3::Node) -> model::Node {
    let nuncio_api::envoy::config::core::v3::Node {
        id,
        cluster,
        locality,
        metadata: _,
        dynamic_parameters: _,
        user_agent_name: _,
        extensions: _,
        client_features: _,
        listening_addresses: _,
        user_agent_version_type: _,
    } = node;
    model::Node { id, cluster, zone: locality.unwrap_or_default().zone }
}

fn lower_admin(context: &mut Context<'_>, at: &Path<'_>, admin: bootstrap::Admin) -> Option<model::Admin> {
    let bootstrap::Admin {
        access_log,
        access_log_path,
        address,
        profile_path: _,
        socket_options: _,
        ignore_global_conn_limit: _,
        allow_paths: _,
    } = admin;
    let mut access_log = access_log::all(context, &at.field("access_log"), access_log);
    if !access_log_path.is_empty() {
        access_log.push(model::AccessLog { sink: model::AccessLogSink::File(access_log_path), format: None });
    }
    let address_at = at.field("address");
    let Some((address, _)) = address::listening(context, &address_at, address?) else {
        context.unusable(&address_at, "without this address there is no admin server");
        return None;
    };
    Some(model::Admin { address, access_log, place: context.place(&address_at) })
}
