//! Any text as a route configuration by itself is loaded or refused, and a table that was loaded can be asked.
//!
//! The head of `load.rs` says how to run it.
#![no_main]

use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use nuncio_config::{Source, load_route_table};
use nuncio_router::RequestHead;

mod nothing;

fuzz_target!(|text: &str| {
    match load_route_table(&Source::new("text.yaml", text), &nothing::options()) {
        Ok(table) => {
            let (method, headers) = (Method::GET, HeaderMap::new());
            for authority in ["", "a", "a.com", "x.a.com:80"] {
                for path in ["/", "/a", "/a/b?c"] {
                    let _ = table.route(&RequestHead::new(&method, authority, path, &headers), 0);
                }
            }
        }
        Err(errors) => assert!(errors.count() > 0 && !errors.to_string().is_empty()),
    }
});
