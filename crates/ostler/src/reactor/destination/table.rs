//! All destinations of a reactor.

use ostler_core::brain::LaneSlot;
use ostler_core::ids::ProcessKey;
use ostler_shm::sync::{Ordering, fence};

use super::Destination;

/// By the brain's places.
#[derive(Debug, Default)]
pub(in crate::reactor) struct Destinations {
    places: Vec<Option<Box<Destination>>>,
}

impl Destinations {
    pub(in crate::reactor) fn insert(&mut self, slot: LaneSlot, destination: Destination) {
        let index = slot.0 as usize;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(Box::new(destination));
        }
    }

    pub(in crate::reactor) fn get(&self, slot: LaneSlot) -> Option<&Destination> {
        self.places.get(slot.0 as usize)?.as_deref()
    }

    pub(in crate::reactor) fn get_mut(&mut self, slot: LaneSlot) -> Option<&mut Destination> {
        self.places.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    pub(in crate::reactor) fn remove(&mut self, slot: LaneSlot) -> Option<Box<Destination>> {
        self.places.get_mut(slot.0 as usize)?.take()
    }

    pub(in crate::reactor) fn find(&self, key: ProcessKey) -> Option<LaneSlot> {
        self.iter().find(|(_, destination)| destination.key() == key).map(|(slot, _)| slot)
    }

    pub(in crate::reactor) fn find_mut(
        &mut self,
        key: ProcessKey,
    ) -> Option<(LaneSlot, &mut Destination)> {
        self.iter_mut().find(|(_, destination)| destination.key() == key)
    }

    /// The places that there are, taken or not.
    pub(in crate::reactor) fn slots(&self) -> impl Iterator<Item = LaneSlot> + use<> {
        (0..self.places.len() as u32).map(LaneSlot)
    }

    pub(in crate::reactor) fn iter(&self) -> impl Iterator<Item = (LaneSlot, &Destination)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            place.as_deref().map(|destination| (LaneSlot(index as u32), destination))
        })
    }

    pub(in crate::reactor) fn iter_mut(
        &mut self,
    ) -> impl Iterator<Item = (LaneSlot, &mut Destination)> {
        self.places.iter_mut().enumerate().filter_map(|(index, place)| {
            place.as_deref_mut().map(|destination| (LaneSlot(index as u32), destination))
        })
    }

    /// Makes what was given visible and rings the workers that sleep: once per turn (decision 8).
    pub(in crate::reactor) fn publish(&mut self) -> bool {
        let mut has_news = false;
        for (_, destination) in self.iter_mut() {
            has_news |= destination.publish();
        }
        if has_news {
            fence(Ordering::SeqCst);
            self.iter_mut().for_each(|(_, destination)| destination.ring_for_news());
        }
        has_news
    }
}
