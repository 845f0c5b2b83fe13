//! Single processes that have ended for good, by their restart policies. Their manager knows; the
//! one that takes its place is told when it wants to start them.

use std::collections::BTreeMap;

use ostler_core::ids::{ProcessKey, ProcessKind, Slot};

/// Who has ended for good, and whether the manager in charge knows.
#[derive(Debug, Default)]
pub(super) struct Retired(BTreeMap<(ProcessKind, Slot), bool>);

impl Retired {
    /// The manager in charge has said so.
    pub(super) fn note(&mut self, key: ProcessKey) {
        self.0.insert((key.kind, key.slot), true);
    }

    /// Another manager is in charge, which knows nothing.
    pub(super) fn forget_what_is_known(&mut self) {
        self.0.values_mut().for_each(|is_known| *is_known = false);
    }

    /// Whether a start that is asked for is not wanted. A manager that knows wants it all the same:
    /// there was a reload.
    pub(super) fn refuses(&mut self, key: ProcessKey) -> bool {
        let place = (key.kind, key.slot);
        match self.0.get_mut(&place) {
            None => false,
            Some(is_known) if !*is_known => {
                *is_known = true;
                true
            }
            Some(_) => {
                self.0.remove(&place);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_manager_is_told_once_and_may_insist() {
        let (one, other) = (ProcessKey::user(0, 1), ProcessKey::user(1, 1));
        let mut retired = Retired::default();
        assert!(!retired.refuses(one), "nobody has ended");
        retired.note(one);
        retired.forget_what_is_known();
        assert!(!retired.refuses(other) && retired.refuses(ProcessKey::user(0, 2)));
        assert!(!retired.refuses(ProcessKey::user(0, 3)), "a reload");
        assert!(!retired.refuses(ProcessKey::user(0, 4)), "it lives again");
    }
}
