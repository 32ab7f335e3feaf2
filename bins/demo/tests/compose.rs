//! The compose folder stands alone, so it has copies of files that live elsewhere; they must stay copies.

use std::fs;
use std::path::Path;

#[test]
fn the_configurations_are_the_fixtures() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for name in ["front-envoy.yaml", "service-envoy.yaml"] {
        let read =
            |folder: &str| fs::read_to_string(repository.join(folder).join(name)).expect("a readable file");
        assert_eq!(read("deploy/compose"), read("fixtures/config"), "{name}");
    }
}
