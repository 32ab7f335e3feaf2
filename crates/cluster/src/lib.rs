//! Clusters: discovery, load balancing, connection pools; cluster by name as a tower service.
