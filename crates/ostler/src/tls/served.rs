//! What the clients of a port are shown now, and how it changes while the server runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

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
    look: Mutex<Look>,
    ticketer: Arc<dyn ProducesTickets>,
    current: RwLock<Arc<ServerConfig>>,
}

impl Served {
    /// Reads the files for the first time. Manager and spare were forked before, so that no process
    /// in which user code runs has ever had a private key. The text says what is wrong.
    pub(crate) fn load(settings: TlsSettings, _forked: &Forked) -> Result<Self, String> {
        let mut look = Look::default();
        let files = look.anew(&settings)?;
        Ok(Self { look: Mutex::new(look), ..Self::handed_over(settings, &files)? })
    }

    /// BASE mode, in a process that serves its clients itself: with what the master has read.
    pub(crate) fn handed_over(settings: TlsSettings, files: &Contents) -> Result<Self, String> {
        let ticketer = new_ticketer()?;
        let config = files::load(&settings, files, &ticketer)?;
        let current = RwLock::new(Arc::new(config));
        Ok(Self { settings, look: Mutex::default(), ticketer, current })
    }

    /// What a new connection is shown.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files anew. When something is wrong with them all stays as it was.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let files = self.look().anew(&self.settings)?;
        self.replace(&files)
    }

    /// The same if the files are others than the last time.
    pub(crate) fn renew(&self) -> Option<Result<(), String>> {
        let files = self.look().changed(&self.settings)?;
        Some(files.and_then(|files| self.replace(&files)))
    }

    fn look(&self) -> MutexGuard<'_, Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
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

/// What stood in the files of a port when they were looked at last, right or not.
#[derive(Debug, Default)]
pub(crate) struct Look(Option<Result<Contents, String>>);

impl Look {
    /// Reads the files, if they are such as clients can be shown.
    pub(crate) fn anew(&mut self, settings: &TlsSettings) -> Result<Contents, String> {
        let files = self.0.insert(Contents::read(settings)).clone()?;
        files::are_valid_now(settings, &files)?;
        Ok(files)
    }

    /// The same; `None` if they are as they were.
    pub(crate) fn changed(&mut self, settings: &TlsSettings) -> Option<Result<Contents, String>> {
        let before = self.0.take();
        let files = self.anew(settings);
        (self.0 != before).then_some(files)
    }
}

/// Reads the files and looks whether a server can serve them: for a process that starts none and is
/// about to end.
pub(crate) fn check(settings: &TlsSettings) -> Result<Contents, String> {
    Look::default().anew(settings).and_then(|files| can_be_served(settings, files))
}

/// The files, if a server can serve them: for the process that hands them over to those who do.
pub(crate) fn can_be_served(settings: &TlsSettings, files: Contents) -> Result<Contents, String> {
    files::load(settings, &files, &new_ticketer()?)?;
    Ok(files)
}
