//! Route configurations to route tables.

use http::StatusCode;
use nuncio_api::envoy::{
    config::{
        core::v3::RuntimeFractionalPercent,
        route::v3::{
            DirectResponseAction, RedirectAction, Route, RouteAction, RouteConfiguration, RouteMatch,
            VirtualHost,
            redirect_action::{PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier},
            route::Action,
            route_action::{ClusterNotFoundResponseCode, ClusterSpecifier, HostRewriteSpecifier},
            route_match::PathSpecifier,
        },
    },
    r#type::v3::fractional_percent::DenominatorType,
};
use nuncio_router::{self as router, BuildErrorKind, RouteTable};

use super::{Context, data_source};
use crate::path::Path;

/// Compiles a route configuration. `None` if the table could not be built, which is reported.
pub(crate) fn table(
    context: &mut Context<'_>,
    at: &Path<'_>,
    message: RouteConfiguration,
) -> Option<RouteTable> {
    let RouteConfiguration {
        name: _,
        virtual_hosts,
        // Whether a cluster must be there has been looked at by the check before this.
        validate_clusters: _,
        max_direct_response_body_size_bytes,
        ignore_port_in_host_matching,
        metadata: _,
        vhds: _,
        internal_only_headers: _,
        response_headers_to_add: _,
        response_headers_to_remove: _,
        request_headers_to_add: _,
        request_headers_to_remove: _,
        most_specific_header_mutations_wins: _,
        cluster_specifier_plugins: _,
        request_mirror_policies: _,
        vhost_header: _,
        ignore_path_parameters_in_path_matching: _,
        typed_per_filter_config: _,
        route_specifiers: _,
    } = message;
    let mut builder = RouteTable::builder().ignore_port_in_host_matching(ignore_port_in_host_matching);
    if let Some(bytes) = max_direct_response_body_size_bytes {
        builder = builder.max_direct_response_body_size(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    let hosts_at = at.field("virtual_hosts");
    // Which route of the message each route of a virtual host was, to find an error of the builder again.
    let mut origins: Vec<Vec<usize>> = Vec::with_capacity(virtual_hosts.len());
    for (index, host) in virtual_hosts.into_iter().enumerate() {
        let (host, routes) = virtual_host(context, &hosts_at.index(index), host);
        origins.push(routes);
        builder = builder.virtual_host(host);
    }
    match builder.build() {
        Ok(table) => Some(table),
        Err(errors) => {
            for error in errors.iter() {
                report(context, &hosts_at, error, &origins);
            }
            None
        }
    }
}

fn report(context: &mut Context<'_>, at: &Path<'_>, error: &router::BuildError, origins: &[Vec<usize>]) {
    let host = at.index(error.virtual_host);
    let message = error.kind.to_string();
    match (error.place, &error.kind) {
        // The validation rules of the API have said so already.
        (
            _,
            BuildErrorKind::NoName
            | BuildErrorKind::NoDomains
            | BuildErrorKind::NoCluster
            | BuildErrorKind::ControlCharacter { .. }
            | BuildErrorKind::StatusOutOfRange { .. },
        ) => {}
        (router::Place::Domain(index), _) => context.error(&host.field("domains").index(index), message),
        (router::Place::Route(index), kind) => {
            let origin = origins.get(error.virtual_host).and_then(|routes| routes.get(index));
            let routes = host.field("routes");
            let route = routes.index(origin.copied().unwrap_or(index));
            match kind {
                BuildErrorKind::BodyTooLong { length, most } => {
                    let message = format!("has {length} bytes; at most {most} may be sent");
                    context.error(&route.field("direct_response").field("body"), message);
                }
                _ => context.error(&route, message),
            }
        }
        _ => context.error(&host, message),
    }
}

fn virtual_host(
    context: &mut Context<'_>,
    at: &Path<'_>,
    message: VirtualHost,
) -> (router::VirtualHost, Vec<usize>) {
    let VirtualHost {
        name,
        domains,
        routes,
        metadata: _,
        require_tls: _,
        virtual_clusters: _,
        rate_limits: _,
        request_headers_to_add: _,
        request_headers_to_remove: _,
        response_headers_to_add: _,
        response_headers_to_remove: _,
        cors: _,
        typed_per_filter_config: _,
        include_request_attempt_count: _,
        include_attempt_count_in_response: _,
        retry_policy: _,
        retry_policy_typed_config: _,
        hedge_policy: _,
        include_is_timeout_retry_header: _,
        per_request_buffer_limit_bytes: _,
        request_body_buffer_limit: _,
        request_mirror_policies: _,
        route_specifiers: _,
    } = message;
    let mut host = router::VirtualHost::new(name).with_domains(domains);
    let mut origins = Vec::with_capacity(routes.len());
    let routes_at = at.field("routes");
    for (index, message) in routes.into_iter().enumerate() {
        if let Some(route) = route(context, &routes_at.index(index), message) {
            host = host.route(route);
            origins.push(index);
        }
    }
    (host, origins)
}

fn route(context: &mut Context<'_>, at: &Path<'_>, message: Route) -> Option<router::Route> {
    let Route {
        name,
        r#match,
        action,
        metadata: _,
        decorator: _,
        typed_per_filter_config: _,
        request_headers_to_add: _,
        request_headers_to_remove: _,
        response_headers_to_add: _,
        response_headers_to_remove: _,
        tracing: _,
        per_request_buffer_limit_bytes: _,
        stat_prefix: _,
        request_body_buffer_limit: _,
        route_specifiers: _,
    } = message;
    let matcher = r#match.and_then(|message| route_match(context, &at.field("match"), message));
    let action: Option<router::Action> = match action {
        Some(Action::Route(message)) => forward(context, &at.field("route"), message).map(Into::into),
        Some(Action::Redirect(message)) => Some(redirect(message).into()),
        Some(Action::DirectResponse(message)) => {
            direct_response(context, &at.field("direct_response"), message).map(Into::into)
        }
        // Refused by the check before this, or required.
        Some(Action::FilterAction(_) | Action::NonForwardingAction(_)) | None => None,
    };
    Some(router::Route::new(matcher?, action?).name(name))
}

fn route_match(context: &mut Context<'_>, at: &Path<'_>, message: RouteMatch) -> Option<router::RouteMatch> {
    let RouteMatch {
        path_specifier,
        case_sensitive,
        runtime_fraction,
        headers: _,
        query_parameters: _,
        cookies: _,
        grpc: _,
        tls_context: _,
        dynamic_metadata: _,
        filter_state: _,
    } = message;
    let matcher = match path_specifier? {
        PathSpecifier::Prefix(prefix) => router::RouteMatch::prefix(prefix),
        PathSpecifier::Path(path) => router::RouteMatch::path(path),
        // Refused by the check before this.
        PathSpecifier::SafeRegex(_)
        | PathSpecifier::ConnectMatcher(_)
        | PathSpecifier::PathSeparatedPrefix(_)
        | PathSpecifier::PathMatchPolicy(_) => return None,
    };
    let matcher = matcher.case_sensitive(case_sensitive.unwrap_or(true));
    Some(match runtime_fraction {
        Some(fraction) => matcher.runtime_fraction(share(context, &at.field("runtime_fraction"), fraction)),
        None => matcher,
    })
}

fn share(
    context: &mut Context<'_>,
    at: &Path<'_>,
    message: RuntimeFractionalPercent,
) -> router::FractionalPercent {
    let RuntimeFractionalPercent { default_value, runtime_key } = message;
    if context.runtime.get(&runtime_key).is_some() {
        context.guard(&at.field("runtime_key"), "a share that the runtime overrides is not supported");
    }
    let value = default_value.unwrap_or_default();
    let denominator = match DenominatorType::try_from(value.denominator) {
        Ok(DenominatorType::TenThousand) => router::Denominator::TenThousand,
        Ok(DenominatorType::Million) => router::Denominator::Million,
        Ok(DenominatorType::Hundred) | Err(_) => router::Denominator::Hundred,
    };
    router::FractionalPercent::new(value.numerator, denominator)
}

fn forward(context: &mut Context<'_>, at: &Path<'_>, message: RouteAction) -> Option<router::Forward> {
    let RouteAction {
        cluster_specifier,
        timeout,
        prefix_rewrite,
        host_rewrite_specifier,
        cluster_not_found_response_code,
        metadata_match: _,
        regex_rewrite: _,
        path_rewrite_policy: _,
        path_rewrite: _,
        append_x_forwarded_host: _,
        idle_timeout: _,
        flush_timeout: _,
        early_data_policy: _,
        retry_policy: _,
        retry_policy_typed_config: _,
        request_mirror_policies: _,
        priority: _,
        rate_limits: _,
        include_vh_rate_limits: _,
        hash_policy: _,
        cors: _,
        max_grpc_timeout: _,
        grpc_timeout_offset: _,
        upgrade_configs: _,
        internal_redirect_policy: _,
        internal_redirect_action: _,
        max_internal_redirects: _,
        hedge_policy: _,
        max_stream_duration: _,
    } = message;
    let timeout = context.optional_duration(&at.field("timeout"), timeout);
    let cluster = match cluster_specifier? {
        ClusterSpecifier::Cluster(cluster) => cluster,
        // Refused by the check before this.
        ClusterSpecifier::ClusterHeader(_)
        | ClusterSpecifier::WeightedClusters(_)
        | ClusterSpecifier::ClusterSpecifierPlugin(_)
        | ClusterSpecifier::InlineClusterSpecifierPlugin(_) => {
            context.unusable(at, "without a cluster the route leads nowhere");
            return None;
        }
    };
    let mut forward = router::Forward::to_cluster(cluster);
    forward = match ClusterNotFoundResponseCode::try_from(cluster_not_found_response_code) {
        Ok(ClusterNotFoundResponseCode::NotFound) => forward.cluster_not_found(StatusCode::NOT_FOUND),
        Ok(ClusterNotFoundResponseCode::InternalServerError) => {
            forward.cluster_not_found(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Ok(ClusterNotFoundResponseCode::ServiceUnavailable) | Err(_) => forward,
    };
    if let Some(timeout) = timeout {
        forward = forward.timeout(timeout);
    }
    if !prefix_rewrite.is_empty() {
        forward = forward.prefix_rewrite(prefix_rewrite);
    }
    match host_rewrite_specifier {
        Some(HostRewriteSpecifier::HostRewriteLiteral(host)) => {
            forward = forward.host_rewrite(router::HostRewrite::Literal(host));
        }
        // Refused by the check before this.
        Some(
            HostRewriteSpecifier::AutoHostRewrite(_)
            | HostRewriteSpecifier::HostRewriteHeader(_)
            | HostRewriteSpecifier::HostRewritePathRegex(_)
            | HostRewriteSpecifier::HostRewrite(_),
        )
        | None => {}
    }
    Some(forward)
}

fn redirect(message: RedirectAction) -> router::Redirect {
    let RedirectAction {
        host_redirect,
        port_redirect,
        response_code,
        strip_query,
        scheme_rewrite_specifier,
        path_rewrite_specifier,
    } = message;
    let mut redirect = router::Redirect::new().strip_query(strip_query);
    redirect = match scheme_rewrite_specifier {
        Some(SchemeRewriteSpecifier::HttpsRedirect(true)) => redirect.https(),
        Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) => redirect.scheme(scheme),
        Some(SchemeRewriteSpecifier::HttpsRedirect(false)) | None => redirect,
    };
    if !host_redirect.is_empty() {
        redirect = redirect.host(host_redirect);
    }
    if port_redirect != 0 {
        redirect = redirect.port(port_redirect);
    }
    redirect = match path_rewrite_specifier {
        Some(PathRewriteSpecifier::PathRedirect(path)) => redirect.path(router::PathRedirect::Full(path)),
        Some(PathRewriteSpecifier::PrefixRewrite(prefix)) => {
            redirect.path(router::PathRedirect::Prefix(prefix))
        }
        // Refused by the check before this.
        Some(PathRewriteSpecifier::RegexRewrite(_) | PathRewriteSpecifier::PathRewrite(_)) | None => redirect,
    };
    redirect.response_code(match RedirectResponseCode::try_from(response_code) {
        Ok(RedirectResponseCode::Found) => router::RedirectCode::Found,
        Ok(RedirectResponseCode::SeeOther) => router::RedirectCode::SeeOther,
        Ok(RedirectResponseCode::TemporaryRedirect) => router::RedirectCode::TemporaryRedirect,
        Ok(RedirectResponseCode::PermanentRedirect) => router::RedirectCode::PermanentRedirect,
        Ok(RedirectResponseCode::MovedPermanently) | Err(_) => router::RedirectCode::MovedPermanently,
    })
}

fn direct_response(
    context: &mut Context<'_>,
    at: &Path<'_>,
    message: DirectResponseAction,
) -> Option<router::DirectResponse> {
    let DirectResponseAction { status, body, body_format: _ } = message;
    let body = match body {
        Some(source) => data_source::read(context, &at.field("body"), source)?,
        None => Vec::new(),
    };
    // The validation rules have refused a status that is none.
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok())?;
    Some(router::DirectResponse::new(status).body(body))
}
