//! The admin endpoints, from handles that the proxy gives.
