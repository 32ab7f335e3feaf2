//! The configuration that `--listen` and its companions stand for: a text like one that a user would write, which
//! goes through the same loader.

use std::{net::SocketAddr, str::FromStr};

use serde_json::{Value, json};

/// `PREFIX=HOST:PORT` of `--route`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What the path begins with.
    pub prefix: String,
    /// Where matching requests go.
    pub target: (String, u16),
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The last one, because a path may hold an equals sign and an address may not.
        let (prefix, target) = text.rsplit_once('=').ok_or("expected PREFIX=HOST:PORT")?;
        if !prefix.starts_with('/') {
            return Err(format!("the prefix \"{prefix}\" does not begin with a slash"));
        }
        Ok(Self { prefix: prefix.to_owned(), target: host_and_port(target)? })
    }
}

/// Reads `HOST:PORT`, where a v6 address stands in brackets.
pub(super) fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("expected HOST:PORT")?;
    let port = port.parse().map_err(|_| format!("\"{port}\" is not a port"))?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if host.is_empty() || (bare.is_none() && host.contains(':')) {
        return Err(format!("\"{host}\" is not a host name or address (write a v6 address in brackets)"));
    }
    Ok((bare.unwrap_or(host).to_owned(), port))
}

/// The configuration of `front-proxy --listen … --route …`.
pub(super) fn front_proxy(listen: SocketAddr, routes: &[Route], admin: SocketAddr) -> String {
    let routes: Vec<(&str, &(String, u16))> =
        routes.iter().map(|route| (route.prefix.as_str(), &route.target)).collect();
    text(listen, "ingress_http", &routes, admin)
}

/// The configuration of `sidecar --listen … --app …`.
pub(super) fn sidecar(listen: SocketAddr, app: &(String, u16), admin: SocketAddr) -> String {
    text(listen, "ingress_http", &[("/", app)], admin)
}

fn text(
    listen: SocketAddr,
    stat_prefix: &str,
    routes: &[(&str, &(String, u16))],
    admin: SocketAddr,
) -> String {
    let mut clusters: Vec<Value> = Vec::new();
    let mut entries: Vec<Value> = Vec::new();
    let mut known: Vec<&(String, u16)> = Vec::new();
    for (prefix, target) in routes {
        let name = cluster_name(target);
        entries.push(json!({ "match": { "prefix": prefix }, "route": { "cluster": name } }));
        if !known.contains(target) {
            known.push(target);
            clusters.push(cluster(&name, target));
        }
    }
    let connection_manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": stat_prefix,
        "route_config": {
            "name": "local_route",
            "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": entries }],
        },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        }],
    });
    let bootstrap = json!({
        "static_resources": {
            "listeners": [{
                "name": "main",
                "address": address(&listen.ip().to_string(), listen.port()),
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": connection_manager,
                }] }],
            }],
            "clusters": clusters,
        },
        "admin": { "address": address(&admin.ip().to_string(), admin.port()) },
    });
    // Maps with text keys can always be written.
    serde_yaml::to_string(&bootstrap).unwrap_or_default()
}

fn cluster(name: &str, (host, port): &(String, u16)) -> Value {
    // A literal address is not asked of a name server.
    let kind = if host.parse::<std::net::IpAddr>().is_ok() { "STATIC" } else { "STRICT_DNS" };
    json!({
        "name": name,
        "type": kind,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(host, *port) } }] }],
        },
    })
}

fn cluster_name((host, port): &(String, u16)) -> String {
    format!("{host}_{port}")
}

fn address(host: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}
