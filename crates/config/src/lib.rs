//! Turn Envoy's configuration into validated runtime types, or refuse it with every reason and place.
#![warn(missing_docs)]

pub mod model;
