//! A route configuration out of a text, and where it sends requests: no file, no socket, no runtime.
//!
//! ```text
//! cargo run -p nuncio-config --example routes
//! cargo run -p nuncio-config --example routes -- shop.example/cart shop.example/old www.example/
//! ```

use std::error::Error;

use http::{HeaderMap, Method};
use nuncio_config::{LoadOptions, Source, load_route_table};
use nuncio_router::{Action, ClusterSpecifier, RequestHead};

/// What Envoy has as `route_config`, or a control plane sends as `RouteConfiguration`.
const ROUTES: &str = r#"
virtual_hosts:
- name: shop
  domains: [shop.example, "*.shop.example"]
  routes:
  - match: {prefix: /cart}
    route: {cluster: cart, prefix_rewrite: /basket}
  - match: {path: /old}
    redirect: {path_redirect: /new, response_code: FOUND}
  - match: {prefix: /}
    route: {cluster: web}
- name: all the rest
  domains: ["*"]
  routes:
  - match: {prefix: /}
    direct_response: {status: 404, body: {inline_string: "nothing here\n"}}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let table = load_route_table(&Source::new("routes.yaml", ROUTES), &LoadOptions::default())?;
    let mut requests: Vec<String> = std::env::args().skip(1).collect();
    if requests.is_empty() {
        requests = ["shop.example/cart/7", "www.shop.example/old", "shop.example/", "other.example/"]
            .map(str::to_owned)
            .to_vec();
    }
    let (method, headers) = (Method::GET, HeaderMap::new());
    for request in requests {
        let (authority, path) = request.split_at(request.find('/').ok_or("a request has a path")?);
        let head = RequestHead::new(&method, authority, path, &headers);
        // The number decides about routes for a share of the requests. There are none here.
        let answer = match table.route(&head, 0) {
            Err(reason) => reason.to_string(),
            Ok(found) => match &found.route.action {
                Action::Forward(forward) => {
                    let rewritten = forward.rewritten_path(&found.route.matcher, path);
                    let path = rewritten.as_deref().unwrap_or(path);
                    match &forward.cluster {
                        ClusterSpecifier::Name(cluster) => format!("cluster {cluster}, path {path}"),
                        other => format!("{other:?}, path {path}"),
                    }
                }
                Action::Redirect(redirect) => {
                    format!("redirect to {}", redirect.location(&head, &found.route.matcher))
                }
                Action::DirectResponse(response) => format!("the answer {}", response.status),
                other => format!("{other:?}"),
            },
        };
        println!("{request} -> {answer}");
    }
    Ok(())
}
