//! A whole proxy in this process.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use nuncio_config::{LoadOptions, Source, load};
use nuncio_proxy::{Crypto, FlushOptions, Options, Running, ServerHandle, StartErrors};
use rustls::crypto::aws_lc_rs;
use serde_json::Value;

use crate::{Origin, get, soon, until};

/// A proxy that has not been started yet.
#[derive(Clone, Debug)]
pub struct Proxy {
    yaml: String,
    workers: usize,
}

/// A proxy that is LIVE. Dropping it ends it at once.
pub struct RunningProxy {
    running: Running,
}

impl Proxy {
    /// A proxy with this configuration.
    pub fn from_yaml(text: impl Into<String>) -> Self {
        Self { yaml: text.into(), workers: 1 }
    }

    /// A proxy that sends every request to one HTTP/1.1 origin, with stats under `http.test` and `cluster.origin`, a
    /// listener named `main` and an admin server.
    pub fn in_front_of(origin: &Origin) -> Self {
        Self::from_yaml(include_str!("proxy/one_origin.yaml"))
            .replacing("ORIGIN_PORT", &origin.address().port().to_string())
    }

    /// Replaces a placeholder in the configuration.
    #[must_use]
    pub fn replacing(mut self, placeholder: &str, value: &str) -> Self {
        assert!(self.yaml.contains(placeholder), "there is no {placeholder} in the configuration");
        self.yaml = self.yaml.replace(placeholder, value);
        self
    }

    /// Adds lines at the end of the configuration.
    #[must_use]
    pub fn and(mut self, yaml: &str) -> Self {
        self.yaml.push_str(yaml);
        self
    }

    /// So many workers instead of one.
    #[must_use]
    pub fn with_workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Starts it and waits until it is LIVE.
    pub async fn start(self) -> RunningProxy {
        let running = match self.try_start() {
            Ok(running) => running,
            Err(errors) => panic!("{errors}"),
        };
        let running = RunningProxy { running };
        soon("a LIVE proxy", running.handle().live()).await.unwrap();
        running
    }

    /// Starts it, without waiting, or says why it was refused. The configuration itself must load.
    ///
    /// # Errors
    /// What the start was refused for.
    pub fn try_start(self) -> Result<Running, StartErrors> {
        let source = Source::new("test.yaml", self.yaml);
        let loaded = match load(&[source], &LoadOptions::default()) {
            Ok(loaded) => loaded,
            Err(errors) => panic!("{errors}"),
        };
        let options = Options {
            workers: self.workers,
            flush: FlushOptions { interval: Duration::from_millis(20), bytes: 64 * 1024 },
            crypto: crypto(),
            share_ports: false,
            admin_address_path: None,
            command_line: Value::Null,
            started: Instant::now(),
        };
        nuncio_proxy::start(&loaded, &options)
    }
}

impl RunningProxy {
    /// The address of a listener, counted from 0 in the order of the configuration.
    pub fn listener(&self, index: usize) -> SocketAddr {
        *self.running.listeners().get(index).unwrap()
    }

    /// The address of the admin server.
    pub fn admin(&self) -> SocketAddr {
        self.running.admin().unwrap()
    }

    /// Watches and ends it.
    pub fn handle(&self) -> &ServerHandle {
        self.running.handle()
    }

    /// What the admin server answers to a path.
    pub async fn ask_admin(&self, path: &str) -> String {
        get(self.admin(), path).await.body
    }

    /// The value of a counter or gauge; `None` if there is none of this name.
    pub fn stat(&self, name: &str) -> Option<i64> {
        let stats = self.running.stats();
        stats.counter_value(name).map(u64::cast_signed).or_else(|| stats.gauge_value(name))
    }

    /// Waits until a stat has a value.
    pub async fn wait_for_stat(&self, name: &str, value: i64) {
        until(
            || self.stat(name) == Some(value),
            || format!("{name} is {:?} and not {value}", self.stat(name)),
        )
        .await;
    }
}

/// The cryptography that the binaries use.
pub fn crypto() -> Crypto {
    Crypto { provider: Arc::new(aws_lc_rs::default_provider()), ticketer: aws_lc_rs::Ticketer::new }
}
