//! What the admin server shows of a whole proxy.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use nuncio_test_support::{Origin, Proxy, RunningProxy, get};
use serde_json::Value;

async fn json(proxy: &RunningProxy, path: &str) -> Value {
    serde_json::from_str(&proxy.ask_admin(path).await).unwrap()
}

#[tokio::test]
async fn listeners_and_clusters_are_shown() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).start().await;
    get(proxy.listener(0), "/").await;
    assert_eq!(proxy.ask_admin("/listeners").await, format!("main::{}\n", proxy.listener(0)));
    let clusters = proxy.ask_admin("/clusters").await;
    let host = format!("origin::{}::", origin.address());
    for line in ["origin::observability_name::origin", "origin::default_priority::max_retries::3"] {
        assert!(clusters.lines().any(|there| there == line), "{line} in:\n{clusters}");
    }
    for rest in ["rq_total::1", "rq_success::1", "cx_total::1", "health_flags::healthy", "weight::1"] {
        let line = format!("{host}{rest}");
        assert!(clusters.lines().any(|there| there == line), "{line} in:\n{clusters}");
    }
    let status = &json(&proxy, "/clusters?format=json").await["cluster_statuses"][0];
    assert_eq!(status["name"], "origin");
    assert_eq!(
        status["host_statuses"][0]["address"]["socket_address"]["port_value"],
        origin.address().port()
    );
}

/// The names that Envoy 1.40 showed under `/stats?usedonly` for the front proxy example, apart from those of single
/// clusters, listeners and connection managers, which their crates test.
#[tokio::test]
async fn the_process_has_envoys_stats() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).with_workers(2).start().await;
    for (name, value) in [
        ("cluster_manager.active_clusters", 1),
        ("cluster_manager.cluster_added", 1),
        ("cluster_manager.warming_clusters", 0),
        ("listener_manager.listener_added", 1),
        ("listener_manager.listener_create_success", 2),
        ("listener_manager.total_listeners_active", 1),
        ("listener_manager.total_listeners_warming", 0),
        ("listener_manager.workers_started", 1),
        ("runtime.deprecated_feature_use", 0),
        ("runtime.load_success", 1),
        ("runtime.num_keys", 0),
        ("runtime.num_layers", 0),
        ("server.compilation_settings.fips_mode", 0),
        ("server.concurrency", 2),
        ("server.days_until_first_cert_expiring", 4_294_967_295),
        ("server.dynamic_unknown_fields", 0),
        ("server.hot_restart_epoch", 0),
        ("server.hot_restart_generation", 1),
        ("server.live", 1),
        ("server.parent_connections", 0),
        ("server.state", 0),
        ("server.static_unknown_fields", 0),
        ("server.stats_recent_lookups", 0),
        ("server.total_connections", 0),
        ("server.wip_protos", 0),
        ("thread_local_cluster_manager.main_thread.clusters_inflated", 1),
        ("thread_local_cluster_manager.worker_0.clusters_inflated", 1),
    ] {
        assert_eq!(proxy.stat(name), Some(value), "{name}");
    }
    for name in [
        "server.memory_allocated",
        "server.memory_heap_size",
        "server.memory_physical_size",
        "server.version",
    ] {
        assert!(proxy.stat(name) > Some(0), "{name}");
    }
    assert!(proxy.stat("server.uptime").is_some());
    let histogram = proxy.ask_admin("/stats?filter=initialization_time_ms").await;
    assert!(histogram.starts_with("server.initialization_time_ms: P0("), "{histogram}");
}

#[tokio::test]
async fn server_info_names_the_product() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).start().await;
    let info = json(&proxy, "/server_info").await;
    assert_eq!(info["state"], "LIVE");
    assert_eq!(info["node"]["user_agent_name"], "nuncio");
    let version = info["version"].as_str().unwrap();
    assert!(version.starts_with("nuncio-") && version.split('/').count() == 5, "{version}");
    assert!(proxy.ask_admin("/").await.contains("Nuncio"));
    let memory = json(&proxy, "/memory").await;
    assert!(memory["allocated"].as_str().unwrap().parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn the_configuration_is_shown() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).start().await;
    let dump = json(&proxy, "/config_dump").await;
    let bootstrap = &dump["configs"][0]["bootstrap"];
    assert_eq!(bootstrap["static_resources"]["clusters"][0]["name"], "origin");
    let clusters = json(&proxy, "/config_dump?resource=static_clusters").await;
    assert_eq!(clusters["configs"][0]["cluster"]["name"], "origin");
    let routes = json(&proxy, "/config_dump?resource=static_route_configs").await;
    assert_eq!(routes["configs"][0]["route_config"]["name"], "routes");
}

#[tokio::test]
async fn requests_to_the_admin_server_are_logged() {
    let directory = nuncio_test_support::Directory::new();
    let log = directory.path("admin.log");
    let origin = Origin::answering("hello").await;
    let proxy =
        Proxy::in_front_of(&origin).and(&format!("  access_log_path: {}\n", log.display())).start().await;
    proxy.ask_admin("/ready").await;
    proxy.handle().stop();
    proxy.handle().ended().await.unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("\"GET /ready HTTP/1.1\" 200 - 0 5 "), "{text}");
    assert!(proxy.stat("filesystem.write_completed") >= Some(1));
}

#[tokio::test]
async fn an_access_log_that_cannot_be_opened_is_refused_with_its_place() {
    let origin = Origin::answering("hello").await;
    let proxy = Proxy::in_front_of(&origin).and("  access_log_path: /no/such/directory/log\n");
    let errors = proxy.try_start().err().unwrap().to_string();
    assert!(errors.starts_with("test.yaml:"), "{errors}");
    assert!(errors.contains("cannot open the access log /no/such/directory/log: No such file"), "{errors}");
}
