//! Slots that come and go.

use super::{State, World};
use crate::ids::ProcessKey;

impl World {
    /// A process leaves because its slot was taken away.
    pub(super) fn retire(&mut self, key: ProcessKey) {
        assert!(key.slot.0 >= self.wanted, "a slot that is wanted");
        assert_eq!(self.find(key.slot, State::Leaving), None, "two leaving");
        assert!(self.fakes.get(&key).unwrap().killed.is_none());
        self.set(key, State::Serving, State::Leaving);
    }

    pub(super) fn resized(&mut self, wanted: u16) {
        assert!(!self.ending && !self.reload_runs && wanted != self.wanted);
        assert!((1..=self.settings.slots.max(self.settings.slots_max)).contains(&wanted));
        self.wanted = wanted;
        self.resized_ever = true;
        self.owed.retain(|slot| slot.0 < wanted);
        self.failed_boots.clear();
    }
}
