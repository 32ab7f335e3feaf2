//! Redirects, and the `location` that they send the client to.

use http::StatusCode;

use crate::{RequestHead, RouteMatch};

/// Send the client elsewhere (`config.route.v3.RedirectAction`). What is not set is taken from the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// `scheme_redirect`, or `https` for `https_redirect`. Empty is none.
    pub scheme: Option<String>,
    /// `host_redirect`. Empty is none.
    pub host: Option<String>,
    /// `port_redirect`. Zero is none.
    pub port: Option<u32>,
    /// `path_rewrite_specifier`.
    pub path: Option<PathRedirect>,
    /// `response_code`.
    pub response_code: RedirectCode,
    /// `strip_query`: drop the request's query.
    pub strip_query: bool,
}

impl Redirect {
    /// A redirect to the URL that was asked for, with status 301: set at least one part of it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the scheme to `https`.
    #[must_use]
    pub fn https(self) -> Self {
        self.scheme("https")
    }

    /// Sets the scheme.
    #[must_use]
    pub fn scheme(self, scheme: impl Into<String>) -> Self {
        Self { scheme: Some(scheme.into()), ..self }
    }

    /// Sets the host.
    #[must_use]
    pub fn host(self, host: impl Into<String>) -> Self {
        Self { host: Some(host.into()), ..self }
    }

    /// Sets the port.
    #[must_use]
    pub fn port(self, port: u32) -> Self {
        Self { port: Some(port), ..self }
    }

    /// Sets what becomes of the path.
    #[must_use]
    pub fn path(self, path: PathRedirect) -> Self {
        Self { path: Some(path), ..self }
    }

    /// Sets the status of the answer.
    #[must_use]
    pub fn response_code(self, response_code: RedirectCode) -> Self {
        Self { response_code, ..self }
    }

    /// Sets whether the request's query is dropped.
    #[must_use]
    pub fn strip_query(self, strip_query: bool) -> Self {
        Self { strip_query, ..self }
    }

    /// The value of the `location` header, letter by letter as Envoy makes it.
    ///
    /// `matched` is the match of the route that this action belongs to. The header `x-forwarded-proto` of the
    /// request, which Envoy's connection manager sets, decides whether the port of the request's authority is the
    /// default one that a change of scheme drops.
    #[must_use]
    pub fn location(&self, head: &RequestHead<'_>, matched: &RouteMatch) -> String {
        let scheme = self.scheme.as_deref().filter(|scheme| !scheme.is_empty()).unwrap_or(head.scheme);
        let port = self.port.filter(|port| *port != 0);
        let host = match self.host.as_deref().filter(|host| !host.is_empty()) {
            Some(host) => host,
            None => kept_authority(head, scheme, port.is_some()),
        };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let path = self.new_path(head.path, matched);
        let slash = if path.starts_with('/') { "" } else { "/" };
        format!("{scheme}://{host}{port}{slash}{path}")
    }

    fn new_path(&self, path: &str, matched: &RouteMatch) -> String {
        let mut new_path = match &self.path {
            // A query in the new path takes the place of the request's, and is kept even by `strip_query`.
            Some(PathRedirect::Full(full)) if full.contains('?') => return full.clone(),
            Some(PathRedirect::Full(full)) if !full.is_empty() => {
                let query = path.find('?').and_then(|at| path.get(at..)).unwrap_or_default();
                format!("{full}{query}")
            }
            Some(PathRedirect::Prefix(prefix)) if !prefix.is_empty() => {
                matched.replace_matched(path, prefix).unwrap_or_else(|| path.to_owned())
            }
            Some(PathRedirect::Full(_) | PathRedirect::Prefix(_)) | None => path.to_owned(),
        };
        if self.strip_query {
            new_path.truncate(new_path.find('?').unwrap_or(new_path.len()));
        }
        new_path
    }
}

/// What becomes of the path (`RedirectAction.path_rewrite_specifier`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathRedirect {
    /// `path_redirect`: the whole path is replaced. Without a query of its own it keeps the request's. Empty is none.
    Full(String),
    /// `prefix_rewrite`: the part that the route matched is replaced. Empty is none.
    Prefix(String),
}

/// The status of a redirect (`RedirectAction.RedirectResponseCode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedirectCode {
    /// 301.
    #[default]
    MovedPermanently,
    /// 302.
    Found,
    /// 303.
    SeeOther,
    /// 307.
    TemporaryRedirect,
    /// 308.
    PermanentRedirect,
}

impl RedirectCode {
    /// As a status code.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::MovedPermanently => StatusCode::MOVED_PERMANENTLY,
            Self::Found => StatusCode::FOUND,
            Self::SeeOther => StatusCode::SEE_OTHER,
            Self::TemporaryRedirect => StatusCode::TEMPORARY_REDIRECT,
            Self::PermanentRedirect => StatusCode::PERMANENT_REDIRECT,
        }
    }
}

/// The URL that was asked for.
pub(super) fn request_url(head: &RequestHead<'_>) -> String {
    let slash = if head.path.starts_with('/') { "" } else { "/" };
    format!("{}://{}{slash}{}", head.scheme, head.authority, head.path)
}

/// The request's authority, without its port where the redirect brings a port or leaves the port's scheme.
fn kept_authority<'a>(head: &RequestHead<'a>, new_scheme: &str, new_port: bool) -> &'a str {
    let authority = head.authority;
    let port_start = if authority.starts_with('[') {
        authority.rfind("]:").map(|at| at + 1)
    } else {
        authority.rfind(':')
    };
    let Some((host, port)) = port_start.and_then(|at| authority.split_at_checked(at)) else {
        return authority;
    };
    let forwarded = head.headers.get("x-forwarded-proto").map_or(&b""[..], |value| value.as_bytes());
    let is_default_port =
        (forwarded == b"http" && port == ":80") || (forwarded == b"https" && port == ":443");
    if new_port || (is_default_port && new_scheme.as_bytes() != forwarded) { host } else { authority }
}

#[cfg(test)]
mod tests;
