//! How reloads go, and how they end.

use super::super::super::{Event, ReloadOutcome};
use super::{State, World};
use crate::ids::Slot;

impl World {
    pub(super) fn reload_slots(&mut self, slots: Vec<(Slot, bool)>) {
        assert!(self.reload_runs && self.reload_slots.is_none());
        self.reload_slots = Some(slots);
    }

    pub(super) fn reload_finished(&mut self, event: &Event, outcome: ReloadOutcome) {
        assert_eq!(self.ending, outcome == ReloadOutcome::ShuttingDown);
        if self.ending {
            assert!(self.reload_runs || self.reload_wanted);
            self.reload_wanted = false;
        } else {
            assert!(self.reload_runs);
        }
        let slots = self.reload_slots.take();
        assert_eq!(slots.is_some(), self.reload_runs, "each slot is told, once");
        if let Some(slots) = slots {
            self.check_slots(&slots, outcome);
        }
        self.reload_runs = false;
        self.outcomes.push(outcome);
        self.check_versions(outcome);
        if outcome == ReloadOutcome::Done {
            self.accepted_version = self.newest_version;
        }
        match outcome {
            ReloadOutcome::Done => {
                let served = self.served_since_reload.len();
                assert!(served >= usize::from(self.wanted), "slots left out");
            }
            ReloadOutcome::CanaryFailed(slot) | ReloadOutcome::Partial(slot) => {
                let (Event::MemoryFailed(key) | Event::ForkFailed(key) | Event::Exited(key, _)) =
                    event
                else {
                    panic!("{outcome:?} after {event:?}");
                };
                assert_eq!(key.slot, slot);
                assert_eq!(self.newest.get(&slot), Some(&key.generation.0));
            }
            ReloadOutcome::ShuttingDown => {}
            ReloadOutcome::NothingToReload => panic!("there are always workers"),
        }
    }

    /// Whoever is said to be new has a new process, and all are new when the reload is done.
    fn check_slots(&self, slots: &[(Slot, bool)], outcome: ReloadOutcome) {
        let all: Vec<_> = (0..self.wanted).map(Slot).collect();
        assert_eq!(slots.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), all);
        for (slot, is_new) in slots {
            assert!(!is_new || self.served_since_reload.contains(slot), "{slot} is not new");
        }
        let is_new = |slot: Slot| slots.iter().any(|(it, is_new)| *it == slot && *is_new);
        match outcome {
            ReloadOutcome::Done => assert!(slots.iter().all(|(_, is_new)| *is_new)),
            ReloadOutcome::CanaryFailed(slot) | ReloadOutcome::Partial(slot) => {
                assert!(!is_new(slot), "{slot} has failed");
            }
            ReloadOutcome::ShuttingDown | ReloadOutcome::NothingToReload => {}
        }
    }

    /// Until the canary serves nobody else is replaced, and then so many at once as there may be.
    pub(super) fn check_pace(&self) {
        let tokens = usize::from(self.settings.recycle_at_once.max(1));
        let at_once = usize::from(self.settings.reload_at_once.max(1));
        let boots = |slot: &Slot| {
            let mut fakes = self.fakes.iter().filter(|(key, _)| key.slot == *slot);
            fakes.any(|(_, fake)| fake.state == State::Booting && fake.killed.is_none())
        };
        let replacing = (0..self.wanted)
            .map(Slot)
            .filter(|slot| boots(slot) && self.find(*slot, State::Serving).is_some());
        assert!(replacing.count() <= tokens + at_once, "too many at once");
    }
}
