//! `ssl_context` of listeners and of clusters.

use super::{
    fields::{Fields, extension, list, text},
    reader::{Object, Upgrade},
    schema::{Key, Schema, boolean, texts, word},
};
use crate::tree::Node;

const CERT_CHAIN: Key = word("cert_chain_file");
const PRIVATE_KEY: Key = word("private_key_file");

pub(super) const DOWNSTREAM: Schema = Schema::new(
    "a v1 TLS context of a listener",
    &[
        CERT_CHAIN.required(),
        PRIVATE_KEY.required(),
        word("alpn_protocols"),
        word("alt_alpn_protocols"),
        word("ca_cert_file"),
        boolean("require_client_certificate"),
        word("verify_certificate_hash"),
        texts("verify_subject_alt_name"),
        word("cipher_suites"),
        word("ecdh_curves"),
        word("crl_file"),
        texts("session_ticket_key_paths"),
    ],
);

pub(super) const UPSTREAM: Schema = Schema::new(
    "a v1 TLS context of a cluster",
    &[
        CERT_CHAIN,
        PRIVATE_KEY,
        word("alpn_protocols"),
        word("ca_cert_file"),
        word("verify_certificate_hash"),
        texts("verify_subject_alt_name"),
        word("cipher_suites"),
        word("ecdh_curves"),
        word("sni"),
    ],
);

const SOCKET: &str = "envoy.transport_sockets.tls";

/// The transport socket of a filter chain.
pub(super) fn downstream<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Node<'t> {
    if object.is_written("alt_alpn_protocols") {
        let mark = object.mark_of("alt_alpn_protocols");
        let message = "is left out: v3 has no second list of protocols for the runtime to switch to";
        up.lossy(mark, &object.path.field("alt_alpn_protocols"), message);
    }
    let context =
        Fields::of_type(object.mark, "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext");
    let mut context = context
        .with("common_tls_context", common(up, object))
        .with("require_client_certificate", object.copied("require_client_certificate"));
    let keys: Vec<_> = object
        .texts("session_ticket_key_paths")
        .into_iter()
        .map(|(mark, path)| Fields::at(mark).with("filename", text(mark, path.to_owned())).node())
        .collect();
    if !keys.is_empty() {
        let mark = object.mark_of("session_ticket_key_paths");
        context.set("session_ticket_keys", Fields::at(mark).with("keys", list(mark, keys)).node());
    }
    extension(SOCKET, context).node()
}

/// The transport socket of a cluster.
pub(super) fn upstream<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Node<'t> {
    let context =
        Fields::of_type(object.mark, "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext");
    let context = context.with("common_tls_context", common(up, object)).with("sni", object.copied("sni"));
    extension(SOCKET, context).node()
}

fn common<'t>(up: &mut Upgrade<'_, 't>, object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let mut common = Fields::at(object.mark);
    let mut params = Fields::at(object.mark);
    params.set("cipher_suites", split(object, "cipher_suites", ':'));
    params.set("ecdh_curves", split(object, "ecdh_curves", ':'));
    common.set("tls_params", params.node_if_any());
    for (key, other) in [("cert_chain_file", "private_key_file"), ("private_key_file", "cert_chain_file")] {
        // In a listener both are required, and the reader says so.
        if object.is_written(key) && !object.is_written(other) && !object.is_required(other) {
            let message = format!("{key:?} needs {other:?}");
            up.semantic(object.mark_of(key), &object.path.field(key), message);
        }
    }
    let mut certificate = Fields::at(object.mark_of("cert_chain_file"));
    certificate.set("certificate_chain", file(object, "cert_chain_file"));
    certificate.set("private_key", file(object, "private_key_file"));
    if let Some(certificate) = certificate.node_if_any() {
        common.set("tls_certificates", list(certificate.mark, vec![certificate]));
    }
    common.set("alpn_protocols", split(object, "alpn_protocols", ','));
    common.set("validation_context", validation(object));
    common.node_if_any()
}

fn validation<'t>(object: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let mut validation = Fields::at(object.mark);
    validation.set("trusted_ca", file(object, "ca_cert_file"));
    validation.set("crl", file(object, "crl_file"));
    if let Some(hash) = object.copied("verify_certificate_hash") {
        validation.set("verify_certificate_hash", list(hash.mark, vec![hash]));
    }
    let mut names = Vec::new();
    for (mark, name) in object.texts("verify_subject_alt_name") {
        // v1 looked among the DNS names and the URIs of a certificate.
        for sort in ["DNS", "URI"] {
            let matcher = Fields::at(mark).with("exact", text(mark, name.to_owned()));
            names.push(
                Fields::at(mark).with("san_type", text(mark, sort)).with("matcher", matcher.node()).node(),
            );
        }
    }
    if !names.is_empty() {
        let mark = object.mark_of("verify_subject_alt_name");
        validation.set("match_typed_subject_alt_names", list(mark, names));
    }
    validation.node_if_any()
}

fn file<'t>(object: &Object<'_, '_, 't>, key: &str) -> Option<Node<'t>> {
    let name = object.copied(key)?;
    Some(Fields::at(name.mark).with("filename", name).node())
}

/// The parts of a string as a list. A group of ciphers, `[A|B]`, has no separator inside.
fn split<'t>(object: &Object<'_, '_, 't>, key: &str, separator: char) -> Option<Node<'t>> {
    let mark = object.mark_of(key);
    let parts = object.text(key)?.split(separator).map(str::trim).filter(|part| !part.is_empty());
    Some(list(mark, parts.map(|part| text(mark, part.to_owned())).collect()))
}
