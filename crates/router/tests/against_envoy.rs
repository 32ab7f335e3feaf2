//! Generated tables and requests, always the same, against Envoy where `ENVOY_BIN` names one.

#[allow(dead_code, reason = "each test uses a part of it")]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]
#[path = "support"]
mod support {
    pub(crate) mod envoy;
    pub(crate) mod generate;
    pub(crate) mod naive;
    pub(crate) mod request;
}

use nuncio_router::{RouteTable, VirtualHost};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use support::envoy::Envoy;
use support::generate;

const TABLES: usize = 200;
const REQUESTS: usize = 40;

#[test]
fn a_table_answers_as_envoy() {
    if std::env::var_os("ENVOY_BIN").is_none() {
        return;
    }
    let mut runner = TestRunner::deterministic();
    let mut generated =
        || generate::virtual_hosts_for_envoy().new_tree(&mut runner).map(|tree| tree.current());
    let tables: Vec<Vec<VirtualHost>> = (0..TABLES).map(|_| generated().expect("a table")).collect();
    let Some(mut envoy) = Envoy::start("tables", &tables) else { return };
    let (mut found, mut different) = (0, Vec::new());
    for (at, hosts) in tables.iter().enumerate() {
        let table = RouteTable::builder().with_virtual_hosts(hosts.clone()).build().expect("a sound table");
        let mut numbers = 0..;
        let table = table.map(|_, _, ()| numbers.next().ok_or(())).expect("numbers do not end");
        for _ in 0..REQUESTS {
            let request = generate::request_for_envoy().new_tree(&mut runner).expect("a request").current();
            let ours = table.route(&request.head(), 0).map(|found| *found.payload).map_err(|_| 404);
            let theirs = envoy.answer(at, &request).map(|(host, route)| {
                hosts.iter().take(host).map(|host| host.routes().len()).sum::<usize>() + route
            });
            found += usize::from(theirs.is_ok());
            if ours != theirs {
                let route = |place: usize| hosts.iter().flat_map(VirtualHost::routes).nth(place);
                let matcher = |place: usize| route(place).map(|route| route.matcher.clone());
                let answers = (ours.map(matcher), theirs.map(matcher));
                different.push(format!("{request:?}\n  ours, Envoy's: {answers:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    assert!(found > TABLES * REQUESTS / 5, "only {found} requests had a route");
}
