//! What a reload is for the master: the files that it reads itself, and a word to its manager.

use super::event_loop::Master;
use crate::control::ToManager;
use crate::log;

impl Master {
    /// The log file was rotated, or its program wants new workers: both is done.
    pub(super) fn on_hang_up(&mut self) {
        if let Err(error) = log::reopen() {
            tracing::error!(%error, "cannot open the log file anew, lines go to the old one");
        }
        self.reload();
    }

    /// New certificates at once, new workers one after another.
    pub(super) fn reload(&mut self) {
        self.encryption.reload();
        self.reload_base_certificates();
        self.service_reloads();
        self.send(&ToManager::Reload, Vec::new());
    }
}
