//! From texts to a checked configuration.

use std::sync::Arc;

use nuncio_api::envoy::config::{bootstrap::v3::Bootstrap, route::v3::RouteConfiguration};
use nuncio_router::RouteTable;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};

use crate::{
    check::check,
    document::Document,
    encoded::Resources,
    error::{ConfigError, ConfigErrors, ErrorKind, Issues, Warning},
    lower,
    model::{self, Place},
    parse::parse_source,
    path::Path,
    places::Places,
    source::{LoadOptions, Source},
    tree::{Mark, Node},
    v1,
    walker::walk,
};

pub(crate) const BOOTSTRAP: &str = "envoy.config.bootstrap.v3.Bootstrap";
const ROUTE_CONFIGURATION: &str = "envoy.config.route.v3.RouteConfiguration";

/// A configuration that can be run.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What to run.
    pub bootstrap: model::Bootstrap,
    /// What its author should know.
    pub warnings: Vec<Warning>,
    /// The configuration as it was read.
    pub document: Document,
}

/// Loads a bootstrap, or says everything that is wrong with it.
///
/// Later sources are merged over the first as Envoy merges `--config-yaml` over `-c`: protobuf's merging, by which
/// messages merge field by field, lists are concatenated, map entries are replaced, and a value that is zero or empty
/// replaces nothing.
///
/// # Errors
///
/// All mistakes of all sources, each with its place.
pub fn load(sources: &[Source], options: &LoadOptions<'_>) -> Result<Loaded, ConfigErrors> {
    load_and_check(sources, options, |_| Vec::new())
}

/// Loads as [`load`] does, and asks whoever will run the configuration what else is wrong with it: whether
/// certificates can be used, for instance. It is asked even if something is wrong already, so that all is told at once,
/// and is then shown what could be read. What it says about a value in which something was wrong before is not
/// believed.
///
/// # Errors
///
/// All mistakes of all sources and all that `check` has found, each with its place.
pub fn load_and_check(
    sources: &[Source],
    options: &LoadOptions<'_>,
    check: impl FnOnce(&model::Bootstrap) -> Vec<ConfigError>,
) -> Result<Loaded, ConfigErrors> {
    let mut issues = Issues::default();
    let names = names(sources);
    let Some((bootstrap, document)) = lower_all(sources, &names, options, &mut issues, |_| ()) else {
        return Err(issues.into_errors(&names));
    };
    check(&bootstrap).into_iter().for_each(|error| issues.found_later(error));
    let warnings = issues.finish(&names)?;
    Ok(Loaded { bootstrap, warnings, document })
}

/// Reads and lowers a bootstrap, and lets `inspect` see it in between. What comes out is only to be run if there is no
/// issue.
pub(crate) fn lower_all<'t>(
    sources: &'t [Source],
    names: &[Arc<str>],
    options: &LoadOptions<'_>,
    issues: &mut Issues,
    inspect: impl FnOnce(&Read<'t>),
) -> Option<(model::Bootstrap, Document)> {
    let read = read(sources, names, BOOTSTRAP, options, issues)?;
    inspect(&read);
    let Read { mut message, places } = read;
    // Of all forms that the configuration takes on the way this is the largest, so it goes before the next one comes;
    // and typed clusters are so large that there is only one of them at a time.
    let [listeners, clusters] = ["listeners", "clusters"].map(|kind| Resources::take(&mut message, kind));
    let mut bytes = message.encode_to_vec();
    drop(message);
    let typed = Bootstrap::decode(bytes.as_slice());
    bytes.extend_from_slice(listeners.bytes());
    bytes.extend_from_slice(clusters.bytes());
    let document = Document::new(bytes);
    let mut context = lower::Context { places: &places, options, issues, runtime: Default::default() };
    match typed {
        Ok(typed) => Some((lower::bootstrap(&mut context, typed, &listeners, &clusters), document)),
        Err(_) => {
            too_deep(issues, &places);
            None
        }
    }
}

/// Frees what knows Envoy's API, some 20 MB, once a program has read what it wanted to read. The next reading makes
/// it again, which takes 30 to 45 ms.
pub fn release_schema() {
    nuncio_api::release_descriptors();
}

/// Loads a `RouteConfiguration` by itself, for programs that only want to route. Its routes may name any cluster.
///
/// # Errors
///
/// All mistakes, each with its place.
///
/// ```
/// use nuncio_config::{LoadOptions, Source, load_route_table};
///
/// let text = "
/// virtual_hosts:
/// - name: all
///   domains: ['*']
///   routes:
///   - match: {prefix: /api}
///     route: {cluster: api}
/// ";
/// let table = load_route_table(&Source::new("routes.yaml", text), &LoadOptions::default())?;
/// assert_eq!(table.virtual_hosts()[0].routes().len(), 1);
/// # Ok::<(), nuncio_config::ConfigErrors>(())
/// ```
pub fn load_route_table(source: &Source, options: &LoadOptions<'_>) -> Result<RouteTable, ConfigErrors> {
    let mut issues = Issues::default();
    let sources = std::slice::from_ref(source);
    let names = names(sources);
    let Some(Read { message, places }) = read(sources, &names, ROUTE_CONFIGURATION, options, &mut issues)
    else {
        return Err(issues.into_errors(&names));
    };
    let bytes = message.encode_to_vec();
    drop(message);
    let Ok(typed) = RouteConfiguration::decode(bytes.as_slice()) else {
        too_deep(&mut issues, &places);
        return Err(issues.into_errors(&names));
    };
    let mut context =
        lower::Context { places: &places, options, issues: &mut issues, runtime: Default::default() };
    let table = lower::route::table(&mut context, &Path::ROOT, typed);
    match table {
        Some(table) => issues.finish(&names).map(|_| table),
        None => Err(issues.into_errors(&names)),
    }
}

/// What the sources say together, and where.
pub(crate) struct Read<'t> {
    pub(crate) message: DynamicMessage,
    pub(crate) places: Places<'t>,
}

pub(crate) fn names(sources: &[Source]) -> Vec<Arc<str>> {
    sources.iter().map(|source| Arc::from(source.name.as_str())).collect()
}

/// Parses, reads, merges and checks. `None` if that could not be done to the end.
fn read<'t>(
    sources: &'t [Source],
    names: &[Arc<str>],
    message_type: &str,
    options: &LoadOptions<'_>,
    issues: &mut Issues,
) -> Option<Read<'t>> {
    let descriptor = nuncio_api::descriptors().get_message_by_name(message_type)?;
    let mut trees: Vec<(Arc<str>, Node<'t>, LoadOptions<'_>)> = Vec::with_capacity(sources.len());
    for (source, name) in sources.iter().zip(names) {
        match parse_source(source, &options.limits) {
            Ok(tree) => trees.push((Arc::clone(name), tree, *options)),
            Err(error) => issues.error(root_place(name, error.mark), error.kind, error.message),
        }
    }
    if message_type == BOOTSTRAP {
        for (name, tree, own) in &mut trees {
            if v1::is_v1(tree) {
                *tree = v1::upgrade(tree, name, &options.limits, issues);
                own.limits = v1::limits_after(&options.limits);
            }
        }
    }
    if issues.has_errors() {
        return None;
    }
    let mut merged: Option<DynamicMessage> = None;
    let mut too_deep_to_merge = false;
    for (name, tree, own) in &trees {
        let message = walk(&descriptor, merged.as_ref(), tree, name, own, issues);
        merged = match merged.take() {
            None => Some(message),
            Some(base) => merge(&descriptor, base, message),
        };
        too_deep_to_merge |= merged.is_none();
    }
    if issues.has_error_of(ErrorKind::Limit) || issues.is_full() {
        return None;
    }
    let places = Places::new(trees.into_iter().map(|(name, tree, _)| (name, tree)).collect());
    if too_deep_to_merge {
        too_deep(issues, &places);
        return None;
    }
    let message = merged.unwrap_or_else(|| DynamicMessage::new(descriptor));
    check(&message, &places, options, issues);
    (!issues.is_full()).then_some(Read { message, places })
}

/// Protobuf defines merging as decoding one encoded message after the other.
fn merge(
    descriptor: &MessageDescriptor,
    base: DynamicMessage,
    over: DynamicMessage,
) -> Option<DynamicMessage> {
    let mut bytes = base.encode_to_vec();
    over.encode(&mut bytes).ok()?;
    drop((base, over));
    DynamicMessage::decode(descriptor.clone(), bytes.as_slice()).ok()
}

pub(crate) fn root_place(source: &Arc<str>, mark: Mark) -> Place {
    Place::at(source, mark, "")
}

/// Free-form data can be nested deeper than messages can be.
fn too_deep(issues: &mut Issues, places: &Places<'_>) {
    issues.error(places.locate(&Path::ROOT), ErrorKind::Limit, "nested too deeply");
}
