//! Groups of sessions that may come from another master: each has its place before it is there.
//!
//! Whoever decides that a session can be had is not the reactor to which it goes, and that goes on
//! making groups meanwhile. So both look here, one at a time.

use std::collections::HashMap;

/// What one reactor has of groups, and what is to come.
#[derive(Debug)]
pub struct ExpectedGroups {
    groups_max: usize,
    /// Groups that are there.
    groups: usize,
    expected: HashMap<Vec<u8>, Expected>,
    /// Those among the expected ones that are not there.
    absent: usize,
}

/// A group of sessions that may come.
#[derive(Debug)]
struct Expected {
    /// How many of them.
    sessions: usize,
    /// It is there already.
    is_there: bool,
}

impl ExpectedGroups {
    /// There are none yet, and there may be `groups_max`.
    #[must_use]
    pub fn new(groups_max: usize) -> Self {
        Self { groups_max, groups: 0, expected: HashMap::new(), absent: 0 }
    }

    /// A session of these groups may come; `is_there` says of which it is known. False: there is no
    /// room for all of them, and nothing has changed.
    pub fn expect(&mut self, names: &[Vec<u8>], is_there: impl Fn(&[u8]) -> bool) -> bool {
        for (count, name) in names.iter().enumerate() {
            if !self.expect_one(name, &is_there) {
                self.forget(names.get(..count).unwrap_or_default());
                return false;
            }
        }
        true
    }

    fn expect_one(&mut self, name: &[u8], is_there: impl Fn(&[u8]) -> bool) -> bool {
        if let Some(known) = self.expected.get_mut(name) {
            known.sessions += 1;
            return true;
        }
        let is_there = is_there(name);
        if !is_there && self.groups + self.absent >= self.groups_max {
            return false;
        }
        self.absent += usize::from(!is_there);
        self.expected.insert(name.to_vec(), Expected { sessions: 1, is_there });
        true
    }

    /// That session is here, and a member of what it could join, or does not come.
    pub fn forget(&mut self, names: &[Vec<u8>]) {
        for name in names {
            let Some(known) = self.expected.get_mut(name) else { continue };
            known.sessions -= 1;
            if known.sessions == 0 {
                self.absent -= usize::from(!known.is_there);
                self.expected.remove(name);
            }
        }
    }

    /// Places that whoever makes this group has to leave free.
    #[must_use]
    pub fn kept_beside(&self, name: &[u8]) -> usize {
        let is_expected = self.expected.get(name).is_some_and(|known| !known.is_there);
        self.absent - usize::from(is_expected)
    }

    /// A group is there.
    pub fn made(&mut self, name: &[u8]) {
        self.groups += 1;
        if let Some(known) = self.expected.get_mut(name).filter(|known| !known.is_there) {
            known.is_there = true;
            self.absent -= 1;
        }
    }

    /// A group has no member any more.
    pub fn gone(&mut self, name: &[u8]) {
        self.groups = self.groups.saturating_sub(1);
        if let Some(known) = self.expected.get_mut(name).filter(|known| known.is_there) {
            known.is_there = false;
            self.absent += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn names(of: &[u8]) -> Vec<Vec<u8>> {
        of.iter().map(|name| vec![*name]).collect()
    }

    #[test]
    fn a_session_is_expected_with_all_of_its_groups_or_not_at_all() {
        let mut groups = ExpectedGroups::new(3);
        groups.made(b"a");
        assert!(groups.expect(&names(b"ab"), |name| name == b"a"));
        assert!(!groups.expect(&names(b"cd"), |_| false), "`c` would have a place, `d` would not");
        assert!(groups.expect(&names(b"c"), |_| false));
        assert_eq!((groups.kept_beside(b"x"), groups.kept_beside(b"c")), (2, 1));
        groups.made(b"c");
        groups.forget(&names(b"c"));
        assert_eq!(groups.kept_beside(b"x"), 1);
        groups.forget(&names(b"ab"));
        assert_eq!(groups.kept_beside(b"x"), 0);
        assert!(groups.expect(&names(b"d"), |_| false), "the place of `b` is free again");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Expect(BTreeSet<u8>),
        /// One of those that are expected comes, or does not.
        Ends(prop::sample::Index, bool),
        Join(u8),
        Leave(u8),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            prop::collection::btree_set(0_u8..8, 0..4).prop_map(Step::Expect),
            (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, it)| Step::Ends(at, it)),
            (0_u8..8).prop_map(Step::Join),
            (0_u8..8).prop_map(Step::Leave),
        ]
    }

    proptest! {
        /// Whoever was told to come finds room, whatever others make and leave meanwhile.
        #[test]
        fn who_is_expected_finds_room(steps in prop::collection::vec(any_step(), 0..80)) {
            const MOST: usize = 5;
            let mut groups = ExpectedGroups::new(MOST);
            let mut there = BTreeSet::new();
            let mut coming: Vec<Vec<Vec<u8>>> = Vec::new();
            for step in steps {
                match step {
                    Step::Expect(of) => {
                        let of = names(&of.into_iter().collect::<Vec<_>>());
                        let known: BTreeSet<_> = coming.iter().flatten().cloned()
                            .chain(there.iter().map(|name: &u8| vec![*name])).collect();
                        let new = of.iter().filter(|name| !known.contains(*name)).count();
                        let expected = groups.expect(&of, |name| there.contains(&name[0]));
                        prop_assert_eq!(expected, new == 0 || known.len() + new <= MOST);
                        if expected {
                            coming.push(of);
                        }
                    }
                    Step::Ends(at, comes) if !coming.is_empty() => {
                        let of = coming.remove(at.index(coming.len()));
                        for name in of.iter().filter(|_| comes) {
                            if !there.contains(&name[0]) {
                                prop_assert!(there.len() + groups.kept_beside(name) < MOST);
                                there.insert(name[0]);
                                groups.made(name);
                            }
                        }
                        groups.forget(&of);
                    }
                    Step::Join(name) => {
                        let is_free = there.len() + groups.kept_beside(&[name]) < MOST;
                        if is_free && there.insert(name) {
                            groups.made(&[name]);
                        }
                    }
                    Step::Leave(name) if there.remove(&name) => groups.gone(&[name]),
                    _ => {}
                }
                let absent: BTreeSet<_> =
                    coming.iter().flatten().filter(|name| !there.contains(&name[0])).collect();
                prop_assert_eq!(groups.kept_beside(b"none"), absent.len());
                prop_assert!(there.len() + absent.len() <= MOST);
            }
        }
    }
}
