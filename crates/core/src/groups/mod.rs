//! Groups of sessions: who is in which, of one reactor.
//!
//! A group exists as long as it has members. Each membership is known twice, by its group and by
//! its session, so that joining, leaving and the end of a session cost by the memberships of one
//! session and not by the members of a group.

mod counts;
mod expected;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use slab::Slab;

use crate::ids::ConnectionSlot;
use crate::invariant;

pub use counts::GroupCounts;
pub use expected::ExpectedGroups;

/// How many groups there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// Most groups that have members.
    pub groups_max: usize,
    /// Most groups that one session is in.
    pub session_groups_max: usize,
}

/// A session in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its place.
    pub connection: ConnectionSlot,
    /// Its id, by which it is told from a later session of the same place.
    pub session: u64,
}

/// What became of a wish to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The group has so many members now.
    Now(usize),
    /// It was a member before.
    Before,
    /// There are as many groups as there may be.
    TooManyGroups,
    /// The session is in as many as it may be.
    TooManyOfSession,
}

/// The groups of one reactor and their members.
#[derive(Debug)]
pub struct Groups {
    limits: GroupLimits,
    names: HashMap<Arc<[u8]>, usize>,
    groups: Slab<Group>,
    memberships: HashMap<ConnectionSlot, Vec<Membership>>,
    /// All of them.
    members: usize,
    /// Places of groups that are left free.
    kept: usize,
}

#[derive(Debug)]
struct Group {
    name: Arc<[u8]>,
    /// In no order.
    members: Vec<Member>,
}

/// A membership, as its session knows it.
#[derive(Clone, Copy, Debug)]
struct Membership {
    group: usize,
    /// Where in the group the session stands.
    position: usize,
}

impl Groups {
    /// No groups yet.
    #[must_use]
    pub fn new(limits: GroupLimits) -> Self {
        Self {
            limits,
            names: HashMap::new(),
            groups: Slab::new(),
            memberships: HashMap::new(),
            members: 0,
            kept: 0,
        }
    }

    /// So many groups may still be made that somebody else has been promised a place for.
    pub const fn keep(&mut self, groups: usize) {
        self.kept = groups;
    }

    /// A session joins a group, which is made if it has no member yet.
    pub fn join(&mut self, member: Member, name: &[u8]) -> Joined {
        let known = self.names.get(name).copied();
        let of_session = self.memberships.get(&member.connection).map_or(&[][..], Vec::as_slice);
        if of_session.iter().any(|membership| Some(membership.group) == known) {
            return Joined::Before;
        }
        if of_session.len() >= self.limits.session_groups_max {
            return Joined::TooManyOfSession;
        }
        let number = match known {
            Some(number) => number,
            None if self.groups.len() + self.kept >= self.limits.groups_max => {
                return Joined::TooManyGroups;
            }
            None => self.make(name),
        };
        let Some(group) = self.groups.get_mut(number) else {
            invariant!(false, "a name is that of a group");
            return Joined::TooManyGroups;
        };
        let membership = Membership { group: number, position: group.members.len() };
        group.members.push(member);
        self.members += 1;
        let members = group.members.len();
        self.memberships.entry(member.connection).or_default().push(membership);
        Joined::Now(members)
    }

    fn make(&mut self, name: &[u8]) -> usize {
        let name: Arc<[u8]> = name.into();
        let number = self.groups.insert(Group { name: Arc::clone(&name), members: Vec::new() });
        self.names.insert(name, number);
        number
    }

    /// A session leaves a group: how many members that has left. `None`: it was none.
    pub fn leave(&mut self, connection: ConnectionSlot, name: &[u8]) -> Option<usize> {
        let number = *self.names.get(name)?;
        let of_session = self.memberships.get_mut(&connection)?;
        let at = of_session.iter().position(|membership| membership.group == number)?;
        let membership = of_session.swap_remove(at);
        if of_session.is_empty() {
            self.memberships.remove(&connection);
        }
        Some(self.remove(membership).map_or(0, |(_, left)| left))
    }

    /// A session ends, and its memberships with it: `left` is told the name of each group and how
    /// many members that has left. Returns how many groups those were.
    pub fn end(&mut self, connection: ConnectionSlot, mut left: impl FnMut(&[u8], usize)) -> usize {
        // Most sessions are in none.
        if self.memberships.is_empty() {
            return 0;
        }
        let memberships = self.memberships.remove(&connection).unwrap_or_default();
        for membership in &memberships {
            if let Some((name, members)) = self.remove(*membership) {
                left(&name, members);
            }
        }
        memberships.len()
    }

    /// Takes a member out of its group: the group's name, and how many members are left.
    fn remove(&mut self, membership: Membership) -> Option<(Arc<[u8]>, usize)> {
        let group = self.groups.get_mut(membership.group);
        invariant!(group.is_some(), "a membership is in a group that is there");
        let group = group?;
        let is_there = membership.position < group.members.len();
        invariant!(is_there, "a membership stands where its session knows it");
        if !is_there {
            return None;
        }
        group.members.swap_remove(membership.position);
        self.members -= 1;
        let (name, left) = (Arc::clone(&group.name), group.members.len());
        let moved = group.members.get(membership.position).copied();
        if left == 0 {
            self.groups.remove(membership.group);
            self.names.remove(&name);
        }
        // Who stood last has taken the place.
        if let Some(moved) = moved {
            let of_moved = self.memberships.get_mut(&moved.connection).into_iter().flatten();
            for other in of_moved.filter(|other| other.group == membership.group) {
                other.position = membership.position;
            }
        }
        Some((name, left))
    }

    /// The members of a group, in no order; none when there is no such group.
    #[must_use]
    pub fn members(&self, name: &[u8]) -> &[Member] {
        let group = self.names.get(name).and_then(|number| self.groups.get(*number));
        group.map_or(&[], |group| &group.members)
    }

    /// The names of a session's groups, in no order.
    pub fn names_of(&self, connection: ConnectionSlot) -> impl Iterator<Item = &[u8]> {
        let memberships = self.memberships.get(&connection).into_iter().flatten();
        memberships.filter_map(|it| Some(&*self.groups.get(it.group)?.name))
    }

    /// How many memberships there are, over all groups.
    #[must_use]
    pub const fn memberships(&self) -> usize {
        self.members
    }

    /// How many groups have members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether no group has members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}
