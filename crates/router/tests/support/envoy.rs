//! The real Envoy, if the environment variable `ENVOY_BIN` says where it is: which route a request takes there.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::Method;
use nuncio_router::{
    HeaderMatchSpecifier, PathMatch, QueryParameterMatchSpecifier, RouteMatch, StringMatcher, StringPattern,
    VirtualHost,
};

use super::request::Request;

/// An Envoy with a listener for each table, whose routes answer with their number.
pub(crate) struct Envoy {
    process: Child,
    folder: PathBuf,
    connections: Vec<Option<BufReader<UnixStream>>>,
}

impl Envoy {
    /// Starts an Envoy, unless the environment has none.
    pub(crate) fn start(name: &str, tables: &[Vec<VirtualHost>]) -> Option<Self> {
        let Some(program) = std::env::var_os("ENVOY_BIN") else {
            eprintln!("ENVOY_BIN is not set: not compared with Envoy");
            return None;
        };
        let folder = std::env::temp_dir().join(format!("nuncio-router-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        let file = folder.join("envoy.json");
        std::fs::write(&file, configuration(&folder, tables)).expect("the configuration can be written");
        let process = Command::new(program)
            .arg("-c")
            .arg(&file)
            .args(["--concurrency", "1", "-l", "error", "--disable-hot-restart"])
            .stderr(Stdio::inherit())
            .spawn()
            .expect("Envoy starts");
        let connections = tables.iter().map(|_| None).collect();
        let mut envoy = Self { process, folder, connections };
        while UnixStream::connect(envoy.socket(tables.len() - 1)).is_err() {
            assert!(matches!(envoy.process.try_wait(), Ok(None)), "Envoy refuses the configuration");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(envoy)
    }

    fn socket(&self, table: usize) -> PathBuf {
        socket(&self.folder, table)
    }

    /// The places of the virtual host and of its route that the request takes; `Err` with the status otherwise.
    pub(crate) fn answer(&mut self, table: usize, request: &Request) -> Result<(usize, usize), u16> {
        let socket = self.socket(table);
        let mut connection = self.connections[table].take().unwrap_or_else(|| {
            let stream = UnixStream::connect(socket).expect("Envoy listens");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit can be set");
            BufReader::new(stream)
        });
        connection.get_mut().write_all(&written(request)).expect("Envoy reads the request");
        let Head { status, length, message, closed } = read_head(&mut connection);
        let mut body = vec![0; length];
        connection.read_exact(&mut body).expect("Envoy sends the whole body");
        if !closed && request.method != Method::CONNECT {
            self.connections[table] = Some(connection);
        }
        let body = message.unwrap_or_else(|| String::from_utf8(body).expect("the body is text"));
        let (host, route) = body.split_once(' ').filter(|_| status == 200).ok_or(status)?;
        Ok((host.parse().expect("a number"), route.parse().expect("a number")))
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn socket(folder: &Path, table: usize) -> PathBuf {
    folder.join(table.to_string())
}

fn written(request: &Request) -> Vec<u8> {
    let target = if request.method == Method::CONNECT { &request.authority } else { &request.path };
    let mut text =
        format!("{} {target} HTTP/1.1\r\nhost: {}\r\n", request.method, request.authority).into_bytes();
    for (name, value) in &request.headers {
        text.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    text.extend(b"\r\n");
    text
}

#[derive(Default)]
struct Head {
    status: u16,
    length: usize,
    /// A request of gRPC has its answer here.
    message: Option<String>,
    /// Whether the connection ends.
    closed: bool,
}

fn read_head(connection: &mut impl BufRead) -> Head {
    let mut head = Head::default();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).expect("Envoy answers");
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            head.status = rest.split(' ').next().and_then(|status| status.parse().ok()).expect("a status");
        } else if let Some(rest) = line.strip_prefix("content-length: ") {
            head.length = rest.parse().expect("a length");
        } else if let Some(rest) = line.strip_prefix("grpc-message: ") {
            head.message = Some(rest.to_owned());
        } else if line == "grpc-status: 12" {
            // What gRPC has for 404.
            head.status = 404;
        } else if line == "connection: close" {
            head.closed = true;
        } else if line.is_empty() {
            return head;
        }
    }
}

fn configuration(folder: &Path, tables: &[Vec<VirtualHost>]) -> String {
    const TYPES: &str = "type.googleapis.com/envoy.extensions.filters";
    let listeners = tables.iter().enumerate().map(|(at, hosts)| {
        let socket = text(&socket(folder, at).display().to_string());
        let hosts = list(hosts.iter().enumerate().map(|(at, host)| virtual_host(at, host)));
        format!(
            r#"{{"name": "{at}", "address": {{"pipe": {{"path": {socket}}}}}, "filter_chains": [{{"filters": [{{
            "name": "http", "typed_config": {{"@type":
            "{TYPES}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "http",
            "normalize_path": false, "upgrade_configs": [{{"upgrade_type": "CONNECT"}}],
            "route_config": {{"virtual_hosts": {hosts}}}, "http_filters": [{{"name": "router",
            "typed_config": {{"@type": "{TYPES}.http.router.v3.Router"}}}}]}}}}]}}]}}"#
        )
    });
    format!(r#"{{"static_resources": {{"listeners": {}}}}}"#, list(listeners))
}

fn virtual_host(at: usize, host: &VirtualHost) -> String {
    let routes = host.routes().iter().enumerate().map(|(route_at, route)| {
        let matcher = route_match(&route.matcher);
        let body = format!(r#"{{"inline_string": "{at} {route_at}"}}"#);
        format!(r#"{{"match": {matcher}, "direct_response": {{"status": 200, "body": {body}}}}}"#)
    });
    let domains = list(host.domains().iter().map(|domain| text(domain)));
    format!(r#"{{"name": "{at}", "domains": {domains}, "routes": {}}}"#, list(routes))
}

fn route_match(matcher: &RouteMatch) -> String {
    let path = match &matcher.path {
        PathMatch::Prefix(prefix) => format!(r#""prefix": {}"#, text(prefix)),
        PathMatch::Path(path) => format!(r#""path": {}"#, text(path)),
        PathMatch::PathSeparatedPrefix(prefix) => format!(r#""path_separated_prefix": {}"#, text(prefix)),
        PathMatch::SafeRegex(regex) => format!(r#""safe_regex": {{"regex": {}}}"#, text(regex)),
        PathMatch::Connect => r#""connect_matcher": {}"#.to_owned(),
        PathMatch::UriTemplate(template) => format!(
            r#""path_match_policy": {{"name": "template", "typed_config": {{"@type":
            "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
            "path_template": {}}}}}"#,
            text(template)
        ),
        other => panic!("not known: {other:?}"),
    };
    assert_eq!((&matcher.runtime_fraction, matcher.dynamic_metadata.len()), (&None, 0), "not known here");
    let headers = list(matcher.headers.iter().map(|header| {
        let asked = match &header.specifier {
            HeaderMatchSpecifier::String(string) => string_match(string),
            HeaderMatchSpecifier::Range { start, end } => {
                format!(r#""range_match": {{"start": {start}, "end": {end}}}"#)
            }
            HeaderMatchSpecifier::Present(present) => format!(r#""present_match": {present}"#),
            HeaderMatchSpecifier::AnyValue => r#""exact_match": """#.to_owned(),
            other => panic!("not known: {other:?}"),
        };
        let (name, invert) = (text(&header.name), header.invert_match);
        let as_empty = header.treat_missing_header_as_empty;
        format!(
            r#"{{"name": {name}, {asked}, "invert_match": {invert}, "treat_missing_header_as_empty": {as_empty}}}"#
        )
    }));
    let parameters = list(matcher.query_parameters.iter().map(|parameter| {
        let asked = match &parameter.specifier {
            QueryParameterMatchSpecifier::String(string) => string_match(string),
            QueryParameterMatchSpecifier::Present(present) => format!(r#""present_match": {present}"#),
            other => panic!("not known: {other:?}"),
        };
        format!(r#"{{"name": {}, {asked}}}"#, text(&parameter.name))
    }));
    let cookies = list(matcher.cookies.iter().map(|cookie| {
        let (name, invert) = (text(&cookie.name), cookie.invert_match);
        format!(r#"{{"name": {name}, {}, "invert_match": {invert}}}"#, string_match(&cookie.string_match))
    }));
    let grpc = if matcher.grpc { r#", "grpc": {}"# } else { "" };
    let tls = matcher.tls_context.map_or(String::new(), |tls| {
        let presented = tls.presented.map(|presented| format!(r#""presented": {presented}"#));
        let validated = tls.validated.map(|validated| format!(r#""validated": {validated}"#));
        let fields: Vec<_> = presented.into_iter().chain(validated).collect();
        format!(r#", "tls_context": {{{}}}"#, fields.join(", "))
    });
    format!(
        r#"{{{path}, "case_sensitive": {}, "headers": {headers}, "query_parameters": {parameters},
        "cookies": {cookies}{grpc}{tls}}}"#,
        matcher.case_sensitive
    )
}

fn string_match(matcher: &StringMatcher) -> String {
    let pattern = match &matcher.pattern {
        StringPattern::Exact(exact) => format!(r#""exact": {}"#, text(exact)),
        StringPattern::Prefix(prefix) => format!(r#""prefix": {}"#, text(prefix)),
        StringPattern::Suffix(suffix) => format!(r#""suffix": {}"#, text(suffix)),
        StringPattern::Contains(part) => format!(r#""contains": {}"#, text(part)),
        StringPattern::SafeRegex(regex) => format!(r#""safe_regex": {{"regex": {}}}"#, text(regex)),
        other => panic!("not known: {other:?}"),
    };
    format!(r#""string_match": {{{pattern}, "ignore_case": {}}}"#, matcher.ignore_case)
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A text in JSON.
fn text(text: &str) -> String {
    let mut json = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\0'..' ' => _ = write!(json, "\\u{:04x}", u32::from(character)),
            _ => json.push(character),
        }
    }
    json.push('"');
    json
}
