//! The DNS server in which the front proxy finds the services.
//!
//! It takes the place of the container engine's: one name per service, one address record per running instance.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::proto::rr::rdata::{A, SOA};
use hickory_server::proto::rr::{Name, RData, RecordSet, RecordType, RrKey};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tokio::net::{TcpListener, UdpSocket};

use crate::failure::Failure;

/// How long an answer may be kept, in seconds: short, because instances come and go.
const TTL: u32 = 1;
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
const TCP_RESPONSE_BUFFER: usize = 16;
/// How many times a port that is free for UDP is tried for TCP.
const PORT_ATTEMPTS: usize = 20;

/// A running server; it ends when dropped.
pub struct Dns {
    address: SocketAddr,
    zone: Arc<InMemoryZoneHandler>,
    _server: Server<Catalog>,
}

impl Dns {
    /// Start on a free loopback port, over UDP and TCP, with no service known.
    pub async fn start() -> Result<Self, Failure> {
        let cannot_start = |error: &dyn std::fmt::Display| {
            Failure::new(format!("the DNS server cannot start on 127.0.0.1: {error}"))
        };
        // The zone is the root, so that this server answers for every name and asks nobody.
        let root = Name::root();
        let soa = SOA::new(root.clone(), root.clone(), 1, 1, 1, 1, TTL);
        let records = BTreeMap::from([(
            RrKey::new(root.clone().into(), RecordType::SOA),
            record_set(&root, [RData::SOA(soa)]),
        )]);
        let zone = InMemoryZoneHandler::new(root.clone(), records, ZoneType::Primary, AxfrPolicy::Deny)
            .map_err(|error| cannot_start(&error))?;
        let zone = Arc::new(zone);
        let mut catalog = Catalog::new();
        catalog.upsert(root.into(), vec![Arc::clone(&zone) as _]);

        let (udp, tcp) = bind_pair().await.map_err(|error| cannot_start(&error))?;
        let address = udp.local_addr().map_err(|error| cannot_start(&error))?;
        let mut server = Server::new(catalog);
        server.register_socket(udp);
        server.register_listener(tcp, TCP_TIMEOUT, TCP_RESPONSE_BUFFER);
        Ok(Self { address, zone, _server: server })
    }

    /// Where the server answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answer `service` with exactly these addresses from now on.
    pub async fn publish(&self, service: &str, addresses: &[Ipv4Addr]) -> Result<(), Failure> {
        let name = Name::from_ascii(format!("{service}."))
            .map_err(|error| Failure::new(format!("{service} is no DNS name: {error}")))?;
        let key = RrKey::new(name.clone().into(), RecordType::A);
        let mut records = self.zone.records_mut().await;
        if addresses.is_empty() {
            records.remove(&key);
        } else {
            let set = record_set(&name, addresses.iter().map(|address| RData::A(A(*address))));
            records.insert(key, Arc::new(set));
        }
        Ok(())
    }
}

fn record_set(name: &Name, data: impl IntoIterator<Item = RData>) -> RecordSet {
    let mut data = data.into_iter().peekable();
    let record_type = data.peek().map_or(RecordType::A, RData::record_type);
    let mut set = RecordSet::with_ttl(name.clone(), record_type, TTL);
    for record in data {
        set.add_rdata(record);
    }
    set
}

/// A UDP and a TCP socket on one loopback port: an answer that does not fit into UDP is asked for again over TCP.
async fn bind_pair() -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut attempt = 1;
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if attempt == PORT_ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}

#[cfg(test)]
mod tests;
