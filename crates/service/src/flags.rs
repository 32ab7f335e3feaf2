//! Response flags: why a response is what it is, in the letters of Envoy's access log.

use std::fmt;

/// A set of response flags. `Display` prints Envoy's short names, comma-separated, or `-` for none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ResponseFlags(u32);

macro_rules! flags {
    ($($bit:literal $name:ident $short:literal $doc:literal;)*) => {
        impl ResponseFlags {
            $(#[doc = $doc] pub const $name: Self = Self(1 << $bit);)*
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $short)),*];
        }
    };
}

// In the order in which Envoy prints them.
flags! {
    0 FAILED_LOCAL_HEALTH_CHECK "LH" "`LH`: the local service failed a health check.";
    1 NO_HEALTHY_UPSTREAM "UH" "`UH`: the cluster has no healthy host.";
    2 UPSTREAM_REQUEST_TIMEOUT "UT" "`UT`: the upstream did not answer in time.";
    3 LOCAL_RESET "LR" "`LR`: the connection was reset by us.";
    4 UPSTREAM_REMOTE_RESET "UR" "`UR`: the upstream reset the stream.";
    5 UPSTREAM_CONNECTION_FAILURE "UF" "`UF`: the connection to the upstream could not be made.";
    6 UPSTREAM_CONNECTION_TERMINATION "UC" "`UC`: the upstream closed the connection.";
    7 UPSTREAM_OVERFLOW "UO" "`UO`: a circuit breaker refused the request.";
    8 NO_ROUTE_FOUND "NR" "`NR`: no route matched.";
    9 RATE_LIMITED "RL" "`RL`: the rate limit service refused the request.";
    10 UPSTREAM_RETRY_LIMIT_EXCEEDED "URX" "`URX`: all retries were used.";
    11 STREAM_IDLE_TIMEOUT "SI" "`SI`: the stream was idle for too long.";
    12 DOWNSTREAM_PROTOCOL_ERROR "DPE" "`DPE`: the request was malformed.";
    13 UPSTREAM_PROTOCOL_ERROR "UPE" "`UPE`: the response was malformed.";
    14 UPSTREAM_MAX_STREAM_DURATION_REACHED "UMSDR" "`UMSDR`: the upstream stream lived too long.";
    15 NO_CLUSTER_FOUND "NC" "`NC`: the route's cluster does not exist.";
    16 DURATION_TIMEOUT "DT" "`DT`: the request or connection lived too long.";
    17 DOWNSTREAM_CONNECTION_TERMINATION "DC" "`DC`: the client went away.";
    18 DOWNSTREAM_REMOTE_RESET "DR" "`DR`: the client reset the stream.";
}

impl ResponseFlags {
    /// Adds the flags of `other`.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether all flags of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no flag is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for ResponseFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Self::ALL.iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, name)| *name);
        f.write_str(names.next().unwrap_or("-"))?;
        for name in names {
            write!(f, ",{name}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_as_in_envoys_access_log() {
        assert_eq!(ResponseFlags::default().to_string(), "-");
        assert_eq!(ResponseFlags::NO_ROUTE_FOUND.to_string(), "NR");
        let both = ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED | ResponseFlags::UPSTREAM_CONNECTION_FAILURE;
        assert_eq!(both.to_string(), "UF,URX");
        assert!(both.contains(ResponseFlags::UPSTREAM_CONNECTION_FAILURE));
        assert!(!both.contains(ResponseFlags::NO_ROUTE_FOUND));
    }
}
