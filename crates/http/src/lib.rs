//! The HTTP connection manager: codecs, route lookup, filters, the router filter, access log.
