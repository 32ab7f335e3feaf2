//! Requests that are sent on or answered as they are.

use std::time::Duration;

use http::StatusCode;

use super::redirect::request_url;
use crate::{RequestHead, RouteMatch};

/// Send the request to a cluster (`config.route.v3.RouteAction`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Forward {
    /// `cluster_specifier`: to which cluster.
    pub cluster: ClusterSpecifier,
    /// `timeout`: how long the whole response may take, from the end of the request. `None` is the default of 15
    /// seconds, zero is no limit; [`Forward::effective_timeout`] puts that together.
    pub timeout: Option<Duration>,
    /// `prefix_rewrite`: what takes the place of the matched prefix or of the whole matched path. Empty is none.
    pub prefix_rewrite: Option<String>,
    /// `host_rewrite_specifier`: which authority the upstream sees.
    pub host_rewrite: Option<HostRewrite>,
    /// `cluster_not_found_response_code`: the status where there is no such cluster, 503 by default.
    pub cluster_not_found: StatusCode,
}

impl Forward {
    /// The timeout of a route that sets none.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);

    /// To the cluster of this name, with Envoy's defaults.
    #[must_use]
    pub fn to_cluster(name: impl Into<String>) -> Self {
        Self {
            cluster: ClusterSpecifier::Name(name.into()),
            timeout: None,
            prefix_rewrite: None,
            host_rewrite: None,
            cluster_not_found: StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Sets the timeout; zero is no limit.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Sets what takes the place of the matched part of the path.
    #[must_use]
    pub fn prefix_rewrite(self, rewrite: impl Into<String>) -> Self {
        Self { prefix_rewrite: Some(rewrite.into()), ..self }
    }

    /// Sets which authority the upstream sees.
    #[must_use]
    pub fn host_rewrite(self, rewrite: HostRewrite) -> Self {
        Self { host_rewrite: Some(rewrite), ..self }
    }

    /// Sets the status of the reply where there is no such cluster.
    #[must_use]
    pub fn cluster_not_found(self, status: StatusCode) -> Self {
        Self { cluster_not_found: status, ..self }
    }

    /// The timeout that holds, or `None` for no limit.
    #[must_use]
    pub fn effective_timeout(&self) -> Option<Duration> {
        let timeout = self.timeout.unwrap_or(Self::DEFAULT_TIMEOUT);
        (!timeout.is_zero()).then_some(timeout)
    }

    /// The path that the upstream sees, or `None` if it sees the one that was asked for.
    ///
    /// `matched` is the match of the route that this action belongs to, `path` the request's path with its query,
    /// which stays. As in Envoy the replacement is literal: `/a` to `/` makes `//b` of `/a/b`. A replacement by the
    /// same text is a rewrite too (Envoy then sets `x-envoy-original-path`).
    #[must_use]
    pub fn rewritten_path(&self, matched: &RouteMatch, path: &str) -> Option<String> {
        let rewrite = self.prefix_rewrite.as_deref().filter(|rewrite| !rewrite.is_empty())?;
        matched.replace_matched(path, rewrite)
    }

    /// The authority that the upstream sees, or `None` if it sees the one that was asked for.
    #[must_use]
    pub fn rewritten_host(&self) -> Option<&str> {
        match self.host_rewrite.as_ref()? {
            HostRewrite::Literal(host) => Some(host.as_str()).filter(|host| !host.is_empty()),
        }
    }
}

/// To which cluster a request goes (`RouteAction.cluster_specifier`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterSpecifier {
    /// `cluster`: the cluster of this name.
    Name(String),
}

/// Which authority the upstream sees (`RouteAction.host_rewrite_specifier`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostRewrite {
    /// `host_rewrite_literal`: this one. Empty is none.
    Literal(String),
}

/// Answer without asking anybody (`config.route.v3.DirectResponseAction`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectResponse {
    /// `status`: 200 to 599.
    pub status: StatusCode,
    /// `body`: at most `max_direct_response_body_size_bytes`, 4096 by default.
    pub body: Vec<u8>,
}

impl DirectResponse {
    /// An answer with this status and no body.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self { status, body: Vec::new() }
    }

    /// The same answer with a body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The `location` header of the answer: as in Envoy a direct response with status 201 or 3xx names the URL that
    /// was asked for.
    #[must_use]
    pub fn location(&self, head: &RequestHead<'_>) -> Option<String> {
        (self.status == StatusCode::CREATED || self.status.is_redirection()).then(|| request_url(head))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;

    #[test]
    fn timeouts() {
        fn check(forward: &Forward, expected: Option<Duration>) {
            assert_eq!(forward.effective_timeout(), expected);
        }
        let forward = Forward::to_cluster("c");
        check(&forward, Some(Duration::from_secs(15)));
        check(&forward.clone().timeout(Duration::from_millis(250)), Some(Duration::from_millis(250)));
        check(&forward.timeout(Duration::ZERO), None);
    }

    // Expectations from Envoy 1.40.
    #[test]
    fn prefix_rewrites() {
        fn check(matched: &RouteMatch, rewrite: &str, path: &str, expected: Option<&str>) {
            let forward = Forward::to_cluster("c").prefix_rewrite(rewrite);
            assert_eq!(forward.rewritten_path(matched, path).as_deref(), expected, "{matched:?} {rewrite}");
        }
        let prefix = RouteMatch::prefix("/a");
        check(&prefix, "/", "/a", Some("/"));
        check(&prefix, "/", "/a/b", Some("//b"));
        check(&prefix, "/", "/ab?x", Some("/b?x"));
        check(&prefix, "/", "/a?z", Some("/?z"));
        check(&prefix, "/new", "/a/b?q", Some("/new/b?q"));
        check(&prefix, "/a", "/a/b", Some("/a/b"));
        check(&prefix, "", "/a/b", None);
        check(&RouteMatch::prefix("/A").case_sensitive(false), "/n", "/ab?x", Some("/nb?x"));
        check(&RouteMatch::prefix(""), "/pre", "/a", Some("/pre/a"));
        check(&RouteMatch::path("/a/b"), "/x?y=1", "/a/b", Some("/x?y=1"));
        check(&RouteMatch::path("/a/b"), "/x", "/a/b?q", Some("/x?q"));
        check(&RouteMatch::path("/a/b"), "/x", "/a", None);
        assert_eq!(Forward::to_cluster("c").rewritten_path(&prefix, "/a"), None);
    }

    #[test]
    fn host_rewrites() {
        fn check(forward: &Forward, expected: Option<&str>) {
            assert_eq!(forward.rewritten_host(), expected);
        }
        let forward = Forward::to_cluster("c");
        check(&forward, None);
        check(&forward.clone().host_rewrite(HostRewrite::Literal("h.example".into())), Some("h.example"));
        check(&forward.host_rewrite(HostRewrite::Literal(String::new())), None);
    }

    // Expectations from Envoy 1.40.
    #[test]
    fn locations_of_direct_responses() {
        fn check(status: u16, expected: Option<&str>) {
            let (method, headers) = (Method::GET, HeaderMap::new());
            let head = RequestHead::new(&method, "h:80", "/a/b?q", &headers);
            let response = DirectResponse::new(StatusCode::from_u16(status).unwrap());
            assert_eq!(response.location(&head).as_deref(), expected, "{status}");
        }
        check(200, None);
        check(201, Some("http://h:80/a/b?q"));
        check(204, None);
        check(302, Some("http://h:80/a/b?q"));
        check(399, Some("http://h:80/a/b?q"));
        check(404, None);
    }
}
