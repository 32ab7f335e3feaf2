//! Virtual hosts: which domains they serve, and their routes in order.

use crate::Route;

/// Routes for a set of domains (`config.route.v3.VirtualHost`).
///
/// A domain is one of these, compared without regard to case:
/// - `www.example.com` or `www.example.com:8080`: this authority and no other;
/// - `*.example.com` or `*-eu.example.com`: every authority that ends so and has at least one character more;
/// - `www.example.*`: every authority that starts so and has at least one character more;
/// - `*`: every authority.
///
/// As in Envoy, a `*` elsewhere than at one end stands for itself.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualHost {
    name: String,
    domains: Vec<String>,
    routes: Vec<Route>,
}

impl VirtualHost {
    /// A virtual host without domains and routes; the name is for logs and stats.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), domains: Vec::new(), routes: Vec::new() }
    }

    /// Adds a domain.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domains.push(domain.into());
        self
    }

    /// Adds domains.
    #[must_use]
    pub fn with_domains(mut self, domains: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.domains.extend(domains.into_iter().map(Into::into));
        self
    }

    /// Adds a route after those that are there: the first that matches wins.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Adds routes after those that are there.
    #[must_use]
    pub fn with_routes(mut self, routes: impl IntoIterator<Item = Route>) -> Self {
        self.routes.extend(routes);
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The domains, as they were given.
    #[must_use]
    pub fn domains(&self) -> &[String] {
        &self.domains
    }

    /// The routes, in order.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
}
