//! Choose a host from an immutable host-set snapshot.
