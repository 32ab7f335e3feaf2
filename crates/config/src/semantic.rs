//! Mistakes that are right by every rule of the API and that Envoy refuses all the same: names that nobody has,
//! weights that come to nothing, expressions that do not compile.
//!
//! They are looked for in messages and not while lowering, so that a mistake is found in what is not supported, too.
//! Each check belongs to a type of message and says what Envoy's own code for that type would.

use std::collections::BTreeSet;

use prost_reflect::DynamicMessage;

use crate::{
    error::{ErrorKind, Issues},
    path::Path,
    places::Places,
    source::LoadOptions,
    suggest::in_words,
};

use self::fields::Fields as _;

mod address;
mod cluster;
mod extension;
mod fields;
mod format;
mod headers;
mod http;
mod listener;
mod regex;
mod route;
mod server;
mod tls;

/// What is known about the whole configuration before its parts are looked at.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The names of all clusters; `None` if routes are read by themselves, or if a name could not be read.
    clusters: Option<BTreeSet<String>>,
    /// How large the program of a regular expression may be.
    regex_size: u64,
}

/// Where a check looks things up and where it complains.
pub(crate) struct Scope<'s> {
    pub(crate) facts: &'s Facts,
    pub(crate) places: &'s Places<'s>,
    pub(crate) options: &'s LoadOptions<'s>,
    pub(crate) issues: &'s mut Issues,
}

/// Looks for mistakes in one message.
pub(crate) type Check = fn(&mut Scope<'_>, &DynamicMessage, &Path<'_>);

/// The check for messages of a type.
pub(crate) fn of_message(full_name: &str) -> Option<Check> {
    let checks = [
        address::of_message,
        cluster::of_message,
        extension::of_message,
        format::of_message,
        headers::of_message,
        http::of_message,
        listener::of_message,
        regex::of_message,
        route::of_message,
        server::of_message,
        tls::of_message,
    ];
    checks.iter().find_map(|of_message| of_message(full_name))
}

impl Facts {
    /// What `root` says of the whole.
    pub(crate) fn of(root: &DynamicMessage, issues: &Issues) -> Self {
        const LIMIT_KEY: &str = "re2.max_program_size.error_level";
        const DEFAULT_LIMIT: u64 = 100;
        let resources = root.message("static_resources");
        let is_bootstrap =
            prost_reflect::ReflectMessage::descriptor(root).full_name() == crate::load::BOOTSTRAP;
        let names_known = is_bootstrap && !issues.any_unread(holds_cluster_names);
        let names = || {
            let clusters = resources.into_iter().flat_map(|resources| resources.messages("clusters"));
            clusters.map(|cluster| cluster.text("name").to_owned()).collect()
        };
        Self {
            clusters: names_known.then(names),
            regex_size: server::runtime_number(root, LIMIT_KEY).unwrap_or(DEFAULT_LIMIT),
        }
    }
}

/// Whether the names of clusters are lost if the value at `path` could not be read.
fn holds_cluster_names(path: &str) -> bool {
    match path.strip_prefix("static_resources.clusters") {
        Some(rest) => {
            rest.is_empty() || rest.split_once(']').is_some_and(|(_, rest)| matches!(rest, "" | ".name"))
        }
        None => matches!(path, "" | "static_resources"),
    }
}

impl Scope<'_> {
    fn error(&mut self, at: &Path<'_>, message: impl Into<String>) {
        if self.issues.is_full() {
            return self.issues.omit();
        }
        self.issues.later_error(self.places.locate(at), ErrorKind::Semantic, message);
    }

    /// A cluster that must be there.
    fn known_cluster(&mut self, at: &Path<'_>, name: &str) {
        let Some(known) = &self.facts.clusters else { return };
        if name.is_empty() || known.contains(name) {
            return;
        }
        let suggestion = in_words(self.issues.closest(name, known.iter().map(String::as_str)));
        self.error(at, format!("no cluster is named {name:?}{suggestion}"));
    }
}
