//! A running proxy: what it is started from, and the handle that it is watched and ended by.
//!
//! The order of a start is: everything that can be refused is tried (certificates, access logs, addresses), and
//! every error is told at once; then the clusters are resolved for the first time; then the workers start; then the
//! server is LIVE. The admin server answers from the first step on.

mod admin;
mod lifecycle;
mod prepare;
mod stats;

use std::{
    fmt, io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use nuncio_admin::ServerState;
use nuncio_config::{ConfigErrors, Loaded};
use nuncio_service::Advice;
use nuncio_stats::Registry;
use nuncio_tls::Crypto;
use serde_json::Value;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};

pub use self::prepare::check;
use crate::access_log::{AccessLogs, FlushOptions};

/// How long `POST /quitquitquit` lets running responses go on. Envoy ends at once; a second is enough for most
/// responses and short enough for a script that waits for the end.
pub const QUIT_DRAIN: Duration = Duration::from_secs(1);

/// How a server is run, apart from its configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// The number of workers, at least one.
    pub workers: usize,
    /// How access logs are written.
    pub flush: FlushOptions,
    /// The cryptography of TLS.
    pub crypto: Crypto,
    /// Whether to listen where another process listens already.
    pub share_ports: bool,
    /// Where to write the admin server's address.
    pub admin_address_path: Option<PathBuf>,
    /// `command_line_options` of `/server_info`.
    pub command_line: Value,
    /// When the process was started.
    pub started: Instant,
}

/// A proxy that was started. Dropping it ends it without draining.
pub struct Running {
    handle: ServerHandle,
    stats: Registry,
    listeners: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    // `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// Watches and ends a proxy. Clones are handles to the same.
#[derive(Clone)]
pub struct ServerHandle {
    commands: mpsc::UnboundedSender<Command>,
    state: watch::Receiver<ServerState>,
    outcome: watch::Receiver<Option<Outcome>>,
    /// Given while the server fails its health checks.
    advice: Advice,
    /// Gone when the server has ended.
    logs: Weak<AccessLogs>,
}

/// How a server ended: well, or with a reason.
type Outcome = Result<(), RunError>;

/// Why a server ended by itself.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunError(Arc<str>);

/// What a running server can be told.
enum Command {
    /// Drain for so long and end.
    Drain(Duration),
    /// End at once.
    Stop,
}

/// Starts a proxy: binds everything and goes on in the background. Wait for [`ServerHandle::live`].
///
/// # Errors
/// Everything that the configuration asks for and this machine refuses; nothing was started then.
pub fn start(loaded: &Loaded, options: &Options) -> Result<Running, ConfigErrors> {
    let registry = Registry::new(options.workers);
    let prepared = prepare::prepare(loaded, options, &registry)?;
    let runtime =
        Builder::new_multi_thread().worker_threads(2).thread_name("main").enable_all().build().map_err(
            |error| {
                let message = format!("cannot be started: {error}");
                ConfigErrors::of(vec![prepare::machine_error("the main runtime", message)])
            },
        )?;
    let listeners = prepared.listeners.iter().map(|listener| listener.local_address).collect();
    let admin = prepared.admin.as_ref().map(|admin| admin.local_address);

    let (commands, commanded) = mpsc::unbounded_channel();
    let (state_sender, state) = watch::channel(ServerState::PreInitializing);
    let (outcome_sender, outcome) = watch::channel(None);
    let logs = Arc::downgrade(&prepared.access_logs);
    let handle = ServerHandle { commands, state, outcome, advice: Advice::default(), logs };
    let life = lifecycle::Lifecycle::new(
        loaded,
        options,
        prepared,
        &registry,
        &handle,
        state_sender,
        runtime.handle(),
    );
    runtime.spawn(async move {
        let outcome = life.run(commanded).await;
        outcome_sender.send_replace(Some(outcome));
    });
    Ok(Running { handle, stats: registry, listeners, admin, runtime: Some(runtime) })
}

impl Running {
    /// The addresses of the listeners, in the order of the configuration, with the ports that the kernel chose.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// The address of the admin server, if there is one.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// All stats.
    pub fn stats(&self) -> &Registry {
        &self.stats
    }

    /// A handle that outlives borrows of this.
    pub fn handle(&self) -> &ServerHandle {
        &self.handle
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(runtime) = self.runtime.take() {
            // Dropping a runtime waits for its blocking tasks, which is forbidden where another one drives this.
            runtime.shutdown_background();
        }
    }
}

impl ServerHandle {
    /// Which part of its life the server is in, as it shows it: one that fails its health checks says that it drains.
    pub fn state(&self) -> ServerState {
        self.shown(*self.state.borrow())
    }

    fn shown(&self, state: ServerState) -> ServerState {
        match state {
            ServerState::Live if self.advice.is_given() => ServerState::Draining,
            state => state,
        }
    }

    /// Has the server fail its health checks, so that clients look for another one: it says that it drains, and
    /// connections end with their next response. Nothing else ends, and it can be taken back.
    pub fn fail_health_checks(&self, fail: bool) {
        self.advice.set(fail);
    }

    /// Ends when the server is LIVE, or has ended before that.
    ///
    /// # Errors
    /// Why it has ended.
    pub async fn live(&self) -> Result<(), RunError> {
        let mut state = self.state.clone();
        // An error means that the sender is gone, and so that there is an outcome.
        let live = async { state.wait_for(|state| *state == ServerState::Live).await.is_ok() };
        tokio::select! {
            true = live => Ok(()),
            outcome = self.ended() => outcome.and_then(|()| Err(RunError::new("ended before it was LIVE"))),
        }
    }

    /// Ends when the server has ended.
    ///
    /// # Errors
    /// Why it has, unless it was asked to.
    pub async fn ended(&self) -> Result<(), RunError> {
        let mut outcome = self.outcome.clone();
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            // Its task is gone with the runtime.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Asks the server to stop accepting, to let connections go on for at most so long, and to end.
    pub fn drain(&self, at_most: Duration) {
        self.command(Command::Drain(at_most));
    }

    /// Asks the server to end at once.
    pub fn stop(&self) {
        self.command(Command::Stop);
    }

    /// Opens the access log files anew, after they were moved away. Returns at once.
    pub fn reopen_logs(&self) {
        if let Some(logs) = self.logs.upgrade() {
            logs.reopen();
        }
    }

    fn command(&self, command: Command) {
        // A server that has ended needs no asking.
        let _ = self.commands.send(command);
    }
}

impl RunError {
    fn new(reason: impl Into<Arc<str>>) -> Self {
        Self(reason.into())
    }
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("listeners", &self.listeners)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}
