use super::*;

fn check(rules: &TagRules, full: &str, name: &str, tags: &[(&str, &str)]) {
    let mut extracted = Extracted::default();
    rules.extract(full, &mut extracted);
    assert_eq!(extracted.name, name, "{full}");
    assert_eq!(rules.tags(full, &extracted).collect::<Vec<_>>(), tags, "{full}");
}

// The recorded answers in tests/fixtures hold the names that Envoy was seen to have; these are the names that need
// traffic of protocols which those recordings do not contain, and the edges of the rules.
#[test]
fn default_rules() {
    let rules = TagRules::default();
    let check = |full: &str, name: &str, tags: &[(&str, &str)]| check(&rules, full, name, tags);
    check("", "", &[]);
    check("cluster", "cluster", &[]);
    check("cluster.a", "cluster.a", &[]);
    check("cluster..x", "cluster..x", &[]);
    check("upstream_rq_20", "upstream_rq_20", &[]);
    check("_rq_200", "_rq", &[("envoy.response_code", "200")]);
    check("_rq_2x", "_rq_2x", &[]);
    check("_rq_éx", "_rq_éx", &[]);
    check("http.admin.x", "http.x", &[("envoy.http_conn_manager_prefix", "admin")]);
    check("listener.admin.x", "listener.admin.x", &[]);
    check("listener.1.2.3.x", "listener.2.3.x", &[("envoy.listener_address", "1")]);
    check("listener.[__1]_80.x", "listener.x", &[("envoy.listener_address", "[__1]_80")]);
    check("listener.a.ssl.versions.TLSv1", "listener.ssl.versions.TLSv1", &[("envoy.listener_address", "a")]);
    check(
        "http.p.dynamodb.table.t.capacity.Op.__partition_id=1234567",
        "http.dynamodb.table.capacity",
        &[
            ("envoy.dynamo_partition_id", "1234567"),
            ("envoy.dynamo_operation", "Op"),
            ("envoy.dynamo_table", "t"),
            ("envoy.http_conn_manager_prefix", "p"),
        ],
    );
    check(
        "mongo.m.collection.c.callsite.s.query.total",
        "mongo.collection.callsite.query.total",
        &[("envoy.mongo_callsite", "s"), ("envoy.mongo_collection", "c"), ("envoy.mongo_prefix", "m")],
    );
    check(
        "http.ing.rds.my.route/cfg.update_success",
        "http.rds.update_success",
        &[("envoy.rds_route_config", "my.route/cfg"), ("envoy.http_conn_manager_prefix", "ing")],
    );
    check(
        "cluster.c.health_check.name.h.attempt",
        "cluster.health_check.attempt",
        &[("envoy.health_check_name", "h"), ("envoy.cluster_name", "c")],
    );
}

#[test]
fn own_rules() {
    let rules = TagRules::none().with_fixed("env", "prod").with_expression("x", r"^a\.((\w+)\.)").unwrap();
    check(&rules, "a.b.c", "a.c", &[("env", "prod"), ("x", "b")]);
    check(&rules, "cluster.b.c", "cluster.b.c", &[("env", "prod")]);
    let rules = TagRules::default().with_expression("tail", r"(\.tail)$").unwrap();
    check(&rules, "cluster.b.c.tail", "cluster.c", &[("envoy.cluster_name", "b"), ("tail", ".tail")]);
    assert!(TagRules::none().with_expression("x", "no group").is_err());
    assert!(TagRules::none().with_expression("x", "(").is_err());
}
