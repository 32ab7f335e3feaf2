//! A worker that runs out of file descriptors rests and goes on. Alone in its file, since the limit is the process's.
#![cfg(target_os = "linux")]

use std::{net::TcpStream, process::Command, sync::Arc};

use nuncio_config::model::{Listener, Place};
use nuncio_listener::{BoundListener, Handler, ListenerStats, Stream, serve};
use nuncio_service::{Connection, Drain};
use nuncio_stats::{Registry, Shard};
use tokio::{io::AsyncReadExt, sync::mpsc};

struct Hold(mpsc::UnboundedSender<()>);

impl Handler for Hold {
    type Accepted = ();

    fn accept(&self, _tls: bool) {}

    async fn handle(&self, (): (), mut stream: Stream, _connection: Arc<Connection>) {
        let _ = self.0.send(());
        let _ = stream.read(&mut [0]).await;
    }
}

#[tokio::test]
async fn too_many_open_files_are_waited_out() {
    let config = Listener {
        name: String::from("test"),
        address: "127.0.0.1:0".parse().expect("an address"),
        ipv4_compat: false,
        stat_prefix: None,
        reuse_port: true,
        per_connection_buffer_limit_bytes: 1 << 20,
        tcp_backlog: None,
        filter_chains: Vec::new(),
        place: Place::default(),
    };
    let mut bound = BoundListener::bind(&config, 1).expect("free");
    let (registry, (handle, drain)) = (Registry::new(1), Drain::new());
    let stats = ListenerStats::new(&registry.scope(Shard::worker(0), "listener.x"), "worker_0", false);
    let (sender, mut served) = mpsc::unbounded_channel();
    let socket = bound.take(0).expect("the first");
    let ended = tokio::spawn(serve(socket, None, Arc::new(Hold(sender)), None, stats, drain));
    tokio::task::yield_now().await;

    let limited = Command::new("prlimit")
        .args([format!("--pid={}", std::process::id()), String::from("--nofile=64:64")])
        .status();
    if !limited.is_ok_and(|status| status.success()) {
        println!("skipped: prlimit is not to be had");
        return;
    }
    // The kernel completes these without the worker, until there is no descriptor left to accept one with.
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(bound.local_address()) {
        clients.push(client);
    }
    assert!(clients.len() > 20, "{} connections", clients.len());
    let total = clients.len();
    // Nothing is accepted for lack of descriptors; some time passes, in which the worker rests again and again.
    let nothing = tokio::time::timeout(std::time::Duration::from_millis(100), served.recv()).await;
    assert!(nothing.is_err());
    clients.truncate(total / 2 - 1);
    for _ in 0..total {
        served.recv().await.expect("the worker goes on");
    }
    assert_eq!(registry.counter_value("listener.x.downstream_cx_total"), Some(total as u64));
    handle.start();
    drop(clients);
    ended.await.expect("no panic").expect("served");
    handle.ended().await;
}
