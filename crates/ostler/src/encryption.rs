//! How the ports of a server are encrypted: read at start, read anew at a reload, asked for by the
//! reactors. Without the feature `tls` no port is.
//!
//! In BASE mode the master reads the files, and hands those that are right over to the processes in
//! which the reactors are.

use std::os::fd::OwnedFd;
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
use crate::options::TlsSettings;
#[cfg(feature = "tls")]
use crate::sys::memory_file;
#[cfg(feature = "tls")]
use crate::tls::contents::Contents;
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
        for (port, served) in self.encrypted() {
            tell_of_reload(port, &served.reload());
        }
    }

    fn encrypted(&self) -> impl Iterator<Item = &Encrypted> {
        self.ports.iter().flat_map(PerPort::iter).flatten()
    }

    /// BASE mode, in a process: what the master has handed over.
    pub(crate) fn of_process(options: &Options, file: OwnedFd) -> std::io::Result<Self> {
        let bytes = memory_file::bytes_of(file)?;
        let mut bytes = bytes.as_slice();
        let ports = options.ports().try_map(|port| {
            let Some(settings) = port.options.tls_settings() else { return Ok(None) };
            let contents = Contents::take(&mut bytes).ok_or(std::io::ErrorKind::InvalidData)?;
            let served = Served::handed_over(settings, &contents).map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(Some((port.name.to_owned(), Arc::new(served))))
        })?;
        Ok(Self { ports: Some(ports) })
    }

    /// The same while the process serves. Connections keep what they began with.
    pub(crate) fn replace(&self, file: OwnedFd) -> std::io::Result<()> {
        let bytes = memory_file::bytes_of(file)?;
        let mut bytes = bytes.as_slice();
        self.encrypted().try_for_each(|(_, served)| {
            let contents = Contents::take(&mut bytes).ok_or(std::io::ErrorKind::InvalidData)?;
            served.replace(&contents).map_err(std::io::Error::other)
        })
    }

    /// What the clients of a port are shown, if it is encrypted.
    pub(crate) fn of(&self, port: PortId) -> Option<&Served> {
        let (_, served) = self.ports.as_ref()?.get(port).as_ref()?;
        Some(served)
    }
}

#[cfg(feature = "tls")]
fn tell_of_reload(port: &str, reloaded: &std::result::Result<(), String>) {
    match reloaded {
        Ok(()) => tracing::info!(port, "certificates were read anew"),
        Err(error) => {
            let text = "the new certificates of a port cannot be used, the old ones are served on";
            tracing::error!(port, error, "{text}");
        }
    }
}

/// BASE mode, in the master: the files of each encrypted port as they were when they were right,
/// and a file for the processes in which they all stand.
#[cfg(feature = "tls")]
pub(crate) struct Handover {
    ports: Vec<(String, TlsSettings, Contents)>,
    file: Option<OwnedFd>,
}

#[cfg(feature = "tls")]
impl Handover {
    /// Reads the files of all ports. `forked`: no process that will run user code has them because
    /// it was forked from this one.
    pub(crate) fn read(options: &Options, _forked: &Forked) -> Result<Self> {
        let mut ports = Vec::new();
        for port in options.ports().iter() {
            if let Some(settings) = port.options.tls_settings() {
                let contents = served::check(&settings).map_err(Error::option)?;
                ports.push((port.name.to_owned(), settings, contents));
            }
        }
        let failed = |error| Error::start("cannot hand certificates over", Some(error));
        let file = write(&ports).map_err(failed)?;
        Ok(Self { ports, file })
    }

    /// Reads the files anew. A port whose files are not right goes on with what it has. True when
    /// something is to be handed over.
    pub(crate) fn reload(&mut self) -> bool {
        for (port, settings, contents) in &mut self.ports {
            let reloaded = served::check(settings).map(|new| *contents = new);
            tell_of_reload(port, &reloaded);
        }
        match write(&self.ports) {
            Ok(file) => self.file = file,
            Err(error) => tracing::error!(%error, "cannot hand new certificates over"),
        }
        self.file.is_some()
    }

    /// For a process; `None` when no port is encrypted.
    pub(crate) fn file(&self) -> std::io::Result<Option<OwnedFd>> {
        self.file.as_ref().map(OwnedFd::try_clone).transpose()
    }
}

#[cfg(feature = "tls")]
fn write(ports: &[(String, TlsSettings, Contents)]) -> std::io::Result<Option<OwnedFd>> {
    if ports.is_empty() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    ports.iter().for_each(|(_, _, contents)| contents.write(&mut bytes));
    memory_file::of_bytes("ostler-certificates", &bytes).map(Some)
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

    pub(crate) fn of_process(_: &Options, _: OwnedFd) -> std::io::Result<Self> {
        Ok(Self::default())
    }

    pub(crate) fn replace(&self, _: OwnedFd) -> std::io::Result<()> {
        Ok(())
    }
}

/// Nothing is handed over.
#[cfg(not(feature = "tls"))]
pub(crate) struct Handover;

#[cfg(not(feature = "tls"))]
impl Handover {
    pub(crate) fn read(_: &Options, _: &Forked) -> Result<Self> {
        Ok(Self)
    }

    pub(crate) fn reload(&mut self) -> bool {
        false
    }

    pub(crate) fn file(&self) -> std::io::Result<Option<OwnedFd>> {
        Ok(None)
    }
}
