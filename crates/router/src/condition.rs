//! The conditions of a route besides the one on the path, made ready.

mod cookie;
mod grpc;
mod header;
mod metadata;
mod query_parameter;
mod tls;

use self::cookie::CompiledCookie;
pub use self::cookie::CookieMatcher;
use self::grpc::is_grpc;
use self::header::CompiledHeader;
pub use self::header::{HeaderMatchSpecifier, HeaderMatcher};
use self::metadata::CompiledMetadata;
pub use self::metadata::{DoubleMatcher, MetadataMatcher, ValueMatcher};
use self::query_parameter::CompiledQueryParameter;
pub use self::query_parameter::{QueryParameterMatchSpecifier, QueryParameterMatcher};
pub use self::tls::{PeerCertificate, TlsContextMatch};
use crate::{BuildErrorKind, FractionalPercent, RequestHead, RouteMatch};

/// All of them must hold. The cheap ones are looked at first; none has effects, so that the order is not seen.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    runtime_fraction: Option<FractionalPercent>,
    grpc: bool,
    tls_context: Option<TlsContextMatch>,
    headers: Box<[CompiledHeader]>,
    query_parameters: Box<[CompiledQueryParameter]>,
    cookies: Box<[CompiledCookie]>,
    dynamic_metadata: Box<[CompiledMetadata]>,
}

impl Conditions {
    /// The conditions of a match, `None` if it has none. What is wrong with them is reported.
    pub(crate) fn new(matcher: &RouteMatch, mut report: impl FnMut(BuildErrorKind)) -> Option<Box<Self>> {
        let RouteMatch {
            path: _,
            case_sensitive: _,
            runtime_fraction,
            headers,
            query_parameters,
            cookies,
            grpc,
            tls_context,
            dynamic_metadata,
        } = matcher;
        let plain = runtime_fraction.is_none() && !grpc && tls_context.is_none();
        let empty = headers.is_empty() && query_parameters.is_empty() && cookies.is_empty();
        if plain && empty && dynamic_metadata.is_empty() {
            return None;
        }
        Some(Box::new(Self {
            runtime_fraction: *runtime_fraction,
            grpc: *grpc,
            tls_context: *tls_context,
            headers: compiled("headers", headers, CompiledHeader::new, &mut report),
            query_parameters: compiled(
                "query_parameters",
                query_parameters,
                CompiledQueryParameter::new,
                &mut report,
            ),
            cookies: compiled("cookies", cookies, CompiledCookie::new, &mut report),
            dynamic_metadata: compiled(
                "dynamic_metadata",
                dynamic_metadata,
                CompiledMetadata::new,
                &mut report,
            ),
        }))
    }

    /// Whether the request meets them.
    pub(crate) fn hold(&self, head: &RequestHead<'_>, random: u64) -> bool {
        self.runtime_fraction.is_none_or(|fraction| fraction.includes(random))
            && self.tls_context.is_none_or(|tls| tls.matches(head.peer_certificate))
            && (!self.grpc || is_grpc(head.headers))
            && self.headers.iter().all(|header| header.matches(head))
            && self.query_parameters.iter().all(|parameter| parameter.matches(head.path))
            && self.cookies.iter().all(|cookie| cookie.matches(head.headers))
            && self.dynamic_metadata.iter().all(|metadata| metadata.matches(head.dynamic_metadata))
    }
}

/// Compiles the conditions of one kind; those that are not sound are left out and reported.
fn compiled<R, C>(
    field: &'static str,
    raw: &[R],
    compile: impl Fn(&R) -> Result<C, String>,
    report: &mut impl FnMut(BuildErrorKind),
) -> Box<[C]> {
    let compiled = raw.iter().enumerate().filter_map(|(at, raw)| {
        let bad = |reason| report(BuildErrorKind::BadCondition { field, index: at, reason });
        compile(raw).map_err(bad).ok()
    });
    compiled.collect()
}

#[cfg(test)]
mod tests;
