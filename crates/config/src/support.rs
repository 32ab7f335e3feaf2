//! Which fields of Envoy's API are honoured. A field that does not stand in these tables is not supported, and a
//! configuration that sets it is refused: nothing is silently ignored.

mod cluster;
pub(crate) mod defaults;
mod http;
mod listener;
mod server;
pub(crate) mod values;

/// What becomes of a field or of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does what it does in Envoy.
    Honoured,
    /// It is accepted and does nothing, for the reason given. Only for fields that change nothing for clients and
    /// upstreams.
    NoEffect(&'static str),
    /// It is refused, unless the user allows unsupported fields.
    Unsupported,
    /// It is refused always: leaving it out would weaken security.
    Guard,
}

impl Support {
    /// Whether it is refused, by default or always.
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Unsupported | Self::Guard)
    }
}

/// The fields of one message that are not plainly unsupported.
struct Entry {
    message: &'static str,
    groups: &'static [Group],
}

struct Group {
    support: Support,
    fields: &'static [&'static str],
}

const fn message(message: &'static str, groups: &'static [Group]) -> Entry {
    Entry { message, groups }
}

const fn honoured(fields: &'static [&'static str]) -> Group {
    Group { support: Support::Honoured, fields }
}

const fn no_effect(reason: &'static str, fields: &'static [&'static str]) -> Group {
    Group { support: Support::NoEffect(reason), fields }
}

const fn guards(fields: &'static [&'static str]) -> Group {
    Group { support: Support::Guard, fields }
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    [server::ENTRIES, listener::ENTRIES, http::ENTRIES, cluster::ENTRIES].into_iter().flatten()
}

/// The full names of the messages whose fields stand in the tables.
pub(crate) fn messages() -> impl Iterator<Item = &'static str> {
    entries().map(|entry| entry.message)
}

/// The full names of the extensions that are honoured and can stand in the field with the full name `field`.
pub(crate) fn extensions_in(field: &str) -> Vec<&'static str> {
    let kind_of = |extension: &str| KINDS.iter().find(|(_, prefix)| extension.starts_with(prefix));
    let fits = |extension: &&&str| match KINDS.iter().find(|(holder, _)| *holder == field) {
        Some((_, prefix)) => extension.starts_with(prefix),
        None => kind_of(extension).is_none(),
    };
    EXTENSIONS.iter().filter(fits).copied().collect()
}

/// Which fields hold which extensions, by the start of their names. All others can stand in a `TypedExtensionConfig`.
const KINDS: &[(&str, &str)] = &[
    ("envoy.config.accesslog.v3.AccessLog.typed_config", "envoy.extensions.access_loggers."),
    ("envoy.config.cluster.v3.Cluster.typed_extension_protocol_options", "envoy.extensions.upstreams."),
    ("envoy.config.core.v3.TransportSocket.typed_config", "envoy.extensions.transport_sockets."),
    ("envoy.config.listener.v3.Filter.typed_config", "envoy.extensions.filters.network."),
    ("envoy.config.listener.v3.ListenerFilter.typed_config", "envoy.extensions.filters.listener."),
    (
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter.typed_config",
        "envoy.extensions.filters.http.",
    ),
];

/// What becomes of the field `field` of the message with the full name `message`.
pub fn of_field(message: &str, field: &str) -> Support {
    entries()
        .find(|entry| entry.message == message)
        .and_then(|entry| entry.groups.iter().find(|group| group.fields.contains(&field)))
        .map_or(Support::Unsupported, |group| group.support)
}

/// What becomes of an extension whose configuration is a message with the full name `message`.
pub fn of_extension(message: &str) -> Support {
    if EXTENSIONS.contains(&message) {
        Support::Honoured
    } else if GUARDING_EXTENSIONS.iter().any(|prefix| message.starts_with(prefix)) {
        Support::Guard
    } else {
        Support::Unsupported
    }
}

const EXTENSIONS: &[&str] = &[
    "envoy.extensions.access_loggers.file.v3.FileAccessLog",
    "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
    "envoy.extensions.filters.http.router.v3.Router",
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
    "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
    "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
];

/// Extensions that decide who gets in, or encrypt: never left out.
const GUARDING_EXTENSIONS: &[&str] = &[
    "envoy.extensions.filters.http.api_key_auth.",
    "envoy.extensions.filters.http.basic_auth.",
    "envoy.extensions.filters.http.csrf.",
    "envoy.extensions.filters.http.ext_authz.",
    "envoy.extensions.filters.http.header_mutation.",
    "envoy.extensions.filters.http.header_to_metadata.",
    "envoy.extensions.filters.http.jwt_authn.",
    "envoy.extensions.filters.http.lua.",
    "envoy.extensions.filters.http.oauth2.",
    "envoy.extensions.filters.http.ratelimit.",
    "envoy.extensions.filters.http.local_ratelimit.",
    "envoy.extensions.filters.http.rbac.",
    "envoy.extensions.filters.http.wasm.",
    "envoy.extensions.filters.http.ext_proc.",
    "envoy.extensions.filters.listener.",
    "envoy.extensions.filters.network.ext_authz.",
    "envoy.extensions.filters.network.rbac.",
    "envoy.extensions.transport_sockets.",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_tables_is_in_the_api() {
        for entry in entries() {
            let descriptor =
                nuncio_api::descriptors().get_message_by_name(entry.message).expect(entry.message);
            for field in entry.groups.iter().flat_map(|group| group.fields) {
                assert!(descriptor.get_field_by_name(field).is_some(), "{}.{field}", entry.message);
            }
        }
        for extension in EXTENSIONS {
            assert!(nuncio_api::descriptors().get_message_by_name(extension).is_some(), "{extension}");
        }
    }

    #[test]
    fn every_guard_prefix_covers_a_message() {
        for prefix in GUARDING_EXTENSIONS {
            let pool = nuncio_api::descriptors();
            let mut messages = pool.all_messages();
            assert!(messages.any(|message| message.full_name().starts_with(prefix)), "{prefix}");
        }
    }

    #[test]
    fn every_field_that_holds_extensions_is_in_the_api() {
        for (field, prefix) in KINDS {
            let (message, field) = field.rsplit_once('.').unwrap();
            let descriptor = nuncio_api::descriptors().get_message_by_name(message).expect(message);
            assert!(descriptor.get_field_by_name(field).is_some(), "{message}.{field}");
            let pool = nuncio_api::descriptors();
            assert!(pool.all_messages().any(|message| message.full_name().starts_with(prefix)), "{prefix}");
        }
    }

    #[test]
    fn no_message_stands_twice_in_the_tables() {
        let mut names: Vec<_> = entries().map(|entry| entry.message).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
