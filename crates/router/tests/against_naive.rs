//! Tables and requests made of few letters, so that they often match, against a scan in order.

#[allow(dead_code, reason = "each test uses a part of it")]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]
#[path = "support"]
mod support {
    pub(crate) mod generate;
    pub(crate) mod naive;
    pub(crate) mod request;
}

use nuncio_router::{Metadata, PeerCertificate, RouteTable, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{generate, naive};

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn a_table_answers_as_a_scan_in_order(
        hosts in generate::virtual_hosts(),
        requests in vec((generate::request(), 0..4_u64, "[aAb]{0,2}"), 1..80),
        ignore_port in any::<bool>(),
    ) {
        let table = RouteTable::builder()
            .with_virtual_hosts(hosts.clone())
            .ignore_port_in_host_matching(ignore_port)
            .build()
            .expect("the generated table is sound");
        let mut numbers = 0..;
        let table = table.map(|_, _, ()| numbers.next().ok_or(())).expect("numbers do not end");
        for (request, random, found_out) in &requests {
            let mut metadata = Metadata::new();
            metadata.set("f", "k", Value::String(found_out.clone()));
            let head = request.head().dynamic_metadata(&metadata);
            let head = if *random == 0 { head.peer_certificate(PeerCertificate::presented(true)) } else { head };
            let expected = naive::route(&hosts, ignore_port, &head, *random).map(|(host, route)| {
                let before: usize = hosts.iter().take(host).map(|host| host.routes().len()).sum();
                (hosts.get(host), hosts.get(host).and_then(|host| host.routes().get(route)), before + route)
            });
            let found = table.route(&head, *random);
            let found = found.map(|found| (Some(found.virtual_host), Some(found.route), *found.payload));
            prop_assert_eq!(found, expected, "{:?} {}", request, random);
        }
    }
}
