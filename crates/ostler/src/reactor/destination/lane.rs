//! The reactor's end of one lane: memory, cursors, bells, and who is at the other end.

use std::os::fd::OwnedFd;

use ostler_core::brain::LaneSlot;
use ostler_core::ids::ProcessKey;
use ostler_shm::consumer::Consumer;
use ostler_shm::giver::Giver;
use ostler_shm::lane::ReactorLane;
use ostler_shm::sleep::Ringer;

/// A package of several parts that is being written into a package ring. Its body is the brain's,
/// with the delivery.
#[derive(Clone, Copy, Debug)]
pub(in crate::reactor) struct Sending {
    pub(in crate::reactor) seq: u64,
    /// The number by which records name what it is about.
    pub(in crate::reactor) subject: u64,
    pub(in crate::reactor) flags: u8,
    pub(in crate::reactor) offset: usize,
}

/// One lane.
#[derive(Debug)]
pub(in crate::reactor) struct LaneEnd {
    pub(in crate::reactor) key: ProcessKey,
    pub(in crate::reactor) memory: ReactorLane,
    pub(in crate::reactor) giver: Giver,
    pub(in crate::reactor) consumer: Consumer,
    /// Rung by us.
    pub(in crate::reactor) worker_bell: OwnedFd,
    pub(in crate::reactor) worker_ringer: Ringer,
    pub(in crate::reactor) room_ringer: Ringer,
    /// Rung by the worker; ours to keep open.
    #[allow(dead_code)] // held open for epoll, never read
    pub(in crate::reactor) lane_bell: OwnedFd,
    pub(in crate::reactor) pidfd: Option<OwnedFd>,
    /// Rings in a row that brought nothing (decision 10).
    pub(in crate::reactor) empty_rings: u32,
    pub(in crate::reactor) condemned: bool,
    /// Packages were published in this turn.
    pub(in crate::reactor) has_news: bool,
    pub(in crate::reactor) sending: Option<Sending>,
}

/// All lanes of a reactor, by the brain's places.
#[derive(Debug, Default)]
pub(in crate::reactor) struct LaneEnds {
    places: Vec<Option<Box<LaneEnd>>>,
}

impl LaneEnds {
    pub(in crate::reactor) fn insert(&mut self, slot: LaneSlot, end: LaneEnd) {
        let index = slot.0 as usize;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(Box::new(end));
        }
    }

    pub(in crate::reactor) fn get(&self, slot: LaneSlot) -> Option<&LaneEnd> {
        self.places.get(slot.0 as usize)?.as_deref()
    }

    pub(in crate::reactor) fn get_mut(&mut self, slot: LaneSlot) -> Option<&mut LaneEnd> {
        self.places.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    /// Takes a lane out while it is worked on; [`LaneEnds::put_back`] returns it.
    pub(in crate::reactor) fn take(&mut self, slot: LaneSlot) -> Option<Box<LaneEnd>> {
        self.places.get_mut(slot.0 as usize)?.take()
    }

    pub(in crate::reactor) fn put_back(&mut self, slot: LaneSlot, end: Box<LaneEnd>) {
        if let Some(place) = self.places.get_mut(slot.0 as usize) {
            *place = Some(end);
        }
    }

    pub(in crate::reactor) fn find(&self, key: ProcessKey) -> Option<LaneSlot> {
        self.iter().find(|(_, end)| end.key == key).map(|(slot, _)| slot)
    }

    pub(in crate::reactor) fn len(&self) -> usize {
        self.places.len()
    }

    pub(in crate::reactor) fn iter(&self) -> impl Iterator<Item = (LaneSlot, &LaneEnd)> {
        self.places
            .iter()
            .enumerate()
            .filter_map(|(index, place)| place.as_deref().map(|end| (LaneSlot(index as u32), end)))
    }

    pub(in crate::reactor) fn iter_mut(
        &mut self,
    ) -> impl Iterator<Item = (LaneSlot, &mut LaneEnd)> {
        self.places.iter_mut().enumerate().filter_map(|(index, place)| {
            place.as_deref_mut().map(|end| (LaneSlot(index as u32), end))
        })
    }
}
