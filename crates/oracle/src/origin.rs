//! The origins: servers that answer as the exchange's script says, and note what reaches them.

mod http1;
mod http2;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use crate::{
    Result,
    case::{Answer, Protocol, Step, Text},
    seen::OriginRequest,
    socket::Socket,
    wire::Wire,
};

/// Longer than any time limit in the configurations.
const PATIENCE: Duration = Duration::from_secs(10);

/// All origins of a proxy.
#[derive(Debug)]
pub(crate) struct Origins {
    /// The origins' ports by name.
    pub(crate) ports: BTreeMap<String, u16>,
    shared: Arc<Shared>,
    _listeners: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    turns: watch::Sender<Turns>,
    /// Connections that are idle close when it changes.
    epoch: watch::Sender<u64>,
}

/// The script of the exchange that is running, and what has come of it.
#[derive(Debug, Default)]
struct Turns {
    script: VecDeque<Vec<Step>>,
    seen: Vec<OriginRequest>,
    running: usize,
    open: usize,
    connections: Vec<u64>,
    accepted: u64,
}

impl Origins {
    /// Starts one origin for each name.
    pub(crate) async fn start(protocols: &BTreeMap<String, Protocol>) -> Result<Self> {
        let shared =
            Arc::new(Shared { turns: watch::Sender::new(Turns::default()), epoch: watch::Sender::new(0) });
        let mut listeners = JoinSet::new();
        let mut ports = BTreeMap::new();
        for (name, protocol) in protocols {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            ports.insert(name.clone(), listener.local_addr()?.port());
            listeners.spawn(accept(listener, name.clone(), *protocol, Arc::clone(&shared)));
        }
        Ok(Self { ports, shared, _listeners: listeners })
    }

    /// Takes the script of the next exchange.
    pub(crate) fn begin(&self, script: &[Vec<Step>]) {
        self.shared.turns.send_modify(|turns| {
            turns.script = script.iter().cloned().collect();
            turns.seen.clear();
            turns.connections.clear();
        });
    }

    /// Waits until so many requests have come.
    pub(crate) async fn wait_for_requests(&self, requests: usize, patience: Duration) {
        self.wait(patience, |turns| turns.seen.len() >= requests).await;
    }

    /// Waits until every request has ended, and tells what came.
    pub(crate) async fn end(&self) -> Vec<OriginRequest> {
        self.wait(Duration::from_secs(2), |turns| turns.running == 0).await;
        self.shared.turns.borrow().seen.clone()
    }

    /// Closes the connections.
    pub(crate) async fn close_idle(&self) {
        self.shared.epoch.send_modify(|epoch| *epoch += 1);
        self.wait(Duration::from_secs(2), |turns| turns.open == 0).await;
    }

    async fn wait(&self, patience: Duration, condition: impl FnMut(&Turns) -> bool) {
        let mut receiver = self.shared.turns.subscribe();
        // Whatever is missing then shows in the comparison.
        let _in_time = timeout(patience, receiver.wait_for(condition)).await;
    }
}

async fn accept(listener: TcpListener, name: String, protocol: Protocol, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        connections.spawn(connection(tcp, name.clone(), protocol, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(tcp: TcpStream, name: String, protocol: Protocol, shared: Arc<Shared>) {
    let _small_writes = tcp.set_nodelay(true);
    let Ok(wire) = Wire::new(Socket::Plain(tcp)) else {
        return;
    };
    let wire = Arc::new(wire);
    let mut id = 0;
    shared.turns.send_modify(|turns| {
        turns.accepted += 1;
        turns.open += 1;
        id = turns.accepted;
    });
    let visit = Visit { id, name, shared: Arc::clone(&shared) };
    match protocol {
        Protocol::Http1 => http1::serve(&wire, &visit).await,
        Protocol::Http2 => http2::serve(&wire, &visit).await,
    }
    wire.close(false).await;
    shared.turns.send_modify(|turns| turns.open -= 1);
}

/// A connection's access to the script.
#[derive(Clone, Debug)]
struct Visit {
    id: u64,
    name: String,
    shared: Arc<Shared>,
}

impl Visit {
    /// Notes a request's head; its number and what to do with it.
    fn begin(&self, head: Vec<String>) -> (usize, Vec<Step>) {
        let mut turn = (0, Vec::new());
        self.shared.turns.send_modify(|turns| {
            let known = turns.connections.iter().position(|id| *id == self.id);
            let connection = known.unwrap_or_else(|| {
                turns.connections.push(self.id);
                turns.connections.len() - 1
            });
            turns.seen.push(OriginRequest {
                origin: self.name.clone(),
                connection: connection + 1,
                head,
                ..OriginRequest::default()
            });
            turns.running += 1;
            turn = (turns.seen.len() - 1, turns.script.pop_front().unwrap_or_else(|| vec![hello()]));
        });
        turn
    }

    /// Notes a request's end.
    fn end(&self, index: usize, body: &[u8], complete: bool, trailers: Vec<String>, end: &str) {
        self.shared.turns.send_modify(|turns| {
            turns.running -= 1;
            if let Some(seen) = turns.seen.get_mut(index) {
                seen.body = crate::seen::body(body);
                seen.trailers = trailers;
                seen.end = if complete { end.to_owned() } else { format!("{end}, request cut") };
            }
        });
    }

    /// Waits until the connection is to close if it is idle.
    async fn dismissed(epoch: &mut watch::Receiver<u64>) {
        // The sender lives as long as the listener.
        let _closed = epoch.changed().await;
    }
}

/// What an origin answers that was told nothing.
fn hello() -> Step {
    Step::Answer(Answer {
        status: 200,
        headers: vec!["content-type: text/plain".to_owned()],
        body: Some(Text::Plain("hello".to_owned())),
        chunked: false,
        trailers: Vec::new(),
    })
}
