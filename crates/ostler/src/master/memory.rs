//! The memory with which a process begins.

use ostler_core::ids::ProcessKey;

use super::event_loop::Master;
use super::lanes;
use crate::control::ToManager;
use crate::error::memory_advice;

impl Master {
    /// The manager wants to start a process: its memory, or why there is none.
    pub(super) fn make_memory(&mut self, key: ProcessKey) {
        if self.retired.refuses(key) {
            return self.send(&ToManager::Retired(key), Vec::new());
        }
        if self.base.is_some() {
            if let Err(error) = self.seat_process(key) {
                self.no_memory(key, error);
            }
            return;
        }
        let link = self.link_companion(key);
        let made = link.and_then(|link| {
            let mut descriptors = lanes::make(key, self.options.lane_sizes(), &self.mailboxes)?;
            descriptors.extend(link);
            Ok(descriptors)
        });
        match made {
            Ok(descriptors) => {
                self.managers.note_needed(key);
                self.send(&ToManager::MemoryReady { worker: key, seat: 0 }, descriptors);
            }
            Err(error) => self.no_memory(key, error),
        }
    }

    fn no_memory(&mut self, key: ProcessKey, error: std::io::Error) {
        let advice = memory_advice(&error);
        let text = "cannot make the lane memory of a worker";
        tracing::error!(worker = %key, %error, advice, "{text}");
        self.companion_released(key);
        self.memory_failure = Some(error);
        self.send(&ToManager::MemoryFailed(key), Vec::new());
    }
}
