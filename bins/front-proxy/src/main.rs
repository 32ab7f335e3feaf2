//! The front-proxy binary.

fn main() {}
