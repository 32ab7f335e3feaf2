//! The admin server answers while no worker does.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    thread,
};

use nuncio_test_support::{Client, Origin, Proxy, until};
use tracing::{Event, Metadata, Subscriber, span};

/// Holds the worker's thread in the middle of its work: in the debug message that a connection could not be made.
struct HoldsTheWorker;

static HELD: Mutex<Held> = Mutex::new(Held::NotYet);
static RELEASED: Condvar = Condvar::new();

#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    NotYet,
    Now,
    NoMore,
}

impl Subscriber for HoldsTheWorker {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("nuncio_cluster")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if thread::current().name() == Some("worker_0") && *held == Held::NotYet {
            *held = Held::Now;
            while *held == Held::Now {
                held = RELEASED.wait(held).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

fn held() -> Held {
    *HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::test]
async fn admin_answers_while_every_worker_is_busy() {
    tracing::subscriber::set_global_default(HoldsTheWorker).expect("the only one in this process");
    let origin = Origin::answering("hello").await;
    let address = origin.address();
    let proxy = Proxy::in_front_of(&origin).start().await;
    drop(origin);
    until(|| std::net::TcpStream::connect(address).is_err(), || "the origin listens".to_owned()).await;

    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    until(|| held() == Held::Now, || "the worker is not busy".to_owned()).await;
    for (path, expected) in [
        ("/ready", "LIVE\n"),
        ("/listeners", "main::"),
        ("/clusters", "origin::observability_name::origin\n"),
        ("/stats", "server.live: 1\n"),
        ("/stats/prometheus", "envoy_server_live{} 1\n"),
        ("/config_dump", "\"configs\""),
        ("/server_info", "\"state\": \"LIVE\""),
    ] {
        let body = proxy.ask_admin(path).await;
        assert!(body.contains(expected), "{path}: {body}");
    }
    assert!(held() == Held::Now, "the worker was busy all the time");

    *HELD.lock().unwrap_or_else(PoisonError::into_inner) = Held::NoMore;
    RELEASED.notify_all();
    assert_eq!(client.response().await.status(), 503);
}
