//! Turn Envoy's configuration into validated runtime types, or refuse it with every reason and place.
//!
//! A text is parsed to a tree that knows where everything stands, read as the messages of Envoy's API by their
//! descriptors, merged with the other texts, checked against the API's validation rules and against the table of what
//! is supported, and lowered to the types in [`model`]. Nothing is silently ignored: a field that is not honoured is
//! refused, and all mistakes are reported at once.
//!
//! ```
//! use nuncio_config::{LoadOptions, Source, load};
//!
//! let file = Source::new("envoy.yaml", "
//! static_resources:
//!   clusters:
//!   - name: backend
//!     connect_timeot: 1s
//! ");
//! let errors = load(&[file], &LoadOptions::default()).unwrap_err();
//! assert_eq!(
//!     errors.to_string(),
//!     "envoy.yaml:5:5: static_resources.clusters[0]: unknown field \"connect_timeot\" in \
//!      envoy.config.cluster.v3.Cluster (did you mean \"connect_timeout\"?)\n\
//!      1 error; nothing was started"
//! );
//! ```

#![warn(missing_docs)]

mod check;
mod convert;
mod document;
mod encoded;
mod error;
mod explain;
mod facts;
mod known_names;
mod lines;
mod load;
mod lower;
pub mod model;
mod parse;
mod path;
mod places;
mod re2;
mod redact;
pub mod render;
pub mod report;
mod rules;
mod schema;
mod semantic;
mod source;
mod substitution;
mod suggest;
pub mod support;
mod tree;
mod v1;
mod walker;

pub use convert::{Converted, Format, convert};
pub use document::Document;
pub use error::{ConfigError, ConfigErrors, ErrorKind, Warning, WarningKind};
pub use explain::{Explanation, NotFound, explain};
pub use load::{Loaded, load, load_and_check, load_route_table, release_schema};
pub use schema::schema;
pub use source::{Externals, Limits, LoadOptions, Machine, Source};

/// The example of the README runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
