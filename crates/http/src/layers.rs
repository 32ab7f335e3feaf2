//! The HTTP filters and what stands around them, as tower layers, one file each.
//!
//! A layer of this crate wraps a `Service<Request, Response = Response, Error = LocalReply>`. Inside of
//! [`route::RouteLayer`] the request is a [`route::RoutedRequest`]: it has its route with it.

pub mod headers;
pub mod route;
