use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};

use super::*;
use crate::handles::{
    CertificateStatus, CircuitBreakerThresholds, ClusterStatus, ConfigDump, HostStatus, ListenerStatus,
    Memory, ServerFacts, ServerState,
};

fn host(address: &str) -> HostStatus {
    HostStatus {
        address: address.parse().unwrap(),
        hostname: "service1".to_owned(),
        health_flags: "healthy",
        weight: 1,
        priority: 0,
        region: String::new(),
        zone: String::new(),
        sub_zone: String::new(),
        cx_active: 1,
        cx_connect_fail: 0,
        cx_total: 1,
        rq_active: 0,
        rq_error: 0,
        rq_pending_active: 0,
        rq_success: 2,
        rq_timeout: 0,
        rq_total: 2,
    }
}

fn cluster(name: &str, hosts: Vec<HostStatus>) -> ClusterStatus {
    let thresholds = CircuitBreakerThresholds {
        max_connections: 1024,
        max_pending_requests: 1024,
        max_requests: 1024,
        max_retries: 3,
    };
    ClusterStatus {
        name: name.to_owned(),
        observability_name: name.to_owned(),
        default_priority: thresholds,
        high_priority: thresholds,
        added_via_api: false,
        hosts,
    }
}

fn bootstrap() -> Value {
    let listener = json!({
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 8080 } },
        "filter_chains": [{ "filters": [{
            "name": "hcm",
            "typed_config": { "@type": "hcm", "route_config": { "name": "local_route" } },
        }] }],
    });
    json!({ "static_resources": { "listeners": [listener], "clusters": [{ "name": "service1" }] } })
}

fn handles(state: ServerState) -> AdminHandles {
    let stats = nuncio_stats::Registry::new(1);
    let scope = stats.scope(nuncio_stats::Shard::MAIN, "server");
    scope.gauge("live").set(1.0);
    let _ = scope.counter("debug_assertion_failures");
    AdminHandles {
        stats,
        facts: ServerFacts {
            version: "nuncio/0/x/y/z".to_owned(),
            display_version: "nuncio 0".to_owned(),
            hot_restart_version: "disabled".to_owned(),
            started: Instant::now(),
            command_line_options: json!({ "concurrency": 2 }),
            node: json!({ "id": "" }),
        },
        config: ConfigDump {
            bootstrap: bootstrap(),
            last_updated: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_234)),
        },
        listeners: vec![
            ListenerStatus { name: "front".to_owned(), local_address: "127.0.0.1:8080".parse().unwrap() },
            ListenerStatus { name: "six".to_owned(), local_address: "[::1]:8443".parse().unwrap() },
        ],
        certificates: vec![vec![CertificateStatus {
            path: None,
            serial_number: "aabb3a47369a8170".to_owned(),
            subject_alt_names: vec![("dns", "a.example".to_owned()), ("ip_address", "::1".to_owned())],
            valid_from: SystemTime::UNIX_EPOCH + Duration::from_secs(1_594_171_906),
            expiration_time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_595_000_000),
        }]],
        clusters: Box::new(|| {
            vec![cluster("service1", vec![host("127.0.1.1:8000")]), cluster("service2", Vec::new())]
        }),
        state: Box::new(move || state),
        memory: Box::new(|| Memory { allocated: 1, heap_size: 2, total_physical_bytes: 3 }),
        fail_health_checks: Box::new(|_| {}),
        quit: Box::new(|| {}),
        reopen_logs: Box::new(|| {}),
    }
}

fn get(uri: &str) -> Answer {
    answer(&handles(ServerState::Live), &Method::GET, &uri.parse().unwrap())
}

#[test]
fn status_content_type_and_body_are_envoys() {
    fn check(uri: &str, status: u16, content_type: &str, body: &str) {
        let answer = get(uri);
        assert_eq!(answer.status.as_u16(), status, "{uri}");
        assert_eq!(answer.content_type(), content_type, "{uri}");
        assert_eq!(answer.into_body(), body, "{uri}");
    }
    const TEXT: &str = "text/plain; charset=UTF-8";
    const JSON: &str = "application/json";
    check("/ready", 200, TEXT, "LIVE\n");
    check("/ready?x=y", 200, TEXT, "LIVE\n");
    check("/listeners", 200, TEXT, "front::127.0.0.1:8080\nsix::[::1]:8443\n");
    check("/listeners?format=other", 200, TEXT, "front::127.0.0.1:8080\nsix::[::1]:8443\n");
    check("/stats", 200, TEXT, "server.debug_assertion_failures: 0\nserver.live: 1\n");
    check("/stats?usedonly", 200, TEXT, "server.live: 1\n");
    check("/stats?usedonly=false&format=text", 200, TEXT, "server.live: 1\n");
    check("/stats?filter=l%69ve&format=json", 200, JSON, r#"{"stats":[{"name":"server.live","value":1}]}"#);
    check("/stats?filter=live&invert_filter", 200, TEXT, "server.debug_assertion_failures: 0\n");
    check("/stats?type=Gauges", 200, TEXT, "server.live: 1\n");
    check("/stats?type=gauges", 400, TEXT, "invalid &type= param");
    check("/stats?format=bogus", 400, TEXT, "usage: /stats?format=(json|prometheus|text)\n\n");
    check("/clusters?filter=zzz", 200, TEXT, "");
    check("/clusters?filter=zzz&format=json", 200, JSON, "{}\n");
    check("/clusters?filter=***", 400, TEXT, "Invalid re2 regex");
    check("//stats?usedonly", 200, TEXT, "server.live: 1\n");
    check("/ready/", 404, TEXT, &format!("invalid path. {}", commands::help()));
    check("/healthcheck/fail", 405, TEXT, "Method GET not allowed, POST required.");
    check("/quitquitquit", 405, TEXT, "Method GET not allowed, POST required.");
    check("/config_dump?resource=bogus", 404, "text/plain", "bogus not found in config dump");
    check(
        "/config_dump?resource=dynamic_listeners",
        404,
        "text/plain",
        "dynamic_listeners not found in config dump",
    );
    check(
        "/config_dump?resource=bootstrap",
        400,
        "text/plain",
        "bootstrap is not a repeated field. Use ?mask=bootstrap to get only this field",
    );
    check("/config_dump?mask=a", 400, "text/plain", "mask is not supported\n");
    assert!(get("/nope").into_body().starts_with("invalid path. admin commands are:\n  /: "));
    assert_eq!(get("/nope").status, 404);
    assert_eq!(get("/ready/").status, 404);
    assert_eq!(get("/stats?filter=***").status, 400);
    let prometheus = get("/stats/prometheus?usedonly");
    assert_eq!(prometheus.content_type(), TEXT);
    assert_eq!(prometheus.into_body(), get("/stats?format=prometheus&usedonly").into_body());
}

#[test]
fn readiness_follows_the_state() {
    fn check(state: ServerState, status: u16, body: &str) {
        let answer = answer(&handles(state), &Method::GET, &"/ready".parse().unwrap());
        assert_eq!((answer.status.as_u16(), answer.into_body().as_str()), (status, body));
    }
    check(ServerState::Live, 200, "LIVE\n");
    check(ServerState::Draining, 503, "DRAINING\n");
    check(ServerState::PreInitializing, 503, "PRE_INITIALIZING\n");
    check(ServerState::Initializing, 503, "INITIALIZING\n");
}

/// The layout was recorded with `curl -s localhost:8001/certs` from Envoy 1.40.
#[test]
fn certificates() {
    let text = get("/certs").into_body();
    let expected = r#"{
 "certificates": [
  {
   "ca_cert": [],
   "cert_chain": [
    {
     "path": "\u003cinline\u003e",
     "serial_number": "aabb3a47369a8170",
     "subject_alt_names": [
      {
       "dns": "a.example"
      },
      {
       "ip_address": "::1"
      }
     ],
     "days_until_expiration": "0",
     "valid_from": "2020-07-08T01:31:46Z",
     "expiration_time": "2020-07-17T15:33:20Z"
    }
   ]
  }
 ]
}
"#;
    assert_eq!(text, expected);
    let certificate = &handles(ServerState::Live).certificates[0][0];
    let certificate = CertificateStatus { path: Some("/a/b.pem".to_owned()), ..certificate.clone() };
    let now = certificate.expiration_time - Duration::from_secs(3 * 86_400 + 5);
    let text = certs::answer(&[vec![certificate]], now).into_body();
    assert!(
        text.contains(r#""path": "/a/b.pem""#) && text.contains(r#""days_until_expiration": "3""#),
        "{text}"
    );
    assert_eq!(certs::answer(&[], now).into_body(), "{\n \"certificates\": []\n}\n");
}

#[test]
fn commands_that_change_something_want_post() {
    let quits = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&quits);
    let mut handles = handles(ServerState::Live);
    handles.quit = Box::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let ask = |method| answer(&handles, &method, &"/quitquitquit".parse().unwrap());
    for method in [Method::GET, Method::HEAD, Method::PUT] {
        assert_eq!(ask(method).status, 405);
    }
    assert_eq!(quits.load(Ordering::Relaxed), 0);
    assert_eq!(ask(Method::POST).into_body(), "OK\n");
    assert_eq!(quits.load(Ordering::Relaxed), 1);
}

#[test]
fn counters_are_reset() {
    let handles = handles(ServerState::Live);
    handles.stats.scope(nuncio_stats::Shard::MAIN, "").counter("c").increment(5);
    assert_eq!(handles.stats.counter_value("c"), Some(5));
    assert_eq!(answer(&handles, &Method::POST, &"/reset_counters".parse().unwrap()).into_body(), "OK\n");
    assert_eq!(handles.stats.counter_value("c"), Some(0));
}

/// The layout was recorded with `curl -s localhost:8001/clusters` from Envoy 1.40.
#[test]
fn clusters_as_text() {
    let text = get("/clusters?filter=service1").into_body();
    let expected = "\
service1::observability_name::service1
service1::default_priority::max_connections::1024
service1::default_priority::max_pending_requests::1024
service1::default_priority::max_requests::1024
service1::default_priority::max_retries::3
service1::high_priority::max_connections::1024
service1::high_priority::max_pending_requests::1024
service1::high_priority::max_requests::1024
service1::high_priority::max_retries::3
service1::added_via_api::false
service1::127.0.1.1:8000::cx_active::1
service1::127.0.1.1:8000::cx_connect_fail::0
service1::127.0.1.1:8000::cx_total::1
service1::127.0.1.1:8000::rq_active::0
service1::127.0.1.1:8000::rq_error::0
service1::127.0.1.1:8000::rq_pending_active::0
service1::127.0.1.1:8000::rq_success::2
service1::127.0.1.1:8000::rq_timeout::0
service1::127.0.1.1:8000::rq_total::2
service1::127.0.1.1:8000::hostname::service1
service1::127.0.1.1:8000::health_flags::healthy
service1::127.0.1.1:8000::weight::1
service1::127.0.1.1:8000::region::
service1::127.0.1.1:8000::zone::
service1::127.0.1.1:8000::sub_zone::
service1::127.0.1.1:8000::canary::false
service1::127.0.1.1:8000::priority::0
service1::127.0.1.1:8000::success_rate::-1
service1::127.0.1.1:8000::local_origin_success_rate::-1
";
    assert_eq!(text, expected);
}

/// The layout was recorded with `curl -s 'localhost:8001/clusters?format=json'` from Envoy 1.40.
#[test]
fn clusters_as_json() {
    let text = get("/clusters?format=json&filter=service1").into_body();
    let expected = r#"{
 "cluster_statuses": [
  {
   "name": "service1",
   "host_statuses": [
    {
     "address": {
      "socket_address": {
       "address": "127.0.1.1",
       "port_value": 8000
      }
     },
     "stats": [
      {
       "name": "cx_connect_fail"
      },
      {
       "value": "1",
       "name": "cx_total"
      },
      {
       "name": "rq_error"
      },
      {
       "value": "2",
       "name": "rq_success"
      },
      {
       "name": "rq_timeout"
      },
      {
       "value": "2",
       "name": "rq_total"
      },
      {
       "type": "GAUGE",
       "value": "1",
       "name": "cx_active"
      },
      {
       "type": "GAUGE",
       "name": "rq_active"
      },
      {
       "type": "GAUGE",
       "name": "rq_pending_active"
      }
     ],
     "health_status": {
      "eds_health_status": "HEALTHY"
     },
     "weight": 1,
     "hostname": "service1",
     "locality": {}
    }
   ],
   "circuit_breakers": {
    "thresholds": [
     {
      "max_connections": 1024,
      "max_pending_requests": 1024,
      "max_requests": 1024,
      "max_retries": 3
     },
     {
      "priority": "HIGH",
      "max_connections": 1024,
      "max_pending_requests": 1024,
      "max_requests": 1024,
      "max_retries": 3
     }
    ]
   },
   "observability_name": "service1"
  }
 ]
}
"#;
    assert_eq!(text, expected);
}

#[test]
fn listeners_as_json() {
    let body: Value = serde_json::from_str(&get("/listeners?format=json").into_body()).unwrap();
    let address = json!({ "socket_address": { "address": "::1", "port_value": 8443 } });
    assert_eq!(body["listener_statuses"][1], json!({ "name": "six", "local_address": address }));
}

#[test]
fn the_config_dump_has_envoys_sections_in_envoys_order() {
    let body = get("/config_dump").into_body();
    let dump: Value = serde_json::from_str(&body).unwrap();
    let sections: Vec<&str> = dump["configs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|section| section["@type"].as_str().unwrap())
        .collect();
    assert_eq!(
        sections,
        [
            "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
            "type.googleapis.com/envoy.admin.v3.ClustersConfigDump",
            "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
            "type.googleapis.com/envoy.admin.v3.ScopedRoutesConfigDump",
            "type.googleapis.com/envoy.admin.v3.RoutesConfigDump",
            "type.googleapis.com/envoy.admin.v3.SecretsConfigDump",
        ]
    );
    assert_eq!(dump["configs"][0]["bootstrap"], bootstrap());
    assert_eq!(
        dump["configs"][1]["static_clusters"][0],
        json!({
            "cluster": { "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "service1" },
            "last_updated": "1970-01-01T00:00:01.234Z",
        })
    );
    assert_eq!(dump["configs"][4]["static_route_configs"][0]["route_config"]["name"], "local_route");
}

#[test]
fn one_resource_of_the_config_dump() {
    let body: Value =
        serde_json::from_str(&get("/config_dump?resource=static_clusters").into_body()).unwrap();
    let config = &body["configs"][0];
    assert_eq!(config["@type"], "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.StaticCluster");
    assert_eq!(config["cluster"]["name"], "service1");
}

#[test]
fn server_info_and_memory() {
    let info: Value = serde_json::from_str(&get("/server_info").into_body()).unwrap();
    let keys: Vec<&String> = info.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "version",
            "state",
            "uptime_current_epoch",
            "uptime_all_epochs",
            "hot_restart_version",
            "command_line_options",
            "node",
            "hot_restart_initializing"
        ]
    );
    assert_eq!(info["state"], "LIVE");
    assert_eq!(info["uptime_all_epochs"], "0s");
    let memory: Value = serde_json::from_str(&get("/memory").into_body()).unwrap();
    assert_eq!(memory["total_physical_bytes"], "3");
}
