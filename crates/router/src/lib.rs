//! Compile virtual hosts and routes into an immutable table and answer a request head with a decision.
