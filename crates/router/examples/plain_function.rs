//! Routing as a plain function: no server, no runtime, handlers as payloads.
//!
//! Run it with `cargo run -p nuncio-router --example plain_function`.

use std::error::Error;

use nuncio_router::{
    Action, ClusterSpecifier, Forward, Redirect, RequestHead, Route, RouteMatch, RouteTable, VirtualHost,
};

type Handler = fn(&str) -> String;

fn users(path: &str) -> String {
    format!("the user service answers {path}")
}

fn pages(path: &str) -> String {
    format!("the page service answers {path}")
}

fn main() -> Result<(), Box<dyn Error>> {
    let table = RouteTable::builder()
        .virtual_host(VirtualHost::new("api").domain("api.example.com").route(Route::new(
            RouteMatch::prefix("/v1/users/"),
            Forward::to_cluster("users").prefix_rewrite("/"),
        )))
        .virtual_host(
            VirtualHost::new("site")
                .domain("*")
                .route(Route::new(RouteMatch::prefix("/secure"), Redirect::new().https()))
                .route(Route::new(RouteMatch::prefix("/"), Forward::to_cluster("pages"))),
        )
        .build()?;

    // Names become handlers once, not with every request; a name that nobody knows is found out here.
    let table: RouteTable<Option<Handler>> = table.map(|_, route, ()| match &route.action {
        Action::Forward(Forward { cluster: ClusterSpecifier::Name(name), .. }) => match name.as_str() {
            "users" => Ok(Some(users as Handler)),
            "pages" => Ok(Some(pages as Handler)),
            other => Err(format!("no handler is named {other:?}")),
        },
        _ => Ok(None),
    })?;

    for (host, path) in [
        ("api.example.com", "/v1/users/7?full=1"),
        ("api.example.com", "/v2"),
        ("www.example.com", "/secure/login"),
        ("www.example.com", "/about"),
    ] {
        let (parts, ()) = http::Request::get(path).header("host", host).body(())?.into_parts();
        let head = RequestHead::from_parts(&parts);
        let answer = match table.route(&head, 0) {
            Err(reason) => format!("404, {reason}"),
            Ok(found) => match (&found.route.action, found.payload) {
                (Action::Forward(forward), Some(handler)) => {
                    let rewritten = forward.rewritten_path(&found.route.matcher, path);
                    handler(rewritten.as_deref().unwrap_or(path))
                }
                (Action::Redirect(redirect), _) => {
                    let location = redirect.location(&head, &found.route.matcher);
                    format!("{}, {location}", redirect.response_code.status())
                }
                (other, _) => format!("not for this example: {other:?}"),
            },
        };
        println!("{host}{path}: {answer}");
    }
    Ok(())
}
