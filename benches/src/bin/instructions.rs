//! Counts the instructions of route lookups and of proxied requests with callgrind.

use std::process::ExitCode;

/// The allocator of the proxy's own binaries, whose instructions belong to a request's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    nuncio_benches::instructions::main()
}
