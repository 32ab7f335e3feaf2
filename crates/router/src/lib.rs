//! HTTP routing with Envoy's meaning, as a plain function.
//!
//! A table of virtual hosts and routes is built once. After that it answers, for the head of a request, which route
//! the request takes. What is to be done then, to forward to a cluster, to redirect or to answer at once, is data
//! in that answer, and somebody else does it. So the crate suits a proxy, a service behind any HTTP library, and a
//! test alike. It knows no sockets, no runtime, no clock and no source of randomness; what goes by chance takes a
//! random number from the caller.
//!
//! ```
//! use http::{HeaderMap, Method};
//! use nuncio_router::{Action, ClusterSpecifier, Forward, RequestHead, Route, RouteMatch, RouteTable, VirtualHost};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let table = RouteTable::builder()
//!     .virtual_host(
//!         VirtualHost::new("shop")
//!             .domain("shop.example")
//!             .domain("*.shop.example")
//!             .route(Route::new(RouteMatch::prefix("/cart"), Forward::to_cluster("cart")))
//!             .route(Route::new(RouteMatch::prefix("/"), Forward::to_cluster("pages"))),
//!     )
//!     .build()?;
//!
//! let headers = HeaderMap::new();
//! let head = RequestHead::new(&Method::GET, "www.shop.example", "/cart?item=7", &headers);
//! let found = table.route(&head, 0)?;
//! assert_eq!(found.virtual_host.name(), "shop");
//! let Action::Forward(forward) = &found.route.action else { panic!("the route forwards") };
//! assert_eq!(forward.cluster, ClusterSpecifier::Name("cart".into()));
//! # Ok(())
//! # }
//! ```
//!
//! # Which route
//!
//! First the request's authority chooses the [`VirtualHost`]: an exact domain wins over the longest suffix wildcard
//! (`*.example.com`), that over the longest prefix wildcard (`www.*`), that over `*`. Then the first route of that
//! virtual host whose [`RouteMatch`] holds is taken, in the order in which they were added. A virtual host without
//! a matching route is not left again for another.
//!
//! # What a route carries
//!
//! Besides its [`Action`], a route of a [`RouteTable<P>`] carries a payload `P` of the embedder's. A table is built
//! without payloads; [`RouteTable::map`] puts them in, for example handlers or connection pools by the name of the
//! cluster, and reports the names that do not exist. A request then finds its handler behind a plain reference.
//!
//! # What it costs
//!
//! A lookup allocates nothing, and its cost hardly depends on the number of routes: up to 16 are compared one by
//! one, more are found through a hash map of whole paths and a trie of prefixes. The answer is always that of
//! trying all in order. Regular expressions and URI templates are kept by the literal text that they start with;
//! those that start alike share an automaton. Only an automaton that is too large to be built beforehand, and several
//! values of one header with more than 512 bytes in all, may allocate.
//!
//! # What it leaves to others
//!
//! Paths are compared as they come, byte by byte: whoever wants `/a/../b` to be `/b` normalises first, with
//! what is in [`path`]. What
//! Envoy's routes do beyond what is here (weighted clusters, retries, header edits) is not there yet; no type
//! pretends that it is.

#![warn(missing_docs)]

mod action;
mod builder;
mod condition;
mod domains;
mod head;
mod index;
mod metadata;
pub mod path;
mod path_match;
mod patterns;
mod regex;
mod route;
mod span;
mod string_map;
mod string_matcher;
mod table;
mod template;
mod trie;
mod virtual_host;

pub use action::{
    Action, ClusterSpecifier, DirectResponse, Forward, HostRewrite, PathRedirect, Redirect, RedirectCode,
};
pub use builder::{BuildError, BuildErrorKind, BuildErrors, Place, RouteTableBuilder};
pub use condition::{
    CookieMatcher, DoubleMatcher, HeaderMatchSpecifier, HeaderMatcher, MetadataMatcher, PeerCertificate,
    QueryParameterMatchSpecifier, QueryParameterMatcher, TlsContextMatch, ValueMatcher,
};
pub use head::RequestHead;
pub use metadata::{Metadata, Value};
pub use path_match::PathMatch;
pub use route::{Denominator, FractionalPercent, Route, RouteMatch};
pub use string_matcher::{StringMatcher, StringPattern};
pub use table::{Match, NoRoute, RouteTable};
pub use virtual_host::VirtualHost;

/// The example of the README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
