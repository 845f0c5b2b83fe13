//! The manager and its spare, as the master keeps them (decision 14).

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use ostler_core::Millis;
use ostler_core::ids::ProcessKey;

use crate::manager::ManagerHandle;

/// Two managers lost within this time: something is wrong that another one will not cure.
const LOST_TWICE_MS: Millis = 1_000;

/// A promoted spare forks a spare of its own and says so, which takes milliseconds; one that has
/// said nothing by then cannot run. (Sessions wait meanwhile, so it is not long; a loaded machine
/// needs less.)
const PROMOTION_MAX_MS: Millis = 3_000;

/// What became of a lost manager.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The spare takes its place.
    Replaced,
    /// Nobody is left, or managers die too fast; why.
    ForGood(&'static str),
}

/// The manager in charge, the one in waiting, and what the former has asked for.
pub(super) struct Managers {
    pub(super) current: ManagerHandle,
    pub(super) spare: Option<ManagerHandle>,
    lost_at: Option<Millis>,
    /// By when the promoted spare has to have said something.
    promotion_deadline: Option<Millis>,
    highest_generation: u32,
    /// Processes whose memory exists.
    processes: HashMap<ProcessKey, Known>,
}

/// What is known of a process.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Every reactor was sent its pidfd.
    is_watched: bool,
    /// It was forked, and nobody has asked it to leave.
    is_wanted: bool,
}

impl Managers {
    pub(super) fn new(current: ManagerHandle, spare: ManagerHandle) -> Self {
        Self {
            current,
            spare: Some(spare),
            lost_at: None,
            promotion_deadline: None,
            highest_generation: 0,
            processes: HashMap::new(),
        }
    }

    /// The manager asked for a process.
    pub(super) fn note_needed(&mut self, key: ProcessKey) {
        self.highest_generation = self.highest_generation.max(key.generation.0);
        self.processes.insert(key, Known::default());
    }

    /// Every reactor was sent the pidfd of a process.
    pub(super) fn note_watched(&mut self, key: ProcessKey) {
        self.processes.entry(key).or_default().is_watched = true;
    }

    /// A process was forked.
    pub(super) fn note_spawned(&mut self, key: ProcessKey) {
        self.processes.entry(key).or_default().is_wanted = true;
    }

    /// A process is asked to leave: its end is no death.
    pub(super) fn note_leaves(&mut self, key: ProcessKey) {
        if let Some(known) = self.processes.get_mut(&key) {
            known.is_wanted = false;
        }
    }

    /// Whether every reactor was sent the pidfd of a process.
    pub(super) fn is_watched(&self, key: ProcessKey) -> bool {
        self.processes.get(&key).is_some_and(|known| known.is_watched)
    }

    pub(super) fn note_gone(&mut self, key: ProcessKey) {
        self.processes.remove(&key);
    }

    /// Takes a new spare's descriptors.
    pub(super) fn set_spare(&mut self, pid: i32, descriptors: Vec<OwnedFd>) {
        match ManagerHandle::from_spare(pid, descriptors) {
            Ok(spare) => self.spare = Some(spare),
            Err(error) => tracing::error!(%error, "the manager sent a spare that cannot be used"),
        }
    }

    /// The manager died. Answers what follows, and all its processes, which die with it or were
    /// never forked: their lanes are to be released. Beside each, whether that is a death: it ran,
    /// and was not asked to leave.
    pub(super) fn lost(&mut self, now: Millis) -> (Lost, Vec<(ProcessKey, bool)>) {
        let processes = self.processes.drain().map(|(key, known)| (key, known.is_wanted)).collect();
        let twice = self.lost_at.is_some_and(|before| now < before + LOST_TWICE_MS);
        self.lost_at = Some(now);
        // A child of the master, by birth or by adoption.
        let _ = self.current.pidfd.try_reap();
        if twice {
            self.spare = None;
            return (Lost::ForGood("two managers ended within a second"), processes);
        }
        let Some(mut spare) = self.spare.take() else {
            return (Lost::ForGood("the manager ended, and its spare with it"), processes);
        };
        // Somebody may have stopped it, and not meant this.
        let promoted = spare.pidfd.resume().and_then(|()| spare.promote(self.highest_generation));
        if let Err(error) = promoted {
            tracing::error!(%error, "the spare manager cannot be promoted");
            return (Lost::ForGood("the manager ended, and its spare with it"), processes);
        }
        self.promotion_deadline = Some(now + PROMOTION_MAX_MS);
        self.current = spare;
        (Lost::Replaced, processes)
    }

    /// The manager has said something: it is alive.
    pub(super) fn on_word(&mut self) {
        self.promotion_deadline = None;
    }

    /// When [`Managers::promotion_failed`] is to be asked.
    pub(super) const fn promotion_deadline(&self) -> Option<Millis> {
        self.promotion_deadline
    }

    /// Whether a spare was promoted and did nothing about it. It is killed then: as a manager of
    /// nobody it is of no use, and there is no other.
    pub(super) fn promotion_failed(&mut self, now: Millis) -> bool {
        if self.promotion_deadline.is_none_or(|deadline| now < deadline) {
            return false;
        }
        self.promotion_deadline = None;
        tracing::error!(
            pid = self.current.pid.get(),
            waited_ms = PROMOTION_MAX_MS,
            "the spare manager did not take its place"
        );
        // It may have ended meanwhile.
        let _ = self.current.pidfd.kill();
        true
    }
}
