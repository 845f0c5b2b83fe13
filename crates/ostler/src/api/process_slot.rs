//! The processes of a server, as messages name them.

use std::fmt;

use ostler_core::ids::{ProcessKey, ProcessKind, Slot};
use ostler_core::messages::ANYBODY;

use super::worker::Worker;

/// A process of the server by its slot, to which messages go: whoever lives there. A number is an
/// event worker.
///
/// ```
/// use ostler::{MessageError, ProcessSlot, Worker};
///
/// fn tell(worker: &Worker) -> Result<(), MessageError> {
///     worker.send_message(3, b"to the event worker in slot 3")?;
///     worker.send_message(ProcessSlot::TaskWorker(0), b"to the first task worker")?;
///     if let Some(clock) = worker.find_process("clock") {
///         worker.send_message(clock, b"to a user process")?;
///     }
///     worker.send_message(ProcessSlot::Companion, b"to the companion")?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProcessSlot {
    /// The event worker of this slot, `0..workers`.
    Worker(u16),
    /// The task worker of this slot, `0..task_workers`.
    TaskWorker(u16),
    /// The user process with this number: they are numbered from 0 in the order in which the
    /// program names them. [`Worker::find_process`] knows it by the name.
    UserProcess(u16),
    /// The companion.
    Companion,
}

impl ProcessSlot {
    pub(crate) const fn of(key: ProcessKey) -> Self {
        let slot = key.slot.0;
        match key.kind {
            ProcessKind::Event => Self::Worker(slot),
            ProcessKind::Task => Self::TaskWorker(slot),
            ProcessKind::User => Self::UserProcess(slot),
            ProcessKind::Companion => Self::Companion,
        }
    }

    /// The key of whoever lives there.
    pub(crate) const fn key(self) -> ProcessKey {
        let (kind, slot) = match self {
            Self::Worker(slot) => (ProcessKind::Event, slot),
            Self::TaskWorker(slot) => (ProcessKind::Task, slot),
            Self::UserProcess(slot) => (ProcessKind::User, slot),
            Self::Companion => (ProcessKind::Companion, 0),
        };
        ProcessKey { kind, slot: Slot(slot), generation: ANYBODY }
    }
}

impl From<u16> for ProcessSlot {
    fn from(slot: u16) -> Self {
        Self::Worker(slot)
    }
}

impl fmt::Display for ProcessSlot {
    /// As logs name it: `w3`, `t0`, `u1`, `c0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key().slot_name())
    }
}

impl Worker {
    /// The slot of this process.
    ///
    /// ```
    /// # use ostler::{MessageError, ProcessSlot, Worker};
    /// /// Tells every other event worker.
    /// fn tell_all(worker: &Worker, workers: u16, news: &[u8]) -> Result<(), MessageError> {
    ///     let all = (0..workers).map(ProcessSlot::Worker);
    ///     for other in all.filter(|slot| *slot != worker.process_slot()) {
    ///         worker.send_message(other, news)?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn process_slot(&self) -> ProcessSlot {
        ProcessSlot::of(self.context().key)
    }

    /// The user process of this name, if the server has one.
    ///
    /// ```
    /// # use ostler::{MessageError, Worker};
    /// fn wind(worker: &Worker) -> Result<(), MessageError> {
    ///     if let Some(clock) = worker.find_process("clock") {
    ///         worker.send_message(clock, b"wind")?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn find_process(&self, name: &str) -> Option<ProcessSlot> {
        self.context().callee.slot_of_process(name).map(ProcessSlot::UserProcess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_have_the_names_of_logs_and_come_back_from_their_keys() {
        let slots = [
            (ProcessSlot::from(3), "w3"),
            (ProcessSlot::TaskWorker(0), "t0"),
            (ProcessSlot::UserProcess(1), "u1"),
            (ProcessSlot::Companion, "c0"),
        ];
        for (slot, name) in slots {
            assert_eq!((slot.to_string().as_str(), ProcessSlot::of(slot.key())), (name, slot));
        }
    }
}
