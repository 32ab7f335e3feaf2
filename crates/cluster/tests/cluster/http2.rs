//! What travels over HTTP/2 connections, and how many there are.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt as _;
use nuncio_config::model::{self, Http2Settings, UpstreamProtocol};
use nuncio_service::Body;

use crate::support::*;

pub(crate) fn http2(origin: &Origin) -> model::Cluster {
    model::Cluster {
        protocol: UpstreamProtocol::Http2(Http2Settings::default()),
        ..cluster(&[origin.address])
    }
}

/// An origin's side of an HTTP/2 connection.
pub(crate) struct Peer2 {
    connection: h2::server::Connection<tokio::net::TcpStream, Bytes>,
}

pub(crate) struct Stream2 {
    pub(crate) request: http::Request<h2::RecvStream>,
    pub(crate) respond: h2::server::SendResponse<Bytes>,
}

impl Peer2 {
    pub(crate) async fn accept(origin: &mut Origin) -> Self {
        Self::accept_with(origin, &h2::server::Builder::new()).await
    }

    pub(crate) async fn accept_with(origin: &mut Origin, builder: &h2::server::Builder) -> Self {
        let peer = origin.accept().await;
        Self { connection: within("the preface", builder.handshake(peer.stream)).await.unwrap() }
    }

    /// The next stream; frames go on being sent and received while it is waited for.
    pub(crate) async fn stream(&mut self) -> Stream2 {
        let (request, respond) = within("a stream", self.connection.accept()).await.unwrap().unwrap();
        Stream2 { request, respond }
    }

    /// Sends and receives frames in the background.
    pub(crate) fn run(mut self) {
        tokio::spawn(async move { while let Some(Ok(_)) = self.connection.accept().await {} });
    }

    /// Announces the end of the connection, and lets what is under way end.
    pub(crate) fn go_away(&mut self) {
        self.connection.graceful_shutdown();
    }

    /// Sends and receives frames until the other side closes.
    pub(crate) async fn closed(&mut self) {
        within("the end of the connection", async {
            while let Some(Ok(_)) = self.connection.accept().await {}
        })
        .await;
    }

    /// Sends and receives frames while `future` runs.
    pub(crate) async fn during<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        tokio::select! {
            biased;
            output = &mut future => output,
            stream = self.connection.accept() => {
                assert!(stream.is_none_or(|stream| stream.is_err()), "an unexpected stream");
                within("the end", future).await
            }
        }
    }
}

impl Stream2 {
    pub(crate) fn ok(&mut self, end: bool) -> h2::SendStream<Bytes> {
        self.respond.send_response(Response::new(()), end).unwrap()
    }
}

/// Answers every request with 200 and `hello`.
pub(crate) fn answer(mut origin: Origin) {
    tokio::spawn(async move {
        loop {
            let mut peer = Peer2::accept(&mut origin).await;
            tokio::spawn(async move {
                while let Some(Ok((_, mut respond))) = peer.connection.accept().await {
                    let response = Response::builder().header("content-length", 5).body(()).unwrap();
                    let mut send = respond.send_response(response, false).unwrap();
                    send.send_data(Bytes::from_static(b"hello"), true).unwrap();
                }
            });
        }
    });
}

#[tokio::test]
async fn requests_share_a_connection() {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let requests = [0, 1, 2].map(|_| tokio::spawn(fixture.cluster.request(get())));
    let mut peer = Peer2::accept(&mut origin).await;
    let mut streams = [peer.stream().await, peer.stream().await, peer.stream().await];
    fixture.assert_stats(&[
        ("http2.streams_active", 3),
        ("upstream_rq_active", 3),
        ("upstream_rq_pending_total", 3),
        ("upstream_rq_pending_active", 0),
        ("upstream_cx_http2_total", 1),
        ("upstream_cx_http1_total", 0),
        ("http2.nghttp2_upstream_connections", 1),
    ]);
    for stream in &mut streams {
        stream.ok(true);
    }
    peer.run();
    for request in requests {
        let response = request.await.unwrap().unwrap();
        assert_eq!((response.response.status().as_u16(), response.host), (200, origin.address));
        assert!(matches!(response.response.body(), Body::Empty));
    }
    fixture.assert_stats(&[
        ("http2.streams_active", 0),
        ("upstream_rq_active", 0),
        ("upstream_rq_total", 3),
        ("upstream_cx_total", 1),
        ("upstream_cx_active", 1),
        ("http2.tx_reset", 0),
        ("http2.rx_reset", 0),
    ]);
}

#[tokio::test]
async fn the_head_is_written_with_pseudo_headers_and_no_host() {
    async fn check(uri: &str, headers: &[(&'static str, &'static str)], target: &str, rest: &[(&str, &str)]) {
        let mut origin = Origin::new().await;
        let fixture = start(http2(&origin)).await;
        let mut request = get();
        *request.uri_mut() = uri.parse().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let response = tokio::spawn(fixture.cluster.request(request));
        let mut peer = Peer2::accept(&mut origin).await;
        let mut stream = peer.stream().await;
        assert_eq!(stream.request.uri().to_string(), target);
        let got: Vec<_> = stream
            .request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(got, rest);
        stream.ok(true);
        peer.run();
        response.await.unwrap().unwrap();
    }
    check(
        "http://a.test:81/p?q",
        &[("b", "1"), ("a", "2")],
        "http://a.test:81/p?q",
        &[("b", "1"), ("a", "2")],
    )
    .await;
    let around_host = [("b", "1"), ("host", "a.test"), ("a", "2"), ("a", "3"), ("c", "4")];
    let without_host = [("b", "1"), ("a", "2"), ("a", "3"), ("c", "4")];
    check("/p", &around_host, "http://a.test/p", &without_host).await;
    let secure = [("host", "a.test"), ("x-forwarded-proto", "https")];
    check("/p", &secure, "https://a.test/p", &[("x-forwarded-proto", "https")]).await;
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways() {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let (sender, body) = channel_body();
    let task = tokio::spawn({
        let cluster = fixture.cluster.clone();
        async move { exchange(&cluster, request("POST", body)).await }
    });
    let mut peer = Peer2::accept(&mut origin).await;
    let mut stream = peer.stream().await;
    let mut send = stream.ok(false);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-t", HeaderValue::from_static("up"));
    sender.send(data("hello ")).unwrap();
    sender.send(data("world")).unwrap();
    sender.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    let upload = async {
        let body = stream.request.body_mut();
        let mut got = Vec::new();
        while let Some(part) = body.data().await {
            let part = part.unwrap();
            body.flow_control().release_capacity(part.len()).unwrap();
            got.extend_from_slice(&part);
        }
        (got, body.trailers().await.unwrap())
    };
    let (got, got_trailers) = peer.during(upload).await;
    assert_eq!((&got[..], got_trailers.as_ref()), (&b"hello world"[..], Some(&trailers)));
    trailers.insert("x-t", HeaderValue::from_static("down"));
    send.send_data(Bytes::from_static(b"goodbye"), false).unwrap();
    send.send_trailers(trailers.clone()).unwrap();
    let answer = peer.during(task).await.unwrap().unwrap();
    assert_eq!((&answer.body[..], answer.trailers.as_ref()), (&b"goodbye"[..], Some(&trailers)));
    fixture.assert_stats(&[("http2.tx_reset", 0), ("upstream_rq_active", 0)]);
}

#[tokio::test]
async fn a_short_body_of_known_length_needs_no_stream() {
    let origin = Origin::new().await;
    let settings = http2(&origin);
    answer(origin);
    let fixture = start(settings).await;
    for _ in 0..3 {
        assert_eq!(exchange(&fixture.cluster, get()).await.unwrap().body, "hello");
    }
    fixture.assert_stats(&[("upstream_cx_total", 1), ("upstream_rq_total", 3), ("http2.tx_reset", 0)]);
}

#[tokio::test]
async fn large_bodies_come_whole() {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let length = 5_000_000;
    let task = tokio::spawn({
        let cluster = fixture.cluster.clone();
        async move { exchange(&cluster, request("PUT", Body::full(vec![b'u'; 5_000_000]))).await }
    });
    let mut peer = Peer2::accept(&mut origin).await;
    let mut stream = peer.stream().await;
    let upload = async {
        let body = stream.request.body_mut();
        let mut got = 0;
        while let Some(part) = body.data().await {
            let part = part.unwrap();
            got += part.len();
            body.flow_control().release_capacity(part.len()).unwrap();
        }
        got
    };
    assert_eq!(peer.during(upload).await, length);
    let mut send = stream.ok(false);
    send.send_data(Bytes::from(vec![b'd'; length]), true).unwrap();
    let answer = peer.during(task).await.unwrap().unwrap();
    assert_eq!(answer.body.len(), length);
}

#[tokio::test]
async fn a_slow_origin_holds_back_the_upload() {
    let mut origin = Origin::new().await;
    let fixture = start(http2(&origin)).await;
    let (pulled, body) = endless_body(16 * 1024);
    let task = tokio::spawn(fixture.cluster.request(request("POST", body)));
    let mut peer = Peer2::accept(&mut origin).await;
    let mut stream = peer.stream().await;
    let settle = async {
        let mut before = usize::MAX;
        while before != pulled.load(Ordering::Relaxed) {
            before = pulled.load(Ordering::Relaxed);
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
        before
    };
    let before = peer.during(settle).await;
    // The default window of 64 KiB, and what is read ahead.
    assert!(before <= 8, "{before} chunks are no back-pressure");
    let read = async {
        let body = stream.request.body_mut();
        for _ in 0..4 {
            let part = body.data().await.unwrap().unwrap();
            body.flow_control().release_capacity(part.len()).unwrap();
        }
        eventually("the upload to go on", || pulled.load(Ordering::Relaxed) > before).await;
    };
    peer.during(read).await;
    task.abort();
}

#[tokio::test]
async fn a_slow_reader_holds_back_the_origin() {
    let mut origin = Origin::new().await;
    let mut settings = http2(&origin);
    settings.protocol = UpstreamProtocol::Http2(Http2Settings {
        initial_stream_window_size: 65_535,
        initial_connection_window_size: 65_535,
        ..Http2Settings::default()
    });
    let fixture = start(settings).await;
    let task = tokio::spawn(fixture.cluster.request(get()));
    let mut peer = Peer2::accept(&mut origin).await;
    let mut stream = peer.stream().await;
    let mut send = stream.ok(false);
    let mut body = peer.during(task).await.unwrap().unwrap().response.into_body();
    send.send_data(Bytes::from(vec![0; 200_000]), true).unwrap();
    let settle = tokio::time::sleep(std::time::Duration::from_millis(50));
    peer.during(settle).await;
    // What has been sent is in the window, the rest waits for us to read.
    assert!(fixture.counter("upstream_cx_rx_bytes_total") < 80_000);
    let rest = peer.during(async { (&mut body).collect().await.unwrap().to_bytes().len() }).await;
    assert_eq!(rest, 200_000);
}

#[tokio::test]
async fn a_connection_takes_as_many_streams_as_both_sides_allow() {
    for (ours, theirs) in [(1, 100), (1000, 1)] {
        let mut origin = Origin::new().await;
        let mut settings = http2(&origin);
        settings.protocol = UpstreamProtocol::Http2(Http2Settings {
            max_concurrent_streams: ours,
            ..Http2Settings::default()
        });
        let fixture = start(settings).await;
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(theirs);
        // The first tells us the host's limit.
        let first = tokio::spawn(fixture.cluster.request(get()));
        let mut peer = Peer2::accept_with(&mut origin, &builder).await;
        let mut held = peer.stream().await;
        peer.during(tokio::time::sleep(std::time::Duration::from_millis(20))).await;
        let second = tokio::spawn(fixture.cluster.request(get()));
        let mut other = peer.during(async { Peer2::accept_with(&mut origin, &builder).await }).await;
        other.stream().await.ok(true);
        other.during(second).await.unwrap().unwrap();
        held.ok(true);
        peer.during(first).await.unwrap().unwrap();
        fixture.assert_stats(&[("upstream_cx_total", 2), ("upstream_cx_active", 2)]);
    }
}
