//! Benchmarks of the request path.
//!
//! The criterion benches of pure code are in `benches/`. The program `compare` is the end-to-end comparison with
//! other proxies, whose parts stand in [`compare`]; the program `instructions` counts instructions with callgrind, in
//! [`instructions`]. [`routes`] makes the tables that benches and counts share.

pub mod compare;
pub mod instructions;
pub mod routes;

/// Whether a criterion bench is to run once and measure nothing, as under `cargo test --benches`. Criterion tells it
/// the same way; a bench asks where its full size would be slow in the dev profile.
#[must_use]
pub fn is_smoke_test() -> bool {
    let mut measured = false;
    for argument in std::env::args() {
        match argument.as_str() {
            "--bench" => measured = true,
            "--test" => return true,
            _ => {}
        }
    }
    !measured
}
