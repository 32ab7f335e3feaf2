//! A running proxy, Nuncio or Envoy, with a configuration made for it alone.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::sleep,
};

use crate::{Result, admin, record::ENVOY};

/// Makes the oracle's own program be Nuncio's front proxy.
pub const CHILD: &str = "NUNCIO_ORACLE_CHILD";

/// What to run.
#[derive(Clone, Debug)]
pub enum Program {
    /// Nuncio, by a program that is `front-proxy` when [`CHILD`] is set.
    Nuncio(PathBuf),
    /// Envoy.
    Envoy(PathBuf),
}

impl Program {
    /// Nuncio: `NUNCIO_BIN`, or the given program.
    pub fn nuncio(own: &Path) -> Self {
        Self::Nuncio(env::var_os("NUNCIO_BIN").map_or_else(|| own.to_owned(), PathBuf::from))
    }

    /// Envoy of the version whose answers are kept: `ENVOY_BIN`, or `envoy` on the path. The inner error says why there is
    /// none.
    ///
    /// # Errors
    /// Where `ENVOY_BIN` is given and is not it.
    pub fn envoy() -> Result<std::result::Result<Self, String>> {
        if let Some(given) = env::var_os("ENVOY_BIN").filter(|path| !path.is_empty()) {
            return Ok(Ok(Self::checked_envoy(given.into())?));
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let found = env::split_paths(&path).map(|folder| folder.join("envoy")).find(|file| file.is_file());
        Ok(found.ok_or("Envoy is not installed".to_owned()).and_then(Self::checked_envoy))
    }

    fn checked_envoy(path: PathBuf) -> std::result::Result<Self, String> {
        let told = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let output = std::process::Command::new(&path).arg("--version").output();
        let output = output.map_err(|error| told(&error))?;
        let version = String::from_utf8_lossy(&output.stdout);
        if version.contains(&format!("/{ENVOY}/")) {
            return Ok(Self::Envoy(path));
        }
        Err(told(&format!("this is not Envoy {ENVOY}, but says: {}", version.trim())))
    }

    /// How the program is called in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nuncio(_) => "Nuncio",
            Self::Envoy(_) => "Envoy",
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Nuncio(path) | Self::Envoy(path) => path,
        }
    }
}

/// A folder that goes with the value.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes a folder for one run.
    pub(crate) fn new() -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("nuncio-oracle-{}-{number}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _already_gone = fs::remove_dir_all(&self.0);
    }
}

/// A running proxy. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    _child: Child,
    /// Its admin server.
    pub(crate) admin: SocketAddr,
}

impl Proxy {
    /// Starts a proxy and waits until it is ready.
    pub(crate) async fn start(program: &Program, config: &str, folder: &Folder) -> Result<Self> {
        let file = folder.file("config.yaml");
        fs::write(&file, config)?;
        let address = folder.file("admin");
        let log = folder.file("log");
        // An admin server of its own, and histograms that show soon.
        let admin = "{admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}, \
                     stats_flush_interval: 0.2s}";
        let child = Command::new(program.path())
            .arg("-c")
            .arg(&file)
            .args(["--config-yaml", admin, "--concurrency", "1", "--disable-hot-restart", "-l", "warning"])
            .args(["--file-flush-interval-msec", "10", "--admin-address-path"])
            .arg(&address)
            .env(CHILD, "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn();
        let mut child = child.map_err(|error| format!("cannot run {}: {error}", program.path().display()))?;
        for _ in 0..2_000 {
            if let Some(status) = child.try_wait()? {
                let log = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{} ended with {status}:\n{log}", program.name()).into());
            }
            let text = fs::read_to_string(&address).unwrap_or_default();
            if let Ok(admin) = text.trim().parse()
                && admin::get(admin, "/ready").await.is_ok_and(|(status, _)| status == 200)
                && admin::has_workers(admin).await
            {
                return Ok(Self { _child: child, admin });
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(format!("{} did not get ready", program.name()).into())
    }
}
