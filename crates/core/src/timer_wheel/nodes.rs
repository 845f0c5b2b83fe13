//! The armed timers: nodes in one vector, linked into lists through themselves.

use std::num::NonZeroU32;

use crate::invariant;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// An armed timer. Valid until it is disarmed or was returned as due; then the number is used
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerId(NonZeroU32);

impl TimerId {
    fn new(index: usize) -> Option<Self> {
        let number = u32::try_from(index).ok()?.checked_add(1)?;
        NonZeroU32::new(number).filter(|number| number.get() < NONE).map(Self)
    }

    const fn index(self) -> u32 {
        self.0.get() - 1
    }
}

/// One timer: 24 bytes when `T` has 8 and a niche.
#[derive(Debug)]
struct Node<T> {
    /// When it is due, in ticks.
    at: u64,
    previous: u32,
    /// The next of its list, or of the free nodes.
    next: u32,
    /// `None` while the node is free.
    what: Option<T>,
}

/// A list of timers, oldest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    first: u32,
    last: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self { first: NONE, last: NONE };

    pub(super) const fn is_empty(self) -> bool {
        self.first == NONE
    }
}

/// All nodes. Free ones are used again before there are more.
#[derive(Debug)]
pub(super) struct Nodes<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    armed: usize,
}

impl<T: Copy> Nodes<T> {
    pub(super) const fn new() -> Self {
        Self { nodes: Vec::new(), free: NONE, armed: 0 }
    }

    /// How many timers are armed.
    pub(super) const fn armed(&self) -> usize {
        self.armed
    }

    fn get_mut(&mut self, index: u32) -> Option<&mut Node<T>> {
        self.nodes.get_mut(index as usize)
    }

    /// A node that is on no list yet.
    pub(super) fn insert(&mut self, what: T, at: u64) -> TimerId {
        let node = Node { at, previous: NONE, next: NONE, what: Some(what) };
        self.armed += 1;
        let free = self.free;
        if let Some(place) = self.get_mut(free)
            && let Some(id) = TimerId::new(free as usize)
        {
            let next = std::mem::replace(place, node).next;
            self.free = next;
            return id;
        }
        let id = TimerId::new(self.nodes.len());
        invariant!(id.is_some(), "fewer than four thousand million timers are armed at once");
        self.nodes.push(node);
        id.unwrap_or(TimerId(NonZeroU32::MIN))
    }

    /// What a node is for; the node, which is on no list, is free.
    pub(super) fn remove(&mut self, id: TimerId) -> Option<T> {
        let free = self.free;
        let node = self.get_mut(id.index())?;
        let what = node.what.take()?;
        node.next = free;
        self.free = id.index();
        self.armed -= 1;
        Some(what)
    }

    /// When an armed timer is due, in ticks.
    pub(super) fn at(&self, id: TimerId) -> Option<u64> {
        let node = self.nodes.get(id.index() as usize)?;
        node.what.is_some().then_some(node.at)
    }

    pub(super) fn set_at(&mut self, id: TimerId, at: u64) {
        if let Some(node) = self.get_mut(id.index()) {
            node.at = at;
        }
    }

    /// The first of a list.
    pub(super) fn first(list: List) -> Option<TimerId> {
        (!list.is_empty()).then(|| TimerId::new(list.first as usize)).flatten()
    }

    /// Puts a node that is on no list behind the last of one.
    pub(super) fn push_back(&mut self, list: &mut List, id: TimerId) {
        let last = list.last;
        if let Some(node) = self.get_mut(id.index()) {
            (node.previous, node.next) = (last, NONE);
        }
        match self.get_mut(last) {
            Some(node) => node.next = id.index(),
            None => list.first = id.index(),
        }
        list.last = id.index();
    }

    /// Takes a node off the list on which it is.
    pub(super) fn unlink(&mut self, list: &mut List, id: TimerId) {
        let Some(node) = self.get_mut(id.index()) else {
            return invariant!(false, "a node stays where it is");
        };
        let (previous, next) = (node.previous, node.next);
        (node.previous, node.next) = (NONE, NONE);
        match self.get_mut(previous) {
            Some(node) => node.next = next,
            None => {
                invariant!(list.first == id.index(), "the first of a list has none before it");
                list.first = next;
            }
        }
        match self.get_mut(next) {
            Some(node) => node.previous = previous,
            None => {
                invariant!(list.last == id.index(), "the last of a list has none behind it");
                list.last = previous;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_a_small_owner_has_24_bytes_and_an_id_4() {
        #[derive(Clone, Copy)]
        #[allow(dead_code)]
        enum Owner {
            One(u32),
            Other(u32),
        }
        assert_eq!(size_of::<Node<Owner>>(), 24);
        assert_eq!(size_of::<Option<TimerId>>(), 4);
    }

    #[test]
    fn free_nodes_are_used_before_there_are_more() {
        let mut nodes = Nodes::new();
        let ids: Vec<TimerId> = (0..10_u8).map(|what| nodes.insert(what, 0)).collect();
        for id in &ids[3..6] {
            assert!(nodes.remove(*id).is_some());
            assert_eq!(nodes.remove(*id), None, "it is free already");
            assert_eq!(nodes.at(*id), None);
        }
        assert_eq!(nodes.armed(), 7);
        for what in 0..3 {
            assert!(ids.contains(&nodes.insert(what, 0)));
        }
        assert_eq!((nodes.nodes.len(), nodes.armed()), (10, 10));
    }
}
