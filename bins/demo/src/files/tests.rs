use super::*;

const SERVICE: &str = "
static_resources:
  listeners:
  - address:
      socket_address: { address: 0.0.0.0, port_value: 8000 }
  clusters:
  - name: cr7_cluster
    load_assignment:
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address:
                address: 127.0.0.1
                port_value: 8080
admin:
  access_log_path: /tmp/access.log
  address:
    socket_address:
      address: 0.0.0.0
      port_value: 8001
";

const FRONT: &str = "
static_resources:
  listeners:
  - address:
      socket_address: { address: 0.0.0.0, port_value: 8080 }
  - address:
      socket_address: { address: 0.0.0.0, port_value: 8443 }
  clusters:
  - load_assignment:
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: service1, port_value: 8000 } } }
admin:
  access_log_path: /dev/null
  address:
    socket_address: { address: 0.0.0.0, port_value: 8001 }
";

fn ports() -> Ports {
    Ports::new(Some(21_000))
}

/// The copy must be the original with exactly these texts replaced.
fn check(copy: Result<String, Failure>, original: &str, replaced: &[(&str, &str)]) {
    let expected = replaced.iter().fold(original.to_owned(), |text, (from, to)| text.replace(from, to));
    let copy = parse(&copy.expect("a copy")).expect("YAML");
    assert_eq!(copy, parse(&expected).expect("YAML"));
}

#[test]
fn a_service_gets_its_instances_addresses() {
    check(
        service_copy(SERVICE, &ports(), Ipv4Addr::new(127, 0, 1, 3)),
        SERVICE,
        &[
            ("address: 0.0.0.0", "address: 127.0.1.3"),
            ("address: 127.0.0.1", "address: 127.0.1.3"),
            ("8000", "21003"),
            ("8001", "21004"),
            ("8080", "21005"),
            ("/tmp/access.log", "/dev/null"),
        ],
    );
}

#[test]
fn the_front_proxy_gets_other_ports() {
    check(
        front_copy(FRONT, &ports()),
        FRONT,
        &[("8080", "21000"), ("8443", "21001"), ("8001", "21002"), ("8000", "21003")],
    );
}

#[test]
fn a_file_without_an_expected_address_is_refused() {
    let refusal = service_copy(&SERVICE.replace("8080", "9090"), &ports(), Ipv4Addr::new(127, 0, 1, 1));
    assert_eq!(refusal, Err(Failure::new("no socket_address 127.0.0.1:8080")));
    let refusal = front_copy(&FRONT.replace("8443", "9443"), &ports());
    assert_eq!(refusal, Err(Failure::new("no socket_address with port_value 8443")));
}

#[test]
fn the_resolver_override_is_yaml_that_names_the_server() {
    let tree = parse(&resolver_override(SocketAddr::from(([127, 0, 0, 1], 5353)))).expect("YAML");
    let resolvers = &tree["typed_dns_resolver_config"]["typed_config"]["resolvers"];
    assert_eq!(resolvers[0]["socket_address"]["address"], Value::from("127.0.0.1"));
    assert_eq!(resolvers[0]["socket_address"]["port_value"], Value::from(5353));
}

#[test]
fn the_directory_goes_with_its_last_file_and_stale_ones_go_too() {
    // No process has this id: Linux gives out smaller ones only.
    let stale = std::env::temp_dir().join(format!("{DIRECTORY_PREFIX}{}-0", i32::MAX));
    fs::create_dir_all(&stale).expect("a directory");
    let directory = Directory::choose();
    assert!(!stale.exists());
    for leave in [Directory::remove as fn(&Directory, &str), |directory: &Directory, _| {
        drop(Directory(directory.0.clone()))
    }] {
        let file = directory.write("service1-1.yaml", SERVICE).expect("a file");
        assert!(file.is_file());
        leave(&directory, "service1-1.yaml");
        assert!(!directory.path().exists());
    }
}
