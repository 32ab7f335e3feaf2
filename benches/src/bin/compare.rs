//! Compares Nuncio's `front-proxy` with Envoy, nginx and HAProxy on this machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    nuncio_benches::compare::main()
}
