//! Where the proxies' binaries are, and building them when the demo was started through cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// The programs that the demo starts.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// This program, which is also every instance's application.
    pub demo: PathBuf,
    /// The front proxy.
    pub front_proxy: PathBuf,
    /// The proxy beside each application.
    pub sidecar: PathBuf,
}

impl Binaries {
    /// Find the binaries in `directory`, or else next to this program; in the latter case, and when cargo started
    /// this program, build them first.
    pub fn locate(directory: Option<&Path>) -> Result<Self, Failure> {
        let demo = std::env::current_exe()
            .map_err(|error| Failure::new(format!("this program's own path is unknown: {error}")))?;
        let beside = demo.parent().unwrap_or(Path::new("/"));
        if let (None, Some(cargo)) = (directory, std::env::var_os("CARGO")) {
            build(Path::new(&cargo), beside)?;
        }
        let directory = directory.unwrap_or(beside);
        let find = |name: &str| {
            let path = directory.join(name);
            if path.is_file() {
                return Ok(path);
            }
            Err(Failure::new(format!(
                "{} is missing; build it with `cargo build --release -p nuncio-front-proxy -p nuncio-sidecar` \
                 or say with --bin-dir where the binaries are",
                path.display()
            )))
        };
        Ok(Self { front_proxy: find("front-proxy")?, sidecar: find("sidecar")?, demo: demo.clone() })
    }
}

/// Build both proxies in the profile whose directory this program stands in. Cargo shows its own progress.
fn build(cargo: &Path, target: &Path) -> Result<(), Failure> {
    let mut command = Command::new(cargo);
    command.args(["build", "-p", "nuncio-front-proxy", "-p", "nuncio-sidecar"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    match target.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some(profile) => drop(command.args(["--profile", profile])),
    }
    eprintln!("building the proxies (takes minutes the first time only)");
    let status = command
        .status()
        .map_err(|error| Failure::new(format!("{} cannot be started: {error}", cargo.display())))?;
    if status.success() { Ok(()) } else { Err(Failure::new("the proxies could not be built; see above")) }
}
