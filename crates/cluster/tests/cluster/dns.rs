//! A name server whose answers a test changes.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
};

/// What a name server says of a name.
#[derive(Clone)]
pub(crate) enum Says {
    Addresses(Vec<IpAddr>),
    /// `NXDOMAIN`.
    NoSuchName,
    /// `SERVFAIL`.
    Failure,
    Nothing,
}

/// A question that was asked: the name, and whether for v6 addresses.
pub(crate) type Question = (String, bool);

#[derive(Clone)]
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    names: HashMap<String, Says>,
    ttl: u32,
    asked: Vec<Question>,
}

impl NameServer {
    /// Listens on one port, by UDP or, if `tcp`, by TCP alone.
    pub(crate) async fn new(tcp: bool) -> Self {
        let state = Arc::new(Mutex::new(State { names: HashMap::new(), ttl: 300, asked: Vec::new() }));
        let address = if tcp { Self::serve_tcp(&state).await } else { Self::serve_udp(&state).await };
        Self { address, state }
    }

    async fn serve_udp(state: &Arc<Mutex<State>>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let state = Arc::clone(state);
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                if let Some(answer) = answer(&state, &buffer[..length]) {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        address
    }

    async fn serve_tcp(state: &Arc<Mutex<State>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::clone(state);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    while let Ok(length) = stream.read_u16().await {
                        let mut query = vec![0; usize::from(length)];
                        stream.read_exact(&mut query).await.unwrap();
                        if let Some(answer) = answer(&state, &query) {
                            stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                            stream.write_all(&answer).await.unwrap();
                        }
                    }
                });
            }
        });
        address
    }

    pub(crate) fn say(&self, name: &str, says: Says) {
        self.state.lock().unwrap().names.insert(name.to_owned(), says);
    }

    pub(crate) fn addresses(&self, name: &str, addresses: &[&str]) {
        self.say(name, Says::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect()));
    }

    pub(crate) fn set_ttl(&self, seconds: u32) {
        self.state.lock().unwrap().ttl = seconds;
    }

    /// The questions since the last call.
    pub(crate) fn asked(&self) -> Vec<Question> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }
}

fn answer(state: &Mutex<State>, query: &[u8]) -> Option<Vec<u8>> {
    let mut state = state.lock().unwrap();
    let mut at = 12;
    let mut labels = Vec::new();
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8(query[at + 1..=at + length].to_vec()).unwrap());
        at += length + 1;
    }
    let name = labels.join(".");
    let v6 = query[at + 1..at + 3] == [0, 28];
    let question = &query[12..at + 5];
    state.asked.push((name.clone(), v6));
    let (code, addresses) = match state.names.get(&name).cloned().unwrap_or(Says::NoSuchName) {
        Says::Addresses(addresses) => (0, addresses),
        Says::NoSuchName => (3, Vec::new()),
        Says::Failure => (2, Vec::new()),
        Says::Nothing => return None,
    };
    let addresses: Vec<_> = addresses.into_iter().filter(|address| address.is_ipv6() == v6).collect();
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(addresses.len()).unwrap(), 0, 0, 0, 0]);
    answer.extend(question);
    for address in addresses {
        answer.extend([0xc0, 12, 0, if v6 { 28 } else { 1 }, 0, 1]);
        answer.extend(state.ttl.to_be_bytes());
        match address {
            IpAddr::V4(address) => {
                answer.extend([0, 4]);
                answer.extend(address.octets());
            }
            IpAddr::V6(address) => {
                answer.extend([0, 16]);
                answer.extend(address.octets());
            }
        }
    }
    Some(answer)
}
