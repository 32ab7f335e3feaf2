use std::{
    net::{Shutdown, SocketAddr},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use nuncio_config::model::{DownstreamTls, Listener, Place, Secret, TlsCertificate};
use nuncio_service::DrainHandle;
use nuncio_stats::{Registry, Shard, StatsQuery, render};
use nuncio_tls::Crypto;
use rustls::{
    ClientConfig, DigitallySignedStruct, NamedGroup, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
};

use super::*;
use crate::BoundListener;

/// Echoes until the client ends, or draining starts; the word `panic` makes it panic.
struct Echo {
    drain: Drain,
    seen: mpsc::UnboundedSender<Arc<Connection>>,
    accepted: Arc<Mutex<AcceptedCount>>,
}

/// Connections that were accepted, those of them that are left, and those whose handshake the client spoiled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct AcceptedCount {
    total: usize,
    tls: usize,
    active: usize,
    failed: usize,
}

struct Counted(Arc<Mutex<AcceptedCount>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.lock().expect("no panic").active -= 1;
    }
}

impl Handler for Echo {
    type Accepted = Counted;

    fn accept(&self, tls: bool) -> Counted {
        let mut count = self.accepted.lock().expect("no panic");
        count.total += 1;
        count.active += 1;
        count.tls += usize::from(tls);
        Counted(Arc::clone(&self.accepted))
    }

    fn failed_by_client(&self, accepted: Counted) {
        self.accepted.lock().expect("no panic").failed += 1;
        drop(accepted);
    }

    async fn handle(&self, _accepted: Counted, mut stream: Stream, connection: Arc<Connection>) {
        if let Stream::Plain(stream) = &stream {
            assert!(stream.nodelay().expect("open"), "inherited from the listening socket");
        }
        let _ = self.seen.send(connection);
        let mut buffer = [0; 64];
        loop {
            let length = tokio::select! {
                read = stream.read(&mut buffer) => read.unwrap_or(0),
                () = self.drain.wait() => 0,
            };
            assert_ne!(&buffer[..length], b"panic");
            if length == 0 || stream.write_all(&buffer[..length]).await.is_err() {
                return;
            }
            let _ = stream.flush().await;
        }
    }
}

/// Never ends by itself.
struct Stubborn;

impl Handler for Stubborn {
    type Accepted = ();

    fn accept(&self, _tls: bool) {}

    async fn handle(&self, (): (), _stream: Stream, _connection: Arc<Connection>) {
        std::future::pending().await
    }
}

/// A worker that serves, and what a test wants of it.
struct Served {
    address: SocketAddr,
    prefix: String,
    registry: Registry,
    handle: DrainHandle,
    seen: mpsc::UnboundedReceiver<Arc<Connection>>,
    accepted: Arc<Mutex<AcceptedCount>>,
    ended: JoinHandle<io::Result<()>>,
}

#[derive(Default)]
struct Options {
    tls: Option<DownstreamTls>,
    limit: Option<ConnectionLimit>,
    address: Option<&'static str>,
    stubborn: bool,
}

impl Options {
    fn serve(self) -> Served {
        let config = Listener {
            name: String::from("test"),
            address: self.address.unwrap_or("127.0.0.1:0").parse().expect("an address"),
            ipv4_compat: true,
            stat_prefix: None,
            reuse_port: true,
            per_connection_buffer_limit_bytes: 1 << 20,
            tcp_backlog: None,
            filter_chains: Vec::new(),
            place: Place::default(),
        };
        let mut bound = BoundListener::bind(&config, 1).expect("free");
        let (registry, (handle, drain)) = (Registry::new(1), Drain::new());
        let prefix = crate::stat_name(&Listener { address: bound.local_address(), ..config });
        let scope = registry.scope(Shard::worker(0), &prefix);
        let stats = ListenerStats::new(&scope, "worker_0", self.tls.is_some());
        let tls = self.tls.map(|tls| {
            let crypto = Crypto {
                provider: Arc::new(aws_lc_rs::default_provider()),
                ticketer: aws_lc_rs::Ticketer::new,
            };
            Arc::new(ServerContext::new(&tls, &crypto).expect("it is sound"))
        });
        let (sender, seen) = mpsc::unbounded_channel();
        let accepted = Arc::<Mutex<AcceptedCount>>::default();
        let (address, socket) = (bound.local_address(), bound.take(0).expect("the first"));
        let ended = if self.stubborn {
            tokio::spawn(serve(socket, tls, Arc::new(Stubborn), self.limit, stats, drain))
        } else {
            let echo = Echo { drain: drain.clone(), seen: sender, accepted: Arc::clone(&accepted) };
            tokio::spawn(serve(socket, tls, Arc::new(echo), self.limit, stats, drain))
        };
        Served { address, prefix: prefix.replace(':', "_"), registry, handle, seen, accepted, ended }
    }
}

impl Served {
    fn accepted(&self) -> AcceptedCount {
        *self.accepted.lock().expect("no panic")
    }

    fn stat(&self, name: &str) -> i64 {
        let name = format!("{}.{name}", self.prefix);
        self.registry
            .counter_value(&name)
            .map(|value| value.cast_signed())
            .or_else(|| self.registry.gauge_value(&name))
            .unwrap_or_else(|| panic!("no stat {name}"))
    }

    /// Waits until a stat has a value.
    async fn until(&self, name: &str, value: i64) {
        // By the real clock, since the one of the runtime may be paused.
        let start = Instant::now();
        while self.stat(name) != value {
            assert!(start.elapsed() < LONG, "{name} is {} and not {value}", self.stat(name));
            tokio::task::yield_now().await;
        }
    }

    async fn next_connection(&mut self) -> Arc<Connection> {
        within(self.seen.recv()).await.expect("a connection")
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }
}

/// Longer than anything takes that comes at all.
const LONG: Duration = Duration::from_secs(10);

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("it comes in time")
}

async fn echo(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), word: &str) -> io::Result<()> {
    stream.write_all(word.as_bytes()).await?;
    let mut answer = vec![0; word.len()];
    within(stream.read_exact(&mut answer)).await?;
    assert_eq!(answer, word.as_bytes());
    Ok(())
}

/// Reads until the other side ends, by closing or by reset.
async fn end_of(stream: &mut TcpStream) -> usize {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    rest.len()
}

#[tokio::test]
async fn a_connection_is_served_and_counted() {
    let mut served = Options::default().serve();
    let mut client = served.connect().await;
    echo(&mut client, "hello").await.expect("an echo");
    let connection = served.next_connection().await;
    assert_eq!(connection.remote_address, client.local_addr().expect("open"));
    assert_eq!(connection.local_address, served.address);
    assert!(connection.tls.is_none());
    for name in ["downstream_cx_active", "worker_0.downstream_cx_active", "worker_0.downstream_cx_total"] {
        assert_eq!(served.stat(name), 1, "{name}");
    }
    drop(client);
    served.until("downstream_cx_destroy", 1).await;
    assert_eq!((served.stat("downstream_cx_active"), served.stat("downstream_cx_total")), (0, 1));
    assert_eq!(served.stat("worker_0.downstream_cx_active"), 0);
    for name in ["downstream_cx_overflow", "no_filter_chain_match", "downstream_pre_cx_timeout"] {
        assert_eq!(served.stat(name), 0, "{name}");
    }
    let used = StatsQuery { used_only: true, ..StatsQuery::default() };
    let used: String = render::text(&served.registry.snapshot(&used));
    assert!(used.contains(&format!("{}.downstream_pre_cx_active: 0\n", served.prefix)), "{used}");
}

#[tokio::test]
async fn a_listener_on_all_addresses_asks_for_the_local_one() {
    let mut served = Options { address: Some("0.0.0.0:0"), ..Options::default() }.serve();
    let address = SocketAddr::from(([127, 0, 0, 1], served.address.port()));
    let client = TcpStream::connect(address).await.expect("it listens");
    assert_eq!(served.next_connection().await.local_address, address);
    drop(client);
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    // An IPv4 client of an IPv6 socket is shown with its IPv4 address.
    let mut served = Options { address: Some("[::]:0"), ..Options::default() }.serve();
    let address = SocketAddr::from(([127, 0, 0, 1], served.address.port()));
    let client = TcpStream::connect(address).await.expect("it listens");
    let connection = served.next_connection().await;
    assert_eq!(connection.local_address, address);
    assert_eq!(connection.remote_address, client.local_addr().expect("open"));
}

#[tokio::test]
async fn a_thousand_connections_leave_nothing_behind() {
    let limit = ConnectionLimit::new(2000);
    let served = Options { limit: Some(limit.clone()), ..Options::default() }.serve();
    for _ in 0..10 {
        let mut clients = Vec::new();
        for _ in 0..100 {
            clients.push(served.connect().await);
        }
        served.until("downstream_cx_active", 100).await;
        // Half of them end in order, half by reset.
        for (index, client) in clients.into_iter().enumerate() {
            if index % 2 == 0 {
                socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("open");
            }
        }
        served.until("downstream_cx_active", 0).await;
    }
    assert_eq!(served.stat("downstream_cx_total"), 1000);
    assert_eq!(served.stat("downstream_cx_destroy"), 1000);
    assert_eq!(served.stat("worker_0.downstream_cx_active"), 0);
    assert_eq!((limit.open(), served.handle.guards()), (0, 0));
}

#[tokio::test]
async fn over_the_limit_a_connection_is_closed_at_once() {
    let served = Options { limit: Some(ConnectionLimit::new(2)), ..Options::default() }.serve();
    let (mut first, mut second) = (served.connect().await, served.connect().await);
    echo(&mut first, "one").await.expect("an echo");
    echo(&mut second, "two").await.expect("an echo");
    assert_eq!(end_of(&mut served.connect().await).await, 0);
    assert_eq!(served.stat("downstream_cx_overflow"), 1);
    // What was refused was never a connection of the listener.
    assert_eq!((served.stat("downstream_cx_total"), served.stat("downstream_cx_destroy")), (2, 0));
    drop(first);
    served.until("downstream_cx_destroy", 1).await;
    echo(&mut served.connect().await, "three").await.expect("an echo");
    echo(&mut second, "still").await.expect("an echo");
}

#[tokio::test]
async fn a_panic_ends_one_connection() {
    let served = Options { limit: Some(ConnectionLimit::new(2)), ..Options::default() }.serve();
    let mut other = served.connect().await;
    let mut client = served.connect().await;
    client.write_all(b"panic").await.expect("open");
    assert_eq!(end_of(&mut client).await, 0);
    served.until("downstream_cx_destroy", 1).await;
    echo(&mut other, "hello").await.expect("an echo");
    echo(&mut served.connect().await, "hello").await.expect("an echo");
    assert_eq!(served.stat("downstream_cx_overflow"), 0);
}

#[tokio::test]
async fn draining_stops_accepting_and_waits_for_the_connections() {
    let served = Options::default().serve();
    let mut client = served.connect().await;
    echo(&mut client, "hello").await.expect("an echo");
    // Completed by the kernel, not accepted yet: served all the same.
    let late = std::net::TcpStream::connect(served.address).expect("it listens");
    served.handle.start();
    within(served.ended).await.expect("no panic").expect("served");
    assert_eq!(end_of(&mut client).await, 0);
    within(served.handle.ended()).await;
    let name = format!("{}.downstream_cx_destroy", served.prefix);
    assert_eq!(served.registry.counter_value(&name), Some(2));
    drop(late);
    let refused = TcpStream::connect(served.address).await.expect_err("nobody listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn what_does_not_end_within_the_drain_time_is_cut_off() {
    let served = Options { stubborn: true, ..Options::default() }.serve();
    let mut client = served.connect().await;
    served.until("downstream_cx_active", 1).await;
    served.handle.start();
    let early = tokio::time::timeout(Duration::from_millis(20), served.handle.ended()).await;
    assert!(early.is_err() && served.handle.guards() == 1);
    served.handle.close();
    within(served.handle.ended()).await;
    assert_eq!(end_of(&mut client).await, 0);
    assert_eq!(served.stat("downstream_cx_active"), 0);
}

/// Trusts everybody.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn connector() -> tokio_rustls::TlsConnector {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.retain(|group| group.name() == NamedGroup::X25519);
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    tokio_rustls::TlsConnector::from(Arc::new(config))
}

fn tls() -> Options {
    let certificate = TlsCertificate {
        certificate_chain: include_bytes!("../../../../fixtures/tls/v1.crt").to_vec(),
        certificate_path: None,
        certificate_place: Place::default(),
        private_key: Secret::new(&include_bytes!("../../../../fixtures/tls/v1.key")[..]),
        private_key_place: Place::default(),
    };
    let tls = DownstreamTls {
        certificates: vec![certificate],
        alpn_protocols: vec![String::from("h2")],
        ..DownstreamTls::default()
    };
    Options { tls: Some(tls), ..Options::default() }
}

fn name() -> ServerName<'static> {
    ServerName::try_from("front-proxy").expect("a name")
}

#[tokio::test]
async fn tls_is_shaken_hands_on_and_counted() {
    let mut served = tls().serve();
    let connector = connector();
    for resumed in [0, 1] {
        // A silent client in the middle of its handshake holds up nobody.
        let silent = served.connect().await;
        let mut client = connector.connect(name(), served.connect().await).await.expect("they shake hands");
        echo(&mut client, "hello").await.expect("an echo");
        assert_eq!(served.accepted().active, 2, "one that has not shaken hands counts");
        assert_eq!(served.stat("ssl.session_reused"), resumed);
        let connection = served.next_connection().await;
        let tls = connection.tls.as_ref().expect("TLS");
        assert_eq!((tls.version, tls.cipher), ("TLSv1.3", "TLS_AES_256_GCM_SHA384"));
        assert_eq!(tls.alpn.as_deref(), Some(&b"h2"[..]));
        drop((silent, client));
        served.until("downstream_cx_destroy", 2 * resumed + 2).await;
    }
    for name in
        ["handshake", "no_certificate", "ciphers.TLS_AES_256_GCM_SHA384", "curves.X25519", "versions.TLSv1.3"]
    {
        assert_eq!(served.stat(&format!("ssl.{name}")), 2, "{name}");
    }
    for name in ["connection_error", "fail_verify_error", "fail_verify_san"] {
        assert_eq!(served.stat(&format!("ssl.{name}")), 0, "{name}");
    }
}

#[tokio::test]
async fn a_failed_handshake_is_counted_unless_the_client_went_away() {
    let served = tls().serve();
    let mut plain = served.connect().await;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("open");
    assert_eq!(end_of(&mut plain).await, 0, "no alert for somebody who speaks HTTP");
    served.until("downstream_cx_destroy", 1).await;
    assert_eq!(served.stat("ssl.connection_error"), 1);
    let gone = served.connect().await.into_std().expect("open");
    gone.shutdown(Shutdown::Write).expect("open");
    served.until("downstream_cx_destroy", 2).await;
    assert_eq!(served.stat("ssl.connection_error"), 1);
    assert_eq!((served.stat("ssl.handshake"), served.stat("downstream_cx_active")), (0, 0));
    assert_eq!(served.accepted(), AcceptedCount { total: 2, tls: 2, active: 0, failed: 2 });
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_closed_after_a_while() {
    let served = tls().serve();
    let mut silent = served.connect().await;
    let start = tokio::time::Instant::now();
    assert_eq!(end_of(&mut silent).await, 0);
    assert_eq!(start.elapsed().as_secs(), HANDSHAKE_TIMEOUT.as_secs());
    served.until("downstream_cx_destroy", 1).await;
    assert_eq!(served.stat("downstream_cx_transport_socket_connect_timeout"), 1);
    assert_eq!(served.stat("ssl.connection_error"), 0);
    assert_eq!(served.accepted(), AcceptedCount { total: 1, tls: 1, active: 0, failed: 0 });
}

#[tokio::test]
async fn the_futures_are_small() {
    struct Nothing(AtomicUsize);
    impl Handler for Nothing {
        type Accepted = ();

        fn accept(&self, _tls: bool) {}

        async fn handle(&self, (): (), stream: Stream, connection: Arc<Connection>) {
            drop((stream, connection));
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn check(what: &str, future: &impl Sized, limit: usize) {
        let size = size_of_val(future);
        assert!(size <= limit, "{what}: {size} bytes");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("free");
    let address = listener.local_addr().expect("bound");
    let stream = || async { TcpStream::connect(address).await.expect("it listens") };
    let connection = || Connection { remote_address: address, local_address: address, tls: None };
    let handler = Arc::new(Nothing(AtomicUsize::new(0)));
    let (_handle, drain) = Drain::new();
    let registry = Registry::new(1);
    let stats = || ListenerStats::new(&registry.scope(Shard::worker(0), "listener.x"), "worker_0", true);
    let open = OpenConnection {
        stats: Arc::new(stats()),
        since: Instant::now(),
        _permit: None,
        _guard: drain.guard(),
    };
    let task = until(open, drain.closed(), plain(Arc::clone(&handler), (), stream().await, connection()));
    check("a plain connection", &task, 1024);
    task.await;
    assert_eq!(handler.0.load(Ordering::Relaxed), 1);
    check("a stream", &Stream::Plain(stream().await), 48);
    check("the accept loop", &serve(listener, None, handler, None, stats(), drain), 2048);
}
