//! How the ports of a server are encrypted: read at start, read anew at a reload, asked for by the
//! reactors. Without the feature `tls` no port is.
//!
//! In BASE mode the master reads the files, and hands those that are right over to the processes in
//! which the reactors are.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
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
use crate::tls::directory;
#[cfg(feature = "tls")]
use crate::tls::served::{self, Look, Served};

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

    /// The same for ports whose files have changed.
    pub(crate) fn renew(&self) {
        for (port, served) in self.encrypted() {
            if let Some(renewed) = served.renew() {
                tell_of_renewal(port, &renewed);
            }
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

/// Nobody has asked for it, so that it is no error.
#[cfg(feature = "tls")]
fn tell_of_renewal(port: &str, renewed: &std::result::Result<(), String>) {
    match renewed {
        Ok(()) => tracing::info!(port, "certificates have changed and were read anew"),
        Err(error) => {
            let text =
                "the changed certificates of a port cannot be used, the old ones are served on";
            tracing::warn!(port, error, "{text}");
        }
    }
}

/// The files of all encrypted ports, and the directories of authorities.
#[cfg(feature = "tls")]
pub(crate) fn files(options: &Options) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for settings in options.ports().iter().filter_map(|port| port.options.tls_settings()) {
        all.extend(settings.files().map(Path::to_owned));
        all.extend_from_slice(settings.asked_authorities());
    }
    all
}

/// Whether a file of this name counts in a directory of authorities.
#[cfg(feature = "tls")]
pub(crate) fn counts_in_directory(name: &OsStr) -> bool {
    directory::counts(name)
}

/// The files that count in a directory of authorities; none, if it cannot be read.
#[cfg(feature = "tls")]
pub(crate) fn files_in_directory(path: &Path) -> Vec<PathBuf> {
    directory::files_in(path).unwrap_or_default()
}

/// BASE mode, in the master: the files of each encrypted port as they were when they were right,
/// and a file for the processes in which they all stand.
#[cfg(feature = "tls")]
pub(crate) struct Handover {
    ports: Vec<Handed>,
    file: Option<OwnedFd>,
}

/// An encrypted port whose files are handed over.
#[cfg(feature = "tls")]
struct Handed {
    name: String,
    settings: TlsSettings,
    look: Look,
    /// What is right of what was read.
    contents: Contents,
}

#[cfg(feature = "tls")]
impl Handover {
    /// Of a server without encrypted ports.
    #[cfg(test)]
    pub(crate) const fn of_nothing() -> Self {
        Self { ports: Vec::new(), file: None }
    }

    /// Reads the files of all ports. `forked`: no process that will run user code has them because
    /// it was forked from this one.
    pub(crate) fn read(options: &Options, _forked: &Forked) -> Result<Self> {
        let mut ports = Vec::new();
        for port in options.ports().iter() {
            if let Some(settings) = port.options.tls_settings() {
                let mut look = Look::default();
                let contents = look.anew(&settings);
                let contents = contents.and_then(|files| served::can_be_served(&settings, files));
                let contents = contents.map_err(Error::option)?;
                ports.push(Handed { name: port.name.to_owned(), settings, look, contents });
            }
        }
        let failed = |error| Error::start("cannot hand certificates over", Some(error));
        let file = write(&ports).map_err(failed)?;
        Ok(Self { ports, file })
    }

    /// Reads the files anew. A port whose files are not right goes on with what it has. True when
    /// something is to be handed over.
    pub(crate) fn reload(&mut self) -> bool {
        for port in &mut self.ports {
            let files = port.look.anew(&port.settings);
            let reloaded = port.take(files);
            tell_of_reload(&port.name, &reloaded);
        }
        self.write()
    }

    /// The same for ports whose files have changed.
    pub(crate) fn renew(&mut self) -> bool {
        let mut any = false;
        for port in &mut self.ports {
            let Some(files) = port.look.changed(&port.settings) else { continue };
            let renewed = port.take(files);
            tell_of_renewal(&port.name, &renewed);
            any |= renewed.is_ok();
        }
        any && self.write()
    }

    fn write(&mut self) -> bool {
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
impl Handed {
    /// Keeps what was read if a server can serve it.
    fn take(
        &mut self,
        files: std::result::Result<Contents, String>,
    ) -> std::result::Result<(), String> {
        self.contents = files.and_then(|files| served::can_be_served(&self.settings, files))?;
        Ok(())
    }
}

#[cfg(feature = "tls")]
fn write(ports: &[Handed]) -> std::io::Result<Option<OwnedFd>> {
    if ports.is_empty() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    ports.iter().for_each(|port| port.contents.write(&mut bytes));
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

    pub(crate) fn renew(&self) {}

    pub(crate) fn of_process(_: &Options, _: OwnedFd) -> std::io::Result<Self> {
        Ok(Self::default())
    }

    pub(crate) fn replace(&self, _: OwnedFd) -> std::io::Result<()> {
        Ok(())
    }
}

/// No port has any.
#[cfg(not(feature = "tls"))]
pub(crate) const fn files(_: &Options) -> Vec<PathBuf> {
    Vec::new()
}

/// No directory has any.
#[cfg(not(feature = "tls"))]
pub(crate) const fn counts_in_directory(_: &OsStr) -> bool {
    false
}

/// No directory has any.
#[cfg(not(feature = "tls"))]
pub(crate) const fn files_in_directory(_: &Path) -> Vec<PathBuf> {
    Vec::new()
}

/// Nothing is handed over.
#[cfg(not(feature = "tls"))]
pub(crate) struct Handover;

#[cfg(not(feature = "tls"))]
impl Handover {
    /// Of a server without encrypted ports.
    #[cfg(test)]
    pub(crate) const fn of_nothing() -> Self {
        Self
    }

    pub(crate) fn read(_: &Options, _: &Forked) -> Result<Self> {
        Ok(Self)
    }

    pub(crate) fn reload(&mut self) -> bool {
        false
    }

    pub(crate) fn renew(&mut self) -> bool {
        false
    }

    pub(crate) fn file(&self) -> std::io::Result<Option<OwnedFd>> {
        Ok(None)
    }
}
