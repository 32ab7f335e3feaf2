//! What a demo will run, found out and checked before anything is started.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use rustls_pki_types::CertificateDer;

use crate::binaries::Binaries;
use crate::cli::Options;
use crate::failure::Failure;
use crate::files;
use crate::ports::{self, Ports, SERVICES, instance_address};
use crate::steps;

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where everything listens.
    pub ports: Ports,
    /// The programs.
    pub binaries: Binaries,
    /// The front proxy's configuration.
    pub front_config: PathBuf,
    /// The same on the plan's ports, if they are not the standard ones.
    pub front_copy: Option<String>,
    /// The certificate in it.
    pub certificate: CertificateDer<'static>,
    /// How many worker threads the front proxy has.
    pub concurrency: u16,
    service_config: PathBuf,
    service_text: String,
}

impl Plan {
    /// Read the configurations, look whether the addresses are free, and find or build the binaries, in this order:
    /// what takes longest comes last.
    pub fn new(options: &Options, ports: Ports) -> Result<Self, Failure> {
        let Options { front_config, service_config, bin_dir, concurrency, .. } = options;
        let within_front = |failure: Failure| failure.within(&front_config.display().to_string());
        let front_text = files::read(front_config)?;
        let front_copy = match ports {
            Ports::STANDARD => None,
            _ => Some(files::front_copy(&front_text, &ports).map_err(within_front)?),
        };
        let certificate = steps::certificate(&front_text).map_err(within_front)?;
        let service_text = files::read(service_config)?;
        // Every instance's copy is made in the same way, so none can fail later if this one does not.
        files::service_copy(&service_text, &ports, instance_address(SERVICES[0], 1))
            .map_err(|failure| failure.within(&service_config.display().to_string()))?;
        let in_use = ports.in_use();
        if !in_use.is_empty() {
            return Err(ports::explain(&in_use));
        }
        Ok(Self {
            ports,
            front_config: front_config.clone(),
            front_copy,
            certificate,
            concurrency: *concurrency,
            service_config: service_config.clone(),
            service_text,
            binaries: Binaries::locate(bin_dir.as_deref())?,
        })
    }

    /// The services' configuration for the instance with `address`.
    pub fn service_copy(&self, address: Ipv4Addr) -> Result<String, Failure> {
        files::service_copy(&self.service_text, &self.ports, address)
            .map_err(|failure| failure.within(&self.service_config.display().to_string()))
    }
}
