//! The bootstrap as a running Envoy shows it, to compare values with.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Ends Envoy however the question ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts Envoy with the file and asks its admin server for what it has read. `scratch` is a path to write to.
pub(crate) fn bootstrap(program: &str, file: &Path, scratch: &Path) -> Value {
    let admin = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}";
    let child = Command::new(program)
        .args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "off"])
        .args(["--config-yaml", admin, "--admin-address-path"])
        .arg(scratch)
        .arg("-c")
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _running = Running(child);
    let deadline = Instant::now() + Duration::from_secs(20);
    let address = loop {
        match fs::read_to_string(scratch) {
            Ok(address) if address.contains(':') => break address,
            _ if Instant::now() > deadline => panic!("Envoy has not started with {}", file.display()),
            _ => sleep(Duration::from_millis(20)),
        }
    };
    let dump: Value = serde_json::from_slice(&ask(&address, "/config_dump")).unwrap();
    dump.pointer("/configs/0/bootstrap").cloned().unwrap()
}

/// The body of the response.
fn ask(address: &str, path: &str) -> Vec<u8> {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n").unwrap();
    let mut response = Vec::new();
    connection.read_to_end(&mut response).unwrap();
    let head = response.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let mut rest = &response[head..];
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    body
}
