//! TLS in both directions, as far as it can be judged without cryptography.

use prost_reflect::DynamicMessage;

use super::{Check, Scope, fields::Fields as _, format};
use crate::path::Path;

pub(super) fn of_message(full_name: &str) -> Option<Check> {
    Some(match full_name {
        "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext" => validation,
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext" => downstream,
        "envoy.extensions.transport_sockets.tls.v3.TlsKeyLog" => key_log,
        "envoy.extensions.transport_sockets.tls.v3.TlsSessionTicketKeys" => ticket_keys,
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext" => upstream,
        _ => return None,
    })
}

fn validation(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    let authority = ["trusted_ca", "ca_certificate_provider_instance", "system_root_certs"];
    let trusted = authority.iter().any(|field| message.has(field));
    for field in ["match_typed_subject_alt_names", "match_subject_alt_names", "allow_expired_certificate"] {
        if !trusted && message.has(field) {
            scope
                .error(&path.field(field), "has no meaning without \"trusted_ca\": any certificate would do");
        }
    }
    if let Some(source) = message.message("trusted_ca") {
        let text = source.text("inline_string");
        if !text.is_empty() && !text.contains("CERTIFICATE-----") {
            let at = path.field("trusted_ca");
            scope.error(&at.field("inline_string"), "no certificate in it; it must be PEM");
        }
    }
    let at = path.field("verify_certificate_hash");
    for (index, hash) in message.texts("verify_certificate_hash").enumerate() {
        let digits: String = hash.chars().filter(|letter| *letter != ':').collect();
        let fits = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        // A rule of the API says that one is too short.
        if hash.len() >= 64 && !fits {
            scope.error(
                &at.index(index),
                "must be a SHA-256 in 64 hexadecimal digits, with or without colons",
            );
        }
    }
}

fn downstream(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    const MUST_STAPLE: i128 = 2;
    let Some(common) = message.message("common_tls_context") else { return };
    let at = path.field("common_tls_context");
    if common.has("tls_certificates") && common.has("tls_certificate_sds_secret_configs") {
        let error = "cannot be set together with \"tls_certificates\"; use one of them";
        scope.error(&at.field("tls_certificate_sds_secret_configs"), error);
    }
    if message.number("ocsp_staple_policy") == Some(MUST_STAPLE) {
        let at = at.field("tls_certificates");
        for (index, certificate) in common.messages("tls_certificates").enumerate() {
            if !certificate.has("ocsp_staple") {
                let error = "is required with the ocsp_staple_policy MUST_STAPLE";
                scope.error(&at.index(index).field("ocsp_staple"), error);
            }
        }
    }
}

fn upstream(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    if message.text("sni").contains('\0') {
        scope.error(&path.field("sni"), "has a NUL, which no name has");
    }
    let common = message.message("common_tls_context");
    let count = common.map_or(0, |common| common.items("tls_certificates").len());
    if count > 1 {
        let at = path.field("common_tls_context");
        let error = format!("must have at most 1 element but has {count}: a client shows one certificate");
        scope.error(&at.field("tls_certificates"), error);
    }
    let validates = common.is_some_and(|common| {
        ["validation_context", "validation_context_sds_secret_config", "combined_validation_context"]
            .iter()
            .any(|field| common.has(field))
    });
    if message.flag("auto_sni_san_validation") && !validates {
        let error = "has no meaning without a validation context: any certificate would do";
        scope.error(&path.field("auto_sni_san_validation"), error);
    }
}

fn key_log(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    format::openable(scope, message.text("path"), &path.field("path"));
}

fn ticket_keys(scope: &mut Scope<'_>, message: &DynamicMessage, path: &Path<'_>) {
    const LENGTH: usize = 80;
    let at = path.field("keys");
    for (index, source) in message.messages("keys").enumerate() {
        let text = source.text("inline_string");
        if !text.is_empty() && text.len() != LENGTH {
            let error = format!("must be {LENGTH} bytes long but has {}", text.len());
            scope.error(&at.index(index).field("inline_string"), error);
        }
    }
}
