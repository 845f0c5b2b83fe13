use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const LIMITS: GroupLimits = GroupLimits { groups_max: 4, session_groups_max: 3 };

fn member(place: u32) -> Member {
    Member { connection: ConnectionSlot(place), session: 1_000 + u64::from(place) }
}

fn places(groups: &Groups, name: &[u8]) -> BTreeSet<u32> {
    let members = groups.members(name);
    assert!(members.iter().all(|one| one.session == 1_000 + u64::from(one.connection.0)));
    let places: BTreeSet<u32> = members.iter().map(|one| one.connection.0).collect();
    assert_eq!(places.len(), members.len(), "nobody is in a group twice");
    places
}

#[test]
fn a_group_is_there_as_long_as_somebody_is_in_it() {
    let mut groups = Groups::new(LIMITS);
    assert!(groups.is_empty() && groups.members(b"a").is_empty());
    assert_eq!(groups.join(member(1), b"a"), Joined::Now(1));
    assert_eq!(groups.join(member(1), b"a"), Joined::Before);
    assert_eq!(groups.join(member(2), b"a"), Joined::Now(2));
    assert_eq!((groups.len(), groups.memberships()), (1, 2));
    assert!(!groups.is_empty());
    assert_eq!(groups.leave(ConnectionSlot(1), b"a"), Some(1));
    assert_eq!(groups.leave(ConnectionSlot(1), b"a"), None);
    assert_eq!(groups.leave(ConnectionSlot(2), b"b"), None);
    assert_eq!(places(&groups, b"a"), BTreeSet::from([2]));
    assert_eq!(groups.leave(ConnectionSlot(2), b"a"), Some(0));
    assert!(groups.is_empty() && groups.memberships() == 0);
}

#[test]
fn limits_are_kept_and_room_comes_back() {
    let mut groups = Groups::new(LIMITS);
    for name in [b"a", b"b", b"c"] {
        assert_eq!(groups.join(member(1), name), Joined::Now(1));
    }
    assert_eq!(groups.join(member(1), b"d"), Joined::TooManyOfSession);
    assert_eq!(groups.join(member(2), b"d"), Joined::Now(1));
    assert_eq!(groups.join(member(2), b"e"), Joined::TooManyGroups);
    assert_eq!(groups.join(member(2), b"a"), Joined::Now(2), "it is there already");
    let mut left = Vec::new();
    assert_eq!(groups.end(ConnectionSlot(1), |name, count| left.push((name.to_vec(), count))), 3);
    left.sort();
    assert_eq!(left, [(b"a".to_vec(), 1), (b"b".to_vec(), 0), (b"c".to_vec(), 0)]);
    assert_eq!(groups.end(ConnectionSlot(1), |_, _| panic!("it is in none")), 0);
    assert_eq!(groups.join(member(2), b"e"), Joined::Now(1));
}

#[derive(Clone, Debug)]
enum Event {
    Join(u32, u8),
    Leave(u32, u8),
    End(u32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0u32..8, 0u8..6).prop_map(|(place, name)| Event::Join(place, name)),
        2 => (0u32..8, 0u8..6).prop_map(|(place, name)| Event::Leave(place, name)),
        1 => (0u32..8).prop_map(Event::End),
    ]
}

/// The same, without any of the tricks.
#[derive(Default)]
struct Model(BTreeMap<u8, BTreeSet<u32>>);

impl Model {
    fn of_session(&self, place: u32) -> usize {
        self.0.values().filter(|members| members.contains(&place)).count()
    }

    fn join(&mut self, place: u32, name: u8) -> Joined {
        match self.0.get(&name) {
            Some(members) if members.contains(&place) => return Joined::Before,
            _ if self.of_session(place) == LIMITS.session_groups_max => {
                return Joined::TooManyOfSession;
            }
            None if self.0.len() == LIMITS.groups_max => return Joined::TooManyGroups,
            _ => {}
        }
        let members = self.0.entry(name).or_default();
        members.insert(place);
        Joined::Now(members.len())
    }

    fn leave(&mut self, place: u32, name: u8) -> Option<usize> {
        let members = self.0.get_mut(&name)?;
        let left = members.remove(&place).then_some(members.len());
        self.0.retain(|_, members| !members.is_empty());
        left
    }
}

proptest! {
    #[test]
    fn it_is_what_a_plain_map_of_sets_says(events in proptest::collection::vec(event(), 0..200)) {
        let (mut groups, mut model) = (Groups::new(LIMITS), Model::default());
        for event in events {
            match event {
                Event::Join(place, name) => {
                    prop_assert_eq!(groups.join(member(place), &[name]), model.join(place, name));
                }
                Event::Leave(place, name) => {
                    let left = groups.leave(ConnectionSlot(place), &[name]);
                    prop_assert_eq!(left, model.leave(place, name));
                }
                Event::End(place) => {
                    let mut told = BTreeMap::new();
                    groups.end(ConnectionSlot(place), |name, left| {
                        told.insert(name.to_vec(), left);
                    });
                    let names: Vec<u8> = model.0.keys().copied().collect();
                    let wanted: BTreeMap<Vec<u8>, usize> = names.into_iter()
                        .filter_map(|name| Some((vec![name], model.leave(place, name)?)))
                        .collect();
                    prop_assert_eq!(told, wanted);
                }
            }
            prop_assert_eq!(groups.len(), model.0.len());
            let all: usize = model.0.values().map(BTreeSet::len).sum();
            prop_assert_eq!(groups.memberships(), all);
            for name in 0..6 {
                let wanted = model.0.get(&name).cloned().unwrap_or_default();
                prop_assert_eq!(places(&groups, &[name]), wanted);
            }
        }
    }
}

#[test]
fn the_names_of_a_sessions_groups_are_told() {
    let mut groups = Groups::new(LIMITS);
    for name in [&b"a"[..], b"b", b"c"] {
        groups.join(member(1), name);
        groups.join(member(2), name);
    }
    groups.leave(ConnectionSlot(1), b"b");
    let names: BTreeSet<_> = groups.names_of(ConnectionSlot(1)).collect();
    assert_eq!(names, BTreeSet::from([&b"a"[..], b"c"]));
    assert_eq!(groups.names_of(ConnectionSlot(3)).count(), 0);
}
