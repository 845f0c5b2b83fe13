//! What messages between processes take from the options.

use ostler_core::ids::ProcessKind;

use super::{Mode, Options};

/// A number for each kind of process, by its code.
type ByKind = [u16; ProcessKind::ALL.len()];

impl Options {
    /// How many processes of each kind the server has when it has started.
    pub(crate) fn processes_by_kind(&self) -> ByKind {
        self.count_by_kind(self.workers)
    }

    /// How many slots there are for processes of each kind.
    pub(crate) fn slots_by_kind(&self) -> ByKind {
        self.count_by_kind(self.workers_room())
    }

    fn count_by_kind(&self, workers: u16) -> ByKind {
        ProcessKind::ALL.map(|kind| match kind {
            ProcessKind::Event => workers,
            ProcessKind::User => self.user_processes,
            ProcessKind::Companion => u16::from(self.has_companion),
            ProcessKind::Task => self.task_workers,
        })
    }

    /// Whether processes can write to each other.
    pub(crate) fn has_messages(&self) -> bool {
        self.mode == Mode::Process || self.has_switch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_counted_by_the_codes_of_their_kinds() {
        let options = Options {
            workers: 2,
            workers_max: 5,
            task_workers: 3,
            user_processes: 4,
            has_companion: true,
            ..Options::default()
        };
        let (now, room) = (options.processes_by_kind(), options.slots_by_kind());
        let of = |counts: ByKind, kind: ProcessKind| counts[usize::from(kind.code())];
        assert_eq!((of(now, ProcessKind::Event), of(room, ProcessKind::Event)), (2, 5));
        for counts in [now, room] {
            assert_eq!(of(counts, ProcessKind::Task), 3);
            assert_eq!(of(counts, ProcessKind::User), 4);
            assert_eq!(of(counts, ProcessKind::Companion), 1);
        }
    }
}
