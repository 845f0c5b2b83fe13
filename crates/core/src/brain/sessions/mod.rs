//! The sessions of one reactor by their places: who is there, and what came back to them from
//! workers.

mod connection;

pub use connection::{Phase, Returned};

pub(super) use connection::{Connection, Home};

use crate::ids::{ConnectionSlot, PortId};

/// How far a new session looks for a free place before the reactor counts as full.
const PLACE_TRIES: u64 = 1 << 20;

/// All sessions. It counts the places that are taken and the bytes that came back, so that nobody
/// has to add them up.
#[derive(Debug)]
pub(super) struct Sessions {
    places: Vec<Option<Box<Connection>>>,
    /// The newest session's counter; its place follows from it.
    counter: u64,
    /// Places taken.
    present: usize,
    /// Bytes of all deliveries that came back and wait to be given again.
    returned_bytes: u64,
}

impl Sessions {
    /// `places` is a power of two.
    pub(super) fn new(places: u32, first_counter: u64) -> Self {
        Self {
            places: (0..places).map(|_| None).collect(),
            counter: first_counter,
            present: 0,
            returned_bytes: 0,
        }
    }

    /// Finds a new session a place. `None`: all places are taken.
    pub(super) fn insert(
        &mut self,
        port: PortId,
        make_id: impl FnOnce(u64) -> u64,
    ) -> Option<(ConnectionSlot, u64)> {
        let mask = self.places.len() as u64 - 1;
        for _ in 0..=mask.min(PLACE_TRIES) {
            self.counter += 1;
            let index = (self.counter & mask) as u32;
            let place = self.places.get_mut(index as usize)?;
            if place.is_some() {
                continue;
            }
            let session = make_id(self.counter);
            *place = Some(Box::new(Connection::new(session, port)));
            self.present += 1;
            return Some((ConnectionSlot(index), session));
        }
        None
    }

    /// Nothing is left of a session: its place is free.
    pub(super) fn remove(&mut self, slot: ConnectionSlot) {
        let Some(gone) = self.places.get_mut(slot.0 as usize).and_then(Option::take) else {
            crate::invariant!(false, "a place is freed once");
            return;
        };
        self.present = self.present.saturating_sub(1);
        self.returned_bytes = self.returned_bytes.saturating_sub(gone.returned_bytes());
    }

    pub(super) fn get(&self, slot: ConnectionSlot) -> Option<&Connection> {
        self.places.get(slot.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, slot: ConnectionSlot) -> Option<&mut Connection> {
        self.places.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    /// All places, taken or not: for what concerns every session.
    pub(super) fn places(&self) -> impl Iterator<Item = ConnectionSlot> + use<> {
        (0..self.places.len() as u32).map(ConnectionSlot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.places.iter().flatten().map(Box::as_ref)
    }

    /// How many places are taken.
    pub(super) const fn len(&self) -> usize {
        self.present
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
