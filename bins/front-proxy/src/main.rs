//! The front proxy: chooses the allocator and the cryptography, and leaves the rest to `nuncio_proxy`.

use std::{process::ExitCode, sync::Arc};

use nuncio_proxy::Crypto;
use rustls::crypto::aws_lc_rs;

/// Workers allocate and free on their own threads, which this allocator does without a lock.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    nuncio_proxy::main_front_proxy(Crypto {
        provider: Arc::new(aws_lc_rs::default_provider()),
        ticketer: aws_lc_rs::Ticketer::new,
    })
}
