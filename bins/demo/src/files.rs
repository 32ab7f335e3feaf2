//! The configuration files that the proxies get: the example's own, with other addresses where that is needed.
//!
//! The front proxy's file is used as it stands. A service's file binds fixed addresses, as a container of its own
//! would allow; here several instances share the machine, so each gets a copy with its own addresses. With
//! `--base-port` the front proxy gets such a copy, too.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};

use crate::failure::Failure;
use crate::ports::Ports;

/// Starts the name of every directory that a demo makes; the process id follows.
const DIRECTORY_PREFIX: &str = "nuncio-demo-";

/// An address as a configuration names it: host or address, and port.
type Address = (String, u16);

/// Read a configuration, or say which file cannot be read.
pub fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))
}

/// The front proxy's configuration on other ports.
pub fn front_copy(text: &str, ports: &Ports) -> Result<String, Failure> {
    let standard = Ports::STANDARD;
    let moved = BTreeMap::from([
        (standard.http, ports.http),
        (standard.https, ports.https),
        (standard.admin, ports.admin),
        (standard.service, ports.service),
    ]);
    let mut tree = parse(text)?;
    let mut found = Vec::new();
    rewrite_addresses(&mut tree, &mut |address, port| {
        let port = moved.get(&port).map(|to| {
            found.push(port);
            *to
        })?;
        Some((address.to_owned(), port))
    });
    for port in moved.keys() {
        if !found.contains(port) {
            return Err(Failure::new(format!("no socket_address with port_value {port}")));
        }
    }
    render(&tree)
}

/// A service's configuration for the instance with `address`.
pub fn service_copy(text: &str, ports: &Ports, address: Ipv4Addr) -> Result<String, Failure> {
    let own = |port: u16| (address.to_string(), port);
    let moved: BTreeMap<Address, Address> = BTreeMap::from([
        (("0.0.0.0".to_owned(), 8000), own(ports.service)),
        (("0.0.0.0".to_owned(), 8001), own(ports.service_admin)),
        (("127.0.0.1".to_owned(), 8080), own(ports.app)),
    ]);
    let mut tree = parse(text)?;
    let mut found = Vec::new();
    rewrite_addresses(&mut tree, &mut |address, port| {
        let (from, to) = moved.get_key_value(&(address.to_owned(), port))?;
        found.push(from.clone());
        Some(to.clone())
    });
    for (address, port) in moved.keys() {
        if !found.contains(&(address.clone(), *port)) {
            return Err(Failure::new(format!("no socket_address {address}:{port}")));
        }
    }
    // In a container the log is the container's own; here all instances would write one file that nobody removes.
    if let Some(path) = tree.get_mut("admin").and_then(|admin| admin.get_mut("access_log_path")) {
        *path = Value::from("/dev/null");
    }
    render(&tree)
}

/// What `--config-yaml` merges into the front proxy's file: names are looked up in the demo's DNS server.
pub fn resolver_override(dns: SocketAddr) -> String {
    format!(
        r#"typed_dns_resolver_config:
  name: envoy.network.dns_resolver.cares
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig
    resolvers:
    - socket_address: {{ address: {}, port_value: {} }}
    dns_resolver_options: {{ no_default_search_domain: true }}
"#,
        dns.ip(),
        dns.port()
    )
}

fn parse(text: &str) -> Result<Value, Failure> {
    serde_yaml::from_str(text).map_err(|error| Failure::new(error.to_string()))
}

fn render(tree: &Value) -> Result<String, Failure> {
    serde_yaml::to_string(tree).map_err(|error| Failure::new(error.to_string()))
}

/// Pass the address and port of every `socket_address` to `change` and store what it returns.
fn rewrite_addresses(tree: &mut Value, change: &mut dyn FnMut(&str, u16) -> Option<Address>) {
    match tree {
        Value::Mapping(mapping) => {
            for (key, value) in mapping.iter_mut() {
                match value {
                    Value::Mapping(address) if key == "socket_address" => rewrite_address(address, change),
                    value => rewrite_addresses(value, change),
                }
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(|item| rewrite_addresses(item, change)),
        _ => {}
    }
}

fn rewrite_address(address: &mut Mapping, change: &mut dyn FnMut(&str, u16) -> Option<Address>) {
    let host = address.get("address").and_then(Value::as_str);
    let port = address.get("port_value").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
    let Some((host, port)) = host.zip(port).and_then(|(host, port)| change(host, port)) else { return };
    address.insert(Value::from("address"), Value::from(host));
    address.insert(Value::from("port_value"), Value::from(port));
}

/// The directory for the copies, readable by its user alone.
///
/// It exists only while a copy is in it, and a copy only until its process has read it. So a demo that is killed
/// while it runs leaves nothing behind.
pub struct Directory(PathBuf);

impl Directory {
    /// Choose the directory, and remove what demos that were killed while they started have left.
    pub fn choose() -> Self {
        let parent = std::env::temp_dir();
        remove_stale(&parent);
        // The random part keeps others on this machine from making the directory first.
        Self(parent.join(format!("{DIRECTORY_PREFIX}{}-{:016x}", std::process::id(), fastrand::u64(..))))
    }

    /// Where the directory is when it exists.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Write one file.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        let write = || match fs::DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => fs::write(&path, text),
        };
        write().map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))?;
        Ok(path)
    }

    /// Remove one file, and the directory with the last one.
    pub fn remove(&self, name: &str) {
        // What fails here is tried again when the demo ends.
        let _ = fs::remove_file(self.0.join(name));
        let _ = fs::remove_dir(&self.0);
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the next demo tries again.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Remove the directories of processes that are gone.
fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix(DIRECTORY_PREFIX)?.split_once('-')?.0.parse().ok());
        let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else { continue };
        if rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
            // A directory of another user stays: only its owner can remove it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests;
