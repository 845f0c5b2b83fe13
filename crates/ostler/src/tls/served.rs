//! What the clients of a port are shown now, and how it changes while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::ProducesTickets;

use super::contents::Contents;
use super::files;
use crate::manager::Forked;
use crate::options::{ClientAuth, TlsSettings};

/// A port's certificates, keys and rules. All reactors see a change at the same time; a connection
/// keeps what it began with.
#[derive(Debug)]
pub(crate) struct Served {
    settings: TlsSettings,
    ticketer: Arc<dyn ProducesTickets>,
    current: RwLock<Arc<ServerConfig>>,
}

impl Served {
    /// Reads the files for the first time. Manager and spare were forked before, so that no process
    /// in which user code runs has ever had a private key. The text says what is wrong.
    pub(crate) fn load(settings: TlsSettings, _forked: &Forked) -> Result<Self, String> {
        let files = read(&settings)?;
        Self::handed_over(settings, &files)
    }

    /// BASE mode, in a process that serves its clients itself: with what the master has read.
    pub(crate) fn handed_over(settings: TlsSettings, files: &Contents) -> Result<Self, String> {
        let ticketer = new_ticketer()?;
        let config = files::load(&settings, files, &ticketer)?;
        Ok(Self { settings, ticketer, current: RwLock::new(Arc::new(config)) })
    }

    /// What a new connection is shown.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files anew. When something is wrong with them all stays as it was.
    pub(crate) fn reload(&self) -> Result<(), String> {
        self.replace(&read(&self.settings)?)
    }

    /// Shows what stands in these files from now on.
    pub(crate) fn replace(&self, files: &Contents) -> Result<(), String> {
        let fresh;
        // A session that is taken up is not checked again: whom the old authorities have let in
        // shows a certificate to the new ones.
        let ticketer = if self.settings.client_auth == ClientAuth::Off {
            &self.ticketer
        } else {
            fresh = new_ticketer()?;
            &fresh
        };
        let config = Arc::new(files::load(&self.settings, files, ticketer)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

/// The key of tickets is made anew every few hours, and the one before is still taken.
fn new_ticketer() -> Result<Arc<dyn ProducesTickets>, String> {
    Ticketer::new().map_err(|error| format!("no key for tickets: {error}"))
}

/// Reads the files, if they are such as clients can be shown.
fn read(settings: &TlsSettings) -> Result<Contents, String> {
    let files = Contents::read(settings)?;
    files::are_valid_now(settings, &files)?;
    Ok(files)
}

/// Reads the files and looks whether a server can serve them: for a process that starts none and is
/// about to end, or that hands them over to those who serve.
pub(crate) fn check(settings: &TlsSettings) -> Result<Contents, String> {
    let files = read(settings)?;
    files::load(settings, &files, &new_ticketer()?)?;
    Ok(files)
}
