//! What the clients of a port are shown now, and how it changes while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::ProducesTickets;

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
        // The key of tickets is made anew every few hours, and the one before is still taken.
        let ticketer = Ticketer::new().map_err(|error| format!("no key for tickets: {error}"))?;
        let config = files::load(&settings, &ticketer)?;
        Ok(Self { settings, ticketer, current: RwLock::new(Arc::new(config)) })
    }

    /// What a new connection is shown.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files anew. When something is wrong with them all stays as it was.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let fresh;
        // A session that is taken up is not checked again: whom the old authorities have let in
        // shows a certificate to the new ones.
        let ticketer = if self.settings.client_auth == ClientAuth::Off {
            &self.ticketer
        } else {
            fresh = Ticketer::new().map_err(|error| format!("no key for tickets: {error}"))?;
            &fresh
        };
        let config = Arc::new(files::load(&self.settings, ticketer)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

/// Whether a server could start with these files. For a process that starts none: it is about to
/// end, and nothing is forked from it.
pub(crate) fn check(settings: &TlsSettings) -> Result<(), String> {
    let ticketer = Ticketer::new().map_err(|error| format!("no key for tickets: {error}"))?;
    files::load(settings, &ticketer).map(|_| ())
}
