//! The application behind each sidecar: the example's small web program, which says who it is.
//!
//! It is a module of its own so that the demo and the container image run the same program: the demo as
//! `demo app`, the image as the binary `service`, which holds nothing else.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::failure::Failure;
use crate::signals::StopSignals;

/// How long requests that run may take once the program was told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How often the program looks whether the process that started it is still there.
const PARENT_CHECK: Duration = Duration::from_millis(500);

/// What the application is told on its command line.
#[derive(Args, Debug, Clone)]
pub struct AppArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The number of the service, named in every answer
    #[arg(long, value_name = "N", env = "SERVICE_NAME", default_value = "1")]
    pub service: String,
    /// The host name to answer with [default: this machine's]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// The address to answer with [default: what the host name resolves to]
    #[arg(long, value_name = "ADDRESS")]
    pub resolved: Option<IpAddr>,
}

/// The line with which the application says that it accepts connections; the demo waits for it.
pub fn ready_line(pid: u32, listen: SocketAddr) -> String {
    format!("application with pid {pid} listens on {listen}")
}

/// The process id in a line made by [`ready_line`].
pub fn pid_in_ready_line(line: &str) -> Option<u32> {
    let (pid, _) = line.strip_prefix("application with pid ")?.split_once(" listens on ")?;
    pid.parse().ok()
}

/// Serve until a signal asks to stop or the process that started this one is gone.
pub async fn run(args: &AppArgs) -> Result<(), Failure> {
    let parent = std::os::unix::process::parent_id();
    let app = Arc::new(App::new(args)?);
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        Failure::new(format!("the application cannot listen on {}: {error}", args.listen))
    })?;
    println!("{}", ready_line(std::process::id(), args.listen));

    let mut signals = StopSignals::new()?;
    let mut parent_check = tokio::time::interval(PARENT_CHECK);
    let (stop, stopping) = watch::channel(false);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(serve(Arc::clone(&app), stream, stopping.clone()))),
                // Out of descriptors, most likely: the next accept succeeds when a connection has ended.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            _ = signals.next() => break,
            _ = parent_check.tick() => {
                if std::os::unix::process::parent_id() != parent {
                    break;
                }
            }
        }
    }
    drop((listener, stopping));
    stop.send_replace(true);
    // Each connection holds a receiver, so the channel closes when the last one has ended.
    let _ = tokio::time::timeout(GRACE, stop.closed()).await;
    Ok(())
}

async fn serve(app: Arc<App>, stream: TcpStream, mut stopping: watch::Receiver<bool>) {
    let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(app.answer(&request))));
    let mut connection =
        pin!(http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // An error ends this connection only; the peer is the sidecar, which reports it.
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// What every answer is made of.
struct App {
    service: String,
    hostname: String,
    resolved: String,
}

impl App {
    fn new(args: &AppArgs) -> Result<Self, Failure> {
        let hostname = match &args.hostname {
            Some(name) => name.clone(),
            None => std::fs::read_to_string("/proc/sys/kernel/hostname")
                .map_err(|error| Failure::new(format!("this machine's host name cannot be read: {error}")))?
                .trim()
                .to_owned(),
        };
        let resolved = match args.resolved {
            Some(address) => address,
            None => (hostname.as_str(), 0)
                .to_socket_addrs()
                .ok()
                .and_then(|mut addresses| addresses.find(SocketAddr::is_ipv4))
                .map_or(args.listen.ip(), |address| address.ip()),
        };
        Ok(Self { service: args.service.clone(), hostname, resolved: resolved.to_string() })
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let is_page = request
            .uri()
            .path()
            .strip_prefix("/service/")
            .is_some_and(|number| !number.is_empty() && !number.contains('/'));
        let (status, body) = if !is_page {
            (StatusCode::NOT_FOUND, "Not Found\n".to_owned())
        } else if !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n".to_owned())
        } else {
            (StatusCode::OK, self.greeting())
        };
        let length = body.len();
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        // The example's order. The proxies put their own server name in the place of this one, and keep the date
        // that follows it.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(SERVER, HeaderValue::from_static("nuncio-demo"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        }
        response
    }

    /// The example's text, to the letter: it joins "resolved" and "hostname" without a space.
    fn greeting(&self) -> String {
        let Self { service, hostname, resolved } = self;
        format!(
            "Hello from behind Envoy (service {service})! hostname: {hostname} resolvedhostname: {resolved}\n"
        )
    }
}

#[cfg(test)]
mod tests;
