//! A whole proxy in this process.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use nuncio_config::{ConfigErrors, Externals, LoadOptions, Loaded, Machine, Source, load};
use nuncio_proxy::{Crypto, FlushOptions, Options, Running, ServerHandle};
use rustls::crypto::aws_lc_rs;
use serde_json::Value;

use crate::{Directory, Origin, get, panics, soon, until};

/// A proxy that has not been started yet.
#[derive(Clone, Debug)]
pub struct Proxy {
    yaml: String,
    workers: usize,
    variables: HashMap<String, String>,
}

/// A proxy that is LIVE. Dropping it ends it at once.
pub struct RunningProxy {
    running: Running,
}

impl Proxy {
    /// A proxy with this configuration.
    pub fn from_yaml(text: impl Into<String>) -> Self {
        Self { yaml: text.into(), workers: 1, variables: HashMap::new() }
    }

    /// A proxy that sends every request to one HTTP/1.1 origin, with stats under `http.test` and `cluster.origin`, a
    /// listener named `main` and an admin server.
    pub fn in_front_of(origin: &Origin) -> Self {
        Self::in_front_of_address(origin.address())
    }

    /// The same in front of whatever listens there.
    pub fn in_front_of_address(address: SocketAddr) -> Self {
        Self::from_yaml(include_str!("proxy/one_origin.yaml"))
            .replacing("ORIGIN_PORT", &address.port().to_string())
    }

    /// Adds fields to the connection manager.
    #[must_use]
    pub fn with_manager(self, fields: &str) -> Self {
        self.inserting("          stat_prefix: test\n", fields)
    }

    /// Adds fields to the action of the route, in one line: `timeout: 1s, ...`.
    #[must_use]
    pub fn with_route(self, fields: &str) -> Self {
        self.replacing("route: { cluster: origin", &format!("route: {{ cluster: origin, {fields}"))
    }

    /// Puts these routes, in the style of flows, before the one that is there.
    #[must_use]
    pub fn with_routes(self, routes: &[&str]) -> Self {
        let routes: Vec<_> = routes.iter().map(|route| format!("- {route}")).collect();
        self.inserting("              routes:\n", &routes.join("\n"))
    }

    /// Adds fields to the cluster.
    #[must_use]
    pub fn with_cluster(self, fields: &str) -> Self {
        self.inserting("  clusters:\n  - name: origin\n", fields)
    }

    /// Speaks HTTP/2 to the origin.
    #[must_use]
    pub fn with_http2_upstream(self) -> Self {
        let options = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        self.with_cluster(&format!(
            "typed_extension_protocol_options:\n  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\n    \"@type\": {options}\n    explicit_http_config: {{ http2_protocol_options: {{}} }}"
        ))
    }

    /// Replaces the cluster's hosts by these, in the style of flows: `{ endpoint: ... }`.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: &[String]) -> Self {
        const START: &str = "      - lb_endpoints:\n";
        let start = self.yaml.find(START).unwrap() + START.len();
        let end = start + self.yaml.get(start..).unwrap().find('\n').unwrap() + 1;
        let lines: String = endpoints.iter().map(|endpoint| format!("        - {endpoint}\n")).collect();
        self.yaml.replace_range(start..end, &lines);
        self
    }

    /// Replaces the cluster's hosts by these addresses.
    #[must_use]
    pub fn with_hosts<'a>(self, origins: impl IntoIterator<Item = &'a Origin>) -> Self {
        let endpoints: Vec<_> =
            origins.into_iter().map(|origin| endpoint(&origin.address().ip(), origin.address())).collect();
        self.with_endpoints(&endpoints)
    }

    /// Serves TLS with what stands in `common_tls_context`.
    #[must_use]
    pub fn with_tls(self, common_tls_context: &str) -> Self {
        let context = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
        let fields = format!(
            "transport_socket:\n  name: tls\n  typed_config:\n    \"@type\": {context}\n    common_tls_context:\n{}",
            indented(common_tls_context, 6),
        );
        self.replacing("    - filters:\n", "    - name: chain\n      filters:\n")
            .inserting("    - name: chain\n", &fields)
    }

    /// Writes an access log in this format, or in Envoy's default format.
    #[must_use]
    pub fn with_access_log(self, directory: &Directory, format: Option<&str>) -> Self {
        let path = directory.path("access.log");
        let file = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog";
        let format = match format {
            Some(format) => {
                format!("\n    log_format: {{ text_format_source: {{ inline_string: \"{format}\\n\" }} }}")
            }
            None => String::new(),
        };
        self.with_manager(&format!(
            "access_log:\n- name: log\n  typed_config:\n    \"@type\": {file}\n    path: {}{format}",
            path.display(),
        ))
    }

    /// Sets a variable of the environment that the configuration is loaded in.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Inserts lines after one that is there once, as deep as its text begins or, for an item, as its fields do.
    fn inserting(mut self, after: &str, lines: &str) -> Self {
        let last = after.lines().last().unwrap();
        let depth = last.len() - last.trim_start_matches([' ', '-']).len();
        let at = self.yaml.find(after).unwrap_or_else(|| panic!("there is no {after} in the configuration"));
        self.yaml.insert_str(at + after.len(), &indented(lines, depth));
        self
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
    pub fn try_start(self) -> Result<Running, ConfigErrors> {
        let loaded = match self.load() {
            Ok(loaded) => loaded,
            Err(errors) => panic!("{errors}"),
        };
        panics::watch();
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

    /// Loads its configuration, or says why it was refused.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(&self) -> Result<Loaded, ConfigErrors> {
        let source = Source::new("test.yaml", self.yaml.clone());
        let environment = Environment(self.variables.clone());
        load(&[source], &LoadOptions { externals: Some(&environment), ..LoadOptions::default() })
    }
}

/// An endpoint in the style of flows.
fn endpoint(host: &impl std::fmt::Display, address: SocketAddr) -> String {
    let port = address.port();
    format!("{{ endpoint: {{ address: {{ socket_address: {{ address: {host}, port_value: {port} }} }} }} }}")
}

fn indented(lines: &str, depth: usize) -> String {
    lines.lines().map(|line| format!("{:depth$}{line}\n", "")).collect()
}

/// The files of this machine and the variables of one test.
struct Environment(HashMap<String, String>);

impl Externals for Environment {
    fn file(&self, name: &str) -> io::Result<Vec<u8>> {
        Machine.file(name)
    }

    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name).map(|value| value.clone().into_bytes())
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

    /// Waits until stats have values; `http.` stands for `http.test.`, `cluster.` for `cluster.origin.`.
    pub async fn wait_for_stats(&self, expected: &[(&str, i64)]) {
        for (name, value) in expected {
            let name = match name.split_once('.') {
                Some(("http", rest)) => format!("http.test.{rest}"),
                Some(("cluster", rest)) => format!("cluster.origin.{rest}"),
                _ => (*name).to_owned(),
            };
            self.wait_for_stat(&name, *value).await;
        }
    }
}

impl Drop for RunningProxy {
    fn drop(&mut self) {
        let panics = panics::seen();
        if !std::thread::panicking() {
            assert!(panics.is_empty(), "a proxy's thread panicked: {panics:?}");
        }
    }
}

/// The cryptography that the binaries use.
pub fn crypto() -> Crypto {
    Crypto { provider: Arc::new(aws_lc_rs::default_provider()), ticketer: aws_lc_rs::Ticketer::new }
}
