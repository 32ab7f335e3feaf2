//! Which name servers are asked.

use nuncio_api::envoy::{
    config::core::v3::{Address, DnsResolutionConfig, DnsResolverOptions, TypedExtensionConfig},
    extensions::network::dns_resolver::cares::v3::CaresDnsResolverConfig,
};

use super::{Context, address, is};
use crate::{
    model::DnsResolver,
    path::Path,
    support::{self, Support},
};

/// The three ways to say it, which the bootstrap and clusters share; the first that is given wins, as in Envoy.
pub(super) struct Fields {
    pub(super) typed: Option<TypedExtensionConfig>,
    pub(super) resolution: Option<DnsResolutionConfig>,
    pub(super) use_tcp: bool,
}

/// The resolver, or `None` if nothing is said.
pub(super) fn resolver(context: &mut Context<'_>, at: &Path<'_>, fields: Fields) -> Option<DnsResolver> {
    let Fields { typed, resolution, use_tcp } = fields;
    if let Some(TypedExtensionConfig { name: _, typed_config }) = typed {
        let at = at.field("typed_dns_resolver_config");
        let at = at.field("typed_config");
        let any = typed_config.unwrap_or_default();
        if !is::<CaresDnsResolverConfig>(&any) {
            // Without any type there is nothing to go by; a type that is not known here has been refused.
            if any.type_url.is_empty() {
                context.error(&at, "\"@type\" is missing");
            }
            let name = any.type_url.rsplit('/').next().unwrap_or_default();
            if support::of_extension(name) == Support::Honoured {
                context.unsupported(&at, format!("{name} is no DNS resolver"));
            }
            return None;
        }
        let CaresDnsResolverConfig {
            resolvers,
            dns_resolver_options,
            use_resolvers_as_fallback: _,
            filter_unroutable_families: _,
            udp_max_queries: _,
            query_timeout_seconds: _,
            query_tries: _,
            rotate_nameservers: _,
            edns0_max_payload_size: _,
            max_udp_channel_duration: _,
            reinit_channel_on_timeout: _,
            qcache_max_ttl: _,
        } = context.unpack(&any, &at)?;
        return Some(lower(context, &at.field("resolvers"), resolvers, dns_resolver_options));
    }
    if let Some(DnsResolutionConfig { resolvers, dns_resolver_options }) = resolution {
        let at = at.field("dns_resolution_config");
        return Some(lower(context, &at.field("resolvers"), resolvers, dns_resolver_options));
    }
    use_tcp.then(|| DnsResolver { use_tcp, ..DnsResolver::default() })
}

fn lower(
    context: &mut Context<'_>,
    at: &Path<'_>,
    resolvers: Vec<Address>,
    options: Option<DnsResolverOptions>,
) -> DnsResolver {
    let DnsResolverOptions { use_tcp_for_dns_lookups, no_default_search_domain } =
        options.unwrap_or_default();
    let servers = resolvers
        .into_iter()
        .enumerate()
        .filter_map(|(index, server)| address::literal(context, &at.index(index), server))
        .collect();
    DnsResolver { servers, use_tcp: use_tcp_for_dns_lookups, no_default_search_domain }
}
