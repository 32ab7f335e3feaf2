//! TLS towards clients.

use nuncio_api::envoy::{
    config::core::v3::{TransportSocket, data_source::Specifier, transport_socket::ConfigType},
    extensions::transport_sockets::tls::v3::{
        CommonTlsContext, DownstreamTlsContext, TlsCertificate, TlsParameters, tls_parameters::TlsProtocol,
    },
};

use super::{Context, data_source, is};
use crate::{
    model::{self, DownstreamTls, Secret, TlsVersion},
    path::Path,
};

/// The transport socket of a filter chain: `None` for plain text.
pub(super) fn downstream(
    context: &mut Context<'_>,
    at: &Path<'_>,
    socket: TransportSocket,
) -> Option<DownstreamTls> {
    let TransportSocket { name: _, config_type } = socket;
    let at = at.field("typed_config");
    // Plain text needs nothing, and every other kind has been refused by the check before this.
    let Some(ConfigType::TypedConfig(any)) = config_type.filter(is_tls) else { return None };
    let DownstreamTlsContext {
        common_tls_context,
        require_client_certificate,
        require_sni,
        full_scan_certs_on_sni_mismatch,
        disable_stateful_session_resumption: _,
        session_timeout: _,
        ocsp_staple_policy: _,
        prefer_client_ciphers: _,
        session_ticket_keys_type: _,
    } = context.unpack(&any, &at)?;
    for (field, value) in [
        ("require_client_certificate", require_client_certificate),
        ("require_sni", require_sni),
        ("full_scan_certs_on_sni_mismatch", full_scan_certs_on_sni_mismatch),
    ] {
        if value == Some(true) {
            context.guard(&at.field(field), "is not supported");
        }
    }
    let place = context.place(&at);
    let at = at.field("common_tls_context");
    let CommonTlsContext {
        tls_params,
        tls_certificates,
        alpn_protocols,
        tls_certificate_sds_secret_configs: _,
        tls_certificate_provider_instance: _,
        custom_tls_certificate_selector: _,
        tls_certificate_certificate_provider: _,
        tls_certificate_certificate_provider_instance: _,
        custom_handshaker: _,
        key_log: _,
        validation_context_type: _,
    } = common_tls_context.unwrap_or_default();
    if tls_certificates.is_empty() {
        context.error(&at.field("tls_certificates"), "TLS towards clients needs at least one certificate");
    }
    let (minimum_version, maximum_version) = versions(context, &at.field("tls_params"), tls_params);
    let certificates_at = at.field("tls_certificates");
    let certificates = tls_certificates
        .into_iter()
        .enumerate()
        .filter_map(|(index, pair)| certificate(context, &certificates_at.index(index), pair))
        .collect();
    Some(DownstreamTls { certificates, alpn_protocols, minimum_version, maximum_version, place })
}

fn is_tls(config: &ConfigType) -> bool {
    matches!(config, ConfigType::TypedConfig(any) if is::<DownstreamTlsContext>(any))
}

fn versions(
    context: &mut Context<'_>,
    at: &Path<'_>,
    parameters: Option<TlsParameters>,
) -> (TlsVersion, Option<TlsVersion>) {
    let TlsParameters {
        tls_minimum_protocol_version,
        tls_maximum_protocol_version,
        cipher_suites: _,
        ecdh_curves: _,
        signature_algorithms: _,
        compliance_policies: _,
    } = parameters.unwrap_or_default();
    let minimum_at = at.field("tls_minimum_protocol_version");
    let minimum = version(context, &minimum_at, tls_minimum_protocol_version).unwrap_or_default();
    let maximum = version(context, &at.field("tls_maximum_protocol_version"), tls_maximum_protocol_version);
    if maximum.is_some_and(|maximum| maximum < minimum) {
        context.error(&minimum_at, "is above tls_maximum_protocol_version");
    }
    (minimum, maximum)
}

fn version(context: &mut Context<'_>, at: &Path<'_>, version: i32) -> Option<TlsVersion> {
    match TlsProtocol::try_from(version) {
        Ok(TlsProtocol::TlSv12) => Some(TlsVersion::Tls12),
        Ok(TlsProtocol::TlSv13) => Some(TlsVersion::Tls13),
        Ok(TlsProtocol::TlsAuto) | Err(_) => None,
        Ok(TlsProtocol::TlSv10 | TlsProtocol::TlSv11) => {
            context.unsupported(at, "TLS below version 1.2 is not supported");
            None
        }
    }
}

fn certificate(
    context: &mut Context<'_>,
    at: &Path<'_>,
    pair: TlsCertificate,
) -> Option<model::TlsCertificate> {
    let TlsCertificate {
        certificate_chain,
        private_key,
        pkcs12: _,
        watched_directory: _,
        private_key_provider: _,
        password: _,
        ocsp_staple: _,
        signed_certificate_timestamp: _,
        tls_params: _,
    } = pair;
    let chain_at = at.field("certificate_chain");
    let key_at = at.field("private_key");
    if certificate_chain.is_none() {
        context.error(&chain_at, "is required");
    }
    if private_key.is_none() {
        context.error(&key_at, "is required");
    }
    let certificate_path = certificate_chain.as_ref().and_then(|source| match &source.specifier {
        Some(Specifier::Filename(name)) => Some(name.clone()),
        _ => None,
    });
    let certificate_chain =
        certificate_chain.and_then(|source| data_source::read(context, &chain_at, source));
    let private_key = private_key.and_then(|source| data_source::read(context, &key_at, source));
    Some(model::TlsCertificate {
        certificate_chain: certificate_chain?,
        certificate_path,
        certificate_place: context.place(&chain_at),
        private_key: Secret::new(private_key?),
        private_key_place: context.place(&key_at),
    })
}
