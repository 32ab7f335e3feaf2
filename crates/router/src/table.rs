//! The compiled table, and the answer that it gives.

use std::sync::Arc;

use crate::domains::Domains;
use crate::index::RouteIndex;
use crate::{RequestHead, Route, RouteTableBuilder, VirtualHost};

/// An immutable table of virtual hosts and their routes (`config.route.v3.RouteConfiguration`).
///
/// Every route carries a payload of the embedder's, `()` to begin with: [`RouteTable::map`] puts in what a request
/// shall find there. Tables that differ in their payloads only share everything else, so that one per thread costs
/// little.
#[derive(Clone, Debug)]
pub struct RouteTable<P = ()> {
    compiled: Arc<Compiled>,
    payloads: Box<[P]>,
}

#[derive(Debug)]
struct Compiled {
    domains: Domains,
    virtual_hosts: Vec<VirtualHost>,
    /// One for each virtual host.
    indexes: Vec<HostIndex>,
}

#[derive(Debug)]
struct HostIndex {
    routes: RouteIndex,
    /// Where the payloads of the virtual host's routes start.
    first_payload: usize,
}

impl RouteTable {
    /// Starts a table.
    #[must_use]
    pub fn builder() -> RouteTableBuilder {
        RouteTableBuilder::default()
    }

    /// A table of these virtual hosts; there is an index for each.
    pub(crate) fn new(
        domains: Domains,
        virtual_hosts: Vec<VirtualHost>,
        route_indexes: Vec<RouteIndex>,
    ) -> Self {
        let mut routes = 0;
        let mut indexes = Vec::with_capacity(virtual_hosts.len());
        for (host, index) in virtual_hosts.iter().zip(route_indexes) {
            indexes.push(HostIndex { routes: index, first_payload: routes });
            routes += host.routes().len();
        }
        let compiled = Arc::new(Compiled { domains, virtual_hosts, indexes });
        Self { compiled, payloads: vec![(); routes].into_boxed_slice() }
    }
}

impl Default for RouteTable {
    /// A table without virtual hosts: no request has a route.
    fn default() -> Self {
        Self::new(Domains::new(&[], false).0, Vec::new(), Vec::new())
    }
}

impl<P> RouteTable<P> {
    /// The route for a request.
    ///
    /// A pure function: the same head and random number have the same answer on any thread, and nothing is
    /// allocated but in the two cases that the crate's documentation names. The random number is for what goes by chance, such as
    /// [`runtime_fraction`](crate::RouteMatch::runtime_fraction); as in Envoy, all decisions of one lookup use the
    /// same number.
    ///
    /// # Errors
    ///
    /// [`NoRoute`] if no virtual host or no route is for this request.
    pub fn route(&self, head: &RequestHead<'_>, random: u64) -> Result<Match<'_, P>, NoRoute> {
        let Compiled { domains, virtual_hosts, indexes } = &*self.compiled;
        let host = domains.find(head.authority).ok_or(NoRoute::VirtualHost)? as usize;
        let virtual_host = virtual_hosts.get(host).ok_or(NoRoute::VirtualHost)?;
        let index = indexes.get(host).ok_or(NoRoute::VirtualHost)?;
        let at = index.routes.first(head, random).ok_or(NoRoute::Route)?;
        let route = virtual_host.routes().get(at).ok_or(NoRoute::Route)?;
        let payload = self.payloads.get(index.first_payload + at).ok_or(NoRoute::Route)?;
        Ok(Match { virtual_host, route, payload })
    }

    /// A table of the same routes with other payloads: each is made of the virtual host, the route and the payload
    /// that it has.
    ///
    /// A proxy resolves the names of clusters this way when it loads a configuration, so that a request finds what
    /// it needs behind a plain reference.
    ///
    /// # Errors
    ///
    /// The first error that `payload` returns.
    pub fn map<Q, E>(
        &self,
        mut payload: impl FnMut(&VirtualHost, &Route, &P) -> Result<Q, E>,
    ) -> Result<RouteTable<Q>, E> {
        let hosts = self.compiled.virtual_hosts.iter();
        let routes = hosts.flat_map(|host| host.routes().iter().map(move |route| (host, route)));
        let payloads = routes
            .zip(&self.payloads)
            .map(|((host, route), old)| payload(host, route, old))
            .collect::<Result<_, _>>()?;
        Ok(RouteTable { compiled: Arc::clone(&self.compiled), payloads })
    }

    /// The virtual hosts, in order.
    #[must_use]
    pub fn virtual_hosts(&self) -> &[VirtualHost] {
        &self.compiled.virtual_hosts
    }
}

/// The route that a request takes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Match<'t, P> {
    /// The virtual host that the request's authority belongs to.
    pub virtual_host: &'t VirtualHost,
    /// Its first route that matches.
    pub route: &'t Route,
    /// The payload of the route.
    pub payload: &'t P,
}

impl<P> Clone for Match<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Match<'_, P> {}

/// Why a request has no route. Envoy answers both with 404 and the response flag `NR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// No virtual host has a domain for the request's authority.
    #[error("no virtual host is for the request's authority")]
    VirtualHost,
    /// None of the virtual host's routes matches the request.
    #[error("no route of the virtual host matches the request")]
    Route,
}
