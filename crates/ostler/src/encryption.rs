//! How the ports of a server are encrypted: read at start, read anew at a reload, asked for by the
//! reactors. Without the feature `tls` no port is.

#[cfg(feature = "tls")]
use std::sync::Arc;

#[cfg(feature = "tls")]
use ostler_core::ids::PortId;
#[cfg(feature = "tls")]
use ostler_core::per_port::PerPort;

#[cfg(feature = "tls")]
use crate::error::Error;
use crate::error::Result;
use crate::manager::Forked;
use crate::options::Options;
#[cfg(feature = "tls")]
use crate::tls::served::{self, Served};

/// An encrypted port: its name, for the log, and what its clients are shown.
#[cfg(feature = "tls")]
type Encrypted = (String, Arc<Served>);

/// What the clients of each port are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encryption {
    #[cfg(feature = "tls")]
    ports: Option<PerPort<Option<Encrypted>>>,
}

#[cfg(feature = "tls")]
impl Encryption {
    /// Reads the files of all ports. `forked`: no process that will run user code has them.
    pub(crate) fn load(options: &Options, forked: &Forked) -> Result<Self> {
        let ports = options.ports().try_map(|port| {
            let Some(settings) = port.options.tls_settings() else { return Ok(None) };
            let served = Served::load(settings, forked).map_err(Error::option)?;
            Ok(Some((port.name.to_owned(), Arc::new(served))))
        })?;
        Ok(Self { ports: Some(ports) })
    }

    /// Whether a server could start with these files. For a process that starts none.
    pub(crate) fn check(options: &Options) -> Result<()> {
        for port in options.ports().iter() {
            if let Some(settings) = port.options.tls_settings() {
                served::check(&settings).map_err(Error::option)?;
            }
        }
        Ok(())
    }

    /// Reads the files anew. A port whose files are not right goes on with what it has.
    pub(crate) fn reload(&self) {
        let ports = self.ports.iter().flat_map(PerPort::iter).flatten();
        for (port, served) in ports {
            match served.reload() {
                Ok(()) => tracing::info!(port, "certificates were read anew"),
                Err(error) => {
                    let text = "the new certificates of a port cannot be used, the old ones are \
                                served on";
                    tracing::error!(port, error, "{text}");
                }
            }
        }
    }

    /// What the clients of a port are shown, if it is encrypted.
    pub(crate) fn of(&self, port: PortId) -> Option<&Served> {
        let (_, served) = self.ports.as_ref()?.get(port).as_ref()?;
        Some(served)
    }
}

/// That a port cannot be encrypted was said when the options were checked.
#[cfg(not(feature = "tls"))]
impl Encryption {
    pub(crate) fn load(_: &Options, _: &Forked) -> Result<Self> {
        Ok(Self::default())
    }

    pub(crate) fn check(_: &Options) -> Result<()> {
        Ok(())
    }

    pub(crate) fn reload(&self) {}
}
