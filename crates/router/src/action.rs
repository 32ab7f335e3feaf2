//! What is to be done with a request: data that others act on.

mod forward;
mod redirect;

pub use forward::{ClusterSpecifier, DirectResponse, Forward, HostRewrite};
pub use redirect::{PathRedirect, Redirect, RedirectCode};

/// What a route does with its requests (`Route.action`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// `route`: send the request to a cluster.
    Forward(Forward),
    /// `redirect`: send the client elsewhere.
    Redirect(Redirect),
    /// `direct_response`: answer without asking anybody.
    DirectResponse(DirectResponse),
}

impl From<Forward> for Action {
    fn from(forward: Forward) -> Self {
        Self::Forward(forward)
    }
}

impl From<Redirect> for Action {
    fn from(redirect: Redirect) -> Self {
        Self::Redirect(redirect)
    }
}

impl From<DirectResponse> for Action {
    fn from(response: DirectResponse) -> Self {
        Self::DirectResponse(response)
    }
}
