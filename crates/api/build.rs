//! Generates the typed messages from the descriptor file, for the root messages below and what they refer to.
//!
//! Generating all 1,602 messages would cost a minute and a half of compile time on every clean build, so the roots
//! name what the loader lowers, and [`PRUNED`] cuts trees that no root needs in typed form. A field whose type is
//! pruned does not exist in the typed message; the loader works on descriptors and refuses it by name before.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use prost::Message as _;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

const ROOTS: &[&str] = &[
    "envoy.config.bootstrap.v3.Bootstrap",
    "envoy.extensions.access_loggers.file.v3.FileAccessLog",
    "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
    "envoy.extensions.filters.http.router.v3.Router",
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
    "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
    "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    // Not a configuration: the validation rules that stand on the fields of all others.
    "validate.FieldRules",
];

/// Messages left out with all that only they refer to: what is behind them is refused whole, by name.
const PRUNED: &[&str] = &[
    "envoy.config.bootstrap.v3.FatalAction",
    "envoy.config.core.v3.GrpcService",
    "envoy.config.core.v3.QuicProtocolOptions",
    "envoy.config.core.v3.UdpSocketConfig",
    "envoy.config.listener.v3.UdpListenerConfig",
    "envoy.config.overload.v3.OverloadManager",
    "envoy.config.route.v3.RateLimit.Action",
    "envoy.config.route.v3.RateLimit.Override",
    "envoy.config.trace.v3.Tracing",
    "envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes",
    "envoy.type.tracing.v3.CustomTag",
    "xds.type.matcher.v3.Matcher",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=envoy.bin");

    let mut set = FileDescriptorSet::decode(std::fs::read("envoy.bin")?.as_slice())?;
    let kept = reachable(&set);
    for root in ROOTS.iter().chain(PRUNED) {
        let known = set.file.iter().any(|file| {
            root.strip_prefix(file.package()).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| {
                let name = rest.split('.').next();
                file.message_type.iter().any(|message| Some(message.name()) == name)
            })
        });
        if !known {
            return Err(format!("envoy.bin has no message {root}").into());
        }
    }
    for file in &mut set.file {
        let package = format!(".{}", file.package());
        file.service.clear();
        file.extension.clear();
        prune(&package, &mut file.message_type, &kept);
        file.enum_type.retain(|it| kept.contains(&format!("{package}.{}", it.name())));
    }
    set.file.retain(|file| !file.message_type.is_empty() || !file.enum_type.is_empty());

    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    prost_build::Config::new()
        .out_dir(out)
        .include_file("envoy.rs")
        .enable_type_names()
        .type_name_domain(["."], "type.googleapis.com")
        // Some messages hold private keys. Without a generated `Debug`, none can be printed by accident.
        .skip_debug(["."])
        .compile_fds(set)?;
    Ok(())
}

/// The full names, with a leading dot, of every message and enum that a root refers to.
fn reachable(set: &FileDescriptorSet) -> HashSet<String> {
    let mut messages = HashMap::new();
    for file in &set.file {
        index(&format!(".{}", file.package()), &file.message_type, &mut messages);
    }
    let pruned: HashSet<String> = PRUNED.iter().map(|name| format!(".{name}")).collect();
    let mut kept = HashSet::new();
    let mut waiting: Vec<String> = ROOTS.iter().map(|name| format!(".{name}")).collect();
    while let Some(name) = waiting.pop() {
        if pruned.contains(&name) || !kept.insert(name.clone()) {
            continue;
        }
        if let Some(message) = messages.get(&name) {
            waiting.extend(message.field.iter().filter_map(|field| field.type_name.clone()));
        }
    }
    // A nested message lives inside its parents, so they are kept as well (empty of fields that were pruned).
    for name in kept.clone() {
        let mut parent = name.as_str();
        while let Some((outer, _)) = parent.rsplit_once('.') {
            parent = outer;
            if messages.contains_key(parent) {
                kept.insert(parent.to_owned());
            }
        }
    }
    kept
}

fn index<'a>(prefix: &str, from: &'a [DescriptorProto], into: &mut HashMap<String, &'a DescriptorProto>) {
    for message in from {
        let name = format!("{prefix}.{}", message.name());
        index(&name, &message.nested_type, into);
        into.insert(name, message);
    }
}

fn prune(prefix: &str, messages: &mut Vec<DescriptorProto>, kept: &HashSet<String>) {
    messages.retain(|message| kept.contains(&format!("{prefix}.{}", message.name())));
    for message in messages {
        let name = format!("{prefix}.{}", message.name());
        prune(&name, &mut message.nested_type, kept);
        message.enum_type.retain(|it| kept.contains(&format!("{name}.{}", it.name())));
        message.extension.clear();
        message.field.retain(|field| {
            !matches!(field.r#type(), Type::Message | Type::Enum)
                || field.type_name().starts_with(".google.protobuf.")
                || kept.contains(field.type_name())
        });
        drop_empty_oneofs(message);
        // The user is told about deprecated fields when a file sets them. Lowering has to name them all the same.
        for options in message.field.iter_mut().filter_map(|field| field.options.as_mut()) {
            options.deprecated = None;
        }
        for value in message.enum_type.iter_mut().flat_map(|it| &mut it.value) {
            value.options = None;
        }
    }
}

/// Fields refer to their oneof by its index, so a oneof without fields can only go when the others are counted again.
fn drop_empty_oneofs(message: &mut DescriptorProto) {
    let used: HashSet<i32> = message.field.iter().filter_map(|field| field.oneof_index).collect();
    let mut renumbered = HashMap::new();
    let mut index = 0;
    message.oneof_decl.retain(|_| {
        let keep = used.contains(&index);
        if keep {
            renumbered.insert(index, renumbered.len() as i32);
        }
        index += 1;
        keep
    });
    for field in &mut message.field {
        field.oneof_index = field.oneof_index.and_then(|index| renumbered.get(&index).copied());
    }
}
