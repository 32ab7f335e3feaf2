use super::*;
use crate::render;

#[test]
fn scope_names_are_mapped_as_envoy_maps_them() {
    fn check(prefix: &str, expected: &str) {
        let registry = Registry::new(0);
        registry.scope(Shard::MAIN, prefix).counter("n").increment(1);
        assert_eq!(
            registry.counter_value(expected),
            Some(1),
            "{prefix}: {}",
            render::text(&registry.snapshot(&StatsQuery::default()))
        );
    }
    check("", "n");
    check("cluster.a", "cluster.a.n");
    check("cluster.a.", "cluster.a.n");
    check(".cluster.a", "cluster.a.n");
    check("listener.127.0.0.1:8080", "listener.127.0.0.1_8080.n");
    check("listener.[::1]:8080", "listener.[__1]_8080.n");
    check("cluster.http://a:/b:c\0d", "cluster.http_a_b_c_d.n");
    check("a\0/b", "a_/b.n");
}
