//! Bodies that are slow, large, early, announced or abandoned.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, client::Builder};
use http::{Request, Response};
use nuncio_test_support::{
    Client, Directory, Http2Client, ManualOrigin, Origin, Proxy, Reading, RunningProxy, mask, send_all, soon,
    until,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

const MEBIBYTE: usize = 1 << 20;
const LARGE: usize = 64 * MEBIBYTE;
/// What the proxy may hold of one body: a few buffers, and with HTTP/2 the windows that it grants.
const HELD: i64 = 3 << 20;
/// The windows of an HTTP/2 connection, smaller than Envoy's 16 MiB so that the bound shows.
const WINDOWS: &str =
    "http2_protocol_options: { initial_stream_window_size: 262144, initial_connection_window_size: 1048576 }";

fn stat(proxy: &RunningProxy, name: &str) -> i64 {
    proxy.stat(name).unwrap_or(0)
}

/// Waits until nothing moves any more, and gives how much came in and has not gone out.
async fn held(proxy: &RunningProxy, came_in: &str, gone_out: &str) -> i64 {
    let read = || (stat(proxy, came_in), stat(proxy, gone_out));
    let mut before = (0, 0);
    let mut quiet = 0;
    let standing = async {
        while quiet < 10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let now = read();
            quiet = if now == before && now.0 > 0 { quiet + 1 } else { 0 };
            before = now;
        }
    };
    soon("a standstill", standing).await;
    before.0 - before.1
}

async fn download_is_bounded(proxy: &RunningProxy) {
    let held =
        held(proxy, "cluster.origin.upstream_cx_rx_bytes_total", "http.test.downstream_cx_tx_bytes_total")
            .await;
    assert!(held < HELD, "the proxy holds {held} bytes of a response that nobody reads");
    let come = stat(proxy, "cluster.origin.upstream_cx_rx_bytes_total");
    assert!(come < i64::try_from(LARGE / 2).unwrap(), "the origin could send {come} bytes");
}

async fn upload_is_bounded(proxy: &RunningProxy) {
    let held =
        held(proxy, "http.test.downstream_cx_rx_bytes_total", "cluster.origin.upstream_cx_tx_bytes_total")
            .await;
    assert!(held < HELD, "the proxy holds {held} bytes of a request that nobody reads");
    let come = stat(proxy, "http.test.downstream_cx_rx_bytes_total");
    assert!(come < i64::try_from(LARGE / 2).unwrap(), "the client could send {come} bytes");
}

/// An HTTP/1 origin that sends as much as it may, and counts it.
async fn endless_http1() -> Origin {
    Origin::scripted(|mut stream| async move {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
        let chunk = vec![b'x'; MEBIBYTE];
        for _ in 0..LARGE / MEBIBYTE {
            if stream.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _ = stream.read(&mut request).await;
    })
    .await
}

async fn endless_http2() -> Origin {
    Origin::scripted_http2(|_, mut respond| async move {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        let chunk = Bytes::from(vec![b'x'; MEBIBYTE]);
        for n in 1..=LARGE / MEBIBYTE {
            if send_all(&mut stream, chunk.clone(), n == LARGE / MEBIBYTE).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// A connection that takes little before its reader does.
async fn narrow(proxy: &RunningProxy) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    soon("a connection", socket.connect(proxy.listener(0))).await.unwrap()
}

async fn check_slow_http1_client(proxy: Proxy) {
    let proxy = proxy.start().await;
    let mut client = narrow(&proxy).await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    download_is_bounded(&proxy).await;
    let mut read = 0;
    let mut buffer = vec![0; MEBIBYTE];
    while read < LARGE {
        let bytes = soon("the rest", client.read(&mut buffer)).await.unwrap();
        assert!(bytes > 0, "closed after {read} bytes");
        read += bytes;
    }
    proxy.wait_for_stats(&[("http.downstream_rq_2xx", 1), ("cluster.upstream_rq_active", 0)]).await;
}

async fn check_slow_http2_client(proxy: Proxy) {
    let proxy = proxy.start().await;
    let mut settings = Builder::new();
    settings.initial_window_size(65_535);
    let client = Http2Client::over(narrow(&proxy).await, &settings).await;
    let (response, _) = client.begin(Request::get("http://test/").body(()).unwrap(), true).await;
    let body = soon("a head", response).await.unwrap().into_body();
    download_is_bounded(&proxy).await;
    // Other streams of the connection do not wait for it, until they have no window either.
    let reading = Reading::of(body).await;
    assert_eq!(reading.end.unwrap(), None);
    assert_eq!(reading.body.len(), LARGE);
    proxy.wait_for_stats(&[("http.downstream_rq_2xx", 1), ("cluster.upstream_rq_active", 0)]).await;
}

#[tokio::test]
async fn a_slow_http1_client_holds_back_an_http1_origin() {
    let origin = endless_http1().await;
    check_slow_http1_client(Proxy::in_front_of(&origin)).await;
}

#[tokio::test]
async fn a_slow_http1_client_holds_back_an_http2_origin() {
    let origin = endless_http2().await;
    check_slow_http1_client(Proxy::in_front_of(&origin).with_cluster(WINDOWS)).await;
}

#[tokio::test]
async fn a_slow_http2_client_holds_back_an_http1_origin() {
    let origin = endless_http1().await;
    check_slow_http2_client(Proxy::in_front_of(&origin)).await;
}

#[tokio::test]
async fn a_slow_http2_client_holds_back_an_http2_origin() {
    let origin = endless_http2().await;
    check_slow_http2_client(Proxy::in_front_of(&origin).with_cluster(WINDOWS)).await;
}

#[tokio::test]
async fn a_slow_http1_origin_holds_back_an_http1_client() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let client = TcpStream::connect(proxy.listener(0)).await.unwrap();
    let (mut read, mut write) = client.into_split();
    let upload = tokio::spawn(async move {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {LARGE}\r\n\r\n");
        write.write_all(head.as_bytes()).await.unwrap();
        let chunk = vec![b'x'; MEBIBYTE];
        for _ in 0..LARGE / MEBIBYTE {
            write.write_all(&chunk).await.unwrap();
        }
        write
    });
    let mut peer = origin.accept().await;
    peer.head().await;
    upload_is_bounded(&proxy).await;
    let mut left = LARGE;
    let mut buffer = vec![0; MEBIBYTE];
    while left > 0 {
        let bytes = soon("the rest", peer.stream.read(&mut buffer)).await.unwrap();
        assert!(bytes > 0, "closed with {left} bytes to come");
        left = left.saturating_sub(bytes);
        // The first bytes may have come with the head.
        if left < MEBIBYTE && upload.is_finished() {
            break;
        }
    }
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let mut answer = [0; 15];
    soon("an answer", read.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    drop(upload.await.unwrap());
}

#[tokio::test]
async fn a_slow_http2_origin_holds_back_an_http2_client() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let origin = Origin::scripted_http2(move |request, mut respond| {
        let mut gone = gone.clone();
        async move {
            gone.wait_for(|gone| *gone).await.unwrap();
            let reading = Reading::of(request.into_body()).await;
            let response = Response::builder().header("x-length", reading.body.len()).body(()).unwrap();
            respond.send_response(response, true).unwrap();
        }
    })
    .await;
    let proxy = Proxy::in_front_of(&origin).with_http2_upstream().with_manager(WINDOWS).start().await;
    let client = Http2Client::connect(proxy.listener(0)).await;
    let (response, mut stream) = client.begin(Request::post("http://test/").body(()).unwrap(), false).await;
    let upload = tokio::spawn(async move {
        send_all(&mut stream, Bytes::from(vec![b'x'; LARGE]), true).await.unwrap();
    });
    upload_is_bounded(&proxy).await;
    go.send(true).unwrap();
    let response = soon("a response", response).await.unwrap();
    assert_eq!(response.headers().get("x-length").unwrap().to_str().unwrap(), LARGE.to_string());
    upload.await.unwrap();
}

#[tokio::test]
async fn a_client_is_told_to_continue() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-Continue\r\ncontent-length: 5\r\n\r\n";
    let response = client.request(head).await;
    assert_eq!(response.head, "HTTP/1.1 100 Continue");
    client.send("hello").await;
    let mut peer = origin.accept().await;
    let head = peer.head().await;
    assert!(!head.contains("\r\nexpect:"), "{head}");
    assert_eq!(peer.body(5).await, "hello");
    // The origin's own is too late.
    peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let response = client.response().await;
    assert_eq!((response.status(), response.body.as_str()), (200, "ok"));
    // The connection is still good.
    client.send("GET /next HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(peer.head().await.starts_with("GET /next "));
    proxy.wait_for_stats(&[("http.downstream_cx_total", 1), ("http.downstream_rq_2xx", 1)]).await;
}

#[tokio::test]
async fn an_early_response_ends_the_upload() {
    let directory = Directory::new();
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address())
        .with_manager("delayed_close_timeout: 0.2s")
        .with_access_log(&directory, Some("%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED%"))
        .start()
        .await;
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nhello").await;
    let mut peer = origin.accept().await;
    peer.head().await;
    assert_eq!(peer.body(5).await, "hello");
    peer.send("HTTP/1.1 413 Too Much\r\ncontent-length: 2\r\n\r\nno").await;
    let response = client.response().await;
    // How fast the origin is cannot be told from it.
    assert_eq!(
        mask(&response.head),
        "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\ndate: DATE\r\nserver: envoy\r\nconnection: close"
    );
    assert_eq!(response.body, "no");
    // The upload may go on for a while without a reset.
    client.send(vec![b'x'; 100_000]).await;
    assert_eq!(client.until_closed().await, "");
    peer.until_closed().await;
    proxy
        .wait_for_stats(&[
            ("http.downstream_rq_response_before_rq_complete", 1),
            ("http.downstream_rq_rx_reset", 1),
            ("http.downstream_rq_4xx", 1),
            ("http.downstream_cx_destroy_local", 1),
            ("cluster.upstream_rq_413", 1),
            ("cluster.upstream_cx_destroy_local_with_active_rq", 1),
            ("cluster.upstream_rq_active", 0),
        ])
        .await;
    let log = || std::fs::read_to_string(directory.path("access.log")).unwrap();
    until(|| log() == "413 - 5\n", log).await;
}

#[tokio::test]
async fn an_upload_may_go_on_while_the_response_comes() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello").await;
    let mut peer = origin.accept().await;
    peer.head().await;
    assert_eq!(peer.body(5).await, "hello");
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst").await;
    assert_eq!(client.head().await.header("connection"), Some("close"));
    assert_eq!(client.exactly(5).await, b"first");
    client.send("world").await;
    assert_eq!(peer.body(5).await, "world");
    peer.send("after").await;
    assert_eq!(client.exactly(5).await, b"after");
    assert_eq!(client.until_closed().await, "");
    proxy.wait_for_stats(&[("http.downstream_rq_2xx", 1), ("http.downstream_rq_rx_reset", 0)]).await;
}

/// How far a request is when its client goes away.
#[derive(Clone, Copy, Debug)]
enum When {
    BeforeTheHead,
    WithinTheResponse,
    WithinTheRequest,
}

#[tokio::test]
async fn an_http1_client_that_goes_away_takes_its_request_along() {
    for when in [When::BeforeTheHead, When::WithinTheResponse, When::WithinTheRequest] {
        let directory = Directory::new();
        let mut origin = ManualOrigin::new().await;
        let proxy = Proxy::in_front_of_address(origin.address())
            .with_access_log(&directory, Some("%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%"))
            .start()
            .await;
        let mut client = Client::connect(proxy.listener(0)).await;
        let length = if matches!(when, When::WithinTheRequest) { 10 } else { 5 };
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\nhello")).await;
        let mut peer = origin.accept().await;
        peer.head().await;
        peer.body(5).await;
        if let When::WithinTheResponse = when {
            peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await;
            client.head().await;
            client.exactly(5).await;
        }
        drop(client);
        peer.until_closed().await;
        let code = if let When::WithinTheResponse = when { "200" } else { "0" };
        proxy
            .wait_for_stats(&[
                ("http.downstream_rq_rx_reset", 1),
                ("http.downstream_rq_active", 0),
                ("http.downstream_cx_destroy_remote", 1),
                ("http.downstream_cx_destroy_remote_active_rq", 1),
                ("cluster.upstream_rq_total", 1),
                ("cluster.upstream_rq_active", 0),
                ("cluster.upstream_cx_active", 0),
                ("cluster.upstream_cx_destroy_local_with_active_rq", 1),
            ])
            .await;
        let log = || std::fs::read_to_string(directory.path("access.log")).unwrap();
        let line = format!("{code} DC downstream_remote_disconnect\n");
        until(|| log() == line, || format!("{when:?}: {}", log())).await;
        let answered = i64::from(matches!(when, When::WithinTheResponse));
        assert_eq!(proxy.stat("http.test.downstream_rq_completed"), Some(answered), "{when:?}");
        assert_eq!(proxy.stat("cluster.origin.upstream_rq_completed").unwrap_or(0), answered, "{when:?}");
    }
}

#[tokio::test]
async fn a_client_that_closes_its_side_takes_its_request_along() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let mut client = Client::connect(proxy.listener(0)).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut peer = origin.accept().await;
    peer.head().await;
    client.finish().await;
    peer.until_closed().await;
    assert_eq!(client.until_closed().await, "");
    proxy.wait_for_stats(&[("http.downstream_rq_rx_reset", 1), ("cluster.upstream_cx_active", 0)]).await;
}

#[tokio::test]
async fn an_http2_stream_that_is_reset_takes_its_request_along() {
    // An HTTP/1 origin's connection is closed, an HTTP/2 origin's stream is reset and its connection goes on.
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address()).start().await;
    let client = Http2Client::connect(proxy.listener(0)).await;
    let (response, mut upload) = client.begin(Request::post("http://test/").body(()).unwrap(), false).await;
    let mut peer = origin.accept().await;
    peer.head().await;
    upload.send_reset(Reason::CANCEL);
    drop(response);
    peer.until_closed().await;
    proxy
        .wait_for_stats(&[
            ("http.downstream_rq_rx_reset", 1),
            ("http.downstream_cx_active", 1),
            ("cluster.upstream_rq_active", 0),
            ("cluster.upstream_cx_active", 0),
        ])
        .await;

    let resets = Arc::new(AtomicUsize::new(0));
    let origin = {
        let resets = Arc::clone(&resets);
        Origin::scripted_http2(move |request, mut respond| {
            let resets = Arc::clone(&resets);
            async move {
                if request.uri().path() == "/second" {
                    respond.send_response(Response::new(()), true).unwrap();
                } else if Reading::of(request.into_body()).await.end.is_err() {
                    resets.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
        .await
    };
    let proxy = Proxy::in_front_of(&origin).with_http2_upstream().start().await;
    let client = Http2Client::connect(proxy.listener(0)).await;
    let (response, mut upload) = client.begin(Request::post("http://test/").body(()).unwrap(), false).await;
    proxy.wait_for_stats(&[("cluster.upstream_rq_active", 1)]).await;
    upload.send_reset(Reason::CANCEL);
    drop(response);
    until(|| resets.load(Ordering::Relaxed) == 1, || "no reset".to_owned()).await;
    assert_eq!(client.get("/second").await.status, 200);
    // The whole connection: all of its streams.
    let (_response, _upload) = client.begin(Request::post("http://test/").body(()).unwrap(), false).await;
    proxy.wait_for_stats(&[("cluster.upstream_rq_active", 1)]).await;
    client.abandon();
    until(|| resets.load(Ordering::Relaxed) == 2, || "no second reset".to_owned()).await;
    proxy
        .wait_for_stats(&[
            ("http.downstream_rq_rx_reset", 2),
            ("http.downstream_cx_destroy_remote_active_rq", 1),
            ("cluster.upstream_rq_active", 0),
            ("cluster.upstream_rq_tx_reset", 2),
            ("cluster.http2.streams_active", 0),
            ("cluster.upstream_cx_active", 1),
            ("cluster.upstream_cx_total", 1),
        ])
        .await;
}

#[tokio::test]
async fn a_client_that_goes_away_before_there_is_a_connection_is_forgotten() {
    let mut origin = ManualOrigin::new().await;
    let proxy = Proxy::in_front_of_address(origin.address())
        .with_cluster("circuit_breakers: { thresholds: [{ max_connections: 1 }] }")
        .start()
        .await;
    let mut first = Client::connect(proxy.listener(0)).await;
    first.send("GET /first HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut peer = origin.accept().await;
    assert!(peer.head().await.starts_with("GET /first "));
    let mut second = Client::connect(proxy.listener(0)).await;
    second.send("GET /second HTTP/1.1\r\nhost: a\r\n\r\n").await;
    proxy.wait_for_stats(&[("cluster.upstream_rq_pending_active", 1)]).await;
    drop(second);
    proxy
        .wait_for_stats(&[("cluster.upstream_rq_pending_active", 0), ("cluster.upstream_rq_cancelled", 1)])
        .await;
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(first.response().await.status(), 200);
    first.send("GET /third HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(peer.head().await.starts_with("GET /third "), "nothing of the second was sent");
}
