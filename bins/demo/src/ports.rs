//! Which address every part of the example listens on, and whether those addresses are free.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};

use crate::failure::Failure;

/// The services that the front proxy's file routes to, by number: `service1` and `service2`.
pub const SERVICES: [u8; 2] = [1, 2];
/// How many instances a service may have: one loopback address each.
pub const MAX_INSTANCES: u8 = 250;
/// How many ports follow the one given with `--base-port`.
pub const PORTS: u16 = 6;

/// The highest `--base-port`.
pub const MAX_BASE: u16 = u16::MAX - PORTS + 1;
/// Where a free base port is looked for: below the range from which Linux takes ports for outgoing connections.
const FREE_BASES: std::ops::Range<u16> = 20_000..32_000;
const BASE_ATTEMPTS: usize = 50;

/// The ports of the example, all different, because the front proxy binds its own on every address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The front proxy's HTTP listener.
    pub http: u16,
    /// The front proxy's HTTPS listener.
    pub https: u16,
    /// The front proxy's admin interface.
    pub admin: u16,
    /// Every sidecar's listener, on its instance's address.
    pub service: u16,
    /// Every sidecar's admin interface, on its instance's address.
    pub service_admin: u16,
    /// Every application, on its instance's address.
    pub app: u16,
}

impl Ports {
    /// The ports of the example's documents; what they leave open is chosen here.
    pub const STANDARD: Self =
        Self { http: 8080, https: 8443, admin: 8001, service: 8000, service_admin: 8002, app: 8081 };

    /// Consecutive ports from `base`, at most [`MAX_BASE`], or the standard ones without it.
    pub fn new(base: Option<u16>) -> Self {
        match base {
            None => Self::STANDARD,
            Some(base) => Self {
                http: base,
                https: base + 1,
                admin: base + 2,
                service: base + 3,
                service_admin: base + 4,
                app: base + 5,
            },
        }
    }

    /// A base port from which every port is free at this moment.
    pub fn free_base() -> Result<u16, Failure> {
        (0..BASE_ATTEMPTS)
            .map(|_| fastrand::u16(FREE_BASES))
            .find(|base| Self::new(Some(*base)).in_use().is_empty())
            .ok_or_else(|| Failure::new("no free ports were found; choose some with --base-port"))
    }

    /// What every first instance and the front proxy need and cannot have, with the reason.
    pub fn in_use(&self) -> Vec<(SocketAddrV4, io::Error)> {
        let front =
            [self.http, self.https, self.admin].map(|port| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port));
        let instances = SERVICES.map(|service| self.instance_addresses(instance_address(service, 1)));
        front
            .into_iter()
            .chain(instances.into_iter().flatten())
            .filter_map(|address| TcpListener::bind(address).err().map(|error| (address, error)))
            .collect()
    }

    /// What one instance binds on its own address.
    pub fn instance_addresses(&self, address: Ipv4Addr) -> [SocketAddrV4; 3] {
        [self.service, self.service_admin, self.app].map(|port| SocketAddrV4::new(address, port))
    }
}

/// The loopback address of an instance: 127.0.SERVICE.NUMBER.
pub fn instance_address(service: u8, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, service, number)
}

/// One line that says which addresses are taken and what to do.
pub fn explain(in_use: &[(SocketAddrV4, io::Error)]) -> Failure {
    let taken: Vec<_> = in_use
        .iter()
        .filter(|(_, error)| error.kind() == io::ErrorKind::AddrInUse)
        .map(|(address, _)| address.to_string())
        .collect();
    if !taken.is_empty() {
        let verb = if taken.len() == 1 { "is" } else { "are" };
        return Failure::new(format!(
            "{} {verb} in use; stop what listens there or take other ports with --base-port N",
            taken.join(", ")
        ));
    }
    let reasons: Vec<_> = in_use.iter().map(|(address, error)| format!("{address}: {error}")).collect();
    Failure::new(format!("cannot listen on {}", reasons.join("; ")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_parts_share_a_port() {
        for base in [None, Some(1024), Some(MAX_BASE)] {
            let Ports { http, https, admin, service, service_admin, app } = Ports::new(base);
            let all = BTreeSet::from([http, https, admin, service, service_admin, app]);
            assert_eq!(all.len(), usize::from(PORTS), "{base:?}");
        }
    }

    #[test]
    fn a_taken_port_is_named() {
        let base = Ports::free_base().expect("free ports");
        let taken = TcpListener::bind(("127.0.0.1", base + 1)).expect("a port that was free");
        let in_use = Ports::new(Some(base)).in_use();
        assert_eq!(
            explain(&in_use).to_string(),
            format!(
                "0.0.0.0:{} is in use; stop what listens there or take other ports with --base-port N",
                base + 1
            )
        );
        drop(taken);
        assert!(Ports::new(Some(base)).in_use().is_empty());
    }
}
