//! The reactor's end of one lane: memory, cursors, bells, and who is at the other end.

use std::os::fd::OwnedFd;

use ostler_core::brain::LaneSlot;
use ostler_core::ids::WorkerKey;
use ostler_shm::consumer::Consumer;
use ostler_shm::giver::Giver;
use ostler_shm::lane::ReactorLane;
use ostler_shm::sleep::Ringer;

/// A package of several parts that is being written into a package ring. Its body is the brain's,
/// with the delivery.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending {
    pub(super) seq: u64,
    pub(super) session: u64,
    pub(super) flags: u8,
    pub(super) offset: usize,
}

/// One lane.
#[derive(Debug)]
pub(super) struct LaneEnd {
    pub(super) key: WorkerKey,
    pub(super) memory: ReactorLane,
    pub(super) giver: Giver,
    pub(super) consumer: Consumer,
    /// Rung by us.
    pub(super) worker_bell: OwnedFd,
    pub(super) worker_ringer: Ringer,
    pub(super) room_ringer: Ringer,
    /// Rung by the worker; ours to keep open.
    #[allow(dead_code)] // held open for epoll, never read
    pub(super) lane_bell: OwnedFd,
    pub(super) pidfd: Option<OwnedFd>,
    /// Rings in a row that brought nothing (decision 10).
    pub(super) empty_rings: u32,
    pub(super) condemned: bool,
    /// Packages were published in this turn.
    pub(super) has_news: bool,
    pub(super) sending: Option<Sending>,
}

/// All lanes of a reactor, by the brain's places.
#[derive(Debug, Default)]
pub(super) struct LaneEnds {
    places: Vec<Option<Box<LaneEnd>>>,
}

impl LaneEnds {
    pub(super) fn insert(&mut self, slot: LaneSlot, end: LaneEnd) {
        let index = slot.0 as usize;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(Box::new(end));
        }
    }

    pub(super) fn get(&self, slot: LaneSlot) -> Option<&LaneEnd> {
        self.places.get(slot.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, slot: LaneSlot) -> Option<&mut LaneEnd> {
        self.places.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    /// Takes a lane out while it is worked on; [`LaneEnds::put_back`] returns it.
    pub(super) fn take(&mut self, slot: LaneSlot) -> Option<Box<LaneEnd>> {
        self.places.get_mut(slot.0 as usize)?.take()
    }

    pub(super) fn put_back(&mut self, slot: LaneSlot, end: Box<LaneEnd>) {
        if let Some(place) = self.places.get_mut(slot.0 as usize) {
            *place = Some(end);
        }
    }

    pub(super) fn find(&self, key: WorkerKey) -> Option<LaneSlot> {
        self.iter().find(|(_, end)| end.key == key).map(|(slot, _)| slot)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LaneSlot, &LaneEnd)> {
        self.places
            .iter()
            .enumerate()
            .filter_map(|(index, place)| place.as_deref().map(|end| (LaneSlot(index as u32), end)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (LaneSlot, &mut LaneEnd)> {
        self.places.iter_mut().enumerate().filter_map(|(index, place)| {
            place.as_deref_mut().map(|end| (LaneSlot(index as u32), end))
        })
    }
}
