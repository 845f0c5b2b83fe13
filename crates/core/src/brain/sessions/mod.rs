//! The sessions of one reactor by their places: who is there, and what came back to them from
//! workers.

mod connection;

pub use connection::{Phase, Returned};

pub(super) use connection::{Connection, Going, Home};

use slab::Slab;

use crate::ids::{ConnectionSlot, PortId};

/// All sessions. It counts the bytes that came back, so that nobody has to add them up.
#[derive(Debug)]
pub(super) struct Sessions {
    places: Slab<Box<Connection>>,
    /// The most places there may be.
    places_max: usize,
    /// The places that were ever taken are those below this one.
    end: u32,
    /// Bytes of all deliveries that came back and wait to be given again.
    returned_bytes: u64,
}

impl Sessions {
    pub(super) fn new(places_max: u32) -> Self {
        Self { places: Slab::new(), places_max: places_max as usize, end: 0, returned_bytes: 0 }
    }

    /// Finds a new session a place. `None`: all places are taken.
    pub(super) fn insert(&mut self, session: u64, port: PortId) -> Option<ConnectionSlot> {
        if self.places.len() >= self.places_max {
            return None;
        }
        // The place that was freed last comes first: its memory is still in a cache.
        let index = self.places.insert(Box::new(Connection::new(session, port))) as u32;
        self.end = self.end.max(index + 1);
        Some(ConnectionSlot(index))
    }

    /// Nothing is left of a session: its place is free.
    pub(super) fn remove(&mut self, slot: ConnectionSlot) {
        let Some(gone) = self.places.try_remove(slot.0 as usize) else {
            crate::invariant!(false, "a place is freed once");
            return;
        };
        self.returned_bytes = self.returned_bytes.saturating_sub(gone.returned_bytes());
    }

    pub(super) fn get(&self, slot: ConnectionSlot) -> Option<&Connection> {
        self.places.get(slot.0 as usize).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, slot: ConnectionSlot) -> Option<&mut Connection> {
        self.places.get_mut(slot.0 as usize).map(Box::as_mut)
    }

    /// All places, taken or not: for what concerns every session.
    pub(super) fn places(&self) -> impl Iterator<Item = ConnectionSlot> + use<> {
        (0..self.end).map(ConnectionSlot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.places.iter().map(|(_, connection)| connection.as_ref())
    }

    /// How many places are taken.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes of all deliveries that came back and wait to be given again.
    pub(super) const fn returned_bytes(&self) -> u64 {
        self.returned_bytes
    }

    /// A delivery came back from a lane: it is the first that the session is given again.
    pub(super) fn push_returned(&mut self, slot: ConnectionSlot, returned: Returned) {
        let len = returned.body.len() as u64;
        if let Some(connection) = self.get_mut(slot) {
            connection.push_returned(returned);
            self.returned_bytes += len;
        }
    }

    /// The delivery that the session is given again next.
    pub(super) fn pop_returned(&mut self, slot: ConnectionSlot) -> Option<Returned> {
        let returned = self.get_mut(slot)?.pop_returned()?;
        self.returned_bytes = self.returned_bytes.saturating_sub(returned.body.len() as u64);
        Some(returned)
    }

    /// Takes out the deliveries that `goes` names among those that came back.
    pub(super) fn drop_returned(
        &mut self,
        slot: ConnectionSlot,
        goes: impl FnMut(&Returned) -> bool,
    ) -> Vec<Returned> {
        let Some(connection) = self.get_mut(slot) else { return Vec::new() };
        let dropped = connection.drop_returned(goes);
        let bytes: u64 = dropped.iter().map(|returned| returned.body.len() as u64).sum();
        self.returned_bytes = self.returned_bytes.saturating_sub(bytes);
        dropped
    }
}
