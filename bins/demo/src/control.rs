//! How `demo scale` in another terminal reaches the running demo.
//!
//! The demo listens on a Unix socket in Linux's abstract namespace: the name vanishes with the process, so a demo
//! that was killed leaves nothing that a later one would mistake for a running demo. The name carries the user and
//! the ports; who connects must be the same user.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::child::Event;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::scale::ScaleRequest;
use crate::screen;

/// No request is longer.
const REQUEST_LIMIT: u64 = 4096;
const DONE: &str = "done";
const FAILED: &str = "failed: ";
const PROGRESS: &str = "progress: ";

/// The name without its last part, which is [`ports_name`].
fn name_prefix() -> String {
    format!("nuncio-demo-{}-", rustix::process::getuid().as_raw())
}

fn ports_name(base_port: Option<u16>) -> String {
    base_port.map_or_else(|| "standard".to_owned(), |base| base.to_string())
}

fn name(base_port: Option<u16>) -> String {
    name_prefix() + &ports_name(base_port)
}

fn address(base_port: Option<u16>) -> Result<net::SocketAddr, Failure> {
    net::SocketAddr::from_abstract_name(name(base_port))
        .map_err(|error| Failure::new(format!("the demo's control socket has no address: {error}")))
}

/// Accepts requests while the demo runs.
pub struct Control(UnixListener);

impl Control {
    /// Start to listen.
    pub fn bind(base_port: Option<u16>) -> Result<Self, Failure> {
        let address = address(base_port)?;
        let bind = || {
            let listener = net::UnixListener::bind_addr(&address)?;
            listener.set_nonblocking(true)?;
            UnixListener::from_std(listener)
        };
        bind().map(Self).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => Failure::new(
                "a demo is running on these ports already; stop it with Ctrl-C where it runs, \
                 or take other ports with --base-port N",
            ),
            _ => Failure::new(format!("the demo's control socket cannot be opened: {error}")),
        })
    }

    /// Carry out requests for ever.
    pub async fn serve(self, fleet: Arc<Fleet>, events: mpsc::UnboundedSender<Event>) {
        loop {
            // An error is one connection's; the next may work.
            let Ok((stream, _)) = self.0.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            let same_user =
                stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::getuid().as_raw());
            if same_user {
                tokio::spawn(answer(stream, Arc::clone(&fleet), events.clone()));
            }
        }
    }
}

async fn answer(stream: UnixStream, fleet: Arc<Fleet>, events: mpsc::UnboundedSender<Event>) {
    let (reader, mut writer) = stream.into_split();
    let mut request = String::new();
    if BufReader::new(reader.take(REQUEST_LIMIT)).read_line(&mut request).await.is_err() {
        return;
    }
    let (progress, mut told) = mpsc::unbounded_channel();
    // In a task of its own: a client that goes away does not leave the change half done.
    let change = tokio::spawn(async move {
        for part in request.split_whitespace() {
            let part: ScaleRequest = part.parse()?;
            fleet.scale(part.service, part.count, &progress).await?;
        }
        Ok::<_, Failure>(())
    });
    while let Some(line) = told.recv().await {
        let _ = writer.write_all(format!("{PROGRESS}{line}\n").as_bytes()).await;
        let _ = events.send(Event::Note(line));
    }
    let end = match change.await {
        Ok(Ok(())) => DONE.to_owned(),
        Ok(Err(failure)) => format!("{FAILED}{}", failure.to_string().replace('\n', " ")),
        Err(error) => format!("{FAILED}{error}"),
    };
    let _ = writer.write_all(format!("{end}\n").as_bytes()).await;
}

/// Ask the running demo for other numbers of instances, and print what it does.
pub async fn scale(base_port: Option<u16>, requests: &[ScaleRequest]) -> Result<(), Failure> {
    let stream = address(base_port).and_then(|address| {
        let connect = || {
            let stream = net::UnixStream::connect_addr(&address)?;
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)
        };
        connect().map_err(|_| not_running(base_port, &running()))
    })?;
    let (reader, mut writer) = stream.into_split();
    let request: Vec<_> = requests.iter().map(ToString::to_string).collect();
    let gone = || Failure::new("the demo ended before the change was done");
    writer.write_all(format!("{}\n", request.join(" ")).as_bytes()).await.map_err(|_| gone())?;
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(progress) = line.strip_prefix(PROGRESS) {
            screen::print(&format!("{progress}\n"));
        } else if let Some(reason) = line.strip_prefix(FAILED) {
            return Err(Failure::new(reason));
        } else if line == DONE {
            return Ok(());
        }
    }
    Err(gone())
}

/// The ports' names of this user's running demos.
fn running() -> Vec<String> {
    let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let prefix = format!("@{}", name_prefix());
    let names = sockets.lines().filter_map(|line| line.split_whitespace().last()?.strip_prefix(&prefix));
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

fn not_running(base_port: Option<u16>, running: &[String]) -> Failure {
    let wanted = match base_port {
        None => "no demo is running on the standard ports".to_owned(),
        Some(base) => format!("no demo is running with --base-port {base}"),
    };
    let hint = match running {
        [] => "start one with `cargo demo` in another terminal".to_owned(),
        [ports] if *ports == ports_name(None) => {
            "one runs on the standard ports: leave --base-port out".to_owned()
        }
        [ports] => format!("one runs with --base-port {ports}: give that to this command, too"),
        several => format!("there are several, with --base-port {}: say which", several.join(", ")),
    };
    Failure::new(format!("{wanted}; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base_port: Option<u16>, running: &[&str], expected: &str) {
        let running: Vec<_> = running.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(not_running(base_port, &running).to_string(), expected);
    }

    #[test]
    fn says_what_to_do_when_no_demo_answers() {
        check(
            None,
            &[],
            "no demo is running on the standard ports; start one with `cargo demo` in another terminal",
        );
        check(
            None,
            &["21000"],
            "no demo is running on the standard ports; one runs with --base-port 21000: give that to this command, too",
        );
        check(
            Some(9000),
            &["standard"],
            "no demo is running with --base-port 9000; one runs on the standard ports: leave --base-port out",
        );
    }

    #[tokio::test]
    async fn a_running_demo_is_found_by_its_ports_until_it_ends() {
        // No demo can have this base port.
        let base = Some(1);
        let control = Control::bind(base).expect("a free name");
        assert!(running().contains(&ports_name(base)));
        assert!(Control::bind(base).is_err());
        drop(control);
        assert!(!running().contains(&ports_name(base)));
    }
}
