//! What the connection manager's header edits cost: the request's on the way in and the response's on the way out,
//! through the layer that makes them, over a service that answers at once.

use std::future::{Future, Ready, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use nuncio_config::model::HttpConnectionManager;
use nuncio_http::layers::headers::{HeadersLayer, HeadersService};
use nuncio_http::{HttpStats, LocalReply};
use nuncio_service::{Body, Connection, Request, Response, StreamInfo};
use nuncio_stats::{Registry, Shard};
use tower_layer::Layer;
use tower_service::Service;

/// What `curl` sends besides `host`.
const SMALL: &[(&str, &str)] = &[("user-agent", "curl/8.5.0"), ("accept", "*/*")];

/// What a browser sends over HTTP/2; over HTTP/1 it adds `host` and `connection`.
const BROWSER: &[(&str, &str)] = &[
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://example.com/catalogue?page=3"),
    ("cookie", "session=0123456789abcdef0123456789abcdef; theme=dark; consent=1"),
    ("upgrade-insecure-requests", "1"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    ("priority", "u=0, i"),
];

const RESPONSE: &[(&str, &str)] = &[
    ("server", "origin"),
    ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ("content-type", "text/plain"),
    ("content-length", "89"),
];

const HOST: &[(&str, &str)] = &[("host", "example.com")];
const KEEP_ALIVE: &[(&str, &str)] = &[("connection", "keep-alive")];

fn headers(parts: &[&[(&'static str, &'static str)]]) -> HeaderMap {
    let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    parts.iter().flat_map(|part| part.iter()).map(pair).collect()
}

/// The service behind the layer: it has one response, ready made.
struct Answer(Option<http::Response<Body>>);

impl Service<Request> for Answer {
    type Response = Response;
    type Error = LocalReply;
    type Future = Ready<Result<Response, LocalReply>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LocalReply>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        ready(Ok(Response { http: self.0.take().unwrap_or_default(), info: request.info }))
    }
}

fn exchange((mut service, request): (HeadersService<Answer>, Request)) -> Poll<Result<Response, LocalReply>> {
    pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop()))
}

fn edits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("headers");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    let connection = Arc::new(Connection { remote_address: address, local_address: address, tls: None });
    let registry = Registry::new(1);
    let scope = |name| registry.scope(Shard::worker(0), name);
    let stats =
        Arc::new(HttpStats::new(&scope("http.ingress"), &scope("listener.http.ingress"), &scope("http2")));
    let edge = HttpConnectionManager { use_remote_address: true, ..HttpConnectionManager::default() };
    let inside = HttpConnectionManager::default();
    let origin_that_closes = headers(&[RESPONSE, &[("connection", "close")]]);
    for (name, config, version, request, response) in [
        ("small", &inside, Version::HTTP_11, headers(&[HOST, SMALL]), headers(&[RESPONSE])),
        ("browser, HTTP/2", &inside, Version::HTTP_2, headers(&[BROWSER]), headers(&[RESPONSE])),
        (
            "browser, keep-alive removed",
            &inside,
            Version::HTTP_11,
            headers(&[HOST, BROWSER, KEEP_ALIVE]),
            headers(&[RESPONSE]),
        ),
        (
            "browser, use_remote_address",
            &edge,
            Version::HTTP_11,
            headers(&[HOST, BROWSER]),
            headers(&[RESPONSE]),
        ),
        ("small, origin closes", &inside, Version::HTTP_11, headers(&[HOST, SMALL]), origin_that_closes),
    ] {
        let layer = HeadersLayer::new(config, Arc::clone(&stats));
        let prepare = || {
            let mut answer = http::Response::new(Body::full("n"));
            *answer.headers_mut() = response.clone();
            let uri = match version {
                Version::HTTP_2 => "https://example.com/catalogue",
                _ => "/catalogue",
            };
            let mut head = http::Request::new(Body::Empty);
            *head.uri_mut() = http::Uri::from_static(uri);
            *head.headers_mut() = request.clone();
            let info = Box::new(StreamInfo::new(Instant::now(), Arc::clone(&connection), version));
            (layer.layer(Answer(Some(answer))), Request { http: head, info })
        };
        let edited = matches!(exchange(prepare()), Poll::Ready(Ok(response)) if response.http.headers()["server"] == "envoy");
        assert!(edited, "{name}: the layer passes the request on and edits the response");
        group.bench_function(name, |bencher| bencher.iter_batched(prepare, exchange, BatchSize::SmallInput));
    }
    group.finish();
}

criterion_group!(benches, edits);
criterion_main!(benches);
