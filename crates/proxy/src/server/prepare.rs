//! Everything of a start that can be refused, tried before anything runs.

use std::{fmt, net::SocketAddr, sync::Arc};

use nuncio_config::{
    Loaded,
    model::{AccessLog, Admin, Bootstrap, Listener, Place},
};
use nuncio_listener::{BoundListener, ConnectionLimit};
use nuncio_stats::Registry;
use nuncio_tls::{Crypto, ServerContext};

use super::Options;
use crate::{access_log::AccessLogs, stack};

/// Everything that a start was refused for. Prints one line each, and how many there are.
#[derive(Debug)]
pub struct StartErrors(Vec<String>);

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

/// Checks what a configuration asks for without touching the machine: `--mode validate` after loading.
///
/// # Errors
/// Everything that a start would be refused for, apart from addresses and files.
pub fn check(bootstrap: &Bootstrap, crypto: &Crypto) -> Result<(), StartErrors> {
    let mut errors = Vec::new();
    contexts(bootstrap, crypto, &mut errors);
    check_admin(bootstrap, &mut errors);
    StartErrors::unless_empty(errors)
}

pub(super) fn prepare(
    loaded: &Loaded,
    options: &Options,
    registry: &Registry,
) -> Result<Prepared, StartErrors> {
    let bootstrap = &loaded.bootstrap;
    let mut errors = Vec::new();
    let contexts = contexts(bootstrap, &options.crypto, &mut errors);
    check_admin(bootstrap, &mut errors);
    let access_logs = AccessLogs::open(access_logs(bootstrap), options.flush, registry)
        .map_err(|refused| errors.extend(refused.iter().map(ToString::to_string)));
    let listeners: Vec<Option<PreparedListener>> = bootstrap
        .listeners
        .iter()
        .zip(contexts)
        .map(|(listener, tls)| {
            let bound = bind(listener, options).map_err(|error| errors.push(error)).ok()?;
            let limit = bootstrap.runtime.listener_connection_limit(&listener.name).map(ConnectionLimit::new);
            let local_address = bound.local_address();
            Some(PreparedListener { config: Arc::new(listener.clone()), bound, local_address, tls, limit })
        })
        .collect();
    let admin = bootstrap
        .admin
        .as_ref()
        .and_then(|admin| bind_admin(admin, options).map_err(|error| errors.push(error)).ok());
    StartErrors::unless_empty(errors)?;
    // No error was collected, so nothing is missing.
    let (Ok(access_logs), Some(listeners)) = (access_logs, listeners.into_iter().collect()) else {
        return Err(StartErrors(Vec::new()));
    };
    Ok(Prepared { listeners, admin, access_logs: Arc::new(access_logs) })
}

/// The TLS context of each listener's filter chain; `None` for plain text, and for one that cannot be used.
fn contexts(
    bootstrap: &Bootstrap,
    crypto: &Crypto,
    errors: &mut Vec<String>,
) -> Vec<Option<Arc<ServerContext>>> {
    let mut of_listener = |listener: &Listener| {
        let chain = listener.filter_chains.first()?;
        if let Err(error) = stack::check(chain) {
            errors.push(format!("{}: {error}", listener.place));
        }
        let context = ServerContext::new(chain.tls.as_ref()?, crypto);
        context.map(Arc::new).map_err(|refused| errors.extend(refused.iter().map(ToString::to_string))).ok()
    };
    bootstrap.listeners.iter().map(&mut of_listener).collect()
}

/// The admin server writes Envoy's default format only.
fn check_admin(bootstrap: &Bootstrap, errors: &mut Vec<String>) {
    if let Some(admin) = &bootstrap.admin
        && admin.access_log.iter().any(|log| log.format.is_some())
    {
        errors.push(format!("{}: a format for the admin server's access log is not supported", admin.place));
    }
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

fn bind(listener: &Listener, options: &Options) -> Result<BoundListener, String> {
    if !options.share_ports {
        BoundListener::probe(listener).map_err(|error| error.to_string())?;
    }
    BoundListener::bind(listener, options.workers).map_err(|error| error.to_string())
}

fn bind_admin(admin: &Admin, options: &Options) -> Result<PreparedAdmin, String> {
    let mut bound = BoundListener::bind_admin(admin).map_err(|error| error.to_string())?;
    let local_address = bound.local_address();
    let socket = bound.take(0).ok_or_else(|| format!("{}: no socket", admin.place))?;
    if let Some(path) = &options.admin_address_path {
        std::fs::write(path, local_address.to_string())
            .map_err(|error| format!("--admin-address-path: cannot write {}: {error}", path.display()))?;
    }
    Ok(PreparedAdmin { config: admin.clone(), socket, local_address })
}

impl StartErrors {
    pub(super) fn one(error: String) -> Self {
        Self(vec![error])
    }

    fn unless_empty(errors: Vec<String>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }
}

impl fmt::Display for StartErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.0 {
            writeln!(f, "{error}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 error; nothing was started"),
            count => write!(f, "{count} errors; nothing was started"),
        }
    }
}

impl std::error::Error for StartErrors {}
