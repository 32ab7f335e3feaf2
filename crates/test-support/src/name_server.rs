//! A name server whose answers a test changes.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{net::UdpSocket, task::JoinHandle};

/// What a name server says of a name.
#[derive(Clone, Debug)]
pub enum Says {
    /// These addresses, of those that are asked for.
    Addresses(Vec<IpAddr>),
    /// `NXDOMAIN`.
    NoSuchName,
    /// `SERVFAIL`.
    Failure,
    /// Nothing at all.
    Silence,
}

/// A name server on a UDP port. Names that it has not been told are `NXDOMAIN`.
pub struct NameServer {
    address: SocketAddr,
    names: Arc<Mutex<HashMap<String, Says>>>,
    task: JoinHandle<()>,
}

impl NameServer {
    /// Starts one.
    pub async fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let names = Arc::new(Mutex::new(HashMap::new()));
        let task = {
            let names = Arc::clone(&names);
            tokio::spawn(async move {
                let mut buffer = [0; 1500];
                while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                    if let Some(answer) = buffer.get(..length).and_then(|query| answer(&names, query)) {
                        let _ = socket.send_to(&answer, from).await;
                    }
                }
            })
        };
        Self { address, names, task }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it says of a name from now on.
    pub fn say(&self, name: &str, says: Says) {
        self.names.lock().unwrap().insert(name.to_owned(), says);
    }

    /// The addresses of a name from now on.
    pub fn addresses(&self, name: &str, addresses: &[&str]) {
        self.say(name, Says::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect()));
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer to a query with one question (RFC 1035, 4.1).
fn answer(names: &Mutex<HashMap<String, Says>>, query: &[u8]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let mut labels = Vec::new();
    let mut at = HEADER;
    while let length @ 1.. = usize::from(*query.get(at)?) {
        labels.push(std::str::from_utf8(query.get(at + 1..=at + length)?).ok()?.to_lowercase());
        at += length + 1;
    }
    let v6 = query.get(at + 1..at + 3)? == [0, 28];
    let says = names.lock().unwrap().get(&labels.join(".")).cloned().unwrap_or(Says::NoSuchName);
    let (code, mut addresses) = match says {
        Says::Addresses(addresses) => (0, addresses),
        Says::NoSuchName => (3, Vec::new()),
        Says::Failure => (2, Vec::new()),
        Says::Silence => return None,
    };
    addresses.retain(|address| address.is_ipv6() == v6);
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(addresses.len()).ok()?, 0, 0, 0, 0]);
    answer.extend(query.get(HEADER..at + 5)?);
    for address in addresses {
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        // The question's name, the type, the class IN, a time to live of 300 s.
        answer.extend([0xc0, 12, 0, if v6 { 28 } else { 1 }, 0, 1, 0, 0, 1, 44, 0]);
        answer.push(u8::try_from(bytes.len()).ok()?);
        answer.extend(bytes);
    }
    Some(answer)
}
