//! What the running callback asks of other processes and waits for: it goes out before the callback
//! ends.

use super::context::WorkerContext;
use super::running::RunningDelivery;
use super::send::Sender;
use crate::api::send_error::SendError;

impl WorkerContext {
    /// Appends an output of the running callback whatever its delivery holds back. It is seen after
    /// [`WorkerContext::publish_now`].
    pub(super) fn append_now(
        &self,
        append: impl FnOnce(&Sender, Option<&mut RunningDelivery>) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        self.expose_deferral();
        let mut running = self.running.delivery();
        let appended = append(&self.sender, running.as_mut());
        self.running.update(running);
        appended
    }

    /// What waits for an answer must be seen: its delivery is exposed.
    pub(super) fn publish_now(&self) {
        let mut running = self.running.delivery();
        self.sender.publish_early(running.as_mut());
        if let Some(running) = &running {
            self.release_held(running);
        }
        self.running.update(running);
    }
}
