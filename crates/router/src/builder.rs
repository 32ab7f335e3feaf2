//! Building a table: everything that cannot be honoured is refused here, all of it at once.

use std::fmt;

use crate::domains::{Domains, Taken};
use crate::index::RouteIndex;
use crate::{Action, ClusterSpecifier, HostRewrite, PathMatch, PathRedirect, Route, RouteTable, VirtualHost};

/// Collects virtual hosts and compiles them (`config.route.v3.RouteConfiguration`).
#[derive(Clone, Debug)]
pub struct RouteTableBuilder {
    virtual_hosts: Vec<VirtualHost>,
    ignore_port_in_host_matching: bool,
    max_direct_response_body_size: usize,
}

impl Default for RouteTableBuilder {
    fn default() -> Self {
        Self {
            virtual_hosts: Vec::new(),
            ignore_port_in_host_matching: false,
            max_direct_response_body_size: 4096,
        }
    }
}

impl RouteTableBuilder {
    /// Adds a virtual host.
    #[must_use]
    pub fn virtual_host(mut self, virtual_host: VirtualHost) -> Self {
        self.virtual_hosts.push(virtual_host);
        self
    }

    /// Adds virtual hosts.
    #[must_use]
    pub fn with_virtual_hosts(mut self, virtual_hosts: impl IntoIterator<Item = VirtualHost>) -> Self {
        self.virtual_hosts.extend(virtual_hosts);
        self
    }

    /// `ignore_port_in_host_matching`: compare the authority with the domains without its port. False by default:
    /// a domain then serves a port only if it names it or has a wildcard there. A domain that names a port is never
    /// found if this is true.
    #[must_use]
    pub fn ignore_port_in_host_matching(self, ignore: bool) -> Self {
        Self { ignore_port_in_host_matching: ignore, ..self }
    }

    /// `max_direct_response_body_size_bytes`: 4096 by default. Zero is no limit, as in Envoy.
    #[must_use]
    pub fn max_direct_response_body_size(self, bytes: usize) -> Self {
        Self { max_direct_response_body_size: bytes, ..self }
    }

    /// Compiles the table.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of the virtual hosts.
    pub fn build(self) -> Result<RouteTable, BuildErrors> {
        let mut errors = Vec::new();
        let mut indexes = Vec::with_capacity(self.virtual_hosts.len());
        let (domains, taken) = Domains::new(&self.virtual_hosts, self.ignore_port_in_host_matching);
        // They come in the order of the virtual hosts.
        let mut taken = taken.into_iter().peekable();
        for (at, virtual_host) in self.virtual_hosts.iter().enumerate() {
            let mut report = |place, kind| errors.push(BuildError { virtual_host: at, place, kind });
            if virtual_host.name().is_empty() {
                report(Place::VirtualHost, BuildErrorKind::NoName);
            }
            if virtual_host.domains().is_empty() {
                report(Place::VirtualHost, BuildErrorKind::NoDomains);
            }
            for (domain_at, domain) in virtual_host.domains().iter().enumerate() {
                if !is_header_value(domain) {
                    report(Place::Domain(domain_at), BuildErrorKind::ControlCharacter { field: "domains" });
                }
            }
            while let Some(taken) = taken.next_if(|taken| taken.virtual_host == at) {
                report(Place::Domain(taken.domain), duplicate(&self.virtual_hosts, taken));
            }
            for (route_at, route) in virtual_host.routes().iter().enumerate() {
                self.check_route(route, |kind| report(Place::Route(route_at), kind));
            }
            let index = RouteIndex::new(virtual_host.routes(), |at, kind| report(Place::Route(at), kind));
            indexes.push(index);
        }
        if text_length(&self.virtual_hosts) >= u32::MAX as usize {
            errors.push(BuildError {
                virtual_host: 0,
                place: Place::VirtualHost,
                kind: BuildErrorKind::TooLarge,
            });
        }
        if errors.is_empty() {
            Ok(RouteTable::new(domains, self.virtual_hosts, indexes))
        } else {
            Err(BuildErrors(errors))
        }
    }

    fn check_route(&self, route: &Route, mut report: impl FnMut(BuildErrorKind)) {
        if route.matcher.path.is_bad_separated_prefix() {
            let prefix = route.matcher.path.text().to_owned();
            report(BuildErrorKind::BadSeparatedPrefix { prefix });
        }
        let mut check_text = |field: &'static str, text: Option<&str>| {
            if !text.is_none_or(is_header_value) {
                report(BuildErrorKind::ControlCharacter { field });
            }
        };
        match &route.action {
            Action::Forward(forward) => {
                check_text("route.prefix_rewrite", forward.prefix_rewrite.as_deref());
                if let Some(HostRewrite::Literal(host)) = &forward.host_rewrite {
                    check_text("route.host_rewrite_literal", Some(host));
                }
                let ClusterSpecifier::Name(cluster) = &forward.cluster;
                if cluster.is_empty() {
                    report(BuildErrorKind::NoCluster);
                }
            }
            Action::Redirect(redirect) => {
                check_text("redirect.scheme_redirect", redirect.scheme.as_deref());
                check_text("redirect.host_redirect", redirect.host.as_deref());
                match &redirect.path {
                    Some(PathRedirect::Full(path)) => check_text("redirect.path_redirect", Some(path)),
                    Some(PathRedirect::Prefix(prefix)) => check_text("redirect.prefix_rewrite", Some(prefix)),
                    None => {}
                }
            }
            Action::DirectResponse(response) => {
                let status = response.status.as_u16();
                if !(200..600).contains(&status) {
                    report(BuildErrorKind::StatusOutOfRange { status });
                }
                let (length, most) = (response.body.len(), self.max_direct_response_body_size);
                if most > 0 && length > most {
                    report(BuildErrorKind::BodyTooLong { length, most });
                }
            }
        }
    }
}

/// Everything that is wrong with a table; never empty. Shown with a line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildErrors(Vec<BuildError>);

impl BuildErrors {
    /// The errors, in the order of the virtual hosts.
    pub fn iter(&self) -> std::slice::Iter<'_, BuildError> {
        self.0.iter()
    }
}

impl IntoIterator for BuildErrors {
    type Item = BuildError;
    type IntoIter = std::vec::IntoIter<BuildError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a BuildErrors {
    type Item = &'a BuildError;
    type IntoIter = std::slice::Iter<'a, BuildError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for BuildErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildErrors {}

/// Something wrong with a table, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildError {
    /// The virtual host, counted from 0 in the order in which they were added.
    pub virtual_host: usize,
    /// The place in the virtual host.
    pub place: Place,
    /// What is wrong.
    pub kind: BuildErrorKind,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "virtual_hosts[{}]", self.virtual_host)?;
        match self.place {
            Place::VirtualHost => {}
            Place::Domain(at) => write!(f, ".domains[{at}]")?,
            Place::Route(at) => write!(f, ".routes[{at}]")?,
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for BuildError {}

/// A place in a virtual host; what is counted is counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The virtual host itself.
    VirtualHost,
    /// One of its domains.
    Domain(usize),
    /// One of its routes.
    Route(usize),
}

/// What is wrong with a virtual host, a domain or a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildErrorKind {
    /// A virtual host has an empty name.
    #[error("a virtual host needs a name")]
    NoName,
    /// A virtual host has no domains.
    #[error("a virtual host needs at least one domain")]
    NoDomains,
    /// A domain is there twice.
    #[error("duplicate domain {domain:?}: virtual host {virtual_host:?} has it already")]
    DuplicateDomain {
        /// The domain.
        domain: String,
        /// The name of the virtual host that has it.
        virtual_host: String,
    },
    /// A text that ends in a header has a character that cannot stand there: NUL, CR or LF.
    #[error("{field}: a NUL, carriage return or line feed cannot stand in a header")]
    ControlCharacter {
        /// The field, below the virtual host or the route, in Envoy's words.
        field: &'static str,
    },
    /// A route forwards to a cluster without a name.
    #[error("route.cluster: the name of a cluster cannot be empty")]
    NoCluster,
    /// The status of a direct response is not one of 200 to 599.
    #[error("direct_response.status: {status} is not one of 200 to 599")]
    StatusOutOfRange {
        /// The status.
        status: u16,
    },
    /// The body of a direct response is too long.
    #[error("direct_response.body: the response body size is {length} bytes; maximum is {most}")]
    BodyTooLong {
        /// Its length in bytes.
        length: usize,
        /// What it may be.
        most: usize,
    },
    /// A `path_separated_prefix` is too short, ends in a slash, or has a query or a fragment.
    #[error(
        "match.path_separated_prefix: {prefix:?} must have 2 characters or more, no ? or #, and no slash at the end"
    )]
    BadSeparatedPrefix {
        /// The prefix.
        prefix: String,
    },
    /// The regular expression of a path cannot be honoured.
    #[error("match.safe_regex: {regex:?}: {reason}")]
    BadRegex {
        /// The expression.
        regex: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The URI template of a path is not one.
    #[error("match.path_match_policy: {template:?}: {reason}")]
    BadTemplate {
        /// The template.
        template: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A condition besides the one on the path cannot be honoured.
    #[error("match.{field}[{index}]: {reason}")]
    BadCondition {
        /// The field of `RouteMatch`.
        field: &'static str,
        /// The condition, counted from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The domains and paths of the table have 4 GiB of text or more.
    #[error("the table's domains and paths exceed 4 GiB")]
    TooLarge,
}

impl BuildErrorKind {
    /// What is wrong with the pattern of a path.
    pub(crate) fn bad_path(path: &PathMatch, reason: String) -> Self {
        let text = path.text().to_owned();
        match path {
            PathMatch::UriTemplate(_) => Self::BadTemplate { template: text, reason },
            _ => Self::BadRegex { regex: text, reason },
        }
    }
}

fn duplicate(virtual_hosts: &[VirtualHost], taken: Taken) -> BuildErrorKind {
    let domain = virtual_hosts.get(taken.virtual_host).and_then(|host| host.domains().get(taken.domain));
    let owner = virtual_hosts.get(taken.by).map(VirtualHost::name);
    BuildErrorKind::DuplicateDomain {
        domain: domain.cloned().unwrap_or_default(),
        virtual_host: owner.unwrap_or_default().to_owned(),
    }
}

/// Envoy's rule for what may become the value of a header.
fn is_header_value(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b'\0' | b'\r' | b'\n'))
}

/// The text that goes into the lookup structures, with one more for each piece so that empty ones count too.
fn text_length(virtual_hosts: &[VirtualHost]) -> usize {
    let domains = virtual_hosts.iter().flat_map(VirtualHost::domains).map(String::len);
    let paths =
        virtual_hosts.iter().flat_map(VirtualHost::routes).map(|route| route.matcher.path.text().len());
    domains.chain(paths).map(|length| length + 1).sum()
}

#[cfg(test)]
mod tests;
