//! Everything of a start that can be refused, tried before anything runs.

use std::{net::SocketAddr, sync::Arc};

use nuncio_config::{
    ConfigError, ConfigErrors, ErrorKind, Loaded,
    model::{AccessLog, Admin, Bootstrap, Listener, Place},
};
use nuncio_http::access_log::FormatMistake;
use nuncio_listener::{BindError, BoundListener, ConnectionLimit};
use nuncio_stats::Registry;
use nuncio_tls::{Crypto, ServerContext, TlsError};

use super::Options;
use crate::{access_log::AccessLogs, stack};

/// What has been opened and bound.
pub(super) struct Prepared {
    pub(super) listeners: Vec<PreparedListener>,
    pub(super) admin: Option<PreparedAdmin>,
    pub(super) access_logs: Arc<AccessLogs>,
}

/// A listener that is bound.
pub(super) struct PreparedListener {
    pub(super) config: Arc<Listener>,
    pub(super) bound: BoundListener,
    pub(super) local_address: SocketAddr,
    pub(super) tls: Option<Arc<ServerContext>>,
    pub(super) limit: Option<ConnectionLimit>,
}

/// The admin server's listener.
pub(super) struct PreparedAdmin {
    pub(super) config: Admin,
    pub(super) socket: std::net::TcpListener,
    pub(super) local_address: SocketAddr,
}

/// Checks what a configuration asks for without touching the machine, to be told with the errors of loading it
/// ([`nuncio_config::load_and_check`]). Gives everything that a start would be refused for, apart from addresses and
/// files.
pub fn check(bootstrap: &Bootstrap, crypto: &Crypto) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    contexts(bootstrap, crypto, &mut errors);
    check_admin(bootstrap, &mut errors);
    errors
}

pub(super) fn prepare(
    loaded: &Loaded,
    options: &Options,
    registry: &Registry,
) -> Result<Prepared, ConfigErrors> {
    let bootstrap = &loaded.bootstrap;
    let mut errors = Vec::new();
    let contexts = contexts(bootstrap, &options.crypto, &mut errors);
    check_admin(bootstrap, &mut errors);
    let access_logs = AccessLogs::open(access_logs(bootstrap), options.flush, registry)
        .map_err(|refused| errors.extend(refused));
    let listeners: Vec<Option<PreparedListener>> = bootstrap
        .listeners
        .iter()
        .zip(contexts)
        .map(|(listener, tls)| {
            let bound = bind(listener, options).map_err(|error| errors.push(refused(&error))).ok()?;
            let limit = bootstrap.runtime.listener_connection_limit(&listener.name).map(ConnectionLimit::new);
            let local_address = bound.local_address();
            Some(PreparedListener { config: Arc::new(listener.clone()), bound, local_address, tls, limit })
        })
        .collect();
    let admin = bootstrap
        .admin
        .as_ref()
        .and_then(|admin| bind_admin(admin, options).map_err(|error| errors.push(error)).ok());
    let (Ok(access_logs), Some(listeners), true) =
        (access_logs, listeners.into_iter().collect(), errors.is_empty())
    else {
        return Err(ConfigErrors::of(errors));
    };
    Ok(Prepared { listeners, admin, access_logs: Arc::new(access_logs) })
}

/// The TLS context of each listener's filter chain; `None` for plain text, and for one that cannot be used.
fn contexts(
    bootstrap: &Bootstrap,
    crypto: &Crypto,
    errors: &mut Vec<ConfigError>,
) -> Vec<Option<Arc<ServerContext>>> {
    let mut of_listener = |listener: &Listener| {
        let chain = listener.filter_chains.first()?;
        errors.extend(stack::check(chain).map(|(place, error)| {
            let lacking = |mistake: &FormatMistake| {
                matches!(mistake, FormatMistake::Unknown(_) | FormatMistake::Time { .. })
            };
            let is_unsupported = error.mistakes.iter().all(lacking);
            let kind = if is_unsupported { ErrorKind::Unsupported } else { ErrorKind::Semantic };
            error_at(place, kind, error.to_string())
        }));
        let context = ServerContext::new(chain.tls.as_ref()?, crypto);
        let refused = |error: TlsError| error_at(&error.place, ErrorKind::Semantic, error.message);
        context.map(Arc::new).map_err(|all| errors.extend(all.into_iter().map(refused))).ok()
    };
    bootstrap.listeners.iter().map(&mut of_listener).collect()
}

/// The admin server writes Envoy's default format only.
fn check_admin(bootstrap: &Bootstrap, errors: &mut Vec<ConfigError>) {
    let logs = bootstrap.admin.iter().flat_map(|admin| &admin.access_log);
    errors.extend(logs.filter_map(|log| log.format.as_ref()).map(|format| {
        let message = "a format for the admin server's access log is not supported".to_owned();
        error_at(&format.place, ErrorKind::Unsupported, message)
    }));
}

fn access_logs(bootstrap: &Bootstrap) -> impl Iterator<Item = (&AccessLog, &Place)> {
    let admin =
        bootstrap.admin.iter().flat_map(|admin| admin.access_log.iter().map(|log| (log, &admin.place)));
    let listeners = bootstrap.listeners.iter().flat_map(|listener| {
        let chains = listener.filter_chains.iter();
        chains.flat_map(|chain| &chain.http_connection_manager.access_log).map(|log| (log, &listener.place))
    });
    admin.chain(listeners)
}

fn bind(listener: &Listener, options: &Options) -> Result<BoundListener, BindError> {
    if !options.share_ports {
        BoundListener::probe(listener)?;
    }
    BoundListener::bind(listener, options.workers)
}

fn bind_admin(admin: &Admin, options: &Options) -> Result<PreparedAdmin, ConfigError> {
    let mut bound = BoundListener::bind_admin(admin).map_err(|error| refused(&error))?;
    let local_address = bound.local_address();
    let no_socket = || error_at(&admin.place, ErrorKind::Machine, "no socket".to_owned());
    let socket = bound.take(0).ok_or_else(no_socket)?;
    if let Some(path) = &options.admin_address_path {
        std::fs::write(path, local_address.to_string()).map_err(|error| {
            machine_error("--admin-address-path", format!("cannot write {}: {error}", path.display()))
        })?;
    }
    Ok(PreparedAdmin { config: admin.clone(), socket, local_address })
}

fn error_at(place: &Place, kind: ErrorKind, message: String) -> ConfigError {
    ConfigError { place: place.clone(), kind, message }
}

fn refused(error: &BindError) -> ConfigError {
    error_at(&error.place, ErrorKind::Machine, error.message())
}

/// What the machine refuses and no file asks for.
pub(super) fn machine_error(what: &str, message: String) -> ConfigError {
    let place = Place { source: what.into(), ..Place::default() };
    ConfigError { place, kind: ErrorKind::Machine, message }
}
