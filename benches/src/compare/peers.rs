//! The proxies that are compared: where their programs are, and the configuration that makes them equal.
//!
//! The templates in `benches/peers/` hold what is fixed; this module fills in ports, routes and settings.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::process::Invocation;
use super::{Result, failure};

const ENVOY_TEMPLATE: &str = include_str!("../../peers/envoy.yaml");
const NGINX_TEMPLATE: &str = include_str!("../../peers/nginx.conf");
const HAPROXY_TEMPLATE: &str = include_str!("../../peers/haproxy.cfg");

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    Nuncio,
    Envoy,
    /// Envoy with the settings that its documentation advises for benchmarks.
    EnvoyBenchmark,
    Nginx,
    Haproxy,
}

impl Peer {
    pub(crate) const ALL: [Peer; 5] =
        [Peer::Nuncio, Peer::Envoy, Peer::EnvoyBenchmark, Peer::Nginx, Peer::Haproxy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Nuncio => "nuncio",
            Peer::Envoy => "envoy",
            Peer::EnvoyBenchmark => "envoy-benchmark",
            Peer::Nginx => "nginx",
            Peer::Haproxy => "haproxy",
        }
    }

    pub(crate) fn parse(name: &str) -> std::result::Result<Peer, String> {
        Peer::ALL.into_iter().find(|peer| peer.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Peer::ALL.iter().map(|peer| peer.name()).collect();
            format!("no such proxy; there are {}", names.join(", "))
        })
    }

    pub(crate) fn version_argument(self) -> &'static str {
        match self {
            Peer::Nginx | Peer::Haproxy => "-v",
            Peer::Nuncio | Peer::Envoy | Peer::EnvoyBenchmark => "--version",
        }
    }

    /// Where the program is, or a sentence saying why there is none.
    pub(crate) fn locate(self, front_proxy: Option<&Path>) -> std::result::Result<PathBuf, String> {
        match self {
            Peer::Nuncio => locate_front_proxy(front_proxy),
            Peer::Envoy | Peer::EnvoyBenchmark => match std::env::var_os("ENVOY_BIN") {
                Some(path) if Path::new(&path).is_file() => Ok(path.into()),
                Some(path) => Err(format!("ENVOY_BIN names {}, which is no file", path.display())),
                None => on_path("envoy").ok_or_else(|| "not on PATH, and ENVOY_BIN is not set".to_owned()),
            },
            Peer::Nginx | Peer::Haproxy => {
                on_path(self.name()).ok_or_else(|| format!("{} is not on PATH", self.name()))
            }
        }
    }
}

/// The front proxy that was asked for, or the newest build beside this program.
fn locate_front_proxy(asked: Option<&Path>) -> std::result::Result<PathBuf, String> {
    let build = "build it with `cargo build --profile dist -p nuncio-front-proxy`";
    if let Some(path) = asked {
        let found = path.is_file().then(|| path.to_owned());
        return found.ok_or_else(|| format!("{} is no file; {build}", path.display()));
    }
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = own.parent().and_then(Path::parent).unwrap_or(Path::new("target"));
    let built = |profile: &str| {
        let path = target.join(profile).join("front-proxy");
        Some((path.metadata().ok()?.modified().ok()?, path))
    };
    let newest = ["dist", "release"].into_iter().filter_map(built).max();
    newest
        .map(|(_, path)| path)
        .ok_or_else(|| format!("no front-proxy in {0}/dist or {0}/release; {build}", target.display()))
}

/// The first executable of that name on PATH, and in the folders for administrators, which PATH often lacks.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder: PathBuf| folder.join(name)).find(|file| file.is_file())
}

/// The protocol between proxy and origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upstream {
    Http1,
    Http2,
}

/// Which routes the proxy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routes {
    /// `/service/1` and `/service/2`, as in the front-proxy example.
    Example,
    /// So many prefixes `/service/N/`, counted from 0, all to the first cluster.
    Numbered(usize),
}

impl Routes {
    /// Prefix and cluster of each route.
    fn pairs(self) -> Vec<(String, &'static str)> {
        match self {
            Routes::Example => {
                vec![("/service/1".to_owned(), "service1"), ("/service/2".to_owned(), "service2")]
            }
            Routes::Numbered(count) => (0..count).map(|at| (format!("/service/{at}/"), "service1")).collect(),
        }
    }
}

/// Where one running proxy listens, and what is behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) plain: u16,
    pub(crate) tls: u16,
    pub(crate) admin: u16,
    pub(crate) origin: u16,
}

/// Everything that a configuration depends on.
pub(crate) struct Setup<'a> {
    pub(crate) upstream: Upstream,
    pub(crate) routes: Routes,
    pub(crate) ports: Ports,
    /// A folder of its own, with the certificate's files in the folder above.
    pub(crate) dir: &'a Path,
}

/// Names of the certificate's files.
pub(crate) const CERTIFICATE: &str = "certificate.pem";
pub(crate) const KEY: &str = "key.pem";
/// Both in one file, as HAProxy wants them.
pub(crate) const CHAIN: &str = "chain.pem";

/// Writes the configuration and says how to start the proxy with it.
pub(crate) fn configure(peer: Peer, program: &Path, setup: &Setup<'_>) -> Result<Invocation> {
    let text = render(peer, setup);
    if let Some(rest) = unfilled(&text) {
        return Err(failure(format!("the template of {} still has {rest}", peer.name())));
    }
    let file = setup.dir.join(match peer {
        Peer::Nuncio | Peer::Envoy | Peer::EnvoyBenchmark => "envoy.yaml",
        Peer::Nginx => "nginx.conf",
        Peer::Haproxy => "haproxy.cfg",
    });
    fs::write(&file, text)?;
    let invocation = Invocation::new(program);
    Ok(match peer {
        Peer::Nuncio | Peer::Envoy | Peer::EnvoyBenchmark => invocation
            .arg("-c")
            .arg(file)
            .option("--concurrency", 1)
            .arg("--disable-hot-restart")
            .option("-l", "warning"),
        Peer::Nginx => invocation.arg("-p").arg(setup.dir).arg("-c").arg(file),
        Peer::Haproxy => invocation.arg("-db").arg("-f").arg(file),
    })
}

fn render(peer: Peer, setup: &Setup<'_>) -> String {
    let benchmark = peer == Peer::EnvoyBenchmark;
    let certificates = setup.dir.parent().unwrap_or(setup.dir);
    let template = match peer {
        Peer::Nuncio | Peer::Envoy | Peer::EnvoyBenchmark => ENVOY_TEMPLATE,
        Peer::Nginx => NGINX_TEMPLATE,
        Peer::Haproxy => HAPROXY_TEMPLATE,
    };
    let mut cluster = String::new();
    if setup.upstream == Upstream::Http2 {
        cluster.push_str("    http2_protocol_options: {}\n");
    }
    if benchmark {
        cluster.push_str("    circuit_breakers:\n      thresholds:\n      - priority: DEFAULT\n");
        for limit in ["max_connections", "max_pending_requests", "max_requests"] {
            let _ = writeln!(cluster, "        {limit}: 1000000000");
        }
    }
    let manager = if benchmark { "          generate_request_id: false" } else { "" };
    let router = if benchmark { "              dynamic_stats: false" } else { "" };
    let protocol = if setup.upstream == Upstream::Http2 { " proto h2" } else { "" };
    template
        .replace("@MANAGER@\n", &line(manager))
        .replace("@ROUTER@\n", &line(router))
        .replace("@CLUSTER@\n", &cluster)
        .replace("@ROUTES@\n", &routes(peer, setup))
        .replace("@PROTOCOL@", protocol)
        .replace("@PLAIN@", &setup.ports.plain.to_string())
        .replace("@TLS@", &setup.ports.tls.to_string())
        .replace("@ADMIN@", &setup.ports.admin.to_string())
        .replace("@ORIGIN@", &setup.ports.origin.to_string())
        .replace("@DIR@", &setup.dir.display().to_string())
        .replace("@CERTIFICATE@", &certificates.join(CERTIFICATE).display().to_string())
        .replace("@KEY@", &certificates.join(KEY).display().to_string())
        .replace("@CHAIN@", &certificates.join(CHAIN).display().to_string())
}

/// The text with its line end, or nothing at all.
fn line(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}

/// The routes in the proxy's language. Each uses what its makers advise for many routes: nginx its tree of
/// locations, HAProxy a map (written beside the configuration by `write_map`).
fn routes(peer: Peer, setup: &Setup<'_>) -> String {
    let mut text = String::new();
    for (prefix, cluster) in setup.routes.pairs() {
        let _ = match peer {
            Peer::Nuncio | Peer::Envoy | Peer::EnvoyBenchmark => writeln!(
                text,
                "              - match:\n                  prefix: \"{prefix}\"\n                route:\n                  cluster: {cluster}"
            ),
            Peer::Nginx => writeln!(text, "        location {prefix} {{ proxy_pass http://{cluster}; }}"),
            Peer::Haproxy => match setup.routes {
                Routes::Example => writeln!(text, "    use_backend {cluster} if {{ path_beg {prefix} }}"),
                Routes::Numbered(_) => break,
            },
        };
    }
    if peer == Peer::Haproxy && setup.routes != Routes::Example {
        let map = map_file(setup).display().to_string();
        let _ = writeln!(text, "    use_backend %[path,map_beg({map})]");
    }
    text
}

fn map_file(setup: &Setup<'_>) -> PathBuf {
    setup.dir.join("routes.map")
}

/// Writes HAProxy's map, where its configuration names one.
pub(crate) fn write_map(peer: Peer, setup: &Setup<'_>) -> Result<()> {
    if peer == Peer::Haproxy && setup.routes != Routes::Example {
        let lines: String =
            setup.routes.pairs().iter().map(|(prefix, cluster)| format!("{prefix} {cluster}\n")).collect();
        fs::write(map_file(setup), lines)?;
    }
    Ok(())
}

/// A placeholder that nothing has filled in.
fn unfilled(text: &str) -> Option<&str> {
    let is_name = |word: &&str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    text.split('@').skip(1).find(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(peer: Peer, upstream: Upstream, routes: Routes) -> String {
        let ports = Ports { plain: 1001, tls: 1002, admin: 1003, origin: 1004 };
        render(peer, &Setup { upstream, routes, ports, dir: Path::new("/scratch/run") })
    }

    #[test]
    fn every_template_is_filled() {
        for peer in Peer::ALL {
            for upstream in [Upstream::Http1, Upstream::Http2] {
                for routes in [Routes::Example, Routes::Numbered(3)] {
                    let text = rendered(peer, upstream, routes);
                    assert_eq!(unfilled(&text), None, "{}", peer.name());
                    assert!(text.contains("1001") && text.contains("1002") && text.contains("1004"));
                }
            }
        }
        assert_eq!(unfilled("a @PLAIN@ b"), Some("PLAIN"));
        assert_eq!(unfilled("\"@type\": x"), None);
    }

    #[test]
    fn settings_stand_where_they_should() {
        let check = |peer, upstream, routes, wanted: &str, present: bool| {
            let text = rendered(peer, upstream, routes);
            assert_eq!(text.contains(wanted), present, "{wanted} for {}:\n{text}", peer.name());
        };
        let (one, two) = (Upstream::Http1, Upstream::Http2);
        check(Peer::Envoy, one, Routes::Example, "generate_request_id", false);
        check(Peer::EnvoyBenchmark, one, Routes::Example, "\n          generate_request_id: false\n", true);
        check(Peer::EnvoyBenchmark, one, Routes::Example, "\n              dynamic_stats: false\n", true);
        check(Peer::Nuncio, one, Routes::Example, "circuit_breakers", false);
        check(Peer::Nuncio, one, Routes::Example, "http2_protocol_options", false);
        check(Peer::Nuncio, two, Routes::Example, "http2_protocol_options", true);
        check(Peer::Haproxy, two, Routes::Example, "127.0.0.1:1004 proto h2\n", true);
        check(Peer::Nginx, one, Routes::Numbered(3), "location /service/2/ {", true);
        check(Peer::Nginx, one, Routes::Numbered(3), "location /service/3/ {", false);
        check(Peer::Haproxy, one, Routes::Numbered(3), "map_beg(/scratch/run/routes.map)", true);
        check(Peer::Envoy, one, Routes::Numbered(3), "prefix: \"/service/2/\"", true);
    }

    #[test]
    fn names_lead_back_to_their_proxies() {
        for peer in Peer::ALL {
            assert_eq!(Peer::parse(peer.name()), Ok(peer));
        }
        assert!(Peer::parse("apache").is_err());
    }
}
