//! What a drain means for connections of every kind; `lifecycle.rs` has the rest of it.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use nuncio_test_support::{
    Client, Http2Client, ManualOrigin, Origin, Proxy, Reading, RunningProxy, get, soon, until,
};

const LONG: Duration = Duration::from_secs(600);

async fn drained(proxy: &RunningProxy) {
    until(|| proxy.stat("server.state") == Some(1), || "the drain has not begun".to_owned()).await;
}

async fn ended(proxy: &RunningProxy) {
    soon("the end of the proxy", proxy.handle().ended()).await.unwrap();
}

#[tokio::test]
async fn streams_under_way_end_well_and_the_client_is_told_to_go() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let client = Http2Client::connect(proxy.listener(0)).await;
    let (response, mut upload) = client.begin(Request::post("http://a/").body(()).unwrap(), false).await;
    let mut peer = origin.accept().await;
    peer.head().await;
    proxy.handle().drain(LONG);
    drained(&proxy).await;
    // GOAWAY has come when no new stream can begin.
    let told = async {
        while !client.is_going_away().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon("GOAWAY", told).await;
    upload.send_data(Bytes::from_static(b"hello"), true).unwrap();
    assert_eq!(peer.body(10).await, "5\r\nhello\r\n");
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await;
    let body = soon("a head", response).await.unwrap().into_body();
    peer.send("world").await;
    let reading = Reading::of(body).await;
    assert_eq!((reading.body, reading.end.unwrap()), (b"helloworld".to_vec(), None));
    client.ended().await.unwrap();
    ended(&proxy).await;
    assert_eq!(proxy.stat("http.test.downstream_rq_2xx"), Some(1));
    assert_eq!(proxy.stat("http.test.downstream_rq_rx_reset"), Some(0));
    assert_eq!(proxy.stat("http.test.downstream_cx_destroy_local_active_rq"), Some(0));
}

#[tokio::test]
async fn a_response_that_had_begun_is_sent_to_its_end() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut peer = origin.accept().await;
    peer.head().await;
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await;
    // The head was sent without a word of the end.
    assert_eq!(client.head().await.header("connection"), None);
    proxy.handle().drain(LONG);
    drained(&proxy).await;
    peer.send("world").await;
    assert_eq!(client.exactly(10).await, b"helloworld");
    assert_eq!(client.until_closed().await, "");
    ended(&proxy).await;
}

#[tokio::test]
async fn an_upload_goes_on_to_its_end() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello").await;
    let mut peer = origin.accept().await;
    peer.head().await;
    proxy.handle().drain(LONG);
    drained(&proxy).await;
    client.send("world").await;
    assert_eq!(peer.body(10).await, "helloworld");
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.status(), response.header("connection")), (200, Some("close")));
    assert_eq!(client.until_closed().await, "");
    ended(&proxy).await;
    assert_eq!(proxy.stat("http.test.downstream_cx_drain_close"), Some(1));
}

#[tokio::test]
async fn no_request_is_lost_under_load() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).with_workers(2).start().await;
    let address = proxy.listener(0);
    // Each connection is opened before the drain and used until it is closed, which must be between two responses or
    // with `connection: close` in the last.
    let mut clients = Vec::new();
    for _ in 0..16 {
        let mut client = Client::connect(address).await;
        assert_eq!(client.get("/").await.body, "hello");
        clients.push(client);
    }
    let load: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            tokio::spawn(async move {
                let mut answered = 1;
                loop {
                    let response = client.get("/").await;
                    assert_eq!((response.status(), response.body.as_str()), (200, "hello"));
                    answered += 1;
                    if response.header("connection") == Some("close") {
                        return answered;
                    }
                }
            })
        })
        .collect();
    until(|| proxy.stat("http.test.downstream_rq_2xx") > Some(200), || "the load has not begun".to_owned())
        .await;
    proxy.handle().drain(LONG);
    let mut answered = 0;
    for client in load {
        answered += soon("a client's end", client).await.unwrap();
    }
    ended(&proxy).await;
    assert_eq!(proxy.stat("http.test.downstream_rq_2xx"), Some(answered));
    assert_eq!(proxy.stat("http.test.downstream_rq_completed"), Some(answered));
    assert_eq!(i64::try_from(origin.seen().len()).unwrap(), answered);
}

#[tokio::test]
async fn the_admin_server_answers_while_the_proxy_drains() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut peer = origin.accept().await;
    peer.head().await;
    proxy.handle().drain(LONG);
    drained(&proxy).await;
    let ready = get(proxy.admin(), "/ready").await;
    assert_eq!((ready.status(), ready.body.as_str()), (503, "DRAINING\n"));
    assert!(
        proxy
            .ask_admin("/stats?filter=downstream_rq_active")
            .await
            .contains("http.test.downstream_rq_active: 1")
    );
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(client.response().await.status(), 200);
    ended(&proxy).await;
}
